"""Headers that every response has, errors too: whose request it answers, and how long its caller waited for it."""

import re
import secrets
from collections.abc import Mapping

from starlette.types import Scope

REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
Header = tuple[bytes, bytes]


def request_id(scope: Scope) -> bytes:
    """The caller's id for this request where it is fit for a header and a log, else one of ours."""
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given if REQUEST_ID.fullmatch(given) else f"req-{secrets.token_hex(8)}".encode()


def headers_of(id: bytes, waited: float, rates: Mapping[str, str]) -> list[Header]:
    """What is told of a request that waited for so many seconds; `rates` are headers about its tenant's quotas."""
    ours = [(b"x-request-id", id), (b"openai-processing-ms", b"%d" % round(waited * 1000))]
    return ours + [(name.encode(), value.encode()) for name, value in rates.items()]
