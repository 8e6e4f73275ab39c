"""The rounds as tables: medians over rounds, latencies as differences to the engine alone in the same round."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.accuracy.report import table
from benchmarks.overhead.measure import WORKS

Results = Mapping[str, Any]
Round = Mapping[str, Mapping[str, Mapping[str, Any]]]
Figure = Callable[[Mapping[str, Any], Mapping[str, Any]], float | None]
"""A figure of a server, from what a load brought on it and on the engine alone; None where it cannot be told."""

INTRO = """# Speed: what gateways add to an engine

    {command}

writes this page and `bench.json`. Every server is a process of its own over the same simulated engine, which gives all
sequences a token every 4 ms; the loads alternate between the engine alone and each server, {seconds:g} s each, and the
figures are medians of {rounds} rounds. Latencies are differences to the engine alone in the same round. CPU time is
that of the server's processes, per request or token; it depends less on what else the machine does than latencies do.
Machine: {machine}.
"""


def added(name: str) -> Figure:
    """By how much a latency is above that of the engine alone."""
    return lambda own, direct: own[name] - direct[name] if name in own and name in direct else None


def own(name: str, scale: float = 1.0) -> Figure:
    return lambda own, direct: own[name] * scale if own.get(name) else None


ROWS: Sequence[tuple[str, str, Figure]] = (
    ("1 client: added p50, ms", "one", added("ms_p50")),
    ("1 client: added p99, ms", "one", added("ms_p99")),
    ("1 client: CPU, µs a request", "one", own("cpu_us")),
    ("64 clients: added p50, ms", "many", added("ms_p50")),
    ("64 clients: added p99, ms", "many", added("ms_p99")),
    ("64 clients: CPU, µs a request", "many", own("cpu_us")),
    ("64 clients: health ping p99, ms", "many", own("ping_ms_p99")),
    ("64 clients: longest health ping, ms", "many", own("ping_ms_max")),
    ("16 streams: CPU, µs a token", "stream", own("cpu_us_token")),
    ("16 streams: events a reply of 128 tokens", "stream", own("events")),
    ("vote over 64 samples: added p50, ms", "vote", added("ms_p50")),
    ("vote over 64 samples: CPU, ms", "vote", own("cpu_us", 1e-3)),
    ("a request a sample: added p50, ms", "alone", added("ms_p50")),
    ("a request a sample: CPU, ms", "alone", own("cpu_us", 1e-3)),
)
MEMORY = (("memory before, MB", "idle"), ("memory at most, MB", "peak"), ("memory afterwards, MB", "after"))


def names(results: Results) -> list[str]:
    """The servers, in the order of the tables."""
    return [name for name in results["rounds"][0] if name != "direct"]


def median(results: Results, server: str, work: str, figure: Figure) -> float | None:
    """The median over rounds of one figure."""
    pairs = [(one[server][work], one["direct"][work]) for one in results["rounds"] if work in one.get(server, {})]
    values = [value for pair in pairs if (value := figure(*pair)) is not None]
    return statistics.median(values) if values else None


def tables(results: Results) -> str:
    """One table: a row a figure, a column a server."""
    servers = names(results)
    rows = [[text, *(shown(median(results, s, work, figure)) for s in servers)] for text, work, figure in ROWS]
    for text, key in MEMORY:
        rows.append([text, *(shown(results["memory"].get(server, {}).get(key)) for server in servers)])
    return table(["", *servers], rows)


def shown(value: float | None) -> str:
    """Two or three digits that count."""
    if value is None:
        return "-"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"


def page(results: Results, command: str = "make bench") -> str:
    """The page of results: the table, and why some of its fields are empty."""
    head = INTRO.format(
        command=command, seconds=results["seconds"], rounds=len(results["rounds"]), machine=results["machine"]
    )
    return "\n".join([head, tables(results), *reasons(results), *failures(results)])


def reasons(results: Results) -> Iterable[str]:
    """Why a server has no figure."""
    for server, kinds in results["cannot"].items():
        for why in sorted(set(kinds.values())):
            yield f"- {server} {why}: {', '.join(kind for kind, reason in kinds.items() if reason == why)}."


def failures(results: Results) -> Iterable[str]:
    """How many requests failed, by server and load."""
    for server in names(results):
        for work in WORKS:
            told = [one[server].get(work, {}).get("failures", {}) for one in results["rounds"] if server in one]
            if count := sum(sum(why.values()) for why in told):
                why = ", ".join(sorted({reason for reasons in told for reason in reasons}))
                yield f"- {server}, {work}: {count} requests or pings failed ({why})."
