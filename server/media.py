"""Which URLs a message may show an engine: those that hold their own data, and those of hosts that the operator listed.

Nothing is fetched here, but an engine fetches what it is told to, from where it stands. A URL has one grammar, far
narrower than RFC 3986: what two parsers may read in two ways (user names, backslashes, escapes in a host) is none.
"""

import re
from collections.abc import Container
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

URL = re.compile(r"https?://(?P<host>[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?)(?:[/?][!$-\[\]-~]*+)?")
"""Scheme, host, path of visible ASCII. A port is a part of the host; there is no IPv6, and no `#`."""


def shown(url: str, info: ValidationInfo) -> str:
    """The URL, where an engine may have it. The validation's context is the hosts listed; none: no URL of any.

    Raises ValueError.
    """
    hosts: Container[str] = info.context or ()
    if url.startswith("data:"):
        return url
    found = URL.fullmatch(url)
    if found is None or found["host"].lower() not in hosts:
        raise ValueError("only data: URLs are taken, and those of hosts that this server lists")
    return url


MediaUrl = Annotated[
    str,
    AfterValidator(shown),
    Field(description="a data: URL, or one of a listed host", json_schema_extra={"pattern": "^(data:|https?://)"}),
]
