"""A Ponder in a process of its own, as operators start it, over a simulated engine in this one."""

import json
import os
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx

from benchmarks.engine import simulated
from tests.serving import Served

ROOT = Path(__file__).parent.parent


class Process(Served):
    """A running `ponder serve`."""

    process: anyio.abc.Process

    async def ends(self, seconds=10.0):
        """Its exit status, within so many seconds."""
        with anyio.fail_after(seconds):
            return await self.process.wait()


@asynccontextmanager
async def served(*flags, engine=None, environment=None):
    """`ponder serve` over a simulated engine of these options; killed at the end where it still runs."""
    async with (
        simulated(**(engine or {})) as behind,
        started("--engine-url", behind.url, *flags, **(environment or {})) as running,
    ):
        running.engine = behind
        yield running


@asynccontextmanager
async def started(*flags, **environment):
    """`ponder serve` with these flags and variables, once it is ready."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "server", "serve", "--port", str(port), *flags]
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("PONDER_")}
    environment = {**quiet, "PYTHONPATH": str(ROOT), **environment}
    async with (
        await anyio.open_process(command, stdout=None, stderr=None, cwd=ROOT, env=environment) as process,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        running = Process(str(client.base_url), client)
        running.process = process
        try:
            await ready(client)
            yield running
        finally:
            if process.returncode is None:
                process.kill()


async def ready(client, seconds=30.0):
    """Wait until it is."""
    with anyio.fail_after(seconds):
        while True:
            try:
                if (await client.get("/ready")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await anyio.sleep(0.05)


def lines(text):
    """The decoded data of a stream's events."""
    data = [line.removeprefix("data: ") for line in text.split("\n\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in data]
