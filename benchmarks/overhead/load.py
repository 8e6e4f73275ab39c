"""A load on one server: so many clients, each with one request at a time, for so many seconds."""

import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import anyio

PATIENCE = 60.0
"""Seconds after which a request has failed."""
PING_EVERY = 0.01


@dataclass
class Load:
    """What a load brought: seconds of each request that went well, the events of streams, failures by what was said."""

    seconds: list[float] = field(default_factory=list)
    events: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    pings: list[float] = field(default_factory=list)

    def fail(self, why: str) -> None:
        self.failures[why] = self.failures.get(why, 0) + 1


async def load(url: str, body: dict[str, Any], clients: int, seconds: float, health: str | None = None) -> Load:
    """Ask for chat completions; those in flight at the end are waited for. `health` is a path to ping meanwhile."""
    result = Load()
    timeout, connector = aiohttp.ClientTimeout(total=PATIENCE), aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(timeout=timeout, connector=connector) as session,
        anyio.create_task_group() as pings,
    ):
        until = time.perf_counter() + seconds
        if health is not None:
            pings.start_soon(ping, session, url + health, result)
        async with anyio.create_task_group() as tasks:
            for _ in range(clients):
                tasks.start_soon(client, session, f"{url}/v1/chat/completions", body, until, result)
        pings.cancel_scope.cancel()
    return result


async def client(session: aiohttp.ClientSession, url: str, body: dict[str, Any], until: float, result: Load) -> None:
    """One client: a request after the other, at least one."""
    while True:
        started = time.perf_counter()
        try:
            async with session.post(url, json=body) as response:
                if body.get("stream"):
                    async for data in response.content.iter_any():
                        result.events += data.count(b"data:")
                else:
                    await response.read()
                if response.status == 200:
                    result.seconds.append(time.perf_counter() - started)
                else:
                    result.fail(f"status {response.status}")
        except (aiohttp.ClientError, TimeoutError) as error:
            result.fail(type(error).__name__)
        if time.perf_counter() >= until:
            return


async def ping(session: aiohttp.ClientSession, url: str, result: Load) -> None:
    """Ask how a server is, 100 times a second: how long it takes is how long its event loop was busy."""
    while True:
        started = time.perf_counter()
        try:
            async with session.get(url) as response:
                await response.read()
                result.pings.append(time.perf_counter() - started)
        except (aiohttp.ClientError, TimeoutError) as error:
            result.fail(f"ping: {type(error).__name__}")
        await anyio.sleep(max(0.0, PING_EVERY - (time.perf_counter() - started)))
