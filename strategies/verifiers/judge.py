"""A model as judge (Zheng et al. 2023, arXiv:2306.05685): a mark from 0 to 10, or comparisons, under a grammar."""

import hashlib
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from strategies.protocols import Ask, BackendError
from strategies.tasks import together
from strategies.types import Candidate, Score
from strategies.verifiers.asking import case, each, verdict
from strategies.verifiers.base import Settings
from strategies.verifiers.comparing import compare
from strategies.verifiers.fencing import hollow

INSTRUCTION = (
    "Judge the proposed response as a strict examiner. Say how correct it is, from 0 (wrong) to 10 (certainly right). "
    "Reply with the number only."
)
MARKS = [str(mark) for mark in range(11)]


class Judge(Settings):
    """The serving model marks each response from 0 to 10, or compares those that are judged together.

    The score is a tenth of the mark, or the share of comparisons won, a tie counting half.
    """

    name: Literal["judge"] = "judge"
    mode: Literal["mark", "pairwise"] = Field(
        "mark", description="mark: each response by itself; pairwise: against others of the same wave, in both orders"
    )
    opponents: int = Field(
        2, ge=1, description="of mode pairwise: each response meets so many others on either side of it in a ring"
    )

    @property
    def compares(self) -> bool:
        return self.mode == "pairwise"

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score | None]:
        """One score each; None where a call fails, or there is nobody to compare with. Raises BackendError."""
        if self.mode == "pairwise":
            return await self._compared(candidates, ask)

        async def one(candidate: Candidate) -> Score | None:
            said = await verdict(ask, case(candidate, INSTRUCTION), MARKS, max_tokens=4)
            return Score(int(said.text) / 10) if said.whole and said.text in MARKS else None

        return await each(one, candidates)

    async def _compared(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score | None]:
        """The share of comparisons that each wins."""
        errors: list[BackendError] = []
        shares: list[list[float]] = [[] for _ in candidates]
        places = [at for at, candidate in enumerate(candidates) if not hollow(candidate)]
        pairs = ring([candidates[at].id for at in places], self.opponents)

        async def one(pair: tuple[int, int]) -> None:
            first, second = (places[at] for at in pair)
            try:
                won = await compare(ask, candidates[first], candidates[second])
            except BackendError as error:
                errors.append(error)
                return
            shares[first].append(won)
            shares[second].append(1 - won)

        await together(one, pairs)
        if errors and len(errors) == len(pairs):
            raise errors[0]
        return [Score(sum(won) / len(won)) if won else None for won in shares]


def ring(ids: Sequence[str], opponents: int) -> list[tuple[int, int]]:
    """Who meets whom, by place: each one the next `opponents` in a ring of shuffled ids, no pair twice.

    The shuffle depends on nothing but the ids, so a request repeats itself; siblings do not only meet siblings.
    """
    order = sorted(range(len(ids)), key=lambda at: hashlib.sha256(ids[at].encode()).digest())
    pairs = {
        frozenset((at, order[(place + ahead) % len(order)])): None
        for ahead in range(1, min(opponents, len(order) - 1) + 1)
        for place, at in enumerate(order)
    }
    return [(min(pair), max(pair)) for pair in pairs]
