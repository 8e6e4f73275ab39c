"""File descriptors: as many as there may be, and a word where these are too few for the limits of the settings."""

import logging
import resource

from server.settings import Settings

log = logging.getLogger("ponder")

PER_CONNECTION = 2
"""A client's, and one to an engine for it."""


def raise_limit(wanted: int) -> int:
    """Raise the soft limit of this process to the hard one, or where that has no end, to `wanted`; what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(soft, wanted) if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


def check(settings: Settings) -> None:
    """Make room, and warn where `door.connections` need more than there is."""
    needed = settings.door.connections * PER_CONNECTION
    there = raise_limit(needed)
    if there < needed:
        log.warning(
            "ponder: door.connections = %d may need %d file descriptors, but this process may open only %d",
            settings.door.connections,
            needed,
            there,
        )
