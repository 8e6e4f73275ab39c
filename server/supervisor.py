"""`--workers N`: a parent that holds the port and the local engine, and N children that serve. Knows no requests.

All children accept from one listening socket, so that what waits in its queue when a child dies is served by another.
A child reads the same settings as its parent did; its standard input ends when the parent does.
"""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import anyio.abc
from prometheus_client.multiprocess import mark_process_dead

from server.backends.local import EngineFailed, LocalEngine
from server.metrics import FOLDER
from server.settings import Settings
from server.shared import serve_shared

log = logging.getLogger("ponder")

LISTENER = "PONDER_LISTENER"
"""The variable that tells a child the descriptor of its listening socket."""
SHARED = "PONDER_SHARED"
"""The variable that tells a child where the parent serves what all children share."""
PLACE = "PONDER_PLACE"
"""The variable that tells a child its place among them, from 0: whoever takes a dead one's place goes on counting."""
BACKLOG = 2048
STEADY_SECONDS = 10.0
"""A child that lived so long did not fail at its start."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 30.0
START = """
import json, sys
sys.path[:] = json.loads(sys.argv.pop(1))
from server.__main__ import main
main()
"""


class Supervisor:
    """Keeps children running until they are to end."""

    def __init__(self, listener: socket.socket, environment: Mapping[str, str]) -> None:
        self.descriptor = listener.fileno()
        self.environment = {**os.environ, **environment, LISTENER: str(self.descriptor)}
        self.ending = anyio.Event()
        self.failed = False
        self.children: set[anyio.abc.Process] = set()

    async def keep(self, place: int) -> None:
        """Run one child, and another one when it dies; at once, but for one that dies again and again."""
        pause = FIRST_PAUSE_SECONDS
        while not self.ending.is_set():
            began = anyio.current_time()
            status = await self._run(place)
            mark_process_dead(place, self.environment[FOLDER])  # type: ignore[no-untyped-call]
            if self.ending.is_set():
                return
            steady = anyio.current_time() - began > STEADY_SECONDS
            pause = FIRST_PAUSE_SECONDS if steady else min(2 * pause, LONGEST_PAUSE_SECONDS)
            log.error("ponder: a worker ended with status %s; another one starts in %.1f s", status, pause)
            with anyio.move_on_after(pause):
                await self.ending.wait()

    async def _run(self, place: int) -> int:
        """A child from its beginning to its end; its exit status. One that is cut is killed."""
        command = [sys.executable, "-I", "-c", START, json.dumps(sys.path), *sys.argv[1:]]
        process = await anyio.open_process(
            command,
            stdin=subprocess.PIPE,
            stdout=None,
            stderr=None,
            env={**self.environment, PLACE: str(place)},
            pass_fds=(self.descriptor,),
            start_new_session=True,  # a terminal's signals come through us alone
        )
        async with process:
            self.children.add(process)
            try:
                if self.ending.is_set():
                    process.terminate()
                return await process.wait()
            finally:
                self.children.discard(process)

    def end(self, number: signal.Signals) -> None:
        """Give all children a signal, and replace none any more."""
        self.ending.set()
        for process in self.children:
            process.send_signal(number)

    async def forward(self) -> None:
        """Hand signals on: what they mean is the children's affair."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                self.end(number)

    async def watch(self, engine: LocalEngine) -> None:
        """End with the engine."""
        try:
            await engine.ready(log.info)
            log.info("ponder is ready")
            log.error("ponder: the engine ended with status %s\n%s", await engine.gone(), engine.tail())
        except EngineFailed as error:
            log.error("ponder: the engine failed: %s", error)
        self.failed = True
        self.end(signal.SIGINT)


async def supervise(settings: Settings, listener: socket.socket, engine: LocalEngine | None) -> int:
    """Serve with `settings.server.workers` children until a signal comes or the engine ends; the exit status."""
    listener.listen(BACKLOG)
    host, port = listener.getsockname()[:2]
    log.info("ponder: %d workers on %s port %s", settings.server.workers, host, port)
    with TemporaryDirectory(prefix="ponder-") as folder:
        shared, counted = Path(folder) / "shared", Path(folder) / "counted"
        counted.mkdir()
        environment = {SHARED: str(shared), FOLDER: str(counted)} | (
            {"PONDER_ENGINE_URL": engine.url} if engine else {}
        )
        supervisor = Supervisor(listener, environment)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve_shared, settings, shared)
            tasks.start_soon(supervisor.forward)
            if engine:
                tasks.start_soon(supervisor.watch, engine)
            async with anyio.create_task_group() as children:
                for place in range(settings.server.workers):
                    children.start_soon(supervisor.keep, place)
            tasks.cancel_scope.cancel()
    return int(supervisor.failed)


def inherited() -> socket.socket | None:
    """The listening socket of a child; None in a process that is none."""
    descriptor = os.environ.get(LISTENER)
    return socket.socket(fileno=int(descriptor)) if descriptor else None


def shared_path() -> Path | None:
    """Where a child finds what it shares with the others."""
    path = os.environ.get(SHARED)
    return Path(path) if path else None


def place() -> str:
    """The place of a child among the others."""
    return os.environ[PLACE]
