"""Which of several engines gets a call. Pure.

The calls of one search prefer one engine, whose prefix cache has their prompt: the first by rendezvous hashing (Thaler
and Ravishankar 1998), which moves few prompts when engines come and go. One that has too much to do is passed over, as
in consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam 2018, arXiv:1608.01350).
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol, TypeVar

LIGHT = 8
"""Sequences in flight that are never too many for one engine: a group of samples, which share a prompt."""


class Placed(Protocol):
    """Something that takes calls: its name, and the sequences that it has in flight."""

    @property
    def name(self) -> str: ...

    @property
    def load(self) -> int: ...


P = TypeVar("P", bound=Placed)


def choose(engines: Sequence[P], key: bytes, n: int, factor: float, home: str = "") -> P:
    """The engine for a call of `n` sequences under a prompt that `key` stands for.

    `home`, where the path that goes on was grown, comes first, then the others in the prompt's own order. Who would
    have more than `factor` times the mean of the sequences in flight is passed over; where all would, the least loaded
    gets it. At least one engine has to be given.
    """
    ranked = sorted(engines, key=lambda one: (one.name == home, weight(key, one.name)), reverse=True)
    most = max(LIGHT, factor * (sum(one.load for one in ranked) + n) / len(ranked))
    fitting = [one for one in ranked if one.load + n <= most]
    return fitting[0] if fitting else min(ranked, key=lambda one: one.load)


def weight(key: bytes, name: str) -> bytes:
    """The weight of an engine for a prompt: as good as random, but the same in every process."""
    return blake2b(name.encode(), key=key[:64], digest_size=8).digest()
