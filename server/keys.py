"""API keys: how one is made, how strong it is, and what is kept of it."""

import hashlib
import math
import secrets
import string

PREFIX = "pk-"
BYTES = 32
"""Random bytes of a fresh key."""
BITS = 128
"""What a key has to be worth at least, guessed by its length and alphabet."""
DISTINCT = 8
"""Different characters of a key at least: a random one of 128 bits has more."""
ALPHABETS = (
    string.digits,
    string.digits + "abcdef",
    string.digits + string.ascii_lowercase,
    string.digits + string.ascii_letters,
)
PRINTABLE = 64
"""Characters of the alphabet that a key of any others is taken to be drawn from."""


def fresh() -> str:
    """A new key of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(BYTES)


def digest(key: str) -> str:
    """The SHA-256 of a key, in hex: all that is kept of it. A random key needs no slower hash."""
    return hashlib.sha256(key.encode()).hexdigest()


def weakness(key: str) -> str | None:
    """Why a key could be guessed; None where it could not."""
    drawn = key.removeprefix(PREFIX).removeprefix("sk-")
    if len(set(drawn)) < DISTINCT:
        return f"it has less than {DISTINCT} different characters"
    size = next((len(alphabet) for alphabet in ALPHABETS if set(drawn) <= set(alphabet)), PRINTABLE)
    worth = int(len(drawn) * math.log2(size))
    return f"it is worth {worth} bits at most, of {BITS} that it takes" if worth < BITS else None
