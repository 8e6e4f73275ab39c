"""Which of several engines a call goes to: the one whose prefix cache has its prompt, unless that has too much to do.

Rendezvous hashing (Thaler and Ravishankar 1998) with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2018): every prompt
has an order of engines of its own, and goes to the first that holds no more than its share. An engine that comes or
goes moves only its own prompts.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol

FACTOR = 1.25
"""How many times the mean an engine may hold."""


class Loaded(Protocol):
    """An engine, as far as placing knows it."""

    @property
    def name(self) -> str: ...

    @property
    def flying(self) -> int: ...


def ordered(engines: Sequence[Loaded], key: bytes) -> list[int]:
    """The places of the engines, the prompt's favourite first: the same in every process."""
    weights = [blake2b(key, digest_size=8, key=engine.name.encode()[:64]).digest() for engine in engines]
    return sorted(range(len(engines)), key=lambda at: weights[at], reverse=True)


def placed(engines: Sequence[Loaded], key: bytes, sequences: int, spread: int) -> list[int]:
    """The places of the engines in the order in which a call of so many sequences should try them.

    An engine with at most `spread` sequences in flight is never too busy: they run side by side anyway.
    """
    if len(engines) == 1:
        return [0]
    order = ordered(engines, key)
    mean = (sum(engine.flying for engine in engines) + sequences) / len(engines)
    most = max(spread, FACTOR * mean)
    free = [at for at in order if engines[at].flying + sequences <= most]
    return free + sorted((at for at in order if at not in free), key=lambda at: engines[at].flying)
