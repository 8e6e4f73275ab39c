"""The ASGI app: routes, and what lives as long as they do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import anyio
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from server import errors
from server.backends.pool import Pool
from server.metrics import Metrics
from server.resolve import check_presets
from server.routes import router
from server.schema import ChatRequest
from server.settings import Settings
from server.trace import TraceEvent
from strategies.registry import Registry


def create_app(settings: Settings, registry: Registry | None = None) -> FastAPI:
    """The server for these settings. Engines may still be down when it starts.

    Raises ValueError, which names the setting, where a preset of the settings could not work.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False) as session:
            app.state.pool = Pool(settings.engines, session)
            app.state.started.set()
            yield

    registry = registry or Registry.installed()
    try:
        check_presets(settings, registry)
    except errors.ApiError as error:
        raise ValueError(f"{error.param}: {error.message}") from None
    app = FastAPI(title="Ponder", summary="OpenAI-compatible inference with test-time compute", lifespan=lifespan)
    app.state.settings = settings
    app.state.registry = registry
    app.state.metrics = Metrics()
    app.state.started = anyio.Event()
    app.include_router(router)
    errors.install(app)
    app.openapi = lambda: document(app)  # type: ignore[method-assign]
    return app


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the shapes that no route's signature shows: the chat request, and a live event."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version="1", summary=app.summary, routes=app.routes)
        shapes: Any = [(ChatRequest, "validation"), (TraceEvent, "serialization")]
        _, extra = models_json_schema(shapes, ref_template="#/components/schemas/{model}")
        made["components"]["schemas"] |= extra["$defs"]
        app.openapi_schema = made
    return app.openapi_schema
