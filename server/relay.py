"""An engine's answer passed on byte for byte, until it ends or the client goes."""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.backends.connection import Answer
from server.backends.fleet import Fleet
from server.caller import ClientGone, caller_of
from server.drain import Drain
from server.errors import ApiError, as_api_error
from server.gate import Permit
from server.reply import DONE, frame
from server.stream import HEADERS, Wire
from strategies.protocols import BackendError

COUNT = re.compile(rb'"completion_tokens":\s?(\d{1,12})')
TAIL = 4096
"""Bytes at the end of an answer that hold its usage."""
Admission = Callable[[], AbstractAsyncContextManager[Permit]]


class Relay(Response):
    """Asks an engine, and passes on what it says; a failure after the first byte is told in the stream."""

    def __init__(
        self, engines: Fleet, path: str, question: Mapping[str, Any], admission: Admission, reserved: int
    ) -> None:
        self.status_code, self.background = 200, None
        self.raw_headers = []
        self.engines, self.path, self.question = engines, path, question
        self.admission, self.reserved = admission, reserved

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wire = Wire(send, list(HEADERS))
        drain: Drain = scope["app"].state.drain
        try:
            with drain.reply(caller_of(scope)):
                await self._admitted(scope, wire)
        except ClientGone:
            return
        except Exception as error:
            if not wire.started:
                raise without_route(error) from error
            await wire.body(b"\n\n" + frame(as_api_error(error).body()) + DONE, more=False)

    async def _admitted(self, scope: Scope, wire: Wire) -> None:
        """Pass on, once admitted. What was generated is the engine's count of it, else all that was reserved."""
        async with self.admission() as permit:
            scope["state"]["rates"] = permit.rates
            async with self.engines.relay(self.path, self.question) as answer:
                permit.spent = self.reserved
                permit.spent = counted(await self._pass_on(answer, wire), self.reserved)

    async def _pass_on(self, answer: Answer, wire: Wire) -> bytes:
        """Send all of an answer; returns its end."""
        kind = answer.headers.get(b"content-type", b"application/octet-stream").partition(b";")[0].strip().lower()
        if kind != b"text/event-stream":
            body = await answer.whole()
            wire.headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
            await wire.body(body, more=False)
            return body[-TAIL:]
        tail = b""
        while data := await answer.some():
            await wire.body(data)
            tail = (tail + data)[-TAIL:]
        await wire.body(b"", more=False)
        return tail


def counted(tail: bytes, reserved: int) -> int:
    """The tokens that an engine says at the end of its answer that it generated; `reserved` where it does not say.

    No generated text is mistaken for it: in JSON, its quotes would have a backslash.
    """
    told = COUNT.findall(tail)
    return int(told[-1]) if told else reserved


def without_route(error: Exception) -> Exception:
    """An engine's 404 for what it is, where the model is known to be there: it has no such route."""
    if isinstance(error, BackendError) and error.status in (404, 405):
        return ApiError(404, "the engine has no such route", code="not_found")
    return error
