"""Whether two formulas are equal, by math-verify. Runs in a worker process: nothing here is safe on hostile text."""

import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Any


def first_equal(known: Sequence[str], formula: str) -> int | None:
    """The place of the first of `known` that equals `formula`, the known one taken for the reference.

    What cannot be read equals nothing. May take any time and any memory.
    """
    from math_verify import verify

    value = read(formula)
    for at, other in enumerate(known):
        reference = read(other)
        if value is not None and reference is not None and verify(reference, value, timeout_seconds=None):
            return at
    return None


@lru_cache(maxsize=256)
def read(formula: str) -> Any:
    """The formula as sympy has it; None where it cannot be read."""
    from math_verify import parse

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that its own time limit is off
    value, *_ = [*parse(f"${formula}$", parsing_timeout=None), None]
    return None if isinstance(value, str) else value
