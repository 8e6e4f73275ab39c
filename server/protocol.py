"""The HTTP/1.1 of a connection, with limits on what it may take: bytes, time, other connections. Knows no routes.

uvicorn's protocol on httptools refuses by itself what could be read in two ways (a length and a chunked body, a bare
line feed, a folded header: RFC 9112, sections 2.2, 5.2 and 6.1), but waits for headers and bodies without end.
"""

import asyncio
import json
from collections import Counter
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.caller import Caller
from server.errors import ApiError
from server.settings import Door

TICK_SECONDS = 1.0
"""How often a connection that is waited for is looked at, at least."""
GRACE_SECONDS = 5.0
"""A body may start as slowly as it likes for so long."""
LINGER_SECONDS = 1.0
"""What a refused client still sends is read and dropped for so long, so that it hears why."""

BAD = ApiError(400, "this is no valid HTTP request", code="invalid_http")
LARGE = ApiError(431, "the headers of the request are too large, or too many", code="headers_too_large")
LATE = ApiError(408, "the request took too long to arrive", code="request_timeout")
FULL = ApiError(503, "too many connections", code="too_many_connections", type="service_unavailable_error")


class Arriving(NamedTuple):
    """A part of a request that is on its way, and since when."""

    part: str
    since: float


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, door: Door, addresses: Counter[str], **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self.door, self.addresses = door, addresses
        self.caller = Caller()
        self.fault: ApiError | None = None
        self.arriving: Arriving | None = None
        self.arrived = self.unparsed = 0
        self.unsent = 0
        self.watches: dict[str, asyncio.TimerHandle] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        self.addresses[address] += 1
        crowd = self.door.connections_per_address
        if len(self.connections) > self.door.connections or 0 < crowd < self.addresses[address]:
            self.refuse(FULL)
        else:
            self._await("header")

    def connection_lost(self, exc: Exception | None) -> None:
        for watch in self.watches.values():
            watch.cancel()
        address = self.client[0] if self.client else ""
        self.addresses[address] -= 1
        if not self.addresses[address]:
            del self.addresses[address]
        super().connection_lost(exc)
        self.caller.leave()

    # What arrives

    def data_received(self, data: bytes) -> None:
        if self.fault:
            return
        if self.arriving is None:
            self._await("header")
        self.unparsed += len(data)
        super().data_received(data)
        if not self.fault and self.arriving and self.unparsed > self.door.header_bytes:
            self.refuse(LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["caller"] = self.caller
        if self.arriving is None:
            self._await("header")

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if len(self.headers) > self.door.headers or size > self.door.header_bytes:
            self.fault = LARGE
            raise ValueError(LARGE.message)  # stops the parser, which then asks for `send_400_response`
        self._await("body")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.arrived += len(body)
        self.unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.arriving, self.unparsed = None, 0
        super().on_message_complete()

    def _await(self, part: str) -> None:
        """Begin to wait for a part of a request; whatever is parsed of it from now on counts."""
        self.arriving = Arriving(part, self.loop.time())
        self.arrived = self.unparsed = 0
        if "arrival" not in self.watches:
            soon = min(TICK_SECONDS, self.door.header_seconds, self.door.body_seconds)
            self.watches["arrival"] = self.loop.call_later(soon, self._watch_arrival)

    def _watch_arrival(self) -> None:
        del self.watches["arrival"]
        if self.arriving is None or self.fault:
            return
        part, now = self.arriving.part, self.loop.time()
        if self.flow.read_paused or (part == "header" and self._replying()):  # it is we who keep them waiting
            self.arriving = Arriving(part, now)
        waited = now - self.arriving.since
        most = self.door.header_seconds if part == "header" else self.door.body_seconds
        slow = part == "body" and waited > GRACE_SECONDS and self.arrived < self.door.body_rate * waited
        if waited >= most or slow:
            self.refuse(LATE)
        else:
            self.watches["arrival"] = self.loop.call_later(min(TICK_SECONDS, most - waited), self._watch_arrival)

    # What leaves

    def pause_writing(self) -> None:
        super().pause_writing()
        self._begin_leaving()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._begin_leaving()

    def _begin_leaving(self) -> None:
        """Watch what waits for the client, at a time when nothing is added to it."""
        if old := self.watches.pop("leaving", None):
            old.cancel()
        self.unsent = self.transport.get_write_buffer_size()
        if self.unsent:
            self.watches["leaving"] = self.loop.call_later(self.door.stall_seconds, self._watch_leaving)

    def _watch_leaving(self) -> None:
        """Drop a client that has taken nothing since the last look."""
        del self.watches["leaving"]
        if self._replying() and not self.flow.write_paused:
            return
        if 0 < self.unsent <= self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self._begin_leaving()

    def _replying(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    # What is refused

    def send_400_response(self, msg: str) -> None:
        self.refuse(self.fault or BAD)

    def refuse(self, error: ApiError) -> None:
        """Answer with an error and end the connection; where a reply is under way already, just end it."""
        body_of_ours = self.arriving is not None and self.arriving.part == "body" and not self.pipeline
        started = self.cycle is not None and self.cycle.response_started
        self.fault = error
        if started if body_of_ours else self._replying():
            self.transport.abort()
            return
        body = json.dumps(error.body()).encode()
        again = b"retry-after: 1\r\n" if error is FULL else b""
        self.transport.write(
            b"HTTP/1.1 %d %s\r\n" % (error.status, HTTPStatus(error.status).phrase.encode())
            + b"content-type: application/json\r\nconnection: close\r\n"
            + b"content-length: %d\r\n%s\r\n%s" % (len(body), again, body)
        )
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.watches["end"] = self.loop.call_later(0 if error is FULL else LINGER_SECONDS, self.transport.abort)


def configured(app: ASGIApp, door: Door, **options: Any) -> uvicorn.Config:
    """How uvicorn serves an app: through this protocol, and nothing of its own that waits without end."""
    protocol: Any = partial(GuardedProtocol, door, Counter())
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=door.idle_seconds,  # type: ignore[arg-type]  # seconds of call_later
        **options,
    )
