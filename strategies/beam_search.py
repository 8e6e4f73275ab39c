"""Beam search over steps, guided by a process verifier (Snell et al. 2024, arXiv:2408.03314)."""

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field

from strategies import select
from strategies.run import Run
from strategies.steps import StrictSearch, scored
from strategies.types import Candidate


class BeamSearch(StrictSearch):
    """Grow `width` next steps from each of `beams` paths, keep the best `beams` paths, repeat until all finished.

    The first wave grows beams * width steps from the question. A finished path keeps its place and is not replaced.
    """

    name: Literal["beam_search"] = "beam_search"
    beams: int = Field(4, ge=1, description="paths to keep")
    width: int = Field(4, ge=1, description="next steps to try for each path")
    lookahead: int = Field(0, ge=0, description="greedy steps to look ahead before a step is judged")
    selection: Literal["max", "weighted_vote"] = Field(
        "max", description="the best-scored path, or the answer whose paths' scores sum highest"
    )

    @property
    def widest(self) -> int:
        return self.beams * self.width

    async def explore(self, root: Candidate, run: Run) -> None:
        paths, places = [root], self.beams
        with self.stopping(run) as stopped:
            for depth in range(1, self.depth + 1):
                n = self.width if depth > 1 else self.width * self.beams
                judged = await self.grow(run, paths, n, last=depth == self.depth, lookahead=self.lookahead)
                fallen = self.fallen(run, judged)
                stopped += [path for path in judged if path.id in fallen]
                kept = varied(select.top([path for path in judged if path.id not in fallen], len(judged)))[:places]
                ids = {path.id for path in kept}
                out = [path for path in judged if path.id in fallen or not (path.id in ids or path.finished)]
                run.prune(out, f"step {depth}: kept {len(kept)}, pruned {scored(out)}")
                paths = [path for path in kept if not path.finished]
                places -= len(kept) - len(paths)
                if not paths:
                    return

    def select(self, found: Sequence[Candidate]) -> Candidate:
        return select.weighted(select.complete(found)) if self.selection == "weighted_vote" else super().select(found)


def varied(paths: Iterable[Candidate]) -> list[Candidate]:
    """The first of each text before its repetitions: equal paths would spend their places on one thought."""
    first: dict[str, Candidate] = {}
    again = [path for path in paths if first.setdefault(path.text, path) is not path]
    return [*first.values(), *again]
