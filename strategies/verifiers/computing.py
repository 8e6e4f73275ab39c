"""Judging many texts in few calls to a worker, so that one hostile text spoils neither the others nor the server."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from strategies.protocols import Ask, Expired

T = TypeVar("T")

CHARACTERS = 100_000
"""Characters of text in one call: at the 10 microseconds a character that a scan takes at worst, a second."""
STRIKES = 3
"""Single texts that may expire before the rest goes unjudged: each costs a worker all of its time."""


async def each_text(
    function: Callable[..., list[T]], texts: Sequence[str], ask: Ask, *arguments: Any
) -> list[T | None]:
    """`function(some_texts, *arguments)` over all texts; None for those that could not be judged in time.

    Where a call with many texts expires, they are tried one by one.
    """
    results: list[T | None] = []
    strikes = 0
    for batch in batches(texts):
        try:
            results += await ask.compute(function, batch, *arguments)
            continue
        except Expired:
            if len(batch) == 1:
                results.append(None)
                continue
        for text in batch:
            try:
                results += await ask.compute(function, [text], *arguments) if strikes < STRIKES else [None]
            except Expired:
                results.append(None)
                strikes += 1
    return results


def batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in order, in lists of at most `CHARACTERS` together, or one text."""
    batch: list[str] = []
    for text in texts:
        if batch and sum(map(len, batch)) + len(text) > CHARACTERS:
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch
