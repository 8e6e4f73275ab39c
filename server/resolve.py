"""From a request to a plan. Pure: every parameter is used, passed on, or refused by name; none is dropped."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from server.errors import ApiError, from_validation, refused
from server.fields import FIELDS, of_kind, tolerated
from server.forms import format_of, made_wording, prompt_of, structure_of, tool_use_of
from server.schema import ChatRequest
from server.settings import Effort, Format, Limits, Settings
from server.trace import PlanTrace
from strategies.base import Judged, Strategy
from strategies.prompts import wording
from strategies.protocols import Verifier
from strategies.registry import Registry
from strategies.types import Budget, Candidate, Sampling

Spec = str | dict[str, Any]
PASSED_ON = of_kind("passed on")
DEEPEST = 3
"""Verifiers inside of each other."""


@dataclass(frozen=True)
class Plan:
    """All that it takes to run a request and to write its reply. `judge` is its verifier as a trace tells of it."""

    model: str
    engine_model: str
    strategy: Strategy
    verifier: Verifier | None
    judge: dict[str, Any] | None
    roots: tuple[Candidate, ...]
    sampling: Sampling
    budget: Budget
    quorum: float
    format: Format
    stream: bool
    include_usage: bool
    logprobs: int | None
    trace: bool
    full_trace: bool

    @property
    def described(self) -> PlanTrace:
        """The plan as the trace tells it."""
        wishes = {"max_tokens", "temperature", "top_p", "seed", "stop"}
        drawn = {name: getattr(self.sampling, name) for name in sorted(wishes)}
        drawn = {name: value for name, value in drawn.items() if value not in (None, ())}
        budget = self.budget
        return PlanTrace(
            model=self.engine_model,
            strategy=self.strategy.model_dump(exclude_none=True),
            verifier=self.judge,
            sampling={**drawn, **self.sampling.extra},
            budget={"tokens": budget.tokens, "samples": budget.samples, "seconds": budget.seconds},
            format=self.format,
            quorum=self.quorum,
        )


def resolve(request: ChatRequest, settings: Settings, registry: Registry, models: Mapping[str, Any]) -> Plan:
    """The plan for a request. Raises ApiError 400 or 404 with the parameter's name."""
    refuse_unknown(request, settings.limits)
    engine_model, alias = model_and_alias(request.model, models)
    effort = effort_of(request, settings)
    asked = request.reasoning_strategy
    spec = asked if asked is not None else alias or (effort and effort.strategy) or settings.defaults.strategy
    strategy = strategy_of(spec, registry, "reasoning_strategy" if asked is not None or not alias else "model")
    check_width(strategy, request.n or 1, settings.limits)
    judge, verifier = verifier_of(strategy, settings, registry)
    sampling = strategy.sampling(sampling_of(request))
    if request.return_trace == "full" and sampling.logprobs is None:
        sampling = replace(sampling, logprobs=0)
    budget = budget_of(request, effort, settings.limits)
    format = format_of(request, settings)
    prompt = prompt_of(request, strategy, settings)
    quorum = settings.limits.quorum if request.reasoning_quorum is None else request.reasoning_quorum
    return Plan(
        model=request.model,
        engine_model=engine_model,
        strategy=strategy,
        verifier=verifier,
        judge=judge,
        roots=tuple(Candidate(prompt, id=str(index)) for index in range(request.n or 1)),
        sampling=sampling,
        budget=budget,
        quorum=quorum,
        format=format,
        stream=bool(request.stream),
        include_usage=bool(request.stream_options and request.stream_options.include_usage),
        logprobs=(request.top_logprobs or 0) if request.logprobs else None,
        trace=bool(request.return_trace),
        full_trace=request.return_trace == "full",
    )


