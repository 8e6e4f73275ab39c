"""Routes that an engine answers by itself: what may pass is passed on, and its answer comes back as it is."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from server.admission import Size
from server.backends.pool import Pool
from server.engine_schema import (
    FORBIDDEN,
    STRATEGIC,
    CompletionRequest,
    Detokenized,
    DetokenizeRequest,
    TextCompletion,
    ToEngine,
    Tokenized,
    TokenizeRequest,
)
from server.errors import Asked, refused
from server.incoming import DEFAULT, ERRORS, asked, body_of, tenant_of
from server.relay import Relay
from server.resolve import model_and_alias
from server.settings import Limits

router = APIRouter(responses=DEFAULT)
REQUESTS = (CompletionRequest, TokenizeRequest, DetokenizeRequest)
"""Shapes that no signature shows."""
DEFAULT_TOKENS = 16
"""Tokens of a completion that names no `max_tokens`, at OpenAI as at vLLM."""


@router.post(
    "/v1/completions", response_model=TextCompletion, responses=ERRORS, openapi_extra=body_of(CompletionRequest)
)
async def completions(request: Request) -> Response:
    """A text completion of the engine's, without any strategy."""
    wanted = await asked(request, CompletionRequest)
    check_size(wanted, tenant_of(request).settings.limits)
    tokens = wanted.sequences * (DEFAULT_TOKENS if wanted.max_tokens is None else wanted.max_tokens)
    return await passed_on(request, wanted, Size(wanted.sequences, tokens))


@router.post("/tokenize", response_model=Tokenized, responses=ERRORS, openapi_extra=body_of(TokenizeRequest))
async def tokenize(request: Request) -> Response:
    """The token ids of a text or of a conversation, as the model sees it."""
    return await passed_on(request, await asked(request, TokenizeRequest))


@router.post("/detokenize", response_model=Detokenized, responses=ERRORS, openapi_extra=body_of(DetokenizeRequest))
async def detokenize(request: Request) -> Response:
    """The text of token ids."""
    return await passed_on(request, await asked(request, DetokenizeRequest))


async def passed_on(request: Request, wanted: ToEngine, size: Size | None = None) -> Response:
    """The answer of the engine that has the model. Raises ApiError 400 or 404 with the parameter's name."""
    state, tenant = request.app.state, tenant_of(request)
    refuse_extra(wanted.model_extra or {}, tenant.settings.limits)
    pool: Pool = state.pool
    model, alias = model_and_alias(wanted.model, tenant.seen(await pool.models()))
    if alias:
        raise refused(f"strategies go with chat; here the model is {model!r}", "model")
    body = wanted.model_dump(exclude_unset=True, by_alias=True)
    request.state.asked = Asked(
        {name: name for name in body} | {"messages": "messages" if "messages" in body else "prompt"}
    )
    if size:
        body |= state.gate.marks(tenant)
    reserved = size or Size()
    admission = partial(state.gate.admitted, tenant, reserved)
    return Relay(pool.backend(model), request.url.path, body, admission, reserved.tokens)


def refuse_extra(extra: Mapping[str, Any], limits: Limits) -> None:
    """Refuse, by name, what may not pass. What the setting says is passed on is only what nobody knows."""
    for name, value in extra.items():
        if value is None:
            continue
        if name in STRATEGIC:
            raise refused(f"{name} goes with chat and responses", name, "unsupported_parameter")
        if name in FORBIDDEN:
            raise refused(f"{name} is not supported", name, "unsupported_parameter")
        if limits.unknown_fields == "refuse":
            raise refused(f"unknown parameter: {name}", name, "unknown_parameter")


def check_size(wanted: CompletionRequest, limits: Limits) -> None:
    """Refuse more sequences at once, or more tokens, than the server allows."""
    if wanted.sequences > limits.n:
        param = "n" if (wanted.n or 1) > 1 else "prompt"
        raise refused(f"{wanted.sequences} at once are more than this server's limit of {limits.n}", param)
    if (wanted.max_tokens or 0) * wanted.sequences > limits.tokens:
        raise refused(f"max_tokens: more in all than this server's limit of {limits.tokens}", "max_tokens")
