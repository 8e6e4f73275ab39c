"""An engine's answer passed on byte for byte, until it ends or the client goes."""

from collections.abc import Mapping
from typing import Any

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.backends.fleet import Fleet
from server.drain import leave_with_server
from server.errors import ApiError, as_api_error
from server.reply import DONE, frame
from server.stream import HEADERS, ClientGone, Wire, leave_with_client
from strategies.protocols import BackendError
from strategies.tasks import unwrapped


class Relay(Response):
    """Asks an engine, and passes on what it says; a failure after the first byte is told in the stream."""

    def __init__(self, engines: Fleet, path: str, question: Mapping[str, Any]) -> None:
        self.status_code, self.background = 200, None
        self.raw_headers = []
        self.engines, self.path, self.question = engines, path, question

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wire = Wire(send, list(HEADERS))
        try:
            with unwrapped():
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(leave_with_client, receive)
                    tasks.start_soon(leave_with_server, scope)
                    await self._pass_on(wire)
                    tasks.cancel_scope.cancel()
        except ClientGone:
            return
        except Exception as error:
            if not wire.started:
                raise without_route(error) from error
            await wire.body(b"\n\n" + frame(as_api_error(error).body()) + DONE, more=False)

    async def _pass_on(self, wire: Wire) -> None:
        async with self.engines.relay(self.path, self.question) as answer:
            if answer.content_type != "text/event-stream":
                body = await answer.read()
                length = str(len(body)).encode()
                wire.headers = [(b"content-type", answer.content_type.encode()), (b"content-length", length)]
                await wire.body(body, more=False)
                return
            async for data in answer.content.iter_any():
                await wire.body(data)
        await wire.body(b"", more=False)


def without_route(error: Exception) -> Exception:
    """An engine's 404 for what it is, where the model is known to be there: it has no such route."""
    if isinstance(error, BackendError) and error.status in (404, 405):
        return ApiError(404, "the engine has no such route", code="not_found")
    return error
