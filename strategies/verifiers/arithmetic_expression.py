"""Reads an arithmetic expression of whole numbers and evaluates it exactly, in time linear in its length."""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Sign = Literal["+", "-", "*", "/"]

LONGEST = 1000
"""Characters of an expression."""
DIGITS = 15
"""Digits of a number in it."""
MOST = 64
"""Numbers in it: values stay short."""

TOKEN = re.compile(r"\d+|[-+*/(){}]|\\[dt]?frac|\s+")
SAME = {"×": "*", "·": "*", "∗": "*", "÷": "/", "∕": "/", "−": "-", "–": "-", "[": "(", "]": ")"}  # noqa: RUF001
LATEX = {"\\times": "*", "\\cdot": "*", "\\div": "/", "\\left": "", "\\right": "", "\\,": "", "\\!": "", "$": ""}
STRENGTH = {"+": 1, "-": 1, "*": 2, "/": 2}


@dataclass(frozen=True, slots=True)
class Told:
    """What an expression says: its value, the numbers in it in order, and the signs."""

    value: Fraction
    numbers: tuple[int, ...]
    signs: frozenset[str]


def value_of(text: str) -> Told | None:
    """What the expression says; None for anything that is none, divides by zero, or is too long."""
    tokens = tokens_of(text)
    if tokens is None:
        return None
    reader = _Reader()
    try:
        for token in tokens:
            reader.take(token)
        value = reader.end()
    except (_Wrong, ZeroDivisionError):
        return None
    return Told(value, tuple(reader.numbers), frozenset(reader.signs))


def tokens_of(text: str) -> list[str] | None:
    """Numbers, signs and parentheses; `\\frac{a}{b}` as `((a)/(b))`. None where there is anything else."""
    if len(text) > LONGEST:
        return None
    for written, meant in {**LATEX, **SAME}.items():
        text = text.replace(written, meant)
    out: list[str] = []
    closing: list[str] = []  # what each brace that is open turns into when it closes
    at, awaited = 0, ""
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            return None
        token, at = match[0], match.end()
        if token.isspace():
            continue
        if awaited and token != "{":
            return None
        if token.endswith("frac"):
            awaited = "first"
            out += "(("
        elif token == "{":
            closing.append(awaited)
            if awaited != "first":
                out.append("(")
            awaited = ""
        elif token == "}":
            if not closing:
                return None
            part = closing.pop()
            out += {"first": ")/", "second": "))"}.get(part, ")")
            awaited = "second" if part == "first" else ""
        else:
            out.append(token)
    return None if awaited or closing else out


class _Wrong(Exception):
    """This is no expression."""


class _Reader:
    """Two stacks (Dijkstra's shunting yard), and whether an operand has to come next."""

    def __init__(self) -> None:
        self.values: list[Fraction] = []
        self.waiting: list[str] = []
        self.numbers: list[int] = []
        self.signs: set[str] = set()
        self.operand = True

    def take(self, token: str) -> None:
        if self.operand != (token == "(" or token.isdigit()):
            raise _Wrong
        if token == "(":
            self.waiting.append(token)
        elif token == ")":
            self.apply(0)
            if not self.waiting:
                raise _Wrong
            self.waiting.pop()
        elif token in STRENGTH:
            self.apply(STRENGTH[token])
            self.waiting.append(token)
            self.signs.add(token)
            self.operand = True
        else:
            self.number(token)

    def number(self, token: str) -> None:
        if len(token) > DIGITS or len(self.numbers) == MOST:
            raise _Wrong
        self.numbers.append(int(token))
        self.values.append(Fraction(self.numbers[-1]))
        self.operand = False

    def apply(self, strength: int) -> None:
        """Apply the waiting signs that bind at least as strongly, back to an open parenthesis."""
        while self.waiting and self.waiting[-1] != "(" and STRENGTH[self.waiting[-1]] >= strength:
            sign, b, a = self.waiting.pop(), self.values.pop(), self.values.pop()
            self.values.append(a + b if sign == "+" else a - b if sign == "-" else a * b if sign == "*" else a / b)

    def end(self) -> Fraction:
        if self.operand:
            raise _Wrong
        self.apply(0)
        if self.waiting:
            raise _Wrong
        return self.values[0]
