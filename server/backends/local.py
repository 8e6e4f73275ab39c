"""Starts a vLLM of our own, waits until it answers, and leaves no process of it behind. Knows nothing of requests."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.abc

from server import paths
from server.backends.http import Patience, Upstream
from strategies.protocols import BackendError

GUARD = Path(__file__).with_name("guard.py")
ENTRY = ("-m", "vllm.entrypoints.openai.api_server")
POLL_SECONDS = 0.25
WARM_UP_SECONDS = 86_400.0
"""For one answer while the engine warms up, which on a slow machine may take as long as it likes."""
STOP_SECONDS = 20.0
TAIL_LINES = 20

# Chunked prefill kills the CPU engine when a request has a seed (its generators know no offset). Without it vLLM raises
# --max-num-batched-tokens to the model's length by itself. Small blocks: more prefix-cache hits for step search. Eager:
# ready in a minute instead of after many minutes of compiling.
CPU_FLAGS = ("--no-enable-chunked-prefill", "--block-size", "32", "--enforce-eager")
# Without a parser vLLM refuses every request with tools; this one reads the form that most open models write.
TOOL_FLAGS = ("--enable-auto-tool-choice", "--tool-call-parser", "hermes")


class EngineFailed(Exception):
    """The engine ended, or never answered; the message carries the end of its log."""


@dataclass(frozen=True)
class EngineSpec:
    """Which model to serve, with which Python, and where."""

    model: str
    name: str
    python: Path
    log: Path
    port: int = 0
    host: str = "127.0.0.1"
    args: tuple[str, ...] = ()
    kind: paths.EngineKind = field(default_factory=paths.engine_kind)

    def command(self, port: int) -> list[str]:
        """Return the command line that serves the model on `port`; `args` come last, so they win."""
        where = ("--host", self.host, "--port", str(port))
        what = ("--model", self.model, "--served-model-name", self.name, "--enable-prompt-tokens-details", *TOOL_FLAGS)
        flags = CPU_FLAGS if self.kind == "cpu" else ()
        return [str(self.python), *ENTRY, *what, *where, *flags, *self.args]

    def environment(self) -> dict[str, str]:
        """Return the engine's environment: ours, and settings that it may override."""
        ours = {"VLLM_NO_USAGE_STATS": "1", "PYTHONUNBUFFERED": "1"}
        if self.kind == "cpu":
            ours["VLLM_CPU_KVCACHE_SPACE"] = "2"
            # a prompt as long as the model takes may keep a slow CPU busy for longer than vLLM's five minutes
            ours["VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS"] = "3600"
        if Path(self.model).is_dir():
            ours["HF_HUB_OFFLINE"] = "1"
        return {**ours, **os.environ}


class LocalEngine:
    """A running vLLM process; `url` is where it will answer."""

    def __init__(self, spec: EngineSpec, port: int, process: anyio.abc.Process) -> None:
        self.spec = spec
        self.url = f"http://{spec.host}:{port}"
        self._process = process
        self._started = time.monotonic()

    async def ready(self, tell: Callable[[str], None], *, every: float = 5.0) -> None:
        """Wait until the engine has answered once; `tell` gets a line of progress `every` so many seconds.

        Raises EngineFailed as soon as the process has ended.
        """
        async with anyio.create_task_group() as group:
            group.start_soon(self._tell_how_long, tell, every)
            group.start_soon(self._cancel_when_gone, group.cancel_scope)
            await self._answer_once()
            group.cancel_scope.cancel()
        if self._process.returncode is not None:
            raise EngineFailed(f"vLLM ended with status {self._process.returncode}\n{self.tail()}")

    async def gone(self) -> int:
        """Wait until the engine has ended, and return its exit status."""
        return await self._process.wait()

    def tail(self) -> str:
        """Return the end of the engine's log, and where all of it is."""
        lines = []
        with suppress(OSError):
            lines = self.spec.log.read_text(errors="replace").splitlines()
        return "\n".join([*lines[-TAIL_LINES:], f"(all of it: {self.spec.log})"])

    async def _tell_how_long(self, tell: Callable[[str], None], every: float) -> None:
        while True:
            await anyio.sleep(every)
            tell(f"vLLM is loading {self.spec.name} … {time.monotonic() - self._started:.0f} s")

    async def _cancel_when_gone(self, scope: anyio.CancelScope) -> None:
        await self.gone()
        scope.cancel()

    async def _answer_once(self) -> None:
        """Wait for health, then for a first completion: health alone proves no forward pass, and the first is slow.

        So is the first with log-probabilities.
        """
        warm_up = {"model": self.spec.name, "prompt": "Hello", "max_tokens": 2, "n": 2, "logprobs": 20}
        with closing(Upstream(self.url, patience=Patience(idle=WARM_UP_SECONDS))) as engine:
            await until_success(lambda: engine.get("/health"))
            await until_success(lambda: engine.post("/v1/completions", warm_up))


async def until_success(ask: Callable[[], Awaitable[object]]) -> None:
    """Ask again and again until there is a good answer."""
    while True:
        with suppress(BackendError):
            await ask()
            return
        await anyio.sleep(POLL_SECONDS)


@asynccontextmanager
async def local_engine(spec: EngineSpec) -> AsyncIterator[LocalEngine]:
    """Start a vLLM; leaving the block, or the death of this process, ends it and everything it started."""
    port = spec.port or free_port(spec.host)
    with anyio.CancelScope(shield=True):
        process = await start(spec, port)
    try:
        yield LocalEngine(spec, port, process)
    finally:
        with anyio.CancelScope(shield=True):
            await stop(process)


async def start(spec: EngineSpec, port: int) -> anyio.abc.Process:
    """Start the engine under guard, its output in the log.

    The pipe to the guard is what tells it that we are gone. A parent-death signal would not do: it follows the thread
    that started the guard, not the process.
    """
    spec.log.parent.mkdir(parents=True, exist_ok=True)
    with spec.log.open("wb") as log:
        return await anyio.open_process(
            [sys.executable, "-I", "-S", str(GUARD), "--", *spec.command(port)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=spec.environment(),
            start_new_session=True,
        )


async def stop(process: anyio.abc.Process) -> None:
    """End the engine and wait until it is gone."""
    assert process.stdin is not None
    await process.stdin.aclose()
    with anyio.move_on_after(STOP_SECONDS) as patience:
        await process.wait()
    if patience.cancelled_caught:
        process.kill()
        await process.wait()
    kill_session(process.pid)


def kill_session(leader: int) -> None:
    """Kill what is left of the guard's session: nothing, unless the guard itself was killed before it could end it."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            _state, _parent, _group, session = stat.read_text().rsplit(")", 1)[1].split()[:4]
            if int(session) == leader:
                os.kill(int(stat.parent.name), signal.SIGKILL)


def free_port(host: str) -> int:
    """Return a TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
