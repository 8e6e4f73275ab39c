"""The log: on stderr, one line a fact, as text or as JSON. What uvicorn and other libraries log is rendered alike.

No line has words of a request, of an answer or of a key: an error is told by its kind and place (failures.py).
"""

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import msgspec
import structlog
from structlog.typing import Processor

from server.failures import where
from server.settings import Server

OURS = ("ponder", "server", "strategies", "uvicorn")
"""Loggers whose level is the setting's. Other libraries tell of warnings only: what they say below that may quote."""
Entry = MutableMapping[str, Any]

request: ContextVar[str] = ContextVar("request", default="")
"""The id of the request that a line belongs to; "" for none."""


class Lines(Protocol):
    """Where a line with figures goes."""

    def info(self, event: str, **facts: Any) -> Any: ...


def configure(settings: Server) -> None:
    """Send all that this process logs to stderr, as the settings say."""
    shared: list[Processor] = [belonging, placed, structlog.stdlib.add_log_level, stamped]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer(settings)],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(settings.log_level.upper())


def lines(settings: Server) -> Lines:
    """What writes a line a request: straight to stderr, for the standard library's way takes four times as long."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    processors: list[Processor] = [belonging, structlog.processors.add_log_level, stamped, renderer(settings)]
    kind = structlog.make_filtering_bound_logger(level)
    made: Lines = structlog.wrap_logger(structlog.WriteLogger(sys.stderr), processors, kind).bind()
    return made


@contextmanager
def asking(id: str) -> Iterator[None]:
    """All that is logged here belongs to a request."""
    before = request.set(id)
    try:
        yield
    finally:
        request.reset(before)


def belonging(logger: Any, level: str, entry: Entry) -> Entry:
    """Put the request's id into a line."""
    if id := request.get():
        entry["request_id"] = id
    return entry


def placed(logger: Any, level: str, entry: Entry) -> Entry:
    """An error by its kind and place: its words may quote a request."""
    entry["logger"] = entry["_record"].name
    entry.pop("stack_info", None)
    _, error, _ = entry.pop("exc_info", None) or (None, None, None)
    if error:
        entry["error"] = where(error)
    return entry


stamped = structlog.processors.TimeStamper(fmt="iso", utc=True, key="time")


def renderer(settings: Server) -> Processor:
    """What makes a line of an entry."""
    return as_json if settings.log_format == "json" else as_text


def as_json(logger: Any, level: str, entry: Entry) -> str:
    """A JSON object; what is said stands in `event`."""
    return msgspec.json.encode(entry, enc_hook=str).decode()


def as_text(logger: Any, level: str, entry: Entry) -> str:
    """What is said, then all figures; who reads this sees the time on a clock."""
    said = str(entry.pop("event"))
    error = entry.pop("error", None)
    for name in ("time", "level", "logger"):
        entry.pop(name, None)
    return " ".join([said, *(f"{name}={value}" for name, value in entry.items())]) + (f"\n{error}" if error else "")
