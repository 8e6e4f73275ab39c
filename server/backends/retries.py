"""Which failed calls are made again, and how many of them at most: retries must not make an outage worse."""

from server.settings import PoolSettings
from strategies.protocols import BackendError
from strategies.types import Cause

TRANSIENT: frozenset[Cause] = frozenset(
    ("connect", "timeout", "reset", "status", "overloaded", "garbage", "error_in_stream")
)
"""What another attempt may get over; what an engine refuses it refuses again."""
MOST = 100.0
"""Retries that can be saved up for."""


class Retries:
    """A budget of retries for the whole process, a token bucket: calls that go well earn a share of a retry each.

    So a total outage costs no more than what was saved up (the retry throttling of gRPC's proposal A6).
    """

    def __init__(self, settings: PoolSettings) -> None:
        self._share, self._left = settings.retry_share, float(settings.retry_reserve)
        self._most = max(MOST, self._left)

    def earn(self) -> None:
        """A call went well."""
        self._left = min(self._most, self._left + self._share)

    def spend(self) -> bool:
        """Take one retry, if there is one."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


def transient(error: BackendError) -> bool:
    """Whether another attempt may go better."""
    refused = error.status is not None and 400 <= error.status < 500 and error.status != 429
    return error.cause in TRANSIENT and not refused
