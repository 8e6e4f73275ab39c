"""A verifier for countdown that reads the question alone: the numbers given, each used once, must make the target."""

import ast
import operator
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Literal

from strategies.answers import final_answer, spoken
from strategies.protocols import Ask
from strategies.types import Candidate, Score
from strategies.verifiers.base import Settings, question

SIGNS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
WORDS = (
    re.compile(r"Using all the numbers (?P<numbers>[\d, ]+), create an expression that equals (?P<target>\d+)"),
    re.compile(r"Find a way to make (?P<target>\d+) using all of these numbers: (?P<numbers>[\d, ]+)"),
    re.compile(r"Calculate (?P<target>\d+) using all of these numbers: (?P<numbers>[\d, ]+)"),
)
LONGEST = 100
"""Characters of the longest formula that is read."""


class Countdown(Settings):
    """1 for an answer that uses the question's numbers once each and makes its target, else 0. Asks no model."""

    name: Literal["countdown"] = "countdown"

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score]:
        return [Score(checks(question(candidate), formula(candidate))) for candidate in candidates]


def formula(candidate: Candidate) -> str:
    """The formula that a candidate answers, without what may follow an equals sign."""
    return (final_answer(spoken(candidate), whole=candidate.finish == "stop") or "").partition("=")[0].strip()


def checks(asked: str, formula: str) -> float:
    """1.0 where the formula does what the question asks, 0.0 where it does not or cannot be read."""
    match = next(filter(None, (words.search(asked) for words in WORDS)), None)
    if match is None or len(formula) > LONGEST:
        return 0.0
    numbers = sorted(int(number) for number in match["numbers"].replace(" ", "").split(",") if number)
    try:
        value, used = evaluate(ast.parse(formula.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return 0.0
    return float(sorted(used) == numbers and value == int(match["target"]))


def evaluate(node: ast.expr) -> tuple[Fraction, list[int]]:
    """The value of a formula and the numbers in it. Raises ValueError for all but + - * / and whole numbers."""
    match node:
        case ast.Constant(value=int(whole)):
            return Fraction(whole), [whole]
        case ast.BinOp(left, sign, right) if type(sign) in SIGNS:
            (a, used), (b, also) = evaluate(left), evaluate(right)
            return SIGNS[type(sign)](a, b), used + also
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value, used = evaluate(operand)
            return -value, used
    raise ValueError("not a formula of + - * /")
