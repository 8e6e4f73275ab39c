"""One request of the load, and what became of it."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from benchmarks.load.counts import Counts
from benchmarks.load.mix import Kind

REFUSALS = {401, 403, 429, 503}
"""Those that `ponder_refusals_total` counts."""
STRANGER = "pk-nobody-knows-this-key"
DATA = b"data: "


async def send(
    session: aiohttp.ClientSession, url: str, kind: Kind, body: dict[str, Any], key: str, to: Counts
) -> None:
    """Ask, as the kind does, and count the end. Raises aiohttp.ClientError where the server cannot be reached."""
    bearer = STRANGER if kind.fate == "stranger" else key
    headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
    started = time.perf_counter()
    async with session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as reply:
        parts = _parts(reply) if body.get("stream") and reply.status == 200 else _whole(reply)
        told: dict[str, Any] = {}
        async for part in parts:
            if not told:
                to.first_bytes.append(time.perf_counter() - started)
            told |= part
            if kind.fate == "leave" and reply.status == 200:
                reply.close()
                to.requests[_strategy(body), "gone"] += 1
                return
    _count(reply.status, _strategy(body), told, to)
    if reply.status == 200:
        to.seconds.append(time.perf_counter() - started)


def _strategy(body: dict[str, Any]) -> str:
    return str(body["reasoning_strategy"]["name"])


def _count(status: int, strategy: str, told: dict[str, Any], to: Counts) -> None:
    """Count a reply that came to its end. A refused request has not begun, unless it was no engine's to answer."""
    error = told.get("error")
    if status in REFUSALS:
        to.refusals[status] += 1
    if error is None:
        to.answered(strategy, told["usage"], told["ponder"])
    elif status not in REFUSALS or error["code"] == "engine_unavailable":
        to.failed(strategy, f"{status} {error['code']}")


async def _whole(reply: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """A reply in one body, as its only part."""
    yield await reply.json()


async def _parts(reply: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """A stream's chunks. The last `ponder` of them is the trace, those before are live events."""
    async for line in reply.content:
        if line.startswith(DATA) and not line.startswith(b"data: [DONE]"):
            yield json.loads(line[len(DATA) :])
