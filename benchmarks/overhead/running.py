"""Engines and gateways as processes of their own, started and ended together."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx
from anyio.abc import Process

from benchmarks.overhead.gateways import Gateway, Place
from server.paths import ROOT

START = 120.0
"""Seconds that a gateway may take to answer."""
GRACE = 10.0


class NotRunning(Exception):
    """A process ended, or said nothing, before it could be used."""


@dataclass(frozen=True)
class Running:
    """One server that answers: itself, its process, where it is."""

    gateway: Gateway
    pid: int
    url: str


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@asynccontextmanager
async def process(
    command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    """A process and all it starts; what it says goes to `log`. At the end it is asked to go, then made to."""
    with ExitStack() as stack:
        said = stack.enter_context(log.open("ab"))
        made = await anyio.open_process(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=os.environ | dict(environment or {}),
            cwd=log.parent,
            start_new_session=True,
        )
        try:
            yield made
        finally:
            with anyio.CancelScope(shield=True):
                await ended(made)


async def ended(made: Process) -> None:
    """End a process and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(made.pid, number)
        with anyio.move_on_after(GRACE):
            await made.wait()


@asynccontextmanager
async def simulated_engine(folder: Path) -> AsyncIterator[str]:
    """The simulated engine; its URL."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.overhead.engine", "--port", str(port)]
    async with process(command, folder / "engine.log", {"PYTHONPATH": str(ROOT)}) as made:
        await answering(made, f"http://127.0.0.1:{port}/health", folder / "engine.log")
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def running(gateway: Gateway, engine: str, folder: Path) -> AsyncIterator[Running]:
    """A gateway that answers. Raises NotRunning with the end of its log."""
    at = Place(engine, free_port(), free_port(), folder)
    url, log = f"http://127.0.0.1:{at.port}", folder / f"{gateway.name}.log"
    async with process(gateway.command(at), log, gateway.environment) as made:
        await answering(made, url + gateway.health, log)
        if gateway.setup:
            path, body = gateway.setup(at)
            async with httpx.AsyncClient(base_url=url) as client:
                (await client.post(path, json=dict(body))).raise_for_status()
        yield Running(gateway, made.pid, url)


async def answering(made: Process, url: str, log: Path) -> None:
    """Wait until a server answers there."""
    async with httpx.AsyncClient() as client:
        with anyio.move_on_after(START):
            while made.returncode is None:
                try:
                    if (await client.get(url)).is_success:
                        return
                except httpx.TransportError:
                    pass
                await anyio.sleep(0.1)
    raise NotRunning((await anyio.Path(log).read_text(errors="replace"))[-1000:])


def end_when_told() -> None:
    """Let SIGTERM end this process as Ctrl-C does: what it has started ends with it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for logs and configurations."""
    return tempfile.TemporaryDirectory(prefix="ponder-bench-")
