"""The ASGI app: routes, and what lives as long as they do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from pydantic.json_schema import models_json_schema
from starlette.types import ASGIApp, Receive, Scope, Send

from server import engine_routes, errors, page_routes, routes
from server.auth import Authentication
from server.backends.pool import pool
from server.backends.pooling import scorers
from server.direct import Direct
from server.drain import Drain, Draining
from server.idempotency import Jobs
from server.logs import lines
from server.metrics import Metrics
from server.observed import Observed
from server.pulse import pulse
from server.resolve import check_presets
from server.settings import Settings
from server.shared import gate
from server.tenants import tenants
from server.trace import TraceEvent
from server.tracing import tracing
from server.workers import workers
from strategies.registry import Registry

UNTOLD: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI's own telemetry, which has the words of errors and would tell of everything twice."""


class App(FastAPI):
    """FastAPI whose every response has our headers, and whose document has the shapes that no signature shows."""

    def build_middleware_stack(self) -> ASGIApp:
        routed, state = Direct(super().build_middleware_stack(), routes.DIRECT), self.state
        known = Authentication(routed, state.tenants, state.settings.auth.open_metrics)
        ours = (*routes.router.routes, *engine_routes.router.routes)
        paths = frozenset(route.path_format for route in ours if isinstance(route, APIRoute))
        return Observed(Draining(known, state.drain), state, paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.middleware_stack is None or scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        await self.middleware_stack(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            made = get_openapi(title=self.title, version="1", summary=self.summary, routes=self.routes)
            requests = [(kind, "validation") for kind in (*routes.REQUESTS, *engine_routes.REQUESTS)]
            shapes: Any = [*requests, (TraceEvent, "serialization")]
            _, extra = models_json_schema(shapes, ref_template="#/components/schemas/{model}")
            made["components"]["schemas"] |= extra["$defs"]
            self.openapi_schema = made
        return self.openapi_schema


def create_app(settings: Settings, registry: Registry | None = None, shared: Path | None = None) -> FastAPI:
    """The server for these settings. Engines may still be down when it starts.

    `shared` is the socket of `serve_shared`, where this is one of several processes that share quotas and queue.

    Raises ValueError, which names the setting, where a preset of the settings could not work.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            tracing(settings) as app.state.tracing,
            scorers() as app.state.scorers,
            workers(settings.workers) as app.state.compute,
            pool(settings, app.state.metrics) as app.state.pool,
            gate(settings, shared) as app.state.gate,
            pulse(app.state.metrics, app.state.gate.line),
        ):
            app.state.started.set()
            yield

    registry = registry or Registry.installed()
    try:
        check_presets(settings, registry)
    except errors.ApiError as error:
        raise ValueError(f"{error.param}: {error.message}") from None
    app = App(
        title="Ponder",
        summary="OpenAI-compatible inference with test-time compute",
        lifespan=lifespan,
        telemetry=UNTOLD,
    )
    app.state.settings = settings
    app.state.tenants = tenants(settings, registry)
    app.state.metrics = Metrics(settings.server.metric_series)
    app.state.lines, app.state.tracing = lines(settings.server), None
    app.state.jobs = Jobs(settings.idempotency)
    app.state.started = anyio.Event()
    app.state.drain = Drain()
    app.include_router(routes.router)
    app.include_router(engine_routes.router)
    page_routes.install(app)
    errors.install(app)
    return app
