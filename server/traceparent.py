"""Whose trace a request belongs to (W3C Trace Context): the caller's header in, one of our own making out.

Only what is parsed goes on, written anew. `tracestate` is dropped: it is free text of a caller's, and of no use to an
engine.
"""

from contextvars import ContextVar

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, format_span_id, format_trace_id, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import Scope

NAME = "traceparent"
PARSER = TraceContextTextMapPropagator()
calling: ContextVar[str] = ContextVar(NAME, default="")
"""The header of what runs now towards engines; "" for none. Work that many requests share has none."""


def parent_of(scope: Scope) -> SpanContext | None:
    """The caller's span; None where there is no header, more than one, or one that is not valid."""
    given = [value for name, value in scope["headers"] if name == b"traceparent"]
    if len(given) != 1:
        return None
    context = PARSER.extract({NAME: given[0].decode("latin-1")}, Context())
    parent = get_current_span(context).get_span_context()
    return parent if parent.is_valid else None


def header_of(span: SpanContext) -> str:
    """The header that makes a span somebody's parent."""
    return f"00-{format_trace_id(span.trace_id)}-{format_span_id(span.span_id)}-{span.trace_flags & 0xFF:02x}"
