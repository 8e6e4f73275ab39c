"""A connection to an engine, and the answers that come over it, one after another: HTTP/1.1, read by httptools.

Knows nothing of what a body says. httptools refuses what could be read in two ways (RFC 9112, section 6.3).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import anyio
import httptools

from strategies.protocols import BackendError
from strategies.types import Cause

HEAD_BYTES = 64 << 10
"""That an engine may send beside a body: headers, before it and after it."""
UNREAD_BYTES = 256 << 10
"""Of a body that may wait to be taken; beyond, the socket is read no further."""
ANSWER_BYTES = 64 << 20
"""Of an answer that is wanted whole."""
AT_ONCE_BYTES = 64 << 10
"""Of a request that are sent without waiting for the engine to read."""
END_SECONDS = 1.0
"""For the end of an answer to come after all that was wanted of it; for all that an error says."""
ERROR_BYTES = 64 << 10
"""Of what an error says; a message is far shorter."""
STALE_SECONDS = 1.0
"""In which a connection that the engine had ended while nobody used it shows that. Later it has failed at its work."""


class Connection(asyncio.Protocol):
    """A socket to an engine. `free` gets it when an answer has ended so that the next can be asked for."""

    transport: asyncio.Transport

    def __init__(self, free: Callable[["Connection"], None]) -> None:
        self._free = free
        self._answer: Answer | None = None
        self._used = False
        self._early = b""

    def ask(self, request: bytes, first: float, idle: float) -> "Answer":
        """Send a request. Seconds that its answer may be silent: until its body has begun, and from then on."""
        answer = self._answer = Answer(self, first, idle, len(request))
        if self._early:
            answer.feed(self._early)
        if self.transport.is_closing():
            answer.cut(None)
        else:
            self.transport.write(request)
        return answer

    def done(self, reusable: bool) -> None:
        """The answer is not waited for any more; where it has not ended well, the engine hears so at once."""
        self._answer, self._used = None, True
        sending = self.transport.get_write_buffer_size() or self.transport.is_closing()
        if reusable and not self._early and not sending:
            self._free(self)
        else:
            self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def eof_received(self) -> None:
        self.transport.abort()  # or what is still to be sent to who does not read it would keep it open

    def data_received(self, data: bytes) -> None:
        if self._answer:
            self._answer.feed(data)
        elif not self._used:
            self._early += data  # an engine that is full may say so before it is asked
        else:
            self.transport.abort()  # nobody asked

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer:
            self._answer.cut(error)


class Answer:
    """One answer: its status and headers, then its body as it comes. A failure is told after what came before it.

    Waiting for any of it raises BackendError. `close` has to be called in the end.
    """

    def __init__(self, connection: Connection, first: float, idle: float, asked: int) -> None:
        """`asked`: bytes of the request. Seconds as in `Connection.ask`."""
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.ended = False
        self._connection, self._patience, self._idle = connection, first, idle
        self._long = asked > AT_ONCE_BYTES
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._asked_at = self._loop.time()
        self._parts: list[bytes] = []
        self._most_unread = ANSWER_BYTES
        self._unread = self._beside = 0
        self._heard = self._paused = self._lossy = self._again = False
        self._failure: tuple[str, Cause] | None = None
        self._news: asyncio.Future[None] | None = None
        self._since = 0.0
        self._watch: asyncio.TimerHandle | None = None

    @property
    def stale(self) -> bool:
        """Whether its connection had ended before it was asked for, as far as that can be told."""
        reset = self._failure is not None and self._failure[1] == "reset"
        return reset and not self._heard and self._loop.time() - self._asked_at < STALE_SECONDS

    async def head(self) -> None:
        """Until the status and the headers are there."""
        while not self.status:
            await self._more()
        self._most_unread = UNREAD_BYTES

    async def some(self) -> bytes:
        """What has come of the body since it was last asked for, once there is something; empty at the end."""
        while not self._parts and not self.ended:
            await self._more()
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._unread = 0
        if self._patience != self._idle:
            self._patience = self._idle
            self._unwatch()
        if self._paused and not self._connection.transport.is_closing():
            self._paused = False
            self._connection.transport.resume_reading()
        return data

    async def whole(self) -> bytes:
        """The body."""
        self._most_unread = ANSWER_BYTES
        parts, size = [], 0
        while part := await self.some():
            parts.append(part)
            size += len(part)
            if size > ANSWER_BYTES:
                raise BackendError("the engine sent an answer of more than 64 MiB", cause="garbage")
        return b"".join(parts)

    async def error(self) -> bytes:
        """What an error says, as far as it comes soon: its status is told in any case."""
        said = bytearray()
        with suppress(BackendError), anyio.move_on_after(END_SECONDS):
            while len(said) < ERROR_BYTES and (part := await self.some()):
                said += part
        return bytes(said)

    async def finish(self) -> None:
        """Wait for the end, if that comes soon: then the connection can be used again."""
        if not self.ended:
            with suppress(BackendError), anyio.move_on_after(END_SECONDS):
                while await self.some():
                    pass

    def close(self) -> None:
        """Nothing more is wanted."""
        self._unwatch()
        del self._parser  # which knows us
        unread = self._long and self.status >= 300  # who refuses need not have read all of it
        self._connection.done(self._again and not (self._paused or unread))

    async def _more(self) -> None:
        """Until something has come."""
        if self._failure:
            why, cause = self._failure
            raise BackendError(f"no answer from the engine: {why}", cause=cause)
        self._since = self._loop.time()
        if not self._watch:
            self._watch = self._loop.call_later(self._patience, self._look)
        self._news = self._loop.create_future()
        try:
            await self._news
        finally:
            self._news = None

    def _ring(self) -> None:
        if self._news and not self._news.done():
            self._news.set_result(None)

    def _look(self) -> None:
        """Whether it has been silent for too long: one timer an answer, not one for each part of it."""
        self._watch = None
        if self._news and not self._news.done():
            left = self._since + self._patience - self._loop.time()
            if left <= 0:
                self._fail("it is silent", "timeout")
            else:
                self._watch = self._loop.call_later(left, self._look)

    def _unwatch(self) -> None:
        if self._watch:
            self._watch.cancel()
            self._watch = None

    # What the connection tells

    def feed(self, data: bytes) -> None:
        """Take in what has come."""
        self._heard = True
        self._beside += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return self._fail("it is no valid HTTP", "garbage")
        if self._beside > HEAD_BYTES:
            return self._fail("its headers are too large", "garbage")
        if self._unread > self._most_unread and not self._paused:
            transport = self._connection.transport
            # uvloop forgets what it has decrypted for who has paused when TCP ends without a word of TLS
            self._paused, self._lossy = True, transport.get_extra_info("ssl_object") is not None
            transport.pause_reading()
        self._ring()

    def cut(self, error: Exception | None) -> None:
        """The connection has ended; so has a body that tells no length (RFC 9112, section 6.3)."""
        endless = b"content-length" not in self.headers and b"transfer-encoding" not in self.headers
        if self.status and endless and not error and not self._failure and not self._lossy:
            self.ended = True
            self._ring()
        else:
            self._fail(type(error).__name__ if error else "it ended before its time", "reset")

    def _fail(self, why: str, cause: Cause) -> None:
        self._failure = self._failure or (why, cause)
        self._again = False
        self._connection.transport.abort()
        self._ring()

    # What the parser finds

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:
            self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        if self.headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            raise ValueError("no other coding was asked for, nor is every way to write it read alike")
        status = self._parser.get_status_code()
        if status >= 200:
            self.status = status
        else:
            self.headers.clear()  # of an interim answer: ours is still to come

    def on_body(self, body: bytes) -> None:
        if not self.ended:
            self._parts.append(body)
            self._unread += len(body)
            self._beside = 0

    def on_message_complete(self) -> None:
        if self.status and not self.ended:
            self.ended, self._again = True, self._parser.should_keep_alive()

    def on_message_begin(self) -> None:
        self._again = False  # what follows an answer, nobody asked for
