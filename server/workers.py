"""Worker processes for what may take too long: any call costs at most its limits, never the event loop."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import anyio
import anyio.abc

from server.settings import Workers as Limits
from server.worker import EXPIRED, FAILED, HEAD, LARGEST
from server.worker_steward import CANCEL, cut
from strategies.protocols import Compute, Expired
from strategies.tasks import unwrapped

T = TypeVar("T")

PATIENCE_SECONDS = 0.5
"""A steward that lived less is not replaced at once."""
EXPIRIES = 16
"""Calls of one request that may expire before none of its is tried any more: each costs a worker all of its time."""
START = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from server.worker_steward import main
main(*sys.argv[2:])
"""
QUIET = {"PATH": os.defpath, "LANG": "C.UTF-8"}
"""The environment of workers: no secrets."""


class Workers:
    """Calls functions in worker processes. `async with workers(…) as compute: await compute(function, *arguments)`."""

    def __init__(self, limits: Limits, *, loaded: bool = True) -> None:
        self.limits, self.loaded = limits, loaded
        self.wanted = anyio.Event()
        self.pid: int | None = None
        self._calls: dict[int, _Call] = {}
        self._numbers = iter(range(1, 1 << 63))
        self._send, self._frames = anyio.create_memory_object_stream[bytes](float("inf"))

    async def __call__(self, function: Callable[..., T], *args: Any) -> T:
        """`function(*args)` in a worker. The function is a module's own; arguments and result are JSON.

        Raises Expired for what takes more than its share of time or memory or is too large to be sent, RuntimeError
        for what the function raised.
        """
        request = json.dumps([function.__module__, function.__qualname__, args]).encode()
        if len(request) > LARGEST:
            raise Expired(f"the arguments take {len(request)} bytes, more than {LARGEST}")
        number, call = next(self._numbers), _Call()
        self._calls[number] = call
        self._send.send_nowait(HEAD.pack(number, 0, len(request)) + request)
        self.wanted.set()
        try:
            await call.done.wait()
        except BaseException:
            with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):  # the server ends
                self._send.send_nowait(HEAD.pack(number, CANCEL, 0))
            raise
        finally:
            self._calls.pop(number, None)
        if call.outcome == EXPIRED:
            raise Expired(call.body.decode(errors="replace"))
        if call.outcome == FAILED:
            raise RuntimeError(f"{function.__qualname__}: {call.body.decode(errors='replace')}")
        result: T = json.loads(call.body)
        return result

    def close(self) -> None:
        """Take no more calls."""
        self._send.close()
        self._frames.close()

    async def serve(self) -> None:
        """Keep a steward, from the first call on or from the start, until cancelled."""
        if not self.limits.ahead:
            await self.wanted.wait()
        while True:
            started = anyio.current_time()
            async with steward(self.limits, self.loaded) as process:
                self.pid = process.pid
                async with anyio.create_task_group() as tasks:  # what is written and what is read do not wait in turn
                    tasks.start_soon(self._write, process)
                    await self._read(process)
                    tasks.cancel_scope.cancel()
            for number in list(self._calls):  # it was killed: nobody knows where it was
                self._settle(number, EXPIRED, b"the workers died")
            if anyio.current_time() - started < PATIENCE_SECONDS:  # it may never be able to start
                await anyio.sleep(PATIENCE_SECONDS)

    async def _write(self, process: anyio.abc.Process) -> None:
        assert process.stdin
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for frame in self._frames:
                await process.stdin.send(frame)

    async def _read(self, process: anyio.abc.Process) -> None:
        assert process.stdout
        heard = bytearray()
        async for part in process.stdout:
            heard += part
            while message := cut(heard):
                self._settle(*message)

    def _settle(self, number: int, outcome: int, body: bytes) -> None:
        if call := self._calls.get(number):
            call.outcome, call.body = outcome, body
            call.done.set()


class _Call:
    """A call under way."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.outcome = EXPIRED
        self.body = b""


class Turn:
    """One request's use of workers: a call at a time, so that no request keeps all workers from the others."""

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._one = anyio.CapacityLimiter(1)
        self._expired = 0

    async def __call__(self, function: Callable[..., T], *args: Any) -> T:
        """`function(*args)` when it is its turn. Raises Expired, too, once too many calls of the request have."""
        async with self._one:
            if self._expired == EXPIRIES:
                raise Expired(f"{EXPIRIES} calls of this request have expired")
            try:
                return await self._compute(function, *args)
            except Expired:
                self._expired += 1
                raise


@asynccontextmanager
async def steward(limits: Limits, loaded: bool) -> AsyncIterator[anyio.abc.Process]:
    """A steward's process; leaving the block ends it and its workers."""
    given = (str(limits.processes), str(limits.seconds), str(limits.memory_mb), "load" if loaded else "")
    command = [sys.executable, "-I", "-c", START, json.dumps(sys.path), *given]
    with anyio.CancelScope(shield=True):
        process = await anyio.open_process(
            command, stdin=subprocess.PIPE, stderr=None, env=QUIET, start_new_session=True
        )
    try:
        yield process
    finally:
        with anyio.CancelScope(shield=True):
            with suppress(ProcessLookupError):
                process.kill()  # its workers die with it
            await process.aclose()


@asynccontextmanager
async def workers(limits: Limits, *, loaded: bool = True) -> AsyncIterator[Workers]:
    """Workers that end with the block; `loaded` ones start slower, and then have at hand what takes long to load.

    The task group is theirs: it lives as long as the app and owns no request.
    """
    made = Workers(limits, loaded=loaded)
    with unwrapped():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(made.serve)
            try:
                yield made
            finally:
                tasks.cancel_scope.cancel()
                made.close()
