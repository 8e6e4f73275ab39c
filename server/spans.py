"""The events of a request's runs as spans: one for each run, each sequence and each call of the verifier.

Names of attributes are those of OpenTelemetry's conventions for generative AI where there is one, else `ponder.*`;
docs/tracing.md has them all. Texts of prompts and answers are told only where the operator wants them.
"""

import contextvars
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.util.types import AttributeValue

from server.resolve import Plan
from server.traceparent import calling, header_of
from strategies.events import Answered, Closed, Event, Judged, Judging, Lost, Opened, Pruned, Scored, Started, Token
from strategies.types import Call, Candidate, Message, Step
from strategies.verifiers.base import text_of

BILLION = 1_000_000_000
"""Nanoseconds of a second."""
FAILED = Status(StatusCode.ERROR)
judging: contextvars.ContextVar[tuple[Span, contextvars.Token[str]]] = contextvars.ContextVar("judging")
"""The span of a task's call of the verifier, and what takes back that engines are told of it."""


def clock() -> Callable[[], int]:
    """What tells nanoseconds since 1970, by a clock that is set once: durations do not jump with the calendar."""
    offset = time.time_ns() - time.perf_counter_ns()
    return lambda: offset + time.perf_counter_ns()


@dataclass(slots=True)
class Sample:
    """The span of a sequence. It is ended with its run, for it may yet be scored or pruned; `ended_at` is when it was
    over.
    """

    span: Span
    began_at: int
    silent: bool = True
    ended_at: int | None = None


@dataclass(slots=True)
class Run:
    """The span of a run, and the context that makes others its children."""

    span: Span
    within: Context


