"""What a scrape of `/metrics` takes after a load in which every name that a caller can give is new.

    python -m benchmarks.scrape --workers 2

runs a Ponder over a simulated engine, loads it with requests of all kinds and with names that nobody has given before,
and then, quiet again, scrapes it. It prints the series and the milliseconds of a scrape.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import aiohttp
import anyio

from benchmarks.load.__main__ import load
from benchmarks.overhead import gateways
from benchmarks.overhead.measure import quantiles
from benchmarks.overhead.running import Running, end_when_told, running, scratch, simulated_engine

RATE = 10.0
"""Requests a second of all kinds."""
STRANGERS = 4
"""Callers who make names up, each as fast as it is answered."""
SCRAPES = 50


async def stranger(session: aiohttp.ClientSession, url: str, number: int, until: float) -> None:
    """Requests with a model, a strategy, a field, a path and headers of its own making."""
    at = 0
    while anyio.current_time() < until:
        at += 1
        name = f"junk-{number}-{at}"
        body: dict[str, Any] = {
            "model": name if at % 2 else "simulated",
            "messages": [{"role": "user", "content": name}],
        }
        body |= ({"reasoning_strategy": name}, {name: 1}, {"user": name})[at % 3]
        headers = {"authorization": f"Bearer {name}", "x-request-id": name, name: name, "user-agent": name}
        path = f"/{name}" if at % 7 == 0 else "/v1/chat/completions"
        async with session.post(url + path, json=body, headers=headers) as reply:
            await reply.read()


async def measure(server: Running, seconds: float) -> dict[str, Any]:
    """Both loads at once, then scrapes, one after the other."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        async with anyio.create_task_group() as tasks:
            for number in range(STRANGERS):
                tasks.start_soon(stranger, session, server.url, number, anyio.current_time() + seconds)
            await load(server.url, seconds, RATE)
        took, text = [], ""
        for _ in range(SCRAPES):
            start = time.perf_counter()
            async with session.get(server.url + "/metrics") as reply:
                text = await reply.text()
            took.append(time.perf_counter() - start)
    series = sum(not line.startswith("#") for line in text.splitlines())
    return {"series": series, "junk": text.count("junk"), **quantiles("ms", took), "ms_max": max(took) * 1e3}


async def run(workers: int, seconds: float) -> dict[str, Any]:
    """Everything, from the start of the processes to their end."""
    with scratch() as folder:
        async with simulated_engine(Path(folder)) as engine:
            server = gateways.ponder(["--workers", str(workers)])
            async with running(server, engine, Path(folder)) as served:
                return {"workers": workers, **await measure(served, seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0, help="of the load")
    given = parser.parse_args()
    end_when_told()
    print(json.dumps(anyio.run(run, given.workers, given.seconds), indent=1))


if __name__ == "__main__":
    main()
