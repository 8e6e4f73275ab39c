"""Best-of-n (Cobbe et al. 2021, arXiv:2110.14168): a verifier chooses among independent samples."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from strategies import select
from strategies.base import Judged
from strategies.run import Run
from strategies.types import Candidate


class BestOfN(Judged):
    """Sample `n` responses, judge each, and keep the best, or the answer with the most score behind it."""

    name: Literal["best_of_n"] = "best_of_n"
    n: int = Field(8, ge=1, description="samples to draw")
    selection: Literal["max", "weighted_vote"] = Field(
        "max", description="the best-scored response, or the answer whose responses' scores sum highest"
    )

    @property
    def widest(self) -> int:
        return self.n

    async def explore(self, root: Candidate, run: Run) -> None:
        async with run.race(root, n=self.n, judge=True, logprobs=0) as arriving:
            judged = [candidate async for candidate in arriving if candidate.score]
        run.note(f"judged {len(judged)} of {self.n} samples")

    def select(self, found: Sequence[Candidate]) -> Candidate:
        return select.weighted(found) if self.selection == "weighted_vote" else super().select(found)
