"""Self-consistency (Wang et al. 2022, arXiv:2203.11171): sample many, keep the answer that most agree on."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from strategies import select
from strategies.answers import answer_of
from strategies.base import Strategy
from strategies.run import Run
from strategies.types import Candidate


class SelfConsistency(Strategy):
    """Sample up to `n` responses and take the majority's answer; stop once the leader cannot be overtaken."""

    name: Literal["self_consistency"] = "self_consistency"
    n: int = Field(8, ge=1, description="most samples to draw")
    early_stop: bool = Field(True, description="stop once the leader cannot be overtaken")

    @property
    def widest(self) -> int:
        return self.n

    async def explore(self, root: Candidate, run: Run) -> None:
        votes: Counter[str] = Counter()
        seen = 0
        async with run.race(root, n=self.n, logprobs=0) as arriving:
            async for candidate in arriving:
                seen += 1
                votes.update(filter(None, [answer_of(candidate)]))
                if self.early_stop and seen < self.n and select.decided(votes, self.n - seen):
                    run.note(f"settled after {seen} of {self.n} samples")
                    break
        run.note(select.counted(run.found))

    def select(self, found: Sequence[Candidate]) -> Candidate:
        return select.majority(found)
