"""Calls to an engine: a JSON answer, a stream of JSON events, an answer as it comes. Knows nothing of what they say."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import anyio
import msgspec

from server.traceparent import calling
from strategies.protocols import BackendError
from strategies.types import Cause

LONGEST_FRAME = 8 << 20
"""Bytes of the longest event that an engine may send; one with log-probabilities of a whole group has far less."""

END_SECONDS = 1.0
"""For the end of an answer to come after its `[DONE]`."""

DONE = b"[DONE]"
Frames = Callable[[Sequence[bytes]], Awaitable[None]]
"""Takes the data of events, all that came at once; nothing more is read until it is done."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait for an engine: for a connection, for a stream's first event (in which it may have to queue), for
    each further one or the answer to what takes no sampling, and for such an answer as a whole (None: no limit).
    """

    connect: float = 2.0
    first: float = 300.0
    idle: float = 120.0
    whole: float | None = None


class Upstream:
    """One engine over HTTP. Leaving a stream closes its socket at once, which makes the engine abort."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, *, api_key: str | None = None, patience: Patience | None = None
    ) -> None:
        self.session, self.url = session, url.rstrip("/")
        self._patience = wait = patience or Patience()
        self._headers = {"content-type": "application/json", "accept-encoding": "identity"}
        self._headers |= {"authorization": f"Bearer {api_key}"} if api_key else {}
        connect = {"connect": wait.connect, "sock_connect": wait.connect}
        self._told = aiohttp.ClientTimeout(wait.whole, **connect, sock_read=wait.idle)
        self._sampled = aiohttp.ClientTimeout(None, **connect, sock_read=wait.first)

    async def get(self, path: str) -> bytes:
        """The body of a GET. Raises BackendError."""
        with translated():
            async with self.session.get(self.url + path, **self._options(self._told)) as response:
                return await read(response)

    async def post(self, path: str, body: dict[str, Any]) -> bytes:
        """The body of the answer to a POST. Raises BackendError, with the engine's status where it answered."""
        with translated():
            async with self._posted(path, body, self._told) as response:
                return await read(response)

    def _options(self, timeout: aiohttp.ClientTimeout) -> dict[str, Any]:
        """Of every request: where an engine would send us, we do not go."""
        headers = {**self._headers, "traceparent": parent} if (parent := calling.get()) else self._headers
        return {"headers": headers, "timeout": timeout, "allow_redirects": False}

    def _posted(
        self, path: str, body: dict[str, Any], timeout: aiohttp.ClientTimeout
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        data = msgspec.json.encode(body)
        return self.session.post(self.url + path, data=data, **self._options(timeout))

    @asynccontextmanager
    async def relay(self, path: str, body: dict[str, Any]) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer as it comes, a good one. Raises BackendError."""
        with translated():
            async with self._posted(path, body, self._sampled) as response:
                try:
                    if response.status >= 300:
                        await read(response)
                    yield response
                finally:
                    response.close()

    async def sse(self, path: str, body: dict[str, Any], take: Frames) -> None:
        """Let `take` have the data of server-sent events as they come, `[DONE]` left out. Raises BackendError."""

        def begun() -> None:
            """The engine queues no more: from now on it may be silent for as long as a stream may."""
            connection = response.connection
            if connection is not None and (protocol := connection.protocol) is not None:  # an empty queue is false
                protocol.read_timeout = self._patience.idle
                protocol.start_timeout()

        async with self.relay(path, body) as response:
            await frames(response.content, take, begun)


async def read(response: aiohttp.ClientResponse) -> bytes:
    """The whole body; an error status raises BackendError with what the engine says about it."""
    body = await response.read()
    if response.status >= 300:
        message, param = said(body)
        after = seconds_of(response.headers.get("retry-after"))
        raise BackendError(
            message or f"the engine answered {response.status}", response.status, param, retry_after=after
        )
    return body


def seconds_of(retry_after: str | None) -> float | None:
    """A Retry-After header in seconds (RFC 9110, section 10.2.3); None where it names a date, or nothing."""
    return float(retry_after) if retry_after and retry_after.isdecimal() and len(retry_after) < 10 else None


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


async def frames(content: aiohttp.StreamReader, take: Frames, begun: Callable[[], None] = lambda: None) -> None:
    """Let `take` have the data lines of a stream, those together that came together; before the first, call `begun`.

    Raises BackendError where the stream ends without `[DONE]`.
    """
    rest, first = bytearray(), True
    async for data in content.iter_any():
        if first:
            first = False
            begun()
        rest += data
        if b"\n" in data:  # else a long event would be split again with each of its parts
            *lines, last = bytes(rest).split(b"\n")
            rest = bytearray(last)
            found = [line[5:].strip() for line in lines if line.startswith(b"data:")]
            if DONE in found:
                await take(found[: found.index(DONE)])
                return await finish(content)
            if found:
                await take(found)
        if len(rest) > LONGEST_FRAME:
            raise BackendError("the engine sent an event of more than 8 MiB", cause="garbage")
    raise BackendError("the engine's stream ended before its time", cause="reset")


async def finish(content: aiohttp.StreamReader) -> None:
    """Read an answer to its end, if that comes soon: then its connection can be used again."""
    if not content.at_eof():
        with suppress(aiohttp.ClientError, TimeoutError, OSError), anyio.move_on_after(END_SECONDS):
            while await content.readany():
                pass


@contextmanager
def translated() -> Iterator[None]:
    """Faults of the connection as BackendError."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise BackendError(f"no answer from the engine: {type(error).__name__}", cause=kind_of(error)) from error


def kind_of(error: Exception) -> Cause:
    """The cause that a fault of the connection is."""
    match error:
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return "connect"
        case TimeoutError():
            return "timeout"
        case aiohttp.ClientResponseError() | aiohttp.InvalidURL():
            return "garbage"
    return "reset"
