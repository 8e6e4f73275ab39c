"""What reward models send, as typed structs, and the values in it."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from strategies.protocols import BackendError

Row = list[float]
"""A value for each label."""


class Entry(msgspec.Struct):
    """What an answer says about one input."""

    index: int


class Class(Entry):
    probs: Row


class Classes(msgspec.Struct):
    """The answer of `/classify`: a value for each label, of each input."""

    data: list[Class]


class Pair(Entry):
    score: float


class Pairs(msgspec.Struct):
    """The answer of `/score`: one value for each pair."""

    data: list[Pair]


class Pooled(Entry):
    data: list[float | Row]


class Pools(msgspec.Struct):
    """The answer of `/pooling`: of each input one row a step tag (a token, without tags), in it a value a label."""

    data: list[Pooled]


E = TypeVar("E", bound=Entry)


def value_of(row: float | Row, activation: bool) -> float:
    """What labels say as one value: the only label's; of two, the second's share, or raw, how far it is ahead."""
    match row:
        case float():
            return row
        case [value]:
            return value
        case [bad, good]:
            return good if activation else good - bad
    raise BackendError(f"a reward model has one label or two, this one has {len(row)}")


def at_places(rows: Sequence[float | Row], ids: Sequence[int], places: Sequence[int], tag: int) -> list[float | Row]:
    """The rows of our own tags: a prompt, or a step, may hold the tag as well. Raises BackendError."""
    seen = range(len(ids)) if len(rows) == len(ids) else [at for at, id in enumerate(ids) if id == tag]
    if len(rows) != len(seen):
        raise BackendError(f"the reward model gave {len(rows)} values for {len(seen)} step tags")
    row_at = dict(zip(seen, rows, strict=True))
    return [row_at[place] for place in places]


def in_order(data: Sequence[E], count: int) -> list[E]:
    """An answer's entries by their index. Raises BackendError where one is missing."""
    ordered = sorted(data, key=lambda one: one.index)
    if [one.index for one in ordered] != list(range(count)):
        raise BackendError(f"the reward model answered {len(data)} of {count} inputs")
    return ordered


def whole(values: Sequence[float | None]) -> tuple[float, ...] | None:
    """All the values, or None where one is missing."""
    known = [value for value in values if value is not None]
    return tuple(known) if len(known) == len(values) else None
