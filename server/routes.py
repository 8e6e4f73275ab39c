"""The routes of our own: each reads a request, asks others, and writes the answer."""

import secrets

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from server.admission import Size
from server.backends.pool import Pool
from server.cards import DescribedList, ModelCard, ModelList, cards, described
from server.drain import Drain, leaving
from server.errors import ApiError, Asked, refused
from server.gate import Admitted, size_of
from server.idempotency import Jobs
from server.incoming import DEFAULT, ERRORS, asked, body_of, tenant_of
from server.measured import Measured
from server.metrics import Metrics
from server.pace import Outbox
from server.reply import Reply
from server.resolve import resolve
from server.responses.reply import ResponsesReply
from server.responses.schema import ResponsesRequest
from server.responses.shapes import ResponseEvent, ResponseObject
from server.responses.translate import NAMES, chat_request
from server.schema import ChatCompletion, ChatRequest
from server.stream import EventStream, Teller, Whole
from server.work import Work
from strategies.meter import Meter

router = APIRouter(responses=DEFAULT)
REQUESTS = (ChatRequest, ResponsesRequest, ResponseEvent)
"""Shapes that no signature shows."""


@router.post(
    "/v1/chat/completions", response_model=ChatCompletion, responses=ERRORS, openapi_extra=body_of(ChatRequest)
)
async def chat(request: Request) -> Response:
    """A chat completion, with as much test-time compute as asked for."""
    wanted = await asked(request, ChatRequest)
    names = {name: name for name in wanted.model_fields_set}
    if "max_completion_tokens" in names:
        names["max_tokens"] = "max_completion_tokens"
    request.state.asked = Asked(names)
    work, size = await planned(request, wanted)
    return answered(request, wanted, work, size, work.reply)


@router.post("/v1/responses", response_model=ResponseObject, responses=ERRORS, openapi_extra=body_of(ResponsesRequest))
async def responses(request: Request) -> Response:
    """A response, with as much test-time compute as asked for. Nothing is stored."""
    wanted = await asked(request, ResponsesRequest)
    request.state.asked = Asked(NAMES)
    work, size = await planned(request, chat_request(wanted, tenant_of(request).settings.limits.media_hosts))
    return answered(request, wanted, work, size, ResponsesReply(wanted, work.reply))


DIRECT = {"/v1/chat/completions": chat, "/v1/responses": responses}
"""Routes that need nothing of FastAPI."""


async def planned(request: Request, wanted: ChatRequest) -> tuple[Work, Size]:
    """The work for a request, not begun, and what it reserves. Raises ApiError, BackendError."""
    state, tenant = request.app.state, tenant_of(request)
    most = tenant.settings.limits.messages
    if len(wanted.messages) > most:
        raise refused(f"{len(wanted.messages)} messages are more than this server's limit of {most}", "messages")
    pool: Pool = state.pool
    models = tenant.seen(await pool.models())
    plan = resolve(wanted, tenant.settings, tenant.registry, models)
    reply = Reply(plan, f"chatcmpl-{secrets.token_hex(12)}", Meter(plan.budget))
    request.state.asked.meter = reply.meter
    outbox = Outbox(tenant.settings.server.pending_events)
    measured = Measured(state.metrics, plan, tenant.name, reply.meter)
    request.state.first_byte = measured.first_byte
    work = Work(
        plan,
        reply,
        pool,
        measured,
        state.compute,
        state.scorers,
        state.gate.marks(tenant),
        outbox,
        request.state.account,
    )
    return work, size_of(plan, models[plan.engine_model].max_model_len)


def answered(request: Request, wanted: BaseModel, work: Work, size: Size, reply: Teller) -> Response:
    """The work's reply, once it is admitted, as a stream or as one body; or that to a request that came before."""
    state, tenant = request.app.state, tenant_of(request)
    jobs: Jobs = state.jobs
    admitted = Admitted(state.gate, tenant, size, work.reply.meter, work, request.state)
    keep_alive = tenant.settings.server.keep_alive
    made = EventStream(admitted, reply, keep_alive, work.outbox) if work.plan.stream else Whole(admitted, reply)
    return jobs.joined(request, wanted, made)


@router.get("/v1/models", responses={503: ERRORS[503]})
async def models(request: Request) -> ModelList:
    """The models of all engines, then an alias of each with every strategy."""
    return ModelList(data=list((await known(request)).values()))


@router.get("/v1/models/{id:path}", responses={404: ERRORS[404], 503: ERRORS[503]})
async def model(request: Request, id: str) -> ModelCard:
    """One model, or alias."""
    found = (await known(request)).get(id)
    if found is None:
        raise ApiError(404, f"there is no model {id!r}", param="model", code="model_not_found")
    return found


async def known(request: Request) -> dict[str, ModelCard]:
    pool: Pool = request.app.state.pool
    tenant = tenant_of(request)
    return cards(tenant.seen(await pool.models()), tenant.registry.strategies)


@router.get("/v1/strategies")
async def strategies(request: Request) -> DescribedList:
    """All ways of spending test-time compute that this server knows."""
    return described(tenant_of(request).registry.strategies)


@router.get("/v1/verifiers")
async def verifiers(request: Request) -> DescribedList:
    """All verifiers that can guide a search."""
    tenant = tenant_of(request)
    registry, settings = tenant.registry, tenant.settings
    named = {name: registry.verifiers[one.kind] for name, one in settings.verifiers.items()}
    return described(registry.verifiers | named)


@router.get("/health")
async def health() -> dict[str, str]:
    """This process is alive."""
    return {"status": "ok"}


@router.get("/ready", responses={503: ERRORS[503]})
async def ready(request: Request) -> dict[str, str]:
    """An engine answers, and this server is not about to end."""
    drain: Drain = request.app.state.drain
    if drain.begun:
        raise leaving()
    pool: Pool = request.app.state.pool
    if not await pool.ready():
        raise ApiError(503, "no engine answers", code="engine_unavailable", type="service_unavailable_error")
    return {"status": "ready"}


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Counters for Prometheus."""
    counted: Metrics = request.app.state.metrics
    return Response(counted.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
