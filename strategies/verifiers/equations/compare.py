"""Whether two values are the same as people write them: exactly, rounded, cut off, or in percent."""

from fractions import Fraction

from strategies.verifiers.equations.evaluate import PERCENT, Value
from strategies.verifiers.equations.tokens import Token
from strategies.verifiers.equations.units import convertible

CLOSE = Fraction(1, 100)
LOOSE = Fraction(1, 20)


def same(a: Value, b: Value, approximate: bool) -> bool | None:
    """True, False, or None where the difference may have an honest reason: a rounding, a conversion, a remainder."""
    if a.units and b.units and a.units != b.units and PERCENT not in (a.units, b.units) and not a.operations:
        return None
    if _equal(a, b):
        return True
    if b.literal is not None:
        verdict = _written(a, b, b.literal, approximate)
    else:
        verdict = None if _inexact(a, b) and (_near(a.exact, b.exact, CLOSE) or _cut(a.exact, b.exact)) else False
    if verdict is False and (convertible(a.units, b.units) or abs(a.exact - b.exact) <= a.slack + b.slack):
        return None
    return verdict


def _equal(a: Value, b: Value) -> bool:
    """Exactly equal, or equal when a lone percent sign is taken for a unit: 30 / 100 * 100 = 30%."""
    if a.exact == b.exact:
        return True
    if b.units == PERCENT and a.units == ():
        return a.exact == b.exact * 100
    return a.units == PERCENT and b.units == () and a.exact * 100 == b.exact


def _written(a: Value, b: Value, literal: Token, approximate: bool) -> bool | None:
    """Compare with a number that may have been rounded when it was written."""
    exact, ulp = a.exact, literal.ulp
    if approximate:
        ulp *= 10 ** (len(literal.text) - len(literal.text.rstrip("0")) if ulp == 1 else 0)
    off = abs(exact - b.exact)
    rounded = off <= ulp / 2 or (off < ulp and abs(exact) >= abs(b.exact))
    if approximate:
        return True if rounded else None if _near(exact, b.exact, LOOSE) else False
    if literal.ulp == 1:
        return None if _cut(exact, b.exact) else False
    if rounded:
        return True if (exact * 100).denominator != 1 or literal.loose else None
    return None if off <= ulp / 2 + a.slack else False


def _near(a: Fraction, b: Fraction, share: Fraction) -> bool:
    return abs(a - b) <= share * max(abs(a), abs(b))


def _cut(exact: Fraction, whole: Fraction) -> bool:
    """Whether a whole number is what is left of one without its fraction, up or down."""
    return whole.denominator == 1 and abs(exact - whole) < 1


def _inexact(a: Value, b: Value) -> bool:
    """Whether rounding can have come between two calculations."""
    return a.exact.denominator != 1 or b.exact.denominator != 1
