"""Whether two formulas are equal, by math-verify. Runs in a worker process: nothing here is safe on hostile text."""

import logging
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any


def first_equal(known: Sequence[str], formula: str) -> int | None:
    """The place of the first of `known` that equals `formula`, the known one taken for the reference.

    What cannot be read equals nothing. May take any time and any memory.
    """
    return next((at for at, other in enumerate(known) if equal(read(other), read(formula))), None)


def equal(reference: Any, value: Any) -> bool:
    """Whether two formulas are equal; what could not be read, or has no value, equals nothing."""
    from math_verify import verify

    if reference is None or value is None:
        return False
    try:
        alike = bool(verify(reference, value, timeout_seconds=None)) and not undefined(reference)
        return alike and (reference == value or not beyond(reference))
    except (MemoryError, RecursionError):
        raise
    except Exception:  # sympy raises anything on formulas that nobody would write
        return False


def undefined(value: Any) -> bool:
    """Whether a formula has no value, such as 1/0: two of these are not the same answer."""
    import sympy

    return isinstance(value, sympy.Basic) and value.has(sympy.nan, sympy.zoo)


def beyond(value: Any) -> bool:
    """Whether a number is too large, or too near 0, for a float: there, numbers that differ look alike."""
    import sympy

    if not isinstance(value, sympy.Expr) or not value.is_number:
        return False
    size = abs(value.evalf())
    return bool(size) and float(size) in (0.0, math.inf)


@lru_cache(maxsize=256)
def read(formula: str) -> Any:
    """The formula as sympy has it; None where it cannot be read."""
    from math_verify import parse

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)  # it warns that its own time limit is off
    try:
        values = parse(f"${formula}$", parsing_timeout=None)
    except (MemoryError, RecursionError):
        raise
    except Exception:
        return None
    return values[0] if values and not isinstance(values[0], str) else None
