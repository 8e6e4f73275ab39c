"""Whether an engine is worth asking: a circuit breaker per engine (Nygard, Release It!, 2nd ed., chapter 5).

Failures eject an engine for a while. When that is over, one call at a time may try it (half-open): a success takes it
back, a failure ejects it for longer.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import anyio

from server.settings import Balancing
from strategies.protocols import BackendError

WINDOW = 10.0
"""Seconds whose calls are looked at, where failures do not come one after the other."""
FEWEST = 20
"""Calls in the window at least before their share of failures says something."""
ENGINES_OWN = ("connect", "timeout", "reset", "garbage")
"""Causes that speak against an engine, as do statuses of 500 and above; one that is busy is well."""


class Health:
    """The state of one engine, as seen from its calls."""

    def __init__(
        self, limits: Balancing, clock: Callable[[], float] = anyio.current_time, seed: int | None = None
    ) -> None:
        self.limits, self._clock, self._random = limits, clock, Random(seed)
        self.flying = 0
        self._recent: deque[tuple[float, bool]] = deque()
        self._in_a_row = self._ejections = 0
        self._out_until: float | None = None
        self._probing = False

    @property
    def out(self) -> bool:
        """Whether it is ejected and has not proved itself since."""
        return self._out_until is not None

    @property
    def available(self) -> bool:
        """Whether a call may go to it: it is in, or it is time to try it and nobody else does."""
        return self._out_until is None or (self._out_until <= self._clock() and not self._probing)

    @contextmanager
    def call(self, sequences: int) -> Iterator[None]:
        """A call of so many sequences under way. How it ends counts; that it is given up says nothing."""
        probe, self._probing = self.out, self._probing or self.out
        self.flying += sequences
        try:
            yield
            self.succeeded()
        except BackendError as error:
            if error.cause in ENGINES_OWN or (error.cause == "status" and (error.status or 0) >= 500):
                self.failed()
            else:
                self.succeeded()
            raise
        finally:
            self.flying -= sequences
            if probe:
                self._probing = False

    def succeeded(self) -> None:
        """A call went well, or an active check did."""
        self._count(True)
        self._in_a_row = 0
        if self.out:
            self._out_until, self._ejections = None, 0
            self._recent.clear()

    def failed(self) -> None:
        """A call failed for a reason of the engine's."""
        self._count(False)
        self._in_a_row += 1
        failures = sum(not well for _, well in self._recent)
        often = len(self._recent) >= FEWEST and failures > len(self._recent) / 2
        if self.out or self._in_a_row >= self.limits.failures or often:
            self._eject()

    def well(self) -> None:
        """An active check says that it answers again: it may be tried at once."""
        if self._out_until is not None:
            self._out_until = min(self._out_until, self._clock())

    def _eject(self) -> None:
        if self._out_until is not None and self._out_until > self._clock():
            return  # those that were under way tell nothing new
        longest = self.limits.longest_out_seconds
        seconds = min(longest, self.limits.out_seconds * 2**self._ejections)
        self._ejections = min(self._ejections + 1, 30)
        self._out_until = self._clock() + seconds * self._random.uniform(0.8, 1.2)

    def _count(self, well: bool) -> None:
        now = self._clock()
        self._recent.append((now, well))
        while self._recent[0][0] < now - WINDOW:
            self._recent.popleft()
