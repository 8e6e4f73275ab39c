"""`ponder serve`: the HTTP server, and the local engine behind it where none is named. They live and end together."""

import asyncio
import gc
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import uvicorn
from fastapi import FastAPI

from server import descriptors, logs, metrics, paths, supervisor
from server.app import create_app
from server.auth import unguarded
from server.backends.local import EngineFailed, EngineSpec, LocalEngine, local_engine
from server.drain import Drain
from server.protocol import configured
from server.settings import Engine, Settings
from strategies.protocols import BackendError

GARBAGE = 10_000
"""New objects after which Python looks for cycles among them: a request makes thousands of objects, but few cycles."""
log = logging.getLogger("ponder")


async def serve(settings: Settings, model: str | None, python: Path | None, args: tuple[str, ...]) -> int:
    """Serve until a signal comes or the local engine ends; the exit status."""
    logs.configure(settings.server)
    asyncio.get_running_loop().set_exception_handler(logs.unheard)
    descriptors.check(settings)
    if worker := supervisor.inherited():
        metrics.count_as(supervisor.place())
        return await run(settings, worker, None, parent=sys.stdin.fileno())
    create_app(settings)  # before all that takes time: it refuses settings that cannot work
    listener = listen(settings)
    act = run if settings.server.workers == 1 else supervisor.supervise
    if settings.engines and model:
        log.warning("ponder: --model is for a local engine; the settings name engines, so it has no effect")
    if settings.engines:
        return await act(settings, listener, None)
    spec = local_spec(model, python, args)
    if spec is None:
        return 2
    try:
        async with local_engine(spec) as engine:
            engines = (Engine(url=engine.url),)
            return await act(settings.model_copy(update={"engines": engines}), listener, engine)
    except EngineFailed as error:
        log.error("ponder: the engine failed: %s", error)
        return 1


async def run(
    settings: Settings, listener: socket.socket, engine: LocalEngine | None, *, parent: int | None = None
) -> int:
    """Serve on `listener`, and watch over the engine, or over the parent's pipe; the exit status."""
    app = create_app(settings, shared=supervisor.shared_path())
    server = Server(configured(app, settings.door, timeout_graceful_shutdown=5))
    leaving = Leaving(server, app.state.drain, settings)
    failed = False

    async def watch() -> None:
        nonlocal failed
        await app.state.started.wait()
        gc.freeze()  # what lives as long as the server needs no looking at
        gc.set_threshold(GARBAGE)
        if parent is not None:
            await anyio.wait_readable(parent)  # never written to: it has ended
            await leaving.drain(0, 0)
            return
        if engine is None:
            await announce(app, listener)
            return
        try:
            await engine.ready(log.info)
            await announce(app, listener)
            status = await engine.gone()
            log.error("ponder: the engine ended with status %s\n%s", status, engine.tail())
        except EngineFailed as error:
            log.error("ponder: the engine failed: %s", error)
        failed, server.should_exit = True, True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        tasks.start_soon(leaving.on_signal)
        await server.serve(sockets=[listener])
        tasks.cancel_scope.cancel()
    return int(failed)


class Server(uvicorn.Server):
    """A uvicorn that leaves signals to us: its own way cuts replies, and ends the process before the engine is gone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Leaving:
    """The end of a server, by signals: the first one drains it, the second one ends it now."""

    def __init__(self, server: uvicorn.Server, drain: Drain, settings: Settings) -> None:
        self.server, self.state, self.settings = server, drain, settings.server

    async def on_signal(self) -> None:
        """Drain on SIGTERM, and on SIGINT without delay, for that is somebody's at a terminal."""
        async with anyio.create_task_group() as tasks:
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for number in signals:
                    if self.state.begun:
                        self.state.finish()
                        self.server.force_exit = self.server.should_exit = True
                    else:
                        delay = 0.0 if number == signal.SIGINT else self.settings.drain_delay
                        tasks.start_soon(self.drain, delay, self.settings.drain_seconds)

    async def drain(self, delay: float, grace: float) -> None:
        await self.state.end(delay, grace)
        self.server.should_exit = True


def listen(settings: Settings) -> socket.socket:
    """The socket to serve on, taken before an engine is loaded for nothing."""
    if why_not := unguarded(settings):
        sys.exit(f"ponder: {why_not}")
    where = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in where[0] else socket.AF_INET
    listener = socket.socket(family, proto=socket.IPPROTO_TCP)  # named, or asyncio leaves Nagle's algorithm on
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(where)
    except OSError as error:
        sys.exit(f"ponder: cannot listen on {where[0]}:{where[1]}: {error.strerror} (PONDER_PORT picks another port)")
    return listener


def local_spec(model: str | None, python: Path | None, args: tuple[str, ...]) -> EngineSpec | None:
    """The vLLM to start; None, with a word about what is missing, where that cannot be."""
    interpreter = python or paths.engine_python()
    folder = model or paths.default_model()
    if interpreter is None:
        log.error("ponder: no vLLM is set up here: name a running one with --engine-url, or use `make run`")
        return None
    if folder is None:
        log.error("ponder: no model is set up here: name one with --model, or use `make run`")
        return None
    where = paths.cache_folder() / "logs" / f"engine-{os.getpid()}.log"
    where.parent.mkdir(parents=True, exist_ok=True)
    name = Path(folder).name if Path(folder).is_dir() else str(folder)
    log.info("ponder: starting vLLM with %s (its log: %s)", name, where)
    return EngineSpec(model=str(folder), name=name, python=interpreter, log=where, args=args)


async def announce(app: FastAPI, listener: socket.socket) -> None:
    """One line that says where, and how to try it."""
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    try:
        models = list(await app.state.pool.models())
    except BackendError as error:
        log.warning("ponder listens on %s, but: %s", url, error)
        return
    if not models:
        log.warning("ponder listens on %s, but its engines serve none of the models that the settings name", url)
        return
    question = {"role": "user", "content": "What is 13 + 29?"}
    body = {"model": models[0], "messages": [question], "reasoning_strategy": "self_consistency", "stream": True}
    headers = "-H 'content-type: application/json'"
    if app.state.settings.keys:
        headers += " -H 'authorization: Bearer KEY'"
    log.info("ponder is ready: curl -N %s/v1/chat/completions %s -d '%s'", url, headers, json.dumps(body))
