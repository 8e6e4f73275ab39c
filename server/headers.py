"""Headers that every response has, errors too: whose request it answers, and how long its caller waited for it."""

import logging
import re
import secrets

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.failures import where

REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
log = logging.getLogger(__name__)


class Headers:
    """An ASGI app around another one. It stands outside of all error handling, so that no response escapes it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        id, started = scope["state"]["request_id"], anyio.current_time()

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                waited = str(round((anyio.current_time() - started) * 1000)).encode()
                ours = [(b"x-request-id", id), (b"openai-processing-ms", waited)]
                message["headers"] = [*message.get("headers", ()), *ours]
            await send(message)

        try:
            await self.app(scope, receive, headed)
        except Exception as error:  # it is answered by now; whoever logs it above us would log its words
            log.error("%s failed: %s", id.decode(), where(error))


def request_id(scope: Scope) -> bytes:
    """The caller's id for this request where it is fit for a header and a log, else one of ours."""
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given if REQUEST_ID.fullmatch(given) else f"req-{secrets.token_hex(8)}".encode()
