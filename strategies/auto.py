"""Compute where it is needed (Snell et al. 2024, arXiv:2408.03314): a few samples tell how hard a question is."""

from collections.abc import Sequence
from math import isqrt
from typing import Literal

from pydantic import Field

from strategies import select, stopping
from strategies.base import Judged
from strategies.beam_search import BeamSearch
from strategies.run import Run
from strategies.types import Candidate


class Auto(Judged):
    """Draw `probe` samples and stop where they all agree; else let more vote, up to `n`, or search step by step.

    It searches where a verifier is named and fewer than half of the first samples agree, with as many paths at once as
    samples are left.
    """

    name: Literal["auto"] = "auto"
    n: int = Field(16, ge=1, description="most samples, the first ones included")
    probe: int = Field(4, ge=1, description="samples that tell how hard the question is")

    @property
    def judges(self) -> bool:
        """Whether a verifier was named: the server's default one is not worth a search."""
        return self.verifier is not None

    @property
    def widest(self) -> int:
        return self.n

    async def explore(self, root: Candidate, run: Run) -> None:
        first = await run.extend(root, n=min(self.probe, self.n), logprobs=0)
        most = max(select.tally(first).values(), default=0)
        agreement, left = most / max(1, len(first)), self.n - len(first)
        decision = self.decision(agreement, root) if left else "stop"
        run.note(f"{most:.0f} of {len(first)} samples agree: {decision}", agreement=agreement, decision=decision)
        if decision == "search":
            await run.score(first)
            await BeamSearch(beams=isqrt(left), width=left // isqrt(left)).explore(root, run)
        elif decision == "vote":
            await self.widen(root, run, left)

    def decision(self, agreement: float, root: Candidate) -> Literal["stop", "search", "vote"]:
        """What the first samples' agreement calls for; what is asked for in one piece cannot be searched for."""
        searchable = self.judges and root.prompt.form == "text" and not root.prompt.tools
        return "stop" if agreement == 1 else "search" if searchable and agreement < 0.5 else "vote"

    async def widen(self, root: Candidate, run: Run, left: int) -> None:
        """Let more samples vote, a round at a time, until the leader is likely enough, or cannot be overtaken."""
        while left > 0 and not (stopping.likely(votes := select.tally(run.found)) or stopping.decided(votes, left)):
            arrived = await run.extend(root, n=min(stopping.ROUND, left), logprobs=0)
            left -= min(stopping.ROUND, left)
            run.note(select.counted(run.found), *arrived)

    def select(self, found: Sequence[Candidate]) -> Candidate:
        searched = any(candidate.score for candidate in found)
        return select.weighted(select.complete(found)) if searched else select.majority(found)
