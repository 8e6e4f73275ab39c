"""A long load in which many callers go before they are answered, and what it leaves behind.

    python -m benchmarks.soak --minutes 20

runs a Ponder over a simulated engine, each a process of its own, and prints how its memory grew after a warm-up, and
what is left when all callers have gone: requests, file descriptors, reserved samples, sequences at the engine. The
memory is that of the server's own process: its workers are replaced after so many calls, so the largest one is told.
"""

import argparse
import json
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import anyio

from benchmarks.overhead import gateways
from benchmarks.overhead.engine import MODEL, prompt
from benchmarks.overhead.processes import PROC, family, resident
from benchmarks.overhead.running import Running, end_when_told, running, scratch, simulated_engine

CLIENTS = 32
GOING = 0.2
"""The share of callers who go early."""
WARM_UP = 0.2
"""The share of the time after which memory counts."""
LOOK = 2.0
"""Seconds between two looks at memory."""
SAMPLES = 256
"""Sequences that the server lets in at once: in the end, all of these must be free again."""
SETTLE = 12.0
"""Seconds after which idle connections to the engine are closed, too."""
STEADY = 5.0
"""Seconds without a change after which a server has started."""
PROCESSES = 4
"""The server, the steward of its workers, and two of these."""
STRATEGIES: Sequence[dict[str, Any]] = (
    {"name": "single"},
    {"name": "self_consistency", "n": 8},
    {"name": "self_consistency", "n": 32, "early_stop": "none"},
    {"name": "best_of_n", "n": 4, "verifier": "arithmetic"},
    {"name": "beam_search", "beams": 2, "width": 2, "verifier": "arithmetic"},
    {"name": "revise", "rounds": 2},
)


@dataclass
class Soaked:
    """What was seen: requests by how they ended, memory now and then, and what was left at the end.

    `memory` has rows of requests so far, MB of the server, MB of the largest of its workers.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    memory: list[tuple[int, float, float]] = field(default_factory=list)
    left: dict[str, float] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        return self.outcomes.total()

    def slope(self) -> float:
        """MB for each 100,000 requests, after the warm-up: the slope of a least-squares line."""
        after = self.memory[int(len(self.memory) * WARM_UP) :]
        if len(after) < 3:
            return 0.0
        return statistics.linear_regression([row[0] for row in after], [row[1] for row in after]).slope * 100_000

    def worker(self) -> float:
        """MB of the largest worker that there was."""
        return max((row[2] for row in self.memory), default=0.0)

    def told(self) -> dict[str, Any]:
        figures = {"requests": self.requests, "mb_per_100k": round(self.slope(), 2), "worker_mb": self.worker()}
        return {**figures, **vars(self)}


def descriptors(pid: int) -> int:
    """Open file descriptors of a process and all below it."""
    return sum(len(list((PROC / str(one) / "fd").iterdir())) for one in family(pid))


def sizes(pid: int) -> tuple[float, float]:
    """MB of a server's own process, and of the largest below it."""
    others = [resident(one)[0] for one in family(pid) if one != pid]
    return round(resident(pid)[0], 1), round(max(others, default=0.0), 1)


async def steady(pid: int, processes: int) -> int:
    """Descriptors of a process and all below it, once these are so many, and nothing has changed for a while."""
    before, since = descriptors(pid), anyio.current_time()
    while len(family(pid)) < processes or anyio.current_time() < since + STEADY:
        await anyio.sleep(STEADY / 10)
        if before != (before := descriptors(pid)):
            since = anyio.current_time()
    return before


async def caller(session: aiohttp.ClientSession, url: str, random: Random, soaked: Soaked) -> None:
    """One request, which its caller may leave."""
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": prompt(random.randint(4, 60))}],
        "reasoning_strategy": random.choice(STRATEGIES),
        "stream": random.random() < 0.5,
    }
    patience = random.random() * 0.3 if random.random() < GOING else 120.0
    outcome = "gone"
    with anyio.move_on_after(patience):
        async with session.post(url + "/v1/chat/completions", json=body) as reply:
            text = await reply.text()
            outcome = "answered" if reply.status == 200 and '"error"' not in text else f"failed {reply.status}"
    soaked.outcomes[outcome] += 1


async def soak(server: Running, engine: str, seconds: float, clients: int) -> Soaked:
    """Load for so many seconds, then rest, then a look."""
    soaked, random = Soaked(), Random(1)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await caller(session, server.url, Random(0), Soaked())
        before = await steady(server.pid, PROCESSES)
        until = anyio.current_time() + seconds

        async def callers() -> None:
            while anyio.current_time() < until:
                await caller(session, server.url, random, soaked)

        async def watch() -> None:
            while anyio.current_time() < until:
                await anyio.sleep(min(LOOK, seconds / 10))
                soaked.memory.append((soaked.requests, *sizes(server.pid)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            for _ in range(clients):
                tasks.start_soon(callers)
    await anyio.sleep(SETTLE)
    async with aiohttp.ClientSession() as session:
        soaked.left = await left(session, server, engine, before)
    return soaked


async def left(session: aiohttp.ClientSession, server: Running, engine: str, before: int) -> dict[str, float]:
    """What is there that should not be; samples that cannot be had show as a request that is not let in."""
    open = float(max(0, descriptors(server.pid) - before))
    ours = await metric(session, server.url, "ponder_requests_running")
    theirs = await metric(session, engine, "vllm:num_requests_running")
    vote = {"name": "self_consistency", "n": SAMPLES, "early_stop": "none"}
    body = {"model": MODEL, "messages": [{"role": "user", "content": prompt(8)}], "reasoning_strategy": vote}
    async with session.post(server.url + "/v1/chat/completions", json=body) as reply:
        refused = float(reply.status != 200)
    return {
        "requests": ours,
        "sequences at the engine": theirs,
        "samples that are not free": refused,
        "descriptors": open,
    }


async def metric(session: aiohttp.ClientSession, url: str, name: str) -> float:
    """The sum of a metric's values."""
    async with session.get(url + "/metrics") as reply:
        lines = (await reply.text()).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def run(minutes: float, clients: int) -> Soaked:
    """Everything, from the start of the processes to their end."""
    limits = {"PONDER_ADMISSION__SAMPLES": str(SAMPLES), "PONDER_ADMISSION__QUEUE_SECONDS": "110"}
    limits["PONDER_WORKERS__AHEAD"] = "true"  # what starts later would look like something that was left
    with scratch() as folder:
        async with simulated_engine(Path(folder)) as engine:
            gateway = gateways.ponder()
            gateway = type(gateway)(**{**vars(gateway), "environment": {**gateway.environment, **limits}})
            async with running(gateway, engine, Path(folder)) as server:
                return await soak(server, engine, minutes * 60, clients)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    end_when_told()
    soaked = anyio.run(run, given.minutes, given.clients)
    print(f"{soaked.requests} requests: {dict(soaked.outcomes)}")
    print(f"the server's memory: {soaked.slope():.1f} MB for each 100,000 requests after the warm-up")
    print(f"the largest worker: {soaked.worker():.1f} MB")
    print(f"left behind: {soaked.left}")
    if given.out:
        given.out.write_text(json.dumps(soaked.told(), indent=1) + "\n", encoding="utf-8")
    sys.exit(any(soaked.left.values()) or any(name.startswith("failed") for name in soaked.outcomes))


if __name__ == "__main__":
    main()
