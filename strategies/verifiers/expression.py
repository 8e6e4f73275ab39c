"""Checks answers to number puzzles such as Countdown: an expression of given numbers that makes a target."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from strategies.answers import boxed, spoken, tagged
from strategies.protocols import Ask
from strategies.types import Candidate, Score
from strategies.verifiers.arithmetic_expression import Sign, value_of
from strategies.verifiers.base import Settings

LARGEST = 10**12


class Expression(Settings):
    """1 for an expression that makes the target of the given numbers, each used once, else 0. Exact, without eval."""

    name: Literal["expression"] = "expression"
    numbers: list[int] = Field(min_length=1, max_length=32, description="what may be used, each as often as it is here")
    target: int = Field(ge=-LARGEST, le=LARGEST)
    operators: list[Sign] = Field(["+", "-", "*", "/"], min_length=1)
    all: bool = Field(True, description="whether every number has to be used")

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score]:
        return [Score(float(self.solved(answer(candidate)))) for candidate in candidates]

    def solved(self, text: str) -> bool:
        """Whether `text` is a solution; it may end in `= target`."""
        written, equals, result = text.partition("=")
        told = value_of(written)
        if told is None or not told.signs <= set(self.operators) or told.value != self.target:
            return False
        if equals and ((said := value_of(result)) is None or said.value != self.target):
            return False
        given, used = Counter(self.numbers), Counter(told.numbers)
        return used == given if self.all else used <= given


def answer(candidate: Candidate) -> str:
    """The text of the answer: what is tagged or boxed, else, of a response that ended, its last line."""
    said = spoken(candidate)
    found = tagged(said) or boxed(said)
    if found is None and candidate.finish == "stop":
        found = said.rstrip()[-1000:].rpartition("\n")[2].rpartition(":")[2]
    return found or ""
