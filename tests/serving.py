"""A real server on a real socket, over a simulated or any other engine, inside a test's event loop."""

import json
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import anyio
import httpx
import uvicorn
from fastapi import FastAPI

from benchmarks.engine import Engine as Simulated
from benchmarks.engine import simulated
from server.app import create_app
from server.protocol import configured
from server.serve import listen
from server.settings import Engine, Server, Settings

SNDBUF = 1 << 16
"""Bytes that the kernel takes for a client that does not read: few, so that the server notices soon."""


@dataclass
class Served:
    """A running Ponder: where it is, a client for it, the simulated engine behind it, and its app."""

    url: str
    client: httpx.AsyncClient
    engine: Simulated | None = None
    app: FastAPI | None = None

    async def chat(self, content="What is 2 + 3?", **fields):
        """One chat request that is not streamed; the response."""
        return await self.client.post("/v1/chat/completions", json=body(self, content, **fields))

    async def stream(self, content="What is 2 + 3?", **fields):
        """One streamed chat request; the decoded chunks, and "[DONE]"."""
        request = body(self, content, stream=True, **fields)
        async with self.client.stream("POST", "/v1/chat/completions", json=request) as response:
            text = (await response.aread()).decode()
        lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line.startswith("data: ")]
        return [line if line == "[DONE]" else json.loads(line) for line in lines]


def body(served, content, **fields):
    model = served.engine.options.model if served.engine else "smollm2-135m"
    messages = content if isinstance(content, list) else [{"role": "user", "content": content}]
    return {"model": model, "messages": messages, **fields}


def content_of(chunks):
    """The content of a stream's first choice."""
    return "".join(
        choice["delta"].get("content") or ""
        for chunk in chunks
        if chunk != "[DONE]"
        for choice in chunk["choices"]
        if choice["index"] == 0
    )


@asynccontextmanager
async def serving(settings):
    """A Ponder with these settings."""
    listener = listen(settings.model_copy(update={"server": Server(port=0)}))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SNDBUF)
    listener.listen()
    app = create_app(settings)
    server = uvicorn.Server(configured(app, settings.door))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: server.serve(sockets=[listener]))
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            yield Served(url, client, app=app)
        server.should_exit = True


@asynccontextmanager
async def ponder(reply=None, *, settings=None, **options):
    """A Ponder over a simulated engine that says what `reply` says."""
    asked = {"reply": reply} if reply else {}
    async with simulated(**asked, **options) as engine:
        made = (settings or Settings()).model_copy(update={"engines": (Engine(url=engine.url),)})
        async with serving(made) as served:
            served.engine = engine
            yield served


async def hung_up(served, path, request):
    """Ask, hang up when the engine works for it, and wait until it does no more."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(served.client.post, path, json=request))
        await until(lambda: served.engine.running > 0, 10)
        tasks.cancel_scope.cancel()
    await until(lambda: served.engine.running == 0, 10)
    assert served.engine.aborted > 0


async def until(true, seconds=1.0):
    """Wait until `true()`; fails after so many seconds."""
    with anyio.fail_after(seconds):
        while not true():
            await anyio.sleep(0.005)
