"""What is told of each request: headers when its response begins; a line of the log and a span when it is over.

It stands outside of all else, so that no response and no error escapes it.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry.trace import INVALID_SPAN, Span, SpanContext, Status, StatusCode, format_trace_id
from starlette.datastructures import State
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.drain import PROBES
from server.failures import where
from server.headers import headers_of, request_id
from server.logs import Lines, asking
from server.reply import Reply
from server.spans import Spans, clock
from server.tenants import Tenant
from server.traceparent import calling, header_of, parent_of
from server.tracing import Tracing

OTHER = "other"
"""The route of a path that is none of ours, for a path is a caller's text."""
REFUSALS = (401, 403, 429, 503)
log = logging.getLogger(__name__)


class Account:
    """One request, as it will be told of. `outcome` is ok, cut, error, or gone with its client."""

    def __init__(self, id: str, method: str, route: str, parent: SpanContext | None, tracing: Tracing | None) -> None:
        self.id, self.route, self.tracing = id, route, tracing
        self.status, self.complete, self.outcome = 0, False, ""
        self.reply: Reply | None = None
        self.span: Span = INVALID_SPAN
        self.context = parent
        self.now: Callable[[], int] = int
        if tracing is not None and route != OTHER:
            self.now = clock()
            self.span = tracing.request(method, route, parent, self.now())
            self.context = self.span.get_span_context()
        self._began_at = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since it came."""
        return time.monotonic() - self._began_at

    @contextmanager
    def work(self, reply: Reply) -> Iterator[Spans | None]:
        """Its work, from beginning to end; yields what observes it, where it is traced."""
        self.reply, self.outcome = reply, "gone"
        spans = (
            self.tracing.work(self.span, reply.plan, self.now) if self.tracing and self.span.is_recording() else None
        )
        failure: str | None = "cancelled"
        try:
            yield spans
            self.outcome, failure = "cut" if reply.meter.cut else "ok", None
        except Exception as error:
            self.outcome, failure = "error", type(error).__name__
            raise
        finally:
            if spans:
                spans.end(failure)

    def told(self, tenant: Tenant | None) -> dict[str, Any]:
        """What there is to say when it is over."""
        if self.outcome in ("", "gone"):  # where work was cut off but its client got an answer, the server ended it
            self.outcome = "gone" if not self.complete else "error" if self.status >= 400 or self.outcome else "ok"
        told: dict[str, Any] = {"route": self.route, "status": self.status, "outcome": self.outcome}
        if tenant:
            told["key"] = tenant.name
        if reply := self.reply:
            spent = reply.meter.spent
            told |= {"strategy": reply.plan.strategy.name, "model": reply.plan.engine_model, "tokens": spent.tokens}
            told |= {"samples": spent.samples} | ({"cut": reply.meter.cut} if reply.meter.cut else {})
        if self.context:
            told["trace_id"] = format_trace_id(self.context.trace_id)
        return told | {"seconds": round(self.seconds, 4)}

    def end(self, told: dict[str, Any]) -> None:
        """End its span, which says what is told, in its own words where the conventions have some."""
        span, reply = self.span, self.reply
        span.set_attribute("http.response.status_code", self.status)
        span.set_attributes({"ponder.request_id": self.id, "ponder.outcome": self.outcome})
        ours = {"ponder.key": "key", "ponder.samples": "samples", "ponder.cut": "cut"}
        span.set_attributes({name: told[fact] for name, fact in ours.items() if fact in told})
        if reply:
            span.set_attribute("gen_ai.usage.input_tokens", reply.prompt_tokens or reply.meter.first_prompt)
            span.set_attribute("gen_ai.usage.output_tokens", reply.meter.spent.tokens)
        if self.status >= 500 or (self.outcome == "error" and self.status < 400):  # a 4xx is the caller's error
            span.set_status(Status(StatusCode.ERROR))
        span.end(self.now())


class Observed:
    """An ASGI app around another one: gives each request its account, whose `status` is set once a response begins."""

    def __init__(self, app: ASGIApp, state: State, routes: Collection[str]) -> None:
        self.app, self.state, self.routes = app, state, routes
        self._open = {route.partition("{")[0]: route for route in routes if "{" in route}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state, path, id = scope.setdefault("state", {}), scope["path"], request_id(scope)
        told = path not in PROBES
        tracing = self.state.tracing if told else None
        parent, route = parent_of(scope) if told else None, path if path in self.routes else self._below(path)
        state["account"] = account = Account(id.decode(), scope["method"], route, parent, tracing)

        async def noticed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._begins(account, message["status"], state)
                ours = headers_of(id, account.seconds, state.get("rates", {}))
                message["headers"] = [*message.get("headers", ()), *ours]
            else:
                account.complete = not message.get("more_body")
            await send(message)

        asked = asking.set(account.id)
        called = calling.set(header_of(account.context) if account.context else "")
        try:
            await self.app(scope, receive, noticed)
        except Exception as error:  # it is answered by now; whoever logs it above us would log its words
            log.error("%s failed: %s", account.id, where(error))
        finally:
            if told:
                self._tell(account, state.get("tenant"))
            asking.reset(asked)
            calling.reset(called)

    def _below(self, path: str) -> str:
        """The route that has a part of a path as its parameter."""
        return next((route for begin, route in self._open.items() if path.startswith(begin)), OTHER)

    def _begins(self, account: Account, status: int, state: Mapping[str, Any]) -> None:
        """Note that a response begins."""
        account.status = status
        if status in REFUSALS:
            self.state.metrics.refusals.at(str(status)).inc()
        elif status < 400 and "first_byte" in state:
            state["first_byte"]()

    def _tell(self, account: Account, tenant: Tenant | None) -> None:
        lines: Lines | None = self.state.lines
        recorded = account.span.is_recording()
        if not (lines or recorded):
            return
        told = account.told(tenant)
        if recorded:
            account.end(told)
        if lines:
            lines.info("request", **told)
