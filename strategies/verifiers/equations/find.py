"""The equations of a text: what stands on both sides of each equality sign, if that can be told."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from strategies.verifiers.equations.compare import same
from strategies.verifiers.equations.evaluate import Untestable, Value, evaluate
from strategies.verifiers.equations.read import read
from strategies.verifiers.equations.scan import scan
from strategies.verifiers.equations.tokens import Token
from strategies.verifiers.equations.units import CONNECTIVES, DOUBTFUL_BEFORE, OF_IS_PLAIN_AFTER, RESCALING, UNITS

MAX_TOKENS = 64
"""Longer sides are not tested."""
PARTS = ("number", "op", "(", ")", "frac", "sqrt")
HARMLESS = "?!|"
"""Signs that spoil an expression only when they touch it."""


@dataclass(frozen=True, slots=True)
class Equation:
    """An equality that was tested: its text as found, and whether it holds."""

    text: str
    holds: bool


def equations(text: str) -> list[Equation]:
    """Every testable `a = b` with an operator in it, in order; each link of `a = b = c` is one.

    What cannot be read with certainty (variables, unlike units, remainders, unfinished lines) is left out.
    """
    tokens = read(scan(text))
    found = []
    for at, token in enumerate(tokens):
        if token.kind in ("=", "~") and (tested := _judge(tokens, at)):
            left, right, holds = tested
            found.append(Equation(text[left.start : right.end], holds))
    return found


def _judge(tokens: Sequence[Token], at: int) -> tuple[Token, Token, bool] | None:
    """The first and last token of the equation around the sign at `at`, and whether it holds."""
    left, before = _side(tokens, at, -1)
    right, after = _side(tokens, at, 1)
    if not left or not right or (doubt := _doubt(tokens, left, before, after)) is None:
        return None
    try:
        a, b = evaluate(left), evaluate(right)
    except Untestable:
        return None
    if not a.operations + b.operations:
        return None
    holds = same(a, b, approximate=tokens[at].kind == "~")
    if not holds and (run_on := _run_on(tokens, a, right, after)) is not None:
        right, holds = run_on
    if holds is False and before is not None and before.text == "-":
        holds = _negated(left, before, b) or holds
    if holds is None or (not holds and (doubt or a.doubt or b.doubt or not a.operations)):
        return None
    return left[0], right[-1], holds


def _side(tokens: Sequence[Token], at: int, step: int) -> tuple[list[Token], Token | None]:
    """The expression on one side of the sign at `at`, and the token beyond it; [] when it is too long."""
    end = at + step
    while 0 <= end < len(tokens) and tokens[end].kind in PARTS and abs(end - at) <= MAX_TOKENS + 1:
        end += step
    side = list(tokens[at + 1 : end] if step > 0 else tokens[end + 1 : at])
    return (side if len(side) <= MAX_TOKENS else []), tokens[end] if 0 <= end < len(tokens) else None


def _doubt(tokens: Sequence[Token], left: list[Token], before: Token | None, after: Token | None) -> bool | None:
    """Whether what surrounds an equation throws doubt on it; None where it cannot be tested at all."""
    earlier, later = _before(left, before), _after(after)
    if earlier is None or later is None:
        return None
    return earlier or later


def _before(left: list[Token], before: Token | None) -> bool | None:
    """The doubt that comes from what stands before the left side."""
    first = left[0]
    tight = before is not None and before.end == first.start
    if before is not None and before.kind == "bad" and (tight or before.text not in HARMLESS):
        return None
    words = before.text.split() if before is not None and before.kind == "break" else []
    named = bool(words) and words[-1].isalpha()
    last = words[-1].lower() if named else ""
    if first.kind == "op":
        own = first.text == "-" and len(left) > 1 and first.end == left[1].start and not tight
        return False if own and (not named or last in CONNECTIVES) else None
    if named and tight and first.kind == "(":
        return None
    if last == "of":
        return words[-2].lower() not in OF_IS_PLAIN_AFTER if len(words) > 1 else True
    return last in DOUBTFUL_BEFORE


def _after(after: Token | None) -> bool | None:
    """The doubt that comes from what stands behind the right side."""
    if after is None:
        return False
    if after.kind == "bad":
        return None if after.text != "|" else False
    words = after.text.lower().split()
    if not words or after.kind != "break":
        return False
    if words[0] in RESCALING:
        return None
    return words[-1] == "and" or (len(words) == 1 and words[0] in UNITS)


def _run_on(
    tokens: Sequence[Token], left: Value, right: list[Token], after: Token | None
) -> tuple[list[Token], bool | None] | None:
    """Read `2 + 3 = 5 + 4 = 9` as its writer meant it: 2 + 3 = 5, and 5 + 4 = 9."""
    if len(right) < 3 or right[0].kind != "number" or right[1].kind != "op":
        return None
    lead = evaluate(right[:1])
    if not same(left, lead, approximate=False):
        return None
    return right[:1], True if after is not None and after.kind in ("=", "~") else None


def _negated(left: list[Token], dash: Token, right: Value) -> bool:
    """Whether the equation holds when the dash before it is no bullet but a minus."""
    try:
        return bool(same(evaluate([replace(dash, kind="op"), *left]), right, approximate=False))
    except Untestable:
        return False
