"""The log: on stderr, one line a fact, as text or as JSON. What uvicorn and other libraries log is rendered alike.

No line has words of a request, of an answer or of a key: an error is told by its kind and place (failures.py).
"""

import logging
import select
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from contextvars import ContextVar
from typing import IO, Any, Protocol, TextIO, cast

import msgspec
import structlog
from structlog.typing import Processor

from server.failures import where
from server.settings import Server

OURS = ("ponder", "server", "strategies", "uvicorn")
"""Loggers whose level is the setting's. Other libraries tell of warnings only: what they say below that may quote."""
Entry = MutableMapping[str, Any]

asking: ContextVar[str] = ContextVar("asking", default="")
"""The id of the request that a line belongs to; "" for none."""


class Lines(Protocol):
    """Where a line with figures goes."""

    def info(self, event: str, **facts: Any) -> Any: ...


class Careful:
    """A file for lines: one that cannot be written now, for a full disk or a reader that is slow or gone, is lost.

    A pipe that takes anything takes 4096 bytes without waiting (pipe(7), PIPE_BUF): only longer lines may have to wait.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file, self._waits, self._ready = file, False, select.poll()
        with suppress(OSError):  # what is no file of the system's never makes anybody wait
            self._ready.register(file.fileno(), select.POLLOUT)
            self._waits = True

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            if not self._waits or self._ready.poll(0):
                self._file.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._file.flush()


def configure(settings: Server) -> None:
    """Send all that this process logs to stderr, as the settings say."""
    logging.basicConfig(level=logging.WARNING, handlers=[handler(settings)], force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(settings.log_level.upper())


def handler(settings: Server) -> logging.Handler:
    """What renders the standard library's records, and writes them to stderr."""
    made = logging.StreamHandler(Careful(sys.stderr))
    made.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[belonging, placed, structlog.stdlib.add_log_level, stamped],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer(settings)],
        )
    )
    return made


def lines(settings: Server) -> Lines | None:
    """What writes a line a request, where the settings' level lets it: straight to stderr, for the standard library's
    way takes four times as long.
    """
    if settings.log_level not in ("debug", "info"):
        return None
    processors: list[Processor] = [belonging, structlog.processors.add_log_level, stamped, renderer(settings)]
    kind = structlog.make_filtering_bound_logger(logging.INFO)
    made: Lines = structlog.wrap_logger(
        structlog.WriteLogger(cast(TextIO, Careful(sys.stderr))), processors, kind
    ).bind()
    return made


def belonging(logger: Any, level: str, entry: Entry) -> Entry:
    """Put the request's id into a line."""
    if id := asking.get():
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
