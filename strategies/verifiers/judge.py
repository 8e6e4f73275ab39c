"""A model as judge (Zheng et al. 2023, arXiv:2306.05685): a mark from 0 to 10, under a grammar."""

from collections.abc import Sequence
from typing import Literal

from strategies.protocols import Ask
from strategies.types import Candidate, Score
from strategies.verifiers.asking import case, each, verdict
from strategies.verifiers.base import Settings

INSTRUCTION = (
    "Judge the proposed response as a strict examiner. Say how correct it is, from 0 (wrong) to 10 (certainly right). "
    "Reply with the number only."
)
MARKS = [str(mark) for mark in range(11)]


class Judge(Settings):
    """The serving model marks each response from 0 to 10; the score is a tenth of the mark."""

    name: Literal["judge"] = "judge"

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score | None]:
        async def one(candidate: Candidate) -> Score | None:
            said = await verdict(ask, case(candidate, INSTRUCTION), MARKS, max_tokens=4)
            return Score(int(said.text) / 10) if said.whole and said.text in MARKS else None

        return await each(one, candidates)
