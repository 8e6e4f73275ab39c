"""How often calls are tried again: a budget of the whole process, so that an outage is not made worse by retries.

A token bucket that calls fill and retries empty (Google's SRE book, chapter 21).
"""

MOST = 10.0
"""Retries that a quiet time saves up."""


class RetryBudget:
    """Retries are at most a share of all calls, and a few."""

    def __init__(self, share: float) -> None:
        self.share = share
        self._left = MOST if share else 0.0

    def called(self) -> None:
        """A call begins."""
        self._left = min(MOST, self._left + self.share)

    def take(self) -> bool:
        """Whether one more retry may be made; it is then."""
        if self._left < 1:
            return False
        self._left -= 1
        return True
