"""Calls to an engine: a JSON answer, a stream of JSON events, an answer as it comes. Knows nothing of what they say."""

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import anyio
import msgspec

from server.backends.connection import Answer
from server.backends.connections import Connections
from server.traceparent import calling
from strategies.protocols import BackendError

LONGEST_FRAME = 8 << 20
"""Bytes of the longest event that an engine may send; one with log-probabilities of a whole group has far less."""

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
    """One engine over HTTP. Leaving a stream closes its connection at once, which makes the engine abort.

    Raises ValueError for a URL without a host, or a key that a header cannot hold.
    """

    def __init__(self, url: str, *, api_key: str | None = None, patience: Patience | None = None) -> None:
        self.url = url.rstrip("/")
        told = urlsplit(self.url)
        if not told.hostname:
            raise ValueError("an engine's url names a host")
        self._patience = patience or Patience()
        self._connections = Connections(told, self._patience.connect)
        self._path = told.path
        self._headers = headers(told, api_key)

    async def get(self, path: str) -> bytes:
        """The body of a GET. Raises BackendError."""
        return await self._told("GET", path, b"")

    async def post(self, path: str, body: dict[str, Any]) -> bytes:
        """The body of the answer to a POST. Raises BackendError, with the engine's status where it answered."""
        return await self._told("POST", path, msgspec.json.encode(body))

    def relay(self, path: str, body: dict[str, Any]) -> AbstractAsyncContextManager[Answer]:
        """An answer as it comes, a good one. Raises BackendError."""
        return self._asked("POST", path, msgspec.json.encode(body), self._patience.first)

    async def sse(self, path: str, body: dict[str, Any], take: Frames) -> None:
        """Let `take` have the data of server-sent events as they come, `[DONE]` left out. Raises BackendError."""
        async with self.relay(path, body) as answer:
            await frames(answer, take)

    def close(self) -> None:
        """End the connections that are free."""
        self._connections.close()

    async def _told(self, method: str, path: str, body: bytes) -> bytes:
        try:
            with anyio.fail_after(self._patience.whole):
                async with self._asked(method, path, body, self._patience.idle) as answer:
                    return await answer.whole()
        except TimeoutError as error:
            raise BackendError("no answer from the engine: it takes too long", cause="timeout") from error

    @asynccontextmanager
    async def _asked(self, method: str, path: str, body: bytes, first: float) -> AsyncIterator[Answer]:
        """A good answer. Where the engine would send us elsewhere, we do not go."""
        parent = f"traceparent: {own}\r\n" if (own := calling.get()) else ""
        head = f"{method} {self._path}{path} HTTP/1.1\r\n{self._headers}{parent}content-length: {len(body)}\r\n\r\n"
        answer = await self._connections.ask(head.encode() + body, first, self._patience.idle)
        try:
            if answer.status >= 300:
                raise refusal(answer, await answer.error())
            yield answer
        finally:
            answer.close()


def headers(url: SplitResult, api_key: str | None) -> str:
    """Those of every request. Raises ValueError for a key that ends the line it stands in."""
    told = {
        "host": url.netloc.rpartition("@")[2],
        "user-agent": "ponder",
        "accept": "*/*",
        "accept-encoding": "identity",
        "content-type": "application/json",
    }
    if url.username is not None:
        pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
        told["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    if api_key:
        told["authorization"] = f"Bearer {api_key}"
    if not all(value.isprintable() for value in told.values()):
        raise ValueError("an engine's url and key are printable characters")
    return "".join(f"{name}: {value}\r\n" for name, value in told.items())


def refusal(answer: Answer, body: bytes) -> BackendError:
    """What an answer with an error status says."""
    message, param = said(body)
    after = seconds_of(answer.headers.get(b"retry-after", b"").decode("latin-1"))
    told = message or f"the engine answered {answer.status}"
    return BackendError(told, answer.status, param, retry_after=after)


def seconds_of(retry_after: str | None) -> float | None:
    """A Retry-After header in seconds (RFC 9110, section 10.2.3); None where it names a date, or nothing."""
    return float(retry_after) if retry_after and retry_after.isdecimal() and len(retry_after) < 10 else None


def said(body: bytes) -> tuple[str, str | None]:
    """An engine's error body, in any of the shapes that engines and routers use: its message, and the field named."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body[:200].decode(errors="replace"), None
    error = told.get("error", told.get("detail")) if isinstance(told, dict) else told
    if not isinstance(error, dict):
        return str(error)[:500], None
    param = error.get("param")
    field = param.removeprefix("body.") if isinstance(param, str) and param != "body" else None
    return str(error.get("message", error))[:500], field


async def frames(answer: Answer, take: Frames) -> None:
    """Let `take` have the data lines of a stream, those together that came together.

    Raises BackendError where the stream ends without `[DONE]`.
    """
    rest = bytearray()
    while data := await answer.some():
        if b"\n" not in data:  # or a long event would be split again with each of its parts
            rest += data
        else:
            lines = (bytes(rest) + data if rest else data).split(b"\n")
            rest = bytearray(lines.pop())
            found = [line[5:].strip() for line in lines if line.startswith(b"data:")]
            if DONE in found:
                await take(found[: found.index(DONE)])
                return await answer.finish()
            if found:
                await take(found)
        if len(rest) > LONGEST_FRAME:
            raise BackendError("the engine sent an event of more than 8 MiB", cause="garbage")
    raise BackendError("the engine's stream ended before its time", cause="reset")
