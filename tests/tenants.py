"""Tenants for tests: keys, the settings that know them, and a server that a tenant asks."""

from server.keys import digest
from server.settings import Key, Settings

ALICE, BOB = "pk-" + "Alice0123456789abcdefgh" * 2, "pk-" + "Bob9876543210zyxwvutsr" * 2


def settings(alice=None, bob=None, **others):
    """Settings in which Alice and Bob have keys, and these quotas."""
    keys = {
        "alice": Key(sha256=digest(ALICE), **(alice or {})),
        "bob": Key(sha256=digest(BOB), **(bob or {})),
    }
    return Settings(keys=keys, **others)


def bearing(key):
    """The headers of whoever has this key."""
    return {"authorization": f"Bearer {key}"}
