"""A proxy before an engine whose answers go wrong by script: `faulty(engine.url, lambda request: "reset_mid_stream")`.

One request a connection. What the script gives no fault passes as it is.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp
import anyio
import anyio.abc

from tests.faults.faults import FAULTS
from tests.faults.wire import Client

GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, aiohttp.ClientError, OSError)


@dataclass(frozen=True)
class Request:
    """A request that came: the how-manyth to generate it is, from 0; None for all others."""

    path: str
    body: bytes
    number: int | None

    @property
    def told(self) -> Any:
        return json.loads(self.body)


Script = Callable[[Request], str | None]


@dataclass
class Proxy:
    """Where it listens, and what it has seen: requests to generate, faults that happened."""

    script: Script
    upstream: str
    url: str = ""
    asked: int = 0
    happened: list[str] = field(default_factory=list)
    open: int = 0

    async def serve(self, session: aiohttp.ClientSession, stream: anyio.abc.SocketStream) -> None:
        """Answer the one request of a connection."""
        self.open += 1
        try:
            async with stream:
                method, request = await self._read(stream)
                await self._answer(session, Client(stream), method, request)
        except GONE:
            pass
        finally:
            self.open -= 1

    async def _read(self, stream: anyio.abc.SocketStream) -> tuple[str, Request]:
        data = b""
        while b"\r\n\r\n" not in data:
            data += await stream.receive()
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        while len(body) < int(headers.get("content-length", "0")):
            body += await stream.receive()
        method, path, _ = lines[0].split(" ")
        number = None
        if path in ("/v1/completions", "/v1/chat/completions"):
            number, self.asked = self.asked, self.asked + 1
        return method, Request(path, body, number)

    async def _answer(self, session: aiohttp.ClientSession, client: Client, method: str, request: Request) -> None:
        name = self.script(request)
        if name:
            self.happened.append(name)
        headers = {"content-type": "application/json"}
        async with session.request(method, self.upstream + request.path, data=request.body, headers=headers) as answer:
            if name:
                await FAULTS[name](client, events(answer.content))
            elif answer.content_type == "text/event-stream":
                await client.head()
                async for data in answer.content.iter_any():
                    await client.chunk(data)
                await client.end()
            else:
                body = await answer.read()
                kind = answer.content_type.encode()
                await client.head(
                    b"content-type: %b\r\ncontent-length: %d\r\n" % (kind, len(body)), status=answer.status
                )
                await client.send(body)
            answer.close()


async def events(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The events of a stream, each with the empty line that ends it."""
    rest = b""
    async for data in content.iter_any():
        *whole, rest = (rest + data).split(b"\n\n")
        for event in whole:
            yield event + b"\n\n"
    if rest:
        yield rest


@asynccontextmanager
async def faulty(upstream: str, script: Script) -> AsyncIterator[Proxy]:
    """A proxy before an engine, until the block ends."""
    proxy = Proxy(script, upstream)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    proxy.url = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as session,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(partial(listener.serve, partial(proxy.serve, session)))
        yield proxy
        tasks.cancel_scope.cancel()
    await listener.aclose()
