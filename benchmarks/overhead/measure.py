"""What is measured of one server in one round, and what it comes to beside the engine alone."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.overhead.engine import MODEL, prompt
from benchmarks.overhead.gateways import ALONE, PASS, STREAM, VOTE, VOTES
from benchmarks.overhead.load import Load, load
from benchmarks.overhead.processes import cpu_seconds


@dataclass(frozen=True)
class Work:
    """One kind of load: what is asked for, by how many clients at once, of how many tokens a reply."""

    kind: str
    clients: int
    tokens: int
    pings: bool = False


WORKS = {
    "one": Work(PASS, 1, 2),
    "many": Work(PASS, 64, 32, pings=True),
    "stream": Work(STREAM, 16, 128),
    "vote": Work(VOTE, 1, 32),
    "alone": Work(ALONE, 1, 32),
}
DIRECT: Mapping[str, Mapping[str, Any]] = {PASS: {}, STREAM: {"stream": True}, VOTE: {"n": VOTES}, ALONE: {"n": VOTES}}
"""How the engine itself is asked for the same."""


async def measure(
    work: Work, url: str, fields: Mapping[str, Any], seconds: float, pid: int | None, health: str
) -> dict[str, Any]:
    """One load on one server, told in milliseconds of latency and microseconds of CPU."""
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": prompt(work.tokens)}],
        "temperature": 1.0,
        **fields,
    }
    before = cpu_seconds(pid) if pid else 0.0
    result = await load(url, body, work.clients, seconds, health if work.pings else None)
    used = cpu_seconds(pid) - before if pid else 0.0
    return told(result, used, work.tokens) if result.seconds else {"failures": result.failures}


def told(result: Load, cpu: float, tokens: int) -> dict[str, Any]:
    """A load's figures. Tokens are those that the replies have, however many came in one event."""
    requests = len(result.seconds)
    figures: dict[str, Any] = {"requests": requests, **quantiles("ms", result.seconds)}
    figures |= {"cpu_us": cpu / requests * 1e6, "cpu_us_token": cpu / requests / tokens * 1e6}
    if result.events:
        figures["events"] = result.events / requests
    if result.pings:
        figures |= quantiles("ping_ms", result.pings) | {"ping_ms_max": max(result.pings) * 1e3}
    if result.failures:
        figures["failures"] = result.failures
    return figures


def quantiles(name: str, seconds: list[float]) -> dict[str, float]:
    """Median and 99th percentile, in milliseconds."""
    ordered = sorted(seconds)
    return {
        f"{name}_p50": statistics.median(ordered) * 1e3,
        f"{name}_p99": ordered[int(0.99 * (len(ordered) - 1))] * 1e3,
    }