def refuse_unknown(request: ChatRequest, limits: Limits) -> None:
    """Refuse, by name, what has no effect here but is meant to have one."""
    for name, value in (request.model_extra or {}).items():
        if tolerated(name, value):
            continue
        if name in FIELDS:
            raise refused(f"{name} is not supported", name, "unsupported_parameter")
        if limits.unknown_fields == "refuse":
            raise refused(f"unknown parameter: {name}", name, "unknown_parameter")
    if request.stream_options and not request.stream:
        raise refused("stream_options goes with stream: true", "stream_options")
    if request.top_logprobs is not None and not request.logprobs:
        raise refused("top_logprobs goes with logprobs: true", "top_logprobs")
    if request.tool_choice not in (None, "none", "auto") and not request.tools:
        raise refused("tool_choice goes with tools", "tool_choice")
    structured = request.structured_outputs
    if structured and (request.response_format or (structured.json_ is None) == (structured.choice is None)):
        raise refused(
            "structured_outputs takes either json or choice, and goes without response_format", "structured_outputs"
        )
    for name in request.chat_template_kwargs or {}:
        if name not in limits.template_arguments:
            raise refused(f"chat_template_kwargs.{name} is not allowed", f"chat_template_kwargs.{name}")


def model_and_alias(name: str, models: Mapping[str, Any]) -> tuple[str, str | None]:
    """The engine's model and the strategy of a `MODEL:STRATEGY` alias; an exact model id wins."""
    if name in models:
        return name, None
    model, colon, strategy = name.rpartition(":")
    if colon and model in models and strategy:
        return model, strategy
    raise ApiError(404, f"there is no model {name!r}", param="model", code="model_not_found")


def effort_of(request: ChatRequest, settings: Settings) -> Effort | None:
    """The preset that `reasoning_effort`, or OpenRouter's `reasoning`, stands for."""
    reasoning = request.reasoning
    name = request.reasoning_effort or (reasoning and reasoning.effort)
    if reasoning and reasoning.enabled is False:
        name = "none"
    if reasoning and (reasoning.enabled or reasoning.max_tokens) and name is None:
        name = "medium"
    return settings.efforts[name] if name else None


def strategy_of(spec: Spec, registry: Registry, param: str) -> Strategy:
    """The strategy of that name and those settings."""
    wanted = settings_of(spec)
    try:
        return registry.strategy(wanted)
    except KeyError:
        known = ", ".join(sorted(registry.strategies))
        raise refused(f"unknown strategy {wanted.get('name')!r}; there are {known}", param) from None
    except ValidationError as error:
        raise from_validation(error, (param,)) from None


def settings_of(spec: Spec) -> dict[str, Any]:
    """A name, or an object of a name and settings, as the latter; what is no name is none that is known."""
    settings = {"name": spec} if isinstance(spec, str) else spec
    return {**settings, "name": str(settings.get("name"))}


def verifier_of(
    strategy: Strategy, settings: Settings, registry: Registry, param: str = "reasoning_strategy.verifier"
) -> tuple[dict[str, Any] | None, Verifier | None]:
    """The verifier that judges, described and made: the one named, else the default; none where none judges."""
    if not isinstance(strategy, Judged) or not strategy.judges:
        return None, None
    spec = strategy.verifier if strategy.verifier is not None else settings.defaults.verifier
    return made_verifier(spec, settings, registry, param)


def made_verifier(
    spec: Spec, settings: Settings, registry: Registry, param: str, depth: int = 1
) -> tuple[dict[str, Any], Verifier]:
    """A verifier from its name, one of the settings or a built-in one, and its settings.

    First what a plan may tell of it: nothing that only the operator sets.
    """
    if depth > DEEPEST:
        raise refused(f"{param}: more than {DEEPEST} verifiers inside of each other", param)
    asked = settings_of(spec)
    named = settings.verifiers.get(asked["name"])
    name = named.kind if named else asked["name"]
    kind = registry.verifiers.get(name)
    if kind is None:
        known = ", ".join(sorted({*registry.verifiers, *settings.verifiers}))
        raise refused(f"unknown verifier {name!r}; there are {known}", param)
    if getattr(kind, "guarded", False) and not settings.limits.run_code:
        raise refused(f"the verifier {name} is off on this server: limits.run_code turns it on", param)
    operators: frozenset[str] = getattr(kind, "operator", frozenset())
    for field in sorted(operators & asked.keys()):
        raise refused(f"only [verifiers.NAME] of the server's settings sets {field}", f"{param}.{field}")
    wanted = {**(named.given if named else {}), **asked, "name": name}
    if not named and any(kind.model_fields[field].is_required() for field in operators):
        raise refused(f"{name} takes a [verifiers.NAME] of the server's settings; name that one", param)
    told = {field: value for field, value in wanted.items() if field not in operators}

    def member(spec: Spec) -> Verifier:
        described, made = made_verifier(spec, settings, registry, f"{param}.members", depth + 1)
        told["members"] = [*told.get("members", []), described]
        return made

    told.pop("members", None)
    try:
        return told, registry.verifier(wanted, member)
    except ValidationError as error:
        raise from_validation(error, (param,)) from None


