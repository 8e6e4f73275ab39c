"""Connections to an engine: used again after an answer that has come to its end, and only then."""

from contextlib import asynccontextmanager

import aiohttp
import anyio
import pytest

from server.backends import http
from server.backends.http import Upstream

pytestmark = pytest.mark.anyio
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENTS = b"data: 1\n\ndata: [DONE]\n\n"
END = b"0\r\n\r\n"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@asynccontextmanager
async def engine(pause):
    """An upstream whose answers end `pause` seconds after their `[DONE]`, and the connections that it got."""
    made = []

    async def serve(stream):
        made.append(stream)
        async with stream:
            try:
                while await stream.receive():
                    await stream.send(HEAD + b"%x\r\n%s\r\n" % (len(EVENTS), EVENTS))
                    await anyio.sleep(pause)
                    await stream.send(END)
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
    async with anyio.create_task_group() as tasks, listener, aiohttp.ClientSession() as session:
        tasks.start_soon(listener.serve, serve)
        yield Upstream(session, url), made
        tasks.cancel_scope.cancel()


async def events(upstream):
    """All events of an answer."""
    found = []

    async def take(some):
        found.extend(some)

    await upstream.sse("/", {}, take)
    return found


async def test_a_connection_is_used_again_though_the_end_comes_after_the_last_event():
    async with engine(0.01) as (upstream, made):
        for _ in range(3):
            assert await events(upstream) == [b"1"]
    assert len(made) == 1


async def test_an_end_that_does_not_come_is_not_waited_for_long(monkeypatch):
    monkeypatch.setattr(http, "END_SECONDS", 0.02)
    async with engine(30) as (upstream, made):
        with anyio.fail_after(5):
            for _ in range(2):
                assert await events(upstream) == [b"1"]
    assert len(made) == 2
