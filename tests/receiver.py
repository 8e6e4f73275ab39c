"""A receiver of OTLP over HTTP on a socket, as a collector is one: it decodes what comes and keeps the spans."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from server.settings import Settings, Tracing
from tests.serving import until


@dataclass
class Span:
    """A span as it came."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    began: int
    ended: int
    attributes: dict
    failed: bool
    service: str

    def told(self, traceparent):
        """Whether that header names this span."""
        return traceparent.startswith(f"00-{self.trace}-{self.id}-")


@dataclass
class Receiver:
    """What came so far: spans, and the headers of each message. `status` is what it answers; `silent`: nothing."""

    url: str = ""
    spans: list = field(default_factory=list)
    headers: list = field(default_factory=list)
    status: int = 200
    silent: bool = False

    async def take(self, request):
        message = ExportTraceServiceRequest.FromString(await request.read())
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        while self.silent:
            await anyio.sleep(0.02)
        if self.status == 200:
            self.spans += decoded(message)
        return web.Response(status=self.status, body=b"")

    def named(self, start):
        return [span for span in self.spans if span.name.startswith(start)]

    def below(self, span):
        """All spans whose parent this one is."""
        return [one for one in self.spans if (one.trace, one.parent) == (span.trace, span.id)]

    async def request(self, seconds=10.0):
        """The span of the one request that was made; it is sent last."""
        await until(lambda: self.named("POST "), seconds)
        [span] = self.named("POST ")
        return span


def decoded(message):
    for of in message.resource_spans:
        service = attributes_of(of.resource)["service.name"]
        for span in (span for scope in of.scope_spans for span in scope.spans):
            ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
            times = span.start_time_unix_nano, span.end_time_unix_nano
            failed = span.status.code == 2
            yield Span(span.name, *ids, span.kind, *times, attributes_of(span), failed, service)


def attributes_of(told):
    return {one.key: value_of(one.value) for one in told.attributes}


def value_of(value):
    kind = value.WhichOneof("value")
    return [value_of(one) for one in value.array_value.values] if kind == "array_value" else getattr(value, kind)


@asynccontextmanager
async def receiver():
    """A receiver on a free port."""
    made = Receiver()
    app = web.Application(client_max_size=1 << 26)
    app.add_routes([web.post("/v1/traces", made.take)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/traces"
    try:
        yield made
    finally:
        made.silent = False
        await runner.cleanup()


def traced(url, *, verifiers=None, **rules):
    """Settings that send all spans there, soon."""
    tracing = Tracing(**{"on": True, "endpoint": url, "flush_seconds": 0.05, "seconds": 1.0, **rules})
    return Settings(tracing=tracing, verifiers=verifiers or {})
