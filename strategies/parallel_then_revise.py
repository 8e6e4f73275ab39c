"""Parallel drafts, then revisions of the best: the mix of both of Snell et al. 2024 (arXiv:2408.03314)."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from strategies import select
from strategies.base import Judged
from strategies.revise import revision
from strategies.run import Run
from strategies.types import Candidate


class ParallelThenRevise(Judged):
    """Sample `n` drafts, revise the `k` that a verifier likes best, all at once; choose among drafts and revisions."""

    name: Literal["parallel_then_revise"] = "parallel_then_revise"
    n: int = Field(8, ge=1, description="drafts to sample")
    k: int = Field(2, ge=1, description="drafts to revise, each in a chain of its own")
    rounds: int = Field(1, ge=1, description="how often each of these is revised")
    selection: Literal["max", "weighted_vote"] = Field(
        "weighted_vote", description="the answer whose responses' scores sum highest, or the best-scored response"
    )

    @property
    def widest(self) -> int:
        return self.n

    async def explore(self, root: Candidate, run: Run) -> None:
        async with run.race(root, n=self.n, judge=True, logprobs=0) as arriving:
            _ = [draft async for draft in arriving]  # as scored, and in the order of their birth, they are in run.found
        chains = select.top([draft for draft in run.found if draft.finished], self.k)
        for revised in range(1, self.rounds + 1):
            before = {draft.id: draft for draft in chains}
            run.note(f"round {revised}: revising {', '.join(before)}", *chains)
            chains = await run.score(await run.extend(*map(revision, chains), logprobs=0))
            better = [new for new in chains if select.value(new) > select.value(before[new.id.rpartition(".")[0]])]
            run.note(f"round {revised}: {len(better)} of {len(chains)} revisions score higher", revised=len(chains))
            chains = [new for new in chains if new.finished]
            if not chains:
                return

    def select(self, found: Sequence[Candidate]) -> Candidate:
        return select.weighted(select.complete(found)) if self.selection == "weighted_vote" else super().select(found)
