"""Whether one engine is to be sent calls: a circuit breaker. Pure but for its clock; knows nothing of HTTP.

An engine that fails several calls in a row, or most calls of the last seconds, is out for a while, each time for
longer. Then one call at a time is let through to it (half-open), until one is answered.
"""

import random
import time
from collections import deque
from collections.abc import Callable

from server.settings import PoolSettings

WINDOW = 10.0
"""Seconds over which the share of failures is taken."""
FEWEST = 10
"""Calls in the window below which no share is taken."""
LONGEST = 60.0
"""Seconds that an engine is out at most; one that was in for so long begins anew with the shortest time."""


class Health:
    """What is known of one engine from the calls that it got, and from checks while it is out."""

    def __init__(
        self,
        settings: PoolSettings,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._settings, self._clock, self._chance = settings, clock, chance
        self._calls: deque[float] = deque()
        self._failures: deque[float] = deque()
        self._in_a_row = self._times = 0
        self._until: float | None = None
        self._back = 0.0
        self._probing = self._down = False

    @property
    def out(self) -> bool:
        """Whether calls go to other engines."""
        return self._until is not None

    @property
    def admits(self) -> bool:
        """Whether a call may go to it: it is in, or its time is over and nobody else tries it right now."""
        return self._until is None or (self._clock() >= self._until and not self._down and not self._probing)

    def begin(self) -> bool:
        """A call goes to it; whether it is out, so that the call tries it."""
        self._probing = self.out
        now = self._clock()
        forget(self._calls, now)
        self._calls.append(now)
        return self.out

    def end(self, trying: bool) -> None:
        """A call is over, whatever came of it."""
        if trying:
            self._probing = False

    def answered(self, trying: bool = False) -> None:
        """Something good came of a call. Those that it got before it was out do not bring it back."""
        self._in_a_row = 0
        if self.out and trying:
            self._until, self._back = None, self._clock()

    def failed(self, trying: bool = False) -> None:
        """A call to it failed by its fault."""
        if self._until is not None:
            if trying and self._clock() >= self._until:
                self._eject()
            return
        self._failures.append(self._clock())
        self._in_a_row += 1
        if self._in_a_row >= self._settings.eject_failures or self._mostly_failing():
            self._eject()

    def checked(self, fine: bool) -> None:
        """It was asked how it is, while out. One that was down and is there again is tried at once."""
        if fine and self._down and self.out:
            self._until = self._clock()
        self._down = self.out and not fine

    def _mostly_failing(self) -> bool:
        forget(self._calls, self._clock())
        forget(self._failures, self._clock())
        return len(self._calls) >= FEWEST and len(self._failures) > self._settings.eject_share * len(self._calls)

    def _eject(self) -> None:
        """Out, twice as long as the last time, and some more or less, so that not all servers try it at once."""
        now = self._clock()
        self._times = 1 if not self.out and now - self._back > LONGEST else self._times + 1
        seconds = min(LONGEST, self._settings.eject_seconds * 2.0 ** min(self._times - 1, 16))
        self._until = now + seconds * (0.75 + self._chance() / 2)
        self._calls.clear()
        self._failures.clear()
        self._in_a_row, self._down = 0, False


def forget(times: deque[float], now: float) -> None:
    """Leave only the times of the window: done with each call, for an engine that never fails would keep them all."""
    while times and times[0] < now - WINDOW:
        times.popleft()
