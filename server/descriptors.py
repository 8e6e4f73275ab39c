"""File descriptors: as many as there may be, and a word where these are too few for the limits of the settings."""

import logging
import resource

from server.settings import Settings

log = logging.getLogger("ponder")

PER_CONNECTION = 2
"""A client's, and one to an engine for it."""


def raise_limit() -> int:
    """Raise the soft limit of this process to the hard one; what it is now."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def check(settings: Settings) -> None:
    """Make room, and warn where `door.connections` need more than there is."""
    there, needed = raise_limit(), settings.door.connections * PER_CONNECTION
    if there < needed:
        log.warning(
            "ponder: door.connections = %d may need %d file descriptors, but this process may open only %d",
            settings.door.connections,
            needed,
            there,
        )
