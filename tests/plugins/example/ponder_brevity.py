"""The briefest of some answers, and how brief an answer is."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from strategies.base import Strategy
from strategies.protocols import Ask
from strategies.run import Run
from strategies.select import complete
from strategies.types import Candidate, Score
from strategies.verifiers.base import Settings


class Briefest(Strategy):
    """Sample `n` responses and keep the one with the fewest tokens."""

    name: Literal["briefest"] = "briefest"
    n: int = Field(4, ge=1, description="samples to draw")

    @property
    def widest(self) -> int:
        return self.n

    async def explore(self, root: Candidate, run: Run) -> None:
        await run.extend(root, n=self.n)

    def select(self, found: Sequence[Candidate]) -> Candidate:
        return min(complete(found), key=lambda candidate: candidate.tokens)


class Brevity(Settings):
    """Scores a response by its length: 1 for an empty one, half for every `half` characters."""

    name: Literal["brevity"] = "brevity"
    half: int = Field(100, ge=1, description="characters that halve the score")

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score | None]:
        return [Score(0.5 ** (len(candidate.text) / self.half)) for candidate in candidates]
