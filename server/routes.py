"""The routes: each reads a request, asks others, and writes the answer."""

import re
import secrets
from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from server.backends.pool import Pool
from server.errors import ApiError, ErrorBody, from_validation, refused
from server.metrics import Metrics
from server.reply import Reply
from server.resolve import Plan, resolve
from server.schema import ChatCompletion, ChatRequest
from server.settings import Settings
from server.stream import EventStream, Whole
from strategies.base import execute
from strategies.events import Event
from strategies.meter import Meter
from strategies.protocols import Observer
from strategies.registry import Registry
from strategies.tasks import together
from strategies.types import Candidate

router = APIRouter()
ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorBody} for status in (400, 404, 413, 500, 502, 503)}
CHAT_BODY = {
    "required": True,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ChatRequest"}}},
}
REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)


class ModelCard(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "ponder"
    max_model_len: int | None = None


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelCard]


class Described(BaseModel):
    """A strategy or a verifier: its name, what it does, and the JSON schema of its settings."""

    name: str
    description: str
    settings_schema: dict[str, Any]


class DescribedList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Described]


@router.post(
    "/v1/chat/completions", response_model=ChatCompletion, responses=ERRORS, openapi_extra={"requestBody": CHAT_BODY}
)
async def chat(request: Request) -> Response:
    """A chat completion, with as much test-time compute as asked for."""
    settings: Settings = request.app.state.settings
    asked = parse(await read(request, settings.limits.body_bytes))
    pool: Pool = request.app.state.pool
    plan = resolve(asked, settings, request.app.state.registry, await pool.models())
    reply = Reply(plan, f"chatcmpl-{secrets.token_hex(12)}", Meter(plan.budget))
    work = Work(plan, reply, pool, request.app.state.metrics)
    headers = [(b"x-request-id", request_id(request).encode())]
    if plan.stream:
        return EventStream(work, reply, settings.server.keep_alive, headers)
    return Whole(work, reply, headers)


class Work:
    """One request at work: its runs, on one meter."""

    def __init__(self, plan: Plan, reply: Reply, pool: Pool, metrics: Metrics) -> None:
        self.plan, self.reply, self.metrics = plan, reply, metrics
        self.backend = pool.backend(plan.engine_model)

    async def __call__(self, observe: Observer) -> None:
        plan, meter = self.plan, self.reply.meter
        labels = plan.strategy.name, plan.engine_model
        count = self.metrics.observer(*labels)

        def tell(event: Event) -> None:
            count(event)
            observe(event)

        async def run(root: Candidate) -> None:
            await execute(
                plan.strategy,
                root,
                self.backend,
                meter,
                verifier=plan.verifier,
                sampling=plan.sampling,
                observe=tell,
                watched=plan.stream,
            )

        with self.metrics.request(*labels, meter):
            prompt = plan.roots[0].prompt
            with meter.cutting():
                prompt = await self.backend.render(prompt)
            self.reply.prompt_tokens = len(prompt.ids or ())
            await together(run, [replace(root, prompt=prompt) for root in plan.roots])


@router.get("/v1/models", responses={503: ERRORS[503]})
async def models(request: Request) -> ModelList:
    """The models of all engines."""
    return ModelList(data=list((await cards(request)).values()))


@router.get("/v1/models/{id:path}", responses={404: ERRORS[404], 503: ERRORS[503]})
async def model(request: Request, id: str) -> ModelCard:
    """One model."""
    known = await cards(request)
    if id not in known:
        raise ApiError(404, f"there is no model {id!r}", param="model", code="model_not_found")
    return known[id]


async def cards(request: Request) -> dict[str, ModelCard]:
    pool: Pool = request.app.state.pool
    served = await pool.models()
    return {
        one.id: ModelCard(id=one.id, created=one.created, max_model_len=one.max_model_len) for one in served.values()
    }


@router.get("/v1/strategies")
async def strategies(request: Request) -> DescribedList:
    """All ways of spending test-time compute that this server knows."""
    registry: Registry = request.app.state.registry
    return described(registry.strategies)


@router.get("/v1/verifiers")
async def verifiers(request: Request) -> DescribedList:
    """All verifiers that can guide a search."""
    registry: Registry = request.app.state.registry
    settings: Settings = request.app.state.settings
    named = {name: registry.verifiers[one.kind] for name, one in settings.verifiers.items()}
    return described(registry.verifiers | named)


def described(kinds: dict[str, Any]) -> DescribedList:
    data = [
        Described(name=name, description=(kind.__doc__ or "").strip(), settings_schema=kind.model_json_schema())
        for name, kind in kinds.items()
    ]
    return DescribedList(data=data)


@router.get("/health")
async def health() -> dict[str, str]:
    """This process is alive."""
    return {"status": "ok"}


@router.get("/ready", responses={503: ERRORS[503]})
async def ready(request: Request) -> dict[str, str]:
    """An engine answers."""
    pool: Pool = request.app.state.pool
    if not await pool.ready():
        raise ApiError(503, "no engine answers", code="engine_unavailable", type="service_unavailable_error")
    return {"status": "ready"}


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Counters for Prometheus."""
    counted: Metrics = request.app.state.metrics
    return Response(counted.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def read(request: Request, most: int) -> bytes:
    """The body. Raises ApiError 413 as soon as it is too long."""
    too_long = ApiError(413, f"the body is longer than {most} bytes", code="body_too_large")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most:
        raise too_long
    parts, length = [], 0
    async for part in request.stream():
        length += len(part)
        if length > most:
            raise too_long
        parts.append(part)
    return b"".join(parts)


def parse(body: bytes) -> ChatRequest:
    """The request. Raises ApiError 400 with the parameter's name."""
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        raise from_validation(error) from None
    except RecursionError:
        raise refused("the body is nested too deeply", code="invalid_json") from None


def request_id(request: Request) -> str:
    """The caller's id for this request where it is fit for a header and a log, else one of ours."""
    given = request.headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else f"req-{secrets.token_hex(8)}"
