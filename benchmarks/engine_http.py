"""The HTTP/1.1 side of the simulated engine: a raw asyncio protocol that knows no meaning of what it carries."""

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

import httptools

_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
    501: "Not Implemented",
}


class Connection(asyncio.Protocol):
    """One client's connection, kept alive between requests; `paused` while the client reads slower than we write.

    `traceparent` is that header of the request.

    `respond(connection, method, path, body)` is called for each request, `lost(connection)` once, at the end.
    """

    def __init__(
        self, respond: Callable[["Connection", str, str, bytes], None], lost: Callable[["Connection"], None]
    ) -> None:
        self._respond, self._lost = respond, lost
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._url, self._body, self._opened, self._keep = b"", bytearray(), False, True
        self.paused, self.traceparent = False, ""
        self.resumed: Callable[[], None] = lambda: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the client is gone."""
        self._transport = None
        self._lost(self)

    def data_received(self, data: bytes) -> None:
        """Parse; a client that does not speak HTTP is closed, an error of our own is not hidden."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError:
            raise
        except httptools.HttpParserError:
            self.reset()

    def pause_writing(self) -> None:
        """Stop writing; tokens add up meanwhile and go out together, as in vLLM."""
        self.paused = True

    def resume_writing(self) -> None:
        """Write what added up."""
        self.paused = False
        self.resumed()

    def on_message_begin(self) -> None:
        """Start a request (httptools)."""
        self._url, self._body, self._opened = b"", bytearray(), False
        self.traceparent = ""

    def on_header(self, name: bytes, value: bytes) -> None:
        """Remember whose trace the request belongs to (httptools)."""
        if name == b"traceparent":
            self.traceparent = value.decode("latin-1")

    def on_url(self, url: bytes) -> None:
        """Collect the target (httptools)."""
        self._url += url

    def on_body(self, body: bytes) -> None:
        """Collect the body (httptools)."""
        self._body += body

    def on_message_complete(self) -> None:
        """Hand the request over (httptools)."""
        self._keep = self._parser.should_keep_alive()
        path = self._url.partition(b"?")[0].decode("latin-1")
        self._respond(self, self._parser.get_method().decode(), path, bytes(self._body))

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        """Send a whole reply."""
        head = f"{self._status(status)}content-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
        self._write(head.encode() + body, last=True)

    def stream(self, events: Sequence[bytes], *, last: bool = False) -> None:
        """Send server-sent events, each a chunk of its own as a real server does; the first call sends the head."""
        parts = [b"%x\r\n%b\r\n" % (len(event), event) for event in events]
        if not self._opened:
            self._opened = True
            kind = "text/event-stream; charset=utf-8"
            parts.insert(0, f"{self._status(200)}content-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        if last:
            parts.append(b"0\r\n\r\n")
        if parts:
            self._write(b"".join(parts), last=last)

    def reset(self) -> None:
        """Drop the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _status(self, status: int) -> str:
        close = "" if self._keep else "connection: close\r\n"
        return f"HTTP/1.1 {status} {_REASONS[status]}\r\nserver: simulated\r\n{close}"

    def _write(self, data: bytes, *, last: bool) -> None:
        if self._transport is None:
            return
        self._transport.write(data)
        if last and not self._keep:
            self._transport.close()
