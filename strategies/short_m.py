"""short-m@k (Hassid et al. 2025, arXiv:2505.17813): of k responses, the m shortest vote; no others are waited for."""

from bisect import insort
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from strategies import select
from strategies.answers import answer_of
from strategies.base import Strategy
from strategies.growth import Growth
from strategies.run import Run
from strategies.types import Candidate


class ShortM(Strategy):
    """Start `n` samples; the `m` shortest that give an answer vote, and what has grown longer than they are stops.

    Short is in tokens, not in seconds: who wins does not depend on who was served first. `m` = 1 is First Finish
    Search (arXiv:2505.18149).
    """

    name: Literal["short_m"] = "short_m"
    n: int = Field(8, ge=1, description="samples to start (the paper's k)")
    m: int = Field(3, ge=1, description="shortest responses that vote")
    min_tokens: int = Field(16, ge=0, description="shorter responses do not vote: they skip the reasoning")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.m > self.n:
            raise ValueError("m is at most n")
        return self

    @property
    def widest(self) -> int:
        return self.n

    async def explore(self, root: Candidate, run: Run) -> None:
        lengths: list[int] = []  # of those that may vote, shortest first

        def late(growth: Growth) -> bool:
            return len(lengths) >= self.m and root.tokens + growth.tokens >= lengths[self.m - 1]

        async with run.race(root, n=self.n, group=1, until=late, logprobs=0) as arriving:
            async for candidate in arriving:
                if self._counts(candidate):
                    insort(lengths, candidate.tokens)
        votes = self._shortest(run.found)
        if votes:
            stopped = sum(c.finish == "cut" for c in run.found)
            told = f"the {len(votes)} shortest of {self.n} vote, of {', '.join(str(c.tokens) for c in votes)} tokens"
            run.note(f"{told}; {stopped} longer ones stopped", stopped=stopped, lengths=[c.tokens for c in votes])
            voting = {c.id for c in votes}
            run.prune([c for c in run.found if c.id not in voting], select.counted(votes))

    def _counts(self, candidate: Candidate) -> bool:
        """Whether it may vote."""
        return candidate.finished and candidate.tokens >= self.min_tokens and answer_of(candidate) is not None

    def _shortest(self, found: Sequence[Candidate]) -> list[Candidate]:
        """Those that vote, shortest first; of equally long ones the first."""
        return sorted(filter(self._counts, found), key=lambda c: c.tokens)[: self.m]

    def select(self, found: Sequence[Candidate]) -> Candidate:
        shortest = self._shortest(found)
        votes = select.tally(shortest)
        if not votes:
            return select.majority(found)
        return next(c for c in shortest if votes[answer_of(c) or ""] == max(votes.values()))
