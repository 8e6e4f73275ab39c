"""How a server ends: it is taken out of turn, admits nobody, lets replies end, and tells those that cannot.

`begun`: not ready any more, but all are served, for who balances load takes a while to notice. `closed`: whoever still
comes is refused. `over`: replies end with an error, in their own form (`Drain.reply`).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from starlette.types import ASGIApp, Receive, Scope, Send

from server.caller import Caller, ClientGone
from server.errors import ApiError
from strategies.tasks import Bell

FAREWELL_SECONDS = 2.0
"""For replies to end with an error, and for clients to take it."""
PROBES = frozenset({"/health", "/ready", "/metrics"})


def leaving() -> ApiError:
    """What is told to those that cannot be served to the end."""
    return ApiError(503, "the server is shutting down", code="shutting_down", type="service_unavailable_error")


class Drain:
    """The end of one server, and the requests that it waits for."""

    def __init__(self) -> None:
        self.begun = self.closed = self.over = False
        self.running: set[anyio.CancelScope] = set()
        self._replies: set[anyio.CancelScope] = set()
        self._empty = Bell()

    @contextmanager
    def request(self) -> Iterator[anyio.CancelScope]:
        """A request that runs, and what cancels it."""
        with anyio.CancelScope() as work:
            self.running.add(work)
            try:
                yield work
            finally:
                self.running.discard(work)
                if not self.running:
                    self._empty.ring()

    @contextmanager
    def reply(self, caller: Caller) -> Iterator[None]:
        """The work for a reply: it ends by ClientGone when its caller goes, by an ApiError when the time is over."""
        with caller.served() as work:
            self._replies.add(work)
            try:
                if self.over:
                    work.cancel()
                yield
            finally:
                self._replies.discard(work)
        if work.cancelled_caught:
            raise ClientGone if caller.gone else leaving()

    def finish(self) -> None:
        """The time for replies is over."""
        self.over = True
        for work in self._replies:
            work.cancel()

    async def end(self, delay: float, grace: float) -> None:
        """Drain: `delay` seconds in which all are served, `grace` in which what runs may end."""
        self.begun = True
        await anyio.sleep(delay)
        self.closed = True
        await self._idle(grace)
        self.finish()
        await self._idle(FAREWELL_SECONDS)
        for scope in self.running:  # what has not come as far as a reply
            scope.cancel()
        await self._idle(FAREWELL_SECONDS)

    async def _idle(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            while self.running:
                await self._empty.wait()


class Draining:
    """An ASGI app around another one: counts what runs, and refuses what comes too late."""

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self.app, self.drain = app, drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self.app(scope, receive, send)
            return
        if self.drain.closed:
            await leaving().response({"connection": "close"})(scope, receive, send)
            return
        with self.drain.request() as work:
            await self.app(scope, receive, send)
        if work.cancelled_caught and not scope["state"]["account"].status:
            await leaving().response({"connection": "close"})(scope, receive, send)
