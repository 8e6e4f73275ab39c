"""A memory for what costs a request to find out, and may change behind our back when a model is replaced."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import anyio

K = TypeVar("K")
V = TypeVar("V")

SECONDS = 600.0
"""How long a value counts: longer than most searches, and soon over when another model is served under the name."""


class Lately(Generic[K, V]):
    """The `most` values used last, by key; each for so many seconds."""

    def __init__(self, most: int, seconds: float = SECONDS, clock: Callable[[], float] = anyio.current_time) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._values: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def __setitem__(self, key: K, value: V) -> None:
        self._values[key] = self._clock() + self._seconds, value
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)

    def get(self, key: K) -> V | None:
        """The value, which stays among those used last; None where it is not known any more."""
        until, value = self._values.get(key, (0.0, None))
        if value is None or until < self._clock():
            return None
        self._values.move_to_end(key)
        return value
