"""Who waits to be let in, for how long, and what those at work have reserved: what the metrics tell of the gate."""

import time
from collections.abc import Callable

from server.admission import Size


class Line:
    """The requests of one process from their arrival at the gate to their end, by id. `waited` hears each wait."""

    def __init__(self) -> None:
        self.waited: Callable[[float], None] = lambda seconds: None
        self.samples = self.tokens = 0
        self._since: dict[int, float] = {}
        self._working: dict[int, Size] = {}

    def comes(self, id: int) -> None:
        """A request waits."""
        self._since[id] = time.monotonic()

    def begins(self, id: int, size: Size) -> None:
        """It is let in."""
        self.waited(time.monotonic() - self._since.pop(id))
        self._working[id] = size
        self.samples += size.samples
        self.tokens += size.tokens

    def leaves(self, id: int) -> None:
        """It waits no more, or is over."""
        self._since.pop(id, None)
        size = self._working.pop(id, Size())
        self.samples -= size.samples
        self.tokens -= size.tokens

    @property
    def length(self) -> int:
        return len(self._since)

    @property
    def oldest(self) -> float:
        """Seconds that the first of them has waited; 0 where nobody waits."""
        first = next(iter(self._since.values()), None)
        return 0.0 if first is None else time.monotonic() - first
