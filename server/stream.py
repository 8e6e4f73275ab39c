"""Responses whose work stops when the client goes: a stream of events, or one body.

ASGI apps, not generators: no task group spans a yield (PEP 789). Headers wait for the first bytes, so that an early
failure is a true HTTP status; a late one is told in the stream.
"""

import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

import anyio
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from server.drain import leave_with_server
from server.errors import ApiError, as_api_error
from server.pace import Pace
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


class ClientGone(Exception):
    """Nobody waits for this reply any more."""


class EventStream(Response):
    """Runs `work(observe)` and sends what the reply makes of each event, and a comment in every long silence."""

    def __init__(self, work: Work, reply: Teller, keep_alive: float, pace: Pace) -> None:
        self.status_code, self.background = 200, None
        self.raw_headers = list(HEADERS)
        self.work, self.reply, self.keep_alive, self.pace = work, reply, keep_alive, pace
        self.failed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wire = Wire(send, self.raw_headers)
        try:
            with unwrapped():
                await self._serve(scope, receive, wire)
            await wire.body(self.reply.end(), more=False)
        except ClientGone:
            return
        except Exception as error:
            if not wire.started:
                raise
            self.failed = True
            await wire.body(self.reply.failure(as_api_error(error)), more=False)

    async def _serve(self, scope: Scope, receive: Receive, wire: "Wire") -> None:
        tell, events = anyio.create_memory_object_stream[Event](math.inf)

        def observe(event: Event) -> None:
            tell.send_nowait(event)
            self.pace.told()

        async def work() -> None:
            with tell:
                await self.work(observe)

        async with events, anyio.create_task_group() as tasks:
            tasks.start_soon(leave_with_client, receive)
            tasks.start_soon(leave_with_server, scope)
            tasks.start_soon(work)
            due = anyio.current_time() + self.keep_alive
            while True:
                data = KEEP_ALIVE
                with anyio.move_on_after(due - anyio.current_time()):
                    try:
                        data = self.reply.chunks(await events.receive())
                    except anyio.EndOfStream:
                        break
                data += self._more(events)
                if data:
                    await wire.body(data)
                    due = anyio.current_time() + self.keep_alive
                self.pace.taken(events.statistics().current_buffer_used)
            await anyio.lowlevel.checkpoint()  # a failure of the work is to be heard before all is called well
            tasks.cancel_scope.cancel()

    def _more(self, events: MemoryObjectReceiveStream[Event]) -> bytes:
        """What else is there already: many events, one system call."""
        out = []
        try:
            while True:
                out.append(self.reply.chunks(events.receive_nowait()))
        except (anyio.WouldBlock, anyio.EndOfStream):
            return b"".join(out)


class Whole(Response):
    """Runs `work(observe)` and answers with the whole reply."""

    def __init__(self, work: Work, reply: Teller) -> None:
        self.status_code, self.background = 200, None
        self.raw_headers = []
        self.work, self.reply = work, reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pieces: list[tuple[int, Piece]] = []
        try:
            with unwrapped():
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(leave_with_client, receive)
                    tasks.start_soon(leave_with_server, scope)
                    await self.work(lambda event: pieces.extend(self.reply.pieces(event)))
                    tasks.cancel_scope.cancel()
        except ClientGone:
            return
        await JSONResponse(self.reply.whole(pieces))(scope, receive, send)


class Wire:
    """The way to the client: headers go out with the first bytes."""

    def __init__(self, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
        self.send, self.headers, self.started = send, headers, False

    async def body(self, data: bytes, more: bool = True) -> None:
        if not self.started:
            self.started = True
            await self.send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await self.send({"type": "http.response.body", "body": data, "more_body": more})


async def leave_with_client(receive: Receive) -> None:
    """Raise ClientGone when the client hangs up: in a task group, that ends all the work for it."""
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ClientGone
