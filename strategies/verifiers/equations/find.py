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
    """An equality that was tested: its text as found, whether it holds, and where in the whole text it ends."""

    text: str
    holds: bool
    end: int


def equations(text: str, complete: bool = True) -> list[Equation]:
    """Every testable `a = b` with an operator in it, in order; each link of `a = b = c` is one.

    What cannot be read with certainty (variables, unlike units, remainders, unfinished lines) is left out, and so is
    an equation at the very end of a text that is not `complete`: more digits may follow.
    """
    tokens = read(scan(text))
    found = []
    for at, token in enumerate(tokens):
        if token.kind in ("=", "~") and (tested := _judge(tokens, at)):
            left, right, holds = tested
            if complete or right.end < len(text):
                found.append(Equation(text[left.start : right.end], holds, right.end))
    return found


def _judge(tokens: Sequence[Token], at: int) -> tuple[Token, Token, bool] | None:
    """The first and last token of the equation around the sign at `at`, and whether it holds."""
    left, right = _left(tokens, at), _right(tokens, at)
    before, after = _at(tokens, at - len(left) - 1), _at(tokens, at + len(right) + 1)
    if not left or not right or (doubt := _doubt(left, before, after, _at(tokens, at + len(right) + 2))) is None:
        return None
    try:
        a, b = evaluate(left), evaluate(right)
    except Untestable:
        return None
    if not a.operations + b.operations:
        return None
    holds = same(a, b, approximate=tokens[at].kind == "~")
    if not holds and a.operations and (run_on := _run_on(a, right, after)) is not None:
        right, holds = run_on
    if holds is False and before is not None and before.text == "-":
        holds = _negated(left, before, b)
    if holds is None or (not holds and (doubt or a.doubt or b.doubt or not a.operations)):
        return None
    return left[0], right[-1], holds


def _at(tokens: Sequence[Token], at: int) -> Token | None:
    return tokens[at] if 0 <= at < len(tokens) else None


def _left(tokens: Sequence[Token], at: int) -> Sequence[Token]:
    """The expression that ends before the sign at `at`; empty when it is too long."""
    start = at
    while start and tokens[start - 1].kind in PARTS and at - start <= MAX_TOKENS:
        start -= 1
    return tokens[start:at] if at - start <= MAX_TOKENS else []


def _right(tokens: Sequence[Token], at: int) -> Sequence[Token]:
    """The expression that begins after the sign at `at`; empty when it is too long."""
    end = at + 1
    while end < len(tokens) and tokens[end].kind in PARTS and end - at <= MAX_TOKENS + 1:
        if tokens[end].kind == "(" and tokens[end - 1].kind in ("number", ")") and _aside(tokens, end):
            break
        end += 1
    return tokens[at + 1 : end] if end - at <= MAX_TOKENS + 1 else []


def _aside(tokens: Sequence[Token], at: int) -> bool:
    """Whether a parenthesis after a number is a remark: 7 (since 4 is 3 + 1)."""
    if tokens[at].start == tokens[at - 1].end:
        return False
    inside = tokens[at : at + MAX_TOKENS]
    close = next((i for i, token in enumerate(inside) if token.kind == ")"), len(inside))
    return any(token.kind not in PARTS for token in inside[:close])


def _doubt(left: Sequence[Token], before: Token | None, after: Token | None, beyond: Token | None) -> bool | None:
    """Whether what surrounds an equation throws doubt on it; None where it cannot be tested at all."""
    earlier, later = _before(left, before), _after(after, beyond)
    if earlier is None or later is None:
        return None
    return earlier or later


def _before(left: Sequence[Token], before: Token | None) -> bool | None:
    """The doubt that comes from what stands before the left side."""
    first = left[0]
    tight = before is not None and before.end == first.start
    if before is not None and before.kind == "bad" and (tight or before.text not in HARMLESS):
        return None
    words = before.text.split() if before is not None and before.kind == "break" else []
    named = bool(words) and words[-1].isalpha()
    last = words[-1].lower() if named else ""
    if first.kind == "op":
        glued = tight and before is not None and not before.text[-1:].isspace()
        own = first.text == "-" and len(left) > 1 and first.end == left[1].start and not glued
        return False if own and (not named or last in CONNECTIVES) else None
    if named and tight and first.kind == "(":
        return None
    if last == "of":
        return words[-2].lower() not in OF_IS_PLAIN_AFTER if len(words) > 1 else True
    return last in DOUBTFUL_BEFORE


def _after(after: Token | None, beyond: Token | None) -> bool | None:
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
    followed = beyond is not None and beyond.kind == "number"
    return followed and len(words) <= 2 and (words[-1] == "and" or words[-1] in UNITS)


def _run_on(left: Value, right: Sequence[Token], after: Token | None) -> tuple[Sequence[Token], bool | None] | None:
    """Read `2 + 3 = 5 + 4 = 9` as its writer meant it: 2 + 3 = 5, and 5 + 4 = 9."""
    if len(right) < 3 or right[0].kind != "number" or right[1].kind != "op":
        return None
    if not same(left, evaluate(right[:1]), approximate=False):
        return None
    return right[:1], True if after is not None and after.kind in ("=", "~") else None


def _negated(left: Sequence[Token], dash: Token, right: Value) -> bool:
    """Whether the equation holds when the dash before it is no bullet but a minus."""
    try:
        return bool(same(evaluate([replace(dash, kind="op"), *left]), right, approximate=False))
    except Untestable:
        return False
