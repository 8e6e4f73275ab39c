"""How settings name an engine: its URL, and the key that it wants."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr


def base(url: str) -> str:
    """An engine's URL without the `/v1` that clients know. Raises ValueError where nobody can be asked there."""
    parts = urlsplit(url)  # raises ValueError itself for a host in broken brackets, and `port` for no port number
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("an engine's url starts with http:// or https:// and names a host")
    if not (url.isascii() and url.isprintable() and " " not in url) or parts.query or parts.fragment:
        raise ValueError("an engine's url has no blanks, no `?` or `#`, and ASCII characters only")
    return url.rstrip("/").removesuffix("/v1")


def sendable(key: SecretStr) -> SecretStr:
    """A key that a header can hold. Raises ValueError for another."""
    if not key.get_secret_value().isprintable():
        raise ValueError("an engine's api_key has printable characters only")
    return key


Address = Annotated[str, AfterValidator(base)]
EngineKey = Annotated[SecretStr, AfterValidator(sendable)]