def check_presets(settings: Settings, registry: Registry) -> None:
    """Refuse settings that would make requests fail. Raises ApiError whose `param` names the setting."""
    for prompt in settings.prompts:
        try:
            made_wording(prompt, settings)
        except ValueError as error:
            raise refused(str(error), f"prompts.{prompt}") from None
    made_verifier(settings.defaults.verifier, settings, registry, "defaults.verifier")
    check_strategy(settings.defaults.strategy, settings, registry, "defaults.strategy")
    for name, effort in settings.efforts.items():
        if effort.strategy is not None:
            check_strategy(effort.strategy, settings, registry, f"efforts.{name}.strategy")
    for verifier in settings.verifiers:
        made_verifier(verifier, settings, registry, f"verifiers.{verifier}")


def check_strategy(spec: Spec, settings: Settings, registry: Registry, param: str) -> None:
    """Refuse a strategy of the settings, or a verifier or prompt of its own, that would make requests fail."""
    strategy = strategy_of(spec, registry, param)
    verifier_of(strategy, settings, registry, f"{param}.verifier")
    try:
        wording(strategy.prompt, {name: made_wording(name, settings) for name in settings.prompts})
    except ValueError as error:
        raise refused(str(error), f"{param}.prompt") from None


def check_width(strategy: Strategy, choices: int, limits: Limits) -> None:
    """Refuse more sequences at once than the server allows."""
    if strategy.widest * choices > limits.n:
        raise refused(
            f"{strategy.widest * choices} samples at once are more than this server's limit of {limits.n}",
            "reasoning_strategy" if strategy.widest > 1 else "n",
        )


def sampling_of(request: ChatRequest) -> Sampling:
    """How the caller wants samples drawn."""
    stop = (request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ())
    extra = {name: getattr(request, name) for name in PASSED_ON if getattr(request, name) is not None}
    extra |= {name: value for name, value in (request.model_extra or {}).items() if name not in FIELDS}
    return Sampling(
        max_tokens=request.max_completion_tokens or request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        seed=None if request.seed is None else request.seed % 2**62,  # to vLLM, -1 is no seed
        stop=tuple(text for text in stop if text),
        logprobs=(request.top_logprobs or 0) if request.logprobs else None,
        extra=extra | structure_of(request) | tool_use_of(request),
    )


def budget_of(request: ChatRequest, effort: Effort | None, limits: Limits) -> Budget:
    """The request's budget, else its effort's, else the server's limits. Above those is a 400, never a clamp."""
    asked = request.reasoning_budget.model_dump(exclude_none=True) if request.reasoning_budget else {}
    params = {name: f"reasoning_budget.{name}" for name in asked}
    if request.reasoning and request.reasoning.max_tokens and "tokens" not in asked:
        asked["tokens"], params["tokens"] = request.reasoning.max_tokens, "reasoning.max_tokens"
    most = {"tokens": limits.tokens, "seconds": limits.seconds, "samples": limits.samples}
    for name, value in asked.items():
        if value > most[name]:
            raise refused(f"{params[name]}: {value} is above this server's limit of {most[name]}", params[name])
    preset = effort.budget.model_dump(exclude_none=True) if effort else {}
    return Budget(**{**most, **{name: min(value, most[name]) for name, value in preset.items()}, **asked})
