"""What it takes from a client's hang-up until nothing of its request is left: no sequence, no connection, no place.

    python -m benchmarks.hangups

runs a Ponder over a simulated engine. Callers ask for a vote of n samples and go: while they wait to be let in, before
the first token, in the middle; the clock stops when the engine has lost the last connection that had work for them. For
one who waits to be let in it stops when `/metrics` counts nobody waiting, so that a scrape's time is part of it.
"""

import argparse
import gc
import json
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import aiohttp
import anyio
from anyio.abc import SocketStream

from benchmarks.engine import Engine, simulated
from benchmarks.engine_replies import filler
from benchmarks.overhead import gateways
from benchmarks.overhead.measure import quantiles
from benchmarks.overhead.running import end_when_told, running, scratch
from benchmarks.soak import metric
from server.paths import ROOT

SIZES = (1, 8, 64, 256, 1000)
ROUNDS = 20
OUT = ROOT / "docs" / "results" / "hangups"
QUEUED, SILENT, TALKING = "waits to be let in", "before the first token", "in the middle"
SAMPLES = 1000
"""Sequences that the server lets in at once: one request can take all of them."""
TOKENS = 400
"""Of a reply, which nobody waits for."""
DELAY = 0.05
"""Seconds a token."""
BEGUN = 4
"""Tokens of each sequence, in the mean, before a caller goes in the middle."""
FIRST = {3600.0: (QUEUED, SILENT), 0.0: (TALKING,)}
"""Seconds before an engine's first token, for those who go before it and those who go later."""
POLL = 0.0005
"""Seconds between two looks at the engine."""
SECONDS = 60.0
"""What may take so long at most."""


@dataclass(frozen=True)
class Case:
    """Who goes, and when."""

    phase: str
    n: int
    stream: bool

    def request(self) -> bytes:
        """An HTTP request for a vote."""
        vote = {"name": "self_consistency", "n": self.n, "early_stop": "none", "prompt": "none"}
        said = [{"role": "user", "content": "2 + 3?"}]
        wishes = {"model": "simulated", "messages": said, "reasoning_strategy": vote, "stream": self.stream}
        body = json.dumps(wishes).encode()
        head = "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        return head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body


class Bench:
    """A server, the engine behind it, and callers of it who go."""

    def __init__(self, engine: Engine, url: str, session: aiohttp.ClientSession) -> None:
        self.engine, self.url, self.session = engine, url, session

    @asynccontextmanager
    async def caller(self, case: Case) -> AsyncIterator[SocketStream]:
        """A connection on which a request has been made."""
        async with await anyio.connect_tcp("127.0.0.1", int(self.url.rpartition(":")[2])) as connection:
            await connection.send(case.request())
            yield connection

    async def measured(self, case: Case, rounds: int) -> dict[str, Any]:
        """So many who go, one after the other, in milliseconds."""
        if case.phase != QUEUED:
            return told(case, [await self._gone(case) for _ in range(rounds)])
        everything = Case(SILENT, SAMPLES, False)
        async with self.caller(everything):
            await until(lambda: self.engine.running == SAMPLES)
            took = [await self._gone_from_queue(case) for _ in range(rounds)]
        await until(lambda: not self.engine.running)
        return told(case, took)

    async def _gone(self, case: Case) -> float:
        """Seconds until the engine has no work for a caller who goes."""
        engine, before = self.engine, self.engine.generated
        engine.requests.clear()
        gc.collect()  # what the simulated engine leaves; in the middle of a hang-up it would look like Ponder's time
        wanted = BEGUN * case.n if case.phase == TALKING else 0
        async with self.caller(case) as connection:
            await until(lambda: engine.running == case.n and engine.generated - before >= wanted)
            went = time.perf_counter()
            await connection.aclose()
            await until(lambda: not engine.running)
            return time.perf_counter() - went

    async def _gone_from_queue(self, case: Case) -> float:
        """Seconds until nobody waits to be let in, where one who did goes."""
        async with self.caller(case) as connection:
            await self._queue(1)
            went = time.perf_counter()
            await connection.aclose()
            await self._queue(0)
            return time.perf_counter() - went

    async def _queue(self, length: int) -> None:
        """Wait until so many wait to be let in."""
        with anyio.fail_after(SECONDS):
            while await metric(self.session, self.url, "ponder_queue_length") != length:
                await anyio.sleep(POLL)


async def until(true: Callable[[], bool]) -> None:
    """Wait for it. Raises TimeoutError where it takes too long."""
    with anyio.fail_after(SECONDS):
        while not true():
            await anyio.sleep(POLL)


def told(case: Case, seconds: list[float]) -> dict[str, Any]:
    return {**vars(case), **quantiles("ms", seconds), "ms_max": max(seconds) * 1e3}


@asynccontextmanager
async def bench(ttft: float) -> AsyncIterator[Bench]:
    """All that is needed, with an engine that takes so many seconds for its first token."""
    gateway = gateways.ponder()
    gateway = replace(gateway, environment={**gateway.environment, "PONDER_ADMISSION__SAMPLES": str(SAMPLES)})
    with scratch() as folder:
        async with (
            simulated(filler(TOKENS), ttft=ttft, delay=DELAY) as engine,
            running(gateway, engine.url, Path(folder)) as server,
            aiohttp.ClientSession() as session,
        ):
            yield Bench(engine, server.url, session)


async def run(sizes: tuple[int, ...], rounds: int) -> list[dict[str, Any]]:
    """Every kind of caller who goes."""
    figures = []
    for ttft, phases in FIRST.items():
        async with bench(ttft) as made:
            for phase, n, stream in product(phases, sizes, (True, False)):
                figures.append(await made.measured(Case(phase, n, stream), rounds))
    return figures


def report(figures: list[dict[str, Any]], rounds: int) -> str:
    """The page."""
    rows = "\n".join(
        f"| {row['phase']} | {row['n']} | {'streamed' if row['stream'] else 'whole'} "
        f"| {row['ms_p50']:.1f} | {row['ms_p99']:.1f} | {row['ms_max']:.1f} |"
        for row in figures
    )
    middle = statistics.median(row["ms_p50"] for row in figures)
    return f"""# Hang-ups

`python -m benchmarks.hangups`: milliseconds from a client's hang-up until nothing of its request is left, over the
simulated engine, {rounds} times each; the median of all medians is {middle:.1f} ms. The target: 50 ms at p99, 250 ms at
most. One who waits to be let in has no work at the engine: there the clock stops when `/metrics` counts nobody waiting,
a scrape's time included. Server, engine and callers share the machine. All figures are in [the data](hangups.json).

| the caller goes | n | reply | p50 | p99 | max |
|---|---|---|---|---|---|
{rows}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help=f"samples of a request, at most {SAMPLES}")
    parser.add_argument("--out", type=Path, default=OUT, help="where the page and its data go, without a suffix")
    given = parser.parse_args()
    end_when_told()
    figures = anyio.run(run, tuple(given.sizes), given.rounds, backend_options={"use_uvloop": True})
    print(page := report(figures, given.rounds))
    given.out.with_suffix(".md").write_text(page, encoding="utf-8")
    given.out.with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
