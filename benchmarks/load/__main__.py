"""Load a running Ponder.

    python -m benchmarks.load --url http://127.0.0.1:8000 --seconds 60 --rate 10

sends requests at random moments, so many a second whether or not earlier ones are answered (an open loop), waits for
the last one, and prints exact counts. With keys the callers take turns at random, and some come with an unknown one.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

import aiohttp
import anyio

from benchmarks.load.counts import Counts
from benchmarks.load.mix import KINDS
from benchmarks.load.send import send

PATIENCE = 120.0
"""Seconds that a request may take."""
LINE = 1 << 24
"""Bytes that one chunk of a stream may have: the last one is the whole trace."""


async def load(url: str, seconds: float, rate: float, keys: Sequence[str] = (), seed: int = 1) -> Counts:
    """The counts of a load of so many seconds, at so many requests a second.

    Every kind of request comes once, with the first key, then all come by their weights, with any key.
    """
    random, counts = Random(seed), Counts()
    kinds = [kind for kind in KINDS if keys or kind.fate != "stranger"]
    weights = [kind.weight for kind in kinds]
    once = [(kind, keys[0] if keys else "") for kind in kinds]
    timeout, connector = aiohttp.ClientTimeout(total=PATIENCE), aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(timeout=timeout, connector=connector, read_bufsize=LINE) as session,
        anyio.create_task_group() as tasks,
    ):
        model = await served(session, url, keys)
        until = anyio.current_time() + seconds
        while once or anyio.current_time() < until:
            [drawn] = random.choices(kinds, weights)
            kind, key = once.pop() if once else (drawn, random.choice(keys or [""]))
            tasks.start_soon(send, session, url, kind, kind.body(model, random), key, counts)
            await anyio.sleep(random.expovariate(rate))
    return counts


async def served(session: aiohttp.ClientSession, url: str, keys: Sequence[str]) -> str:
    """The first model of the server's."""
    headers = {"authorization": f"Bearer {keys[0]}"} if keys else {}
    async with session.get(f"{url}/v1/models", headers=headers) as reply:
        reply.raise_for_status()
        return str((await reply.json())["data"][0]["id"])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=10.0, help="requests a second")
    parser.add_argument("--key", action="append", default=[], help="a caller's key; may be given several times")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the counts there, as JSON")
    given = parser.parse_args()
    counts = anyio.run(load, given.url, given.seconds, given.rate, given.key, given.seed)
    print(counts.table())
    if given.out:
        given.out.write_text(json.dumps(counts.as_json(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
