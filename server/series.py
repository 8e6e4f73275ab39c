"""Metrics whose series are bounded: what more names would add is counted under `other`, so that totals stay right."""

import fcntl
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TextIO, TypeVar

from prometheus_client import Counter, Gauge, Histogram

OTHER = "other"
"""What stands for all names that are not told apart any more."""

M = TypeVar("M", Counter, Gauge, Histogram)


class Bound:
    """How many series there may still be. `dropped` is called where there was no room for more."""

    def __init__(self, most: int, dropped: Callable[[], None]) -> None:
        self.left, self._dropped = most, dropped

    def keep(self, series: int) -> None:
        """Set so many aside, whatever comes."""
        self.left -= series

    def take(self, name: str, series: int) -> bool:
        """Whether there is room for so many more, under a new name."""
        fits = self._fits(name, series)
        if not fits:
            self._dropped()
        return fits

    def _fits(self, name: str, series: int) -> bool:
        fits = series <= self.left
        self.left -= series if fits else 0
        return fits


class SharedBound(Bound):
    """A bound on the series of several processes together: the names that have room stand in a file, `ledger`.

    It is read until one name finds no room; from then on no further name of this process gets any.
    """

    def __init__(self, most: int, dropped: Callable[[], None], ledger: Path) -> None:
        super().__init__(most, dropped)
        self._ledger = ledger
        self._known: dict[str, int] = {}
        self._full = False

    def _fits(self, name: str, series: int) -> bool:
        if not self._full and name not in self._known:
            with self._ledger.open("a+") as ledger:
                fcntl.flock(ledger, fcntl.LOCK_EX)  # until it is closed
                ledger.seek(0)
                self._enter(name, series, ledger)
        return name in self._known

    def _enter(self, name: str, series: int, ledger: TextIO) -> None:
        """Read what others have entered and, where that leaves room, enter one more."""
        entries = [line.split(" ", 1) for line in ledger.read().splitlines()]
        self._known = {known: int(count) for count, known in entries}
        if name in self._known:
            return
        self._full = sum(self._known.values()) + series > self.left
        if not self._full:
            self._known[name] = series
            ledger.write(f"{series} {name}\n")


class Family(Generic[M]):
    """One metric. Its labels are names ("model"), or names with all their values ("outcome=ok|error").

    Series under `other` are set aside at the start.
    """

    def __init__(self, kind: type[M], name: str, help: str, labels: tuple[str, ...], bound: Bound, **options: Any):
        self.kind: type[M] = kind
        self.name, self.help, self.labels, self._bound = name, help, labels, bound
        split = [label.partition("=") for label in labels]
        self._open = [not values for _, _, values in split]
        self._made: M = kind(name, help, [label for label, _, _ in split], **options)
        self._children: dict[tuple[str, ...], M] = {}
        self._each = len(options["buckets"]) + 3 if "buckets" in options else 1
        bound.keep(self._each * math.prod(values.count("|") + 1 for _, _, values in split))

    @property
    def told(self) -> str:
        """Its name on the page of metrics."""
        return f"{self.name}_total" if self.kind is Counter else self.name

    def at(self, *values: str) -> M:
        """The child for these values of the labels, in order."""
        child = self._children.get(values)
        return child if child is not None else self._new(values)

    def _new(self, values: tuple[str, ...]) -> M:
        if any(self._open) and not self._bound.take(f"{self.name}{values}", self._each):
            values = tuple(OTHER if open else value for open, value in zip(self._open, values, strict=True))
        if values not in self._children:
            self._children[values] = self._made.labels(*values) if values else self._made
        return self._children[values]
