"""Compares the answer with one that is known, as mathematics."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from strategies.answers import answer_of, canonical
from strategies.equality import equal
from strategies.protocols import Ask
from strategies.tasks import together
from strategies.types import Candidate, Score
from strategies.verifiers.base import Settings


class MathEqual(Settings):
    """1 for an answer that equals the reference, by form or by math-verify; 0 for any other, or none."""

    name: Literal["math_equal"] = "math_equal"
    reference: str = Field(min_length=1, max_length=4096, description="the right answer: a number, a formula, words")

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score]:
        reference = canonical(self.reference)

        async def right(answer: str) -> float:
            return float(await equal(reference, answer, ask.compute))

        answers = [answer_of(candidate) for candidate in candidates]
        distinct = list(dict.fromkeys(answer for answer in answers if answer is not None))
        verdicts = dict(zip(distinct, await together(right, distinct), strict=True))
        return [Score(0.0 if answer is None else verdicts[answer]) for answer in answers]
