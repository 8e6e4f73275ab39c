"""Spans over OTLP/HTTP: which requests are traced, and where their spans go. What a run's events become: spans.py."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import anyio
from anyio import to_thread
from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, set_span_in_context

from server.resolve import Plan
from server.settings import Settings
from server.spans import Spans

METHODS = frozenset({"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"})


class Tracing:
    """Makes spans, and hands ended ones to a thread of the SDK's, which sends them.

    No request waits for it: what it cannot send in time fills a queue of bounded length, and what that cannot take is
    dropped.
    """

    def __init__(self, settings: Settings) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # 5 MB, for whoever traces

        rules = self.rules = settings.tracing
        places = {engine.name or str(at): urlsplit(engine.url) for at, engine in enumerate(settings.engines)}
        self._engines = {name: (place.hostname or "", place.port or 0) for name, place in places.items()}
        headers = {name: value.get_secret_value() for name, value in rules.headers.items()}
        self._exporter = OTLPSpanExporter(rules.endpoint or None, headers=headers or None, timeout=rules.seconds)
        sampler = ParentBased(TraceIdRatioBased(rules.share))
        self._provider = TracerProvider(sampler, resource_of(rules.service), shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(self._exporter, rules.queue, rules.flush_seconds * 1000, rules.batch)
        )
        self._tracer = self._provider.get_tracer("ponder")

    def request(self, method: str, route: str, parent: SpanContext | None, now: int) -> Span:
        """The span of a request that came in `now`: the caller's is its parent, and decides whether it is recorded."""
        method = method if method in METHODS else "_OTHER"
        told = {"http.request.method": method, "http.route": route}
        within = set_span_in_context(NonRecordingSpan(parent), Context()) if parent else Context()
        return self._tracer.start_span(f"{method} {route}", within, SpanKind.SERVER, told, start_time=now)

    def work(self, request: Span, plan: Plan, now: Callable[[], int]) -> Spans:
        """What makes spans of the events of a request's runs."""
        characters = self.rules.characters if self.rules.content else 0
        return Spans(self._tracer, request, plan, now, self._engines, characters)

    async def end(self) -> None:
        """Send what waits, for as long as one export may take; then give up."""
        with anyio.move_on_after(self.rules.seconds, shield=True):
            await to_thread.run_sync(self._provider.shutdown, abandon_on_cancel=True)
            return
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


def resource_of(service: str) -> Resource:
    """Who the spans are from: the setting, else OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES, else "ponder"."""
    told = Resource({"service.name": "ponder"}).merge(OTELResourceDetector().detect())
    return Resource.create(told.merge(Resource({"service.name": service} if service else {})).attributes)


@asynccontextmanager
async def tracing(settings: Settings) -> AsyncIterator[Tracing | None]:
    """Tracing for as long as the block lasts; None where it is off."""
    if not settings.tracing.on:
        yield None
        return
    made = Tracing(settings)
    try:
        yield made
    finally:
        await made.end()
