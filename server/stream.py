"""Responses whose work stops when the client goes: a stream of events, or one body.

ASGI apps, not generators: no task group spans a yield (PEP 789). Headers wait for the first bytes, so that an early
failure is a true HTTP status; a late one is told in the stream.
"""

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

import anyio
import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.caller import ClientGone, caller_of
from server.drain import Drain
from server.errors import ApiError, as_api_error
from server.pace import Outbox
from server.render import Piece
from strategies.events import Event
from strategies.protocols import Observer
from strategies.tasks import unwrapped

KEEP_ALIVE = b": thinking\n\n"
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
Work = Callable[[Observer], Awaitable[object]]


class Teller(Protocol):
    """What makes a reply of events: the bytes of a stream, or one body, the fold of the events' pieces."""

    def chunks(self, event: Event) -> bytes: ...

    def end(self) -> bytes: ...

    def failure(self, error: ApiError) -> bytes: ...

    def pieces(self, event: Event) -> Iterable[tuple[int, Piece]]: ...

    def whole(self, pieces: list[tuple[int, Piece]]) -> dict[str, Any]: ...


class EventStream(Response):
    """Runs `work(observe)` and sends what the reply makes of each event, and a comment in every long silence."""

    def __init__(self, work: Work, reply: Teller, keep_alive: float, outbox: Outbox) -> None:
        self.status_code, self.background = 200, None
        self.raw_headers = list(HEADERS)
        self.work, self.reply, self.keep_alive, self.outbox = work, reply, keep_alive, outbox
        self.failed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wire = Wire(send, self.raw_headers)
        drain: Drain = scope["app"].state.drain
        try:
            with drain.reply(caller_of(scope)), unwrapped():
                await self._serve(wire)
            await wire.body(self.reply.end(), more=False)
        except ClientGone:
            return
        except Exception as error:
            if not wire.started:
                raise
            self.failed = True
            await wire.body(self.reply.failure(as_api_error(error)), more=False)

    async def _serve(self, wire: "Wire") -> None:
        silence = anyio.CancelScope()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._work)
            tasks.start_soon(self._keep_alive, wire, silence)
            while (events := await self.outbox.take()) is not None:
                data = b"".join([self.reply.chunks(event) for event in events]) if events else KEEP_ALIVE
                if data:  # all that is there goes out by one system call
                    await wire.body(data)
            silence.cancel()  # a task that its group cancels leaves a cycle, which keeps all that it knew

    async def _work(self) -> None:
        await self.work(self.outbox.put)
        self.outbox.close()

    async def _keep_alive(self, wire: "Wire", silence: anyio.CancelScope) -> None:
        """Have a comment sent whenever nothing was sent for so long, until `silence` is cancelled."""
        with silence:
            while True:
                silent = time.monotonic() - wire.wrote
                if silent >= self.keep_alive:
                    self.outbox.nudge()
                await anyio.sleep(self.keep_alive - silent if silent < self.keep_alive else self.keep_alive)


class Whole(Response):
    """Runs `work(observe)` and answers with the whole reply."""

    def __init__(self, work: Work, reply: Teller) -> None:
        self.status_code, self.background = 200, None
        self.raw_headers = []
        self.work, self.reply = work, reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pieces: list[tuple[int, Piece]] = []
        drain: Drain = scope["app"].state.drain
        try:
            with drain.reply(caller_of(scope)):
                await self.work(lambda event: pieces.extend(self.reply.pieces(event)))
        except ClientGone:
            return
        await anyio.lowlevel.checkpoint()  # an engine ends many replies at one tick: others have their turn in between
        body = msgspec.json.encode(self.reply.whole(pieces))
        await Response(body, media_type="application/json")(scope, receive, send)


class Wire:
    """The way to the client: headers go out with the first bytes."""

    def __init__(self, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
        self.send, self.headers, self.started = send, headers, False
        self.wrote = time.monotonic()

    async def body(self, data: bytes, more: bool = True) -> None:
        self.wrote = time.monotonic()
        if not self.started:
            self.started = True
            await self.send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await self.send({"type": "http.response.body", "body": data, "more_body": more})
