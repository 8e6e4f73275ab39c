"""The log: on stderr, one line a fact, as text or as JSON. What uvicorn and other libraries log is rendered alike.

No line has words of a request, of an answer or of a key: an error is told by its kind and place (failures.py).
"""

import logging
import select
import sys
from asyncio import AbstractEventLoop
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from io import TextIOWrapper
from typing import IO, Any

import msgspec

from server.failures import where
from server.settings import Server

OURS = ("ponder", "server", "strategies", "uvicorn")
"""Loggers whose level is the setting's. Other libraries tell of warnings only: what they say below that may quote."""
log = logging.getLogger(__name__)
Entry = dict[str, Any]
Renderer = Callable[[Entry], str]

asking: ContextVar[str] = ContextVar("asking", default="")
"""The id of the request that a line belongs to; "" for none."""


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


class Lines:
    """What writes a line with figures straight to a file: the standard library's way takes several times as long."""

    def __init__(self, file: Careful, render: Renderer) -> None:
        self._file, self._render = file, render

    def info(self, event: str, **facts: Any) -> None:
        """Write what is said and its figures."""
        self._file.write(self._render(entry(event, "info") | facts) + "\n")


class Form(logging.Formatter):
    """Gives the standard library's records the form of our own lines."""

    def __init__(self, render: Renderer) -> None:
        super().__init__()
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's line; an error by its kind and place, for its words may quote a request."""
        error = record.exc_info[1] if record.exc_info else None
        try:
            return self._line(record, record.getMessage(), error)
        except Exception as wrong:  # it would be logging that tells of it, with all that the record has
            return self._line(record, "a line cannot be rendered", wrong)

    def _line(self, record: logging.LogRecord, said: str, error: BaseException | None) -> str:
        told = {"error": where(error)} if error else {}
        return self._render(entry(said, record.levelname.lower()) | {"logger": record.name} | told)


def configure(settings: Server) -> None:
    """Send all that this process logs to stderr, as the settings say."""
    if isinstance(sys.stderr, TextIOWrapper):  # JSON is UTF-8, whatever the machine's language
        sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace")
    logging.basicConfig(level=logging.WARNING, handlers=[handler(settings)], force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(settings.log_level.upper())


def unheard(loop: AbstractEventLoop, context: Entry) -> None:
    """Tell of an error that nobody waited for; asyncio itself would quote it, and what it was about."""
    error = context.get("exception")
    log.error("unheard in the event loop: %s", where(error) if error else "no error is told")


def handler(settings: Server) -> logging.Handler:
    """What renders the standard library's records, and writes them to stderr."""
    made = logging.StreamHandler(Careful(sys.stderr))
    made.setFormatter(Form(renderer(settings)))
    return made


def lines(settings: Server) -> Lines | None:
    """What writes a line a request, where the settings' level lets it."""
    if settings.log_level not in ("debug", "info"):
        return None
    return Lines(Careful(sys.stderr), renderer(settings))


def entry(event: str, level: str) -> Entry:
    """Return a line's beginning: when and how grave, what is said, and the id of the request that it belongs to."""
    made: Entry = {"time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", "level": level, "event": event}
    if id := asking.get():
        made["request_id"] = id
    return made


def renderer(settings: Server) -> Renderer:
    """What makes a line of an entry."""
    return as_json if settings.log_format == "json" else as_text


def as_json(entry: Entry) -> str:
    """A JSON object; what is said stands in `event`."""
    return msgspec.json.encode(entry, enc_hook=str).decode()


def as_text(entry: Entry) -> str:
    """What is said, then all figures; who reads this sees the time on a clock."""
    said, error = str(entry.pop("event")), entry.pop("error", None)
    for name in ("time", "level", "logger"):
        entry.pop(name, None)
    return " ".join([said, *(f"{name}={value}" for name, value in entry.items())]) + (f"\n{error}" if error else "")