class Spans:
    """An observer of one request's events.

    `now` is its clock, in nanoseconds; `engines` are hosts and ports by name; `characters` is how much of a text is
    told, 0 for none.
    """

    def __init__(
        self,
        tracer: Tracer,
        request: Span,
        plan: Plan,
        now: Callable[[], int],
        engines: Mapping[str, tuple[str, int]],
        characters: int,
    ) -> None:
        self._tracer, self._request, self._plan, self._now = tracer, request, plan, now
        self._engines, self._characters = engines, characters
        self._runs: dict[str, Run] = {}
        self._samples: dict[str, Sample] = {}
        self._model = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "vllm",
            "gen_ai.request.model": plan.engine_model,
        }
        request.set_attributes(dict(self._planned()))

    def __call__(self, event: Event) -> None:
        match event:
            case Token(id, _, tokens):
                if tokens and (sample := self._samples[id]).silent:
                    self._speak(sample)
            case Started(id, strategy):
                self._start(id, strategy)
            case Opened(id, parent):
                self._open(id, parent)
            case Closed(candidate):
                self._close(candidate)
            case Lost(id, _, tokens, cause):
                self._fail(self._samples[id], tokens, cause)
            case Scored(candidate) if candidate.score and candidate.id in self._samples:
                self._samples[candidate.id].span.set_attribute("ponder.score", candidate.score.value)
            case Judging():
                self._judge(event)
            case Judged():
                self._judged(event)
            case Pruned(_, _, ids):
                for id in ids:
                    self._samples[id].span.set_attribute("ponder.pruned", True)
            case Answered(id):
                self._answer(id, event)

    def header(self, call: Call) -> str:
        """The parent that an engine is told: a sequence's span, its run's where a call grows several; else as it is."""
        if call.n == 1 and (sample := self._samples.get(call.id)):
            return header_of(sample.span.get_span_context())
        run = self._runs.get(call.id.partition(".")[0])
        return header_of(run.span.get_span_context()) if run else calling.get()

    def end(self, error: str | None) -> None:
        """End what is open: the work is over, by an error of that type where there is one."""
        for id in list(self._runs):
            if error:
                self._runs[id].span.set_attribute("error.type", error)
                self._runs[id].span.set_status(FAILED)
            self._end(id)

    def _planned(self) -> Iterator[tuple[str, AttributeValue]]:
        plan = self._plan
        yield from self._model.items()
        yield "gen_ai.request.choice.count", len(plan.roots)
        yield "gen_ai.request.stream", plan.stream
        if plan.sampling.max_tokens is not None:
            yield "gen_ai.request.max_tokens", plan.sampling.max_tokens
        if plan.sampling.temperature is not None:
            yield "gen_ai.request.temperature", plan.sampling.temperature
        yield "ponder.strategy", plan.strategy.name
        yield "ponder.budget.tokens", plan.budget.tokens
        yield "ponder.budget.samples", plan.budget.samples
        yield "ponder.budget.seconds", plan.budget.seconds
        if self._characters:
            yield "gen_ai.input.messages", self._messages(plan.roots[0].prompt.messages)

    def _start(self, id: str, strategy: str) -> None:
        told = {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": strategy, "ponder.run": id}
        within = set_span_in_context(self._request, Context())
        span = self._tracer.start_span(f"invoke_workflow {strategy}", within, SpanKind.INTERNAL, told)
        self._runs[id] = Run(span, set_span_in_context(span, Context()))

    def _open(self, id: str, parent: str) -> None:
        run, now = self._runs[id.partition(".")[0]], self._now()
        told = {**self._model, "ponder.sample": id, "ponder.parent": parent}
        name = f"chat {self._plan.engine_model}"
        self._samples[id] = Sample(
            self._tracer.start_span(name, run.within, SpanKind.CLIENT, told, start_time=now), now
        )

    def _speak(self, sample: Sample) -> None:
        sample.silent = False
        sample.span.set_attribute("gen_ai.response.time_to_first_chunk", (self._now() - sample.began_at) / BILLION)

    def _close(self, candidate: Candidate) -> None:
        sample = self._samples[candidate.id]
        sample.ended_at = self._now()
        step = Step("") if sample.silent else candidate.steps[-1]  # of one that said nothing, the last is its parent's
        told: dict[str, AttributeValue] = {
            "gen_ai.response.finish_reasons": (str(candidate.finish),),
            "gen_ai.usage.output_tokens": step.tokens,
        }
        if step.engine in self._engines:
            host, port = self._engines[step.engine]
            told |= {"server.address": host, "server.port": port, "ponder.engine": step.engine}
        if self._characters:
            told["gen_ai.output.messages"] = self._messages([{"role": "assistant", "content": step.text}])
        sample.span.set_attributes(told)

    def _fail(self, sample: Sample, tokens: int, cause: str) -> None:
        sample.ended_at = self._now()
        sample.span.set_attributes({"gen_ai.usage.output_tokens": tokens, "error.type": cause})
        sample.span.set_status(FAILED)

    def _judge(self, event: Judging) -> None:
        """Begin a call of the verifier: what this task asks from here on, it asks for that."""
        name = str((self._plan.judge or {}).get("name"))
        told = {"gen_ai.evaluation.name": name, "ponder.candidates": event.ids}
        within, now = self._runs[event.root].within, self._now()
        span = self._tracer.start_span(f"evaluate {name}", within, SpanKind.INTERNAL, told, start_time=now)
        judging.set((span, calling.set(header_of(span.get_span_context()))))

    def _judged(self, event: Judged) -> None:
        span, before = judging.get()
        calling.reset(before)
        if event.failure:
            span.set_attribute("error.type", event.failure)
            span.set_status(FAILED)
        span.end(self._now())

    def _answer(self, id: str, event: Answered) -> None:
        span = self._runs[id].span
        span.set_attribute("ponder.chosen", event.candidate.id)
        if event.cut:
            span.set_attribute("ponder.cut", event.cut)
        self._end(id)

    def _end(self, id: str) -> None:
        """End a run and its sequences."""
        run, now = self._runs.pop(id), self._now()
        for one in [one for one in self._samples if one.partition(".")[0] == id]:
            sample = self._samples.pop(one)
            sample.span.end(sample.ended_at or now)
        run.span.end(now)

    def _messages(self, messages: Sequence[Message]) -> str:
        """Messages as the conventions write them, each text up to so many characters; images and the like left out."""
        texts = [(str(message.get("role")), text_of(message)[: self._characters]) for message in messages]
        return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]} for role, text in texts])
