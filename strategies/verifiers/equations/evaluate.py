"""The exact value of an expression: a small precedence parser over fractions, with bounds on everything."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isqrt

from strategies.verifiers.equations.tokens import Token
from strategies.verifiers.equations.units import Units, combined

MAX_BITS = 4096
MAX_DEPTH = 16
MAX_EXPONENT = 64
PERCENT: Units = (("%", 1),)
BINDING = {"+": 1, "-": 1, "*": 2, "/": 2, "//": 2, "mod": 2, "implied": 2, "^": 4}


class Untestable(Exception):
    """The tokens are no expression whose value is known."""


@dataclass(frozen=True, slots=True)
class Value:
    """An exact value, how far it may be off for the rounding of what it was made from, and its units.

    `literal` is the token of a value that is one written number. `doubt` says that it could be read otherwise.
    """

    exact: Fraction
    slack: Fraction = Fraction(0)
    units: Units = ()
    operations: int = 0
    literal: Token | None = None
    doubt: bool = False


def evaluate(tokens: Sequence[Token]) -> Value:
    """The value of all the tokens as one expression. Raises Untestable."""
    parser = _Parser(tokens)
    value = parser.expression(0, 0)
    if parser.at != len(tokens):
        raise Untestable
    return value


class _Parser:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.at = 0

    def take(self, *kinds: str) -> Token:
        if self.at == len(self.tokens) or self.tokens[self.at].kind not in kinds:
            raise Untestable
        self.at += 1
        return self.tokens[self.at - 1]

    def expression(self, binding: int, depth: int) -> Value:
        """Whatever binds tighter than `binding`."""
        if depth > MAX_DEPTH:
            raise Untestable
        left = self.prefix(depth)
        while (sign := self.infix()) and BINDING[sign] > binding:
            implied = sign == "implied"
            self.at += not implied
            right = self.expression(BINDING[sign] - (sign == "^"), depth + 1)
            left = combine("*" if implied else sign, left, right)
            if implied and self.divided():
                left = replace(left, doubt=True)
        return left

    def infix(self) -> str:
        """The operator that comes next, "" for none; "implied" between a number or a parenthesis and the next one."""
        if self.at == len(self.tokens):
            return ""
        token, before = self.tokens[self.at], self.tokens[self.at - 1]
        if token.kind == "op":
            return token.text
        tight = token.kind == "(" and token.start == before.end and before.units != PERCENT
        return "implied" if tight else ""

    def divided(self) -> bool:
        """Whether a division came before, so that 8/2(4) has two readings."""
        return any(token.text == "/" for token in self.tokens[: self.at])

    def prefix(self, depth: int) -> Value:
        token = self.take("number", "(", "op", "frac", "sqrt")
        match token.kind:
            case "number":
                return Value(token.value, token.slack, token.units, literal=token, doubt=token.doubt)
            case "(":
                return self.group(depth)
            case "frac":
                return self.fraction(depth)
            case "sqrt":
                return self.root(depth)
        if token.text not in "+-":
            raise Untestable
        return self.signed(token.text, depth)

    def signed(self, sign: str, depth: int) -> Value:
        value = self.expression(3, depth + 1)
        doubt = value.doubt or any(t.text == "^" for t in self.tokens[max(self.at - 2, 0) : self.at])
        return replace(value, exact=-value.exact if sign == "-" else value.exact, doubt=doubt)

    def group(self, depth: int) -> Value:
        value = self.expression(0, depth + 1)
        close = self.take(")")
        units = close.units or value.units
        return replace(value, units=units)

    def fraction(self, depth: int) -> Value:
        self.take("(")
        above = self.group(depth)
        self.take("(")
        return combine("/", above, self.group(depth))

    def root(self, depth: int) -> Value:
        if self.at < len(self.tokens) and self.tokens[self.at].kind == "(":
            self.at += 1
            value = self.group(depth)
        else:
            value = self.prefix(depth + 1)
        if value.exact < 0:
            raise Untestable
        above, below = isqrt(value.exact.numerator), isqrt(value.exact.denominator)
        if Fraction(above * above, below * below) != value.exact:
            raise Untestable
        return Value(Fraction(above, below), operations=value.operations + 1, doubt=value.doubt)


def combine(sign: str, a: Value, b: Value) -> Value:
    """The value of `a sign b`. Raises Untestable where it is undefined, too large, or adds unlike units."""
    doubt = a.doubt or b.doubt
    match sign:
        case "+" | "-":
            exact = a.exact + b.exact if sign == "+" else a.exact - b.exact
            units, slack = _common(a.units, b.units), a.slack + b.slack
            doubt = doubt or (units == PERCENT and a.units != b.units)
        case "*":
            exact, units = a.exact * b.exact, combined(a.units, b.units, 1)
            slack = abs(a.exact) * b.slack + abs(b.exact) * a.slack
        case "/" if b.exact:
            exact, units = a.exact / b.exact, combined(a.units, b.units, -1)
            slack = (a.slack + abs(exact) * b.slack) / abs(b.exact)
        case "//" | "mod" if b.exact > 0 and a.exact >= 0:
            exact, units, slack = Fraction(a.exact // b.exact) if sign == "//" else a.exact % b.exact, (), Fraction(0)
        case "^":
            exact, units, slack = _power(a.exact, b.exact), (), Fraction(0)
        case _:
            raise Untestable
    if max(exact.numerator.bit_length(), exact.denominator.bit_length(), slack.denominator.bit_length()) > MAX_BITS:
        raise Untestable
    return Value(exact, slack, units, a.operations + b.operations + 1, doubt=doubt)


def _common(a: Units, b: Units) -> Units:
    """The units of a sum: those of both, or of the one that has any."""
    if a and b and a != b:
        raise Untestable
    return a or b


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    if exponent.denominator != 1 or abs(exponent) > MAX_EXPONENT or size * abs(int(exponent)) > MAX_BITS:
        raise Untestable
    if not base and exponent <= 0:
        raise Untestable
    return base ** int(exponent)
