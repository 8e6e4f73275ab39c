"""Calls to an engine: a JSON answer, a stream of JSON events, an answer as it comes. Knows nothing of what they say."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import msgspec

from strategies.protocols import BackendError

LONGEST_FRAME = 8 << 20
"""Bytes of the longest event that an engine may send; one with log-probabilities of a whole group has far less."""


class Upstream:
    """One engine over HTTP. Leaving a stream closes its socket at once, which makes the engine abort."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        *,
        api_key: str | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> None:
        self.session, self.url = session, url.rstrip("/")
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        headers |= {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._options: dict[str, Any] = {"headers": headers, "timeout": timeout, "allow_redirects": False}

    async def get(self, path: str) -> bytes:
        """The body of a GET. Raises BackendError."""
        with translated():
            async with self.session.get(self.url + path, **self._options) as response:
                return await read(response)

    async def post(self, path: str, body: dict[str, Any]) -> bytes:
        """The body of the answer to a POST. Raises BackendError, with the engine's status where it answered."""
        with translated():
            async with self.session.post(self.url + path, data=msgspec.json.encode(body), **self._options) as response:
                return await read(response)

    @asynccontextmanager
    async def relay(self, path: str, body: dict[str, Any]) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer as it comes, a good one. Raises BackendError."""
        with translated():
            async with self.session.post(self.url + path, data=msgspec.json.encode(body), **self._options) as response:
                try:
                    if response.status >= 300:
                        await read(response)
                    yield response
                finally:
                    response.close()

    @asynccontextmanager
    async def sse(self, path: str, body: dict[str, Any]) -> AsyncIterator[AsyncIterator[bytes]]:
        """The data of each server-sent event, `[DONE]` left out. Raises BackendError."""
        async with self.relay(path, body) as response, aclosing(frames(response.content)) as data:
            yield data


async def read(response: aiohttp.ClientResponse) -> bytes:
    """The whole body; an error status raises BackendError with what the engine says about it."""
    body = await response.read()
    if response.status >= 300:
        message, param = said(body)
        raise BackendError(message or f"the engine answered {response.status}", response.status, param)
    return body


def said(body: bytes) -> tuple[str, str | None]:
    """An engine's error body, in any of the shapes that engines and routers use: its message, and the field named."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body[:200].decode(errors="replace"), None
    error = told.get("error", told.get("detail")) if isinstance(told, dict) else told
    if not isinstance(error, dict):
        return str(error)[:500], None
    param = error.get("param")
    field = param.removeprefix("body.") if isinstance(param, str) and param != "body" else None
    return str(error.get("message", error))[:500], field


async def frames(content: aiohttp.StreamReader) -> AsyncGenerator[bytes]:
    """The data lines of a stream. Raises BackendError where it ends without `[DONE]`."""
    rest = bytearray()
    async for data in content.iter_any():
        rest += data
        lines: list[bytes] = []
        if b"\n" in data:  # else a long event would be split again with each of its parts
            *lines, last = bytes(rest).split(b"\n")
            rest = bytearray(last)
        for line in lines:
            if line.startswith(b"data:"):
                frame = line[5:].strip()
                if frame == b"[DONE]":
                    return
                yield frame
        if len(rest) > LONGEST_FRAME:
            raise BackendError("the engine sent an event of more than 8 MiB")
    raise BackendError("the engine's stream ended before its time")


@contextmanager
def translated() -> Iterator[None]:
    """Faults of the connection as BackendError."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise BackendError(f"no answer from the engine: {type(error).__name__}") from error
