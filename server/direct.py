"""The way to the routes that most requests take, past FastAPI's layers, which cost more than all the rest of a reply.

FastAPI has these routes too: its document tells of them, and it answers those who ask by another method.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from server import errors

Route = Callable[[Request], Awaitable[Response]]


class Direct:
    """An ASGI app around another one: a POST to one of these paths is answered by its route alone."""

    def __init__(self, app: ASGIApp, routes: Mapping[str, Route]) -> None:
        self.app, self.routes = app, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self.routes.get(scope.get("path", "")) if scope.get("method") == "POST" else None
        if route is None:
            await self.app(scope, receive, send)
            return
        request, account = Request(scope, receive, send), scope["state"]["account"]
        try:
            response = await route(request)
            await response(scope, receive, send)
        except Exception as error:
            begun = bool(account.status)
            if not begun:
                response = await errors.told(request, error)
                await response(scope, receive, send)
            if begun or not isinstance(error, errors.EXPECTED):
                raise
