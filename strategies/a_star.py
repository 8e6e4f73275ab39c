"""A* over steps (Hart, Nilsson, Raphael 1968; over a model's steps: Wang et al. 2024, arXiv:2406.14283)."""

from typing import Literal

from pydantic import Field

from strategies.run import Run
from strategies.steps import StepSearch, parent
from strategies.tree import Frontier
from strategies.types import Candidate


class AStar(StepSearch):
    """Grow `width` next steps from the path that promises most, until a finished one promises more than all others.

    A path promises the product of its steps' scores, read as probabilities and clipped to [0, 1], times what the steps
    that it lacks of the shortest finished path (of `depth`, before there is one) would score at the mean so far.
    """

    name: Literal["a_star"] = "a_star"
    width: int = Field(4, ge=1, description="next steps to try from a path")
    parallel: int = Field(1, ge=1, description="paths to expand at once, the most promising ones")
    foresight: float = Field(
        1.0,
        ge=0,
        le=10,
        description="how much the steps to come count: at 0 the first finished path is surely the best",
    )
    expansions: int = Field(40, ge=1, description="most paths to expand; then the most promising grow to their ends")

    @property
    def widest(self) -> int:
        return self.parallel * self.width

    async def explore(self, root: Candidate, run: Run) -> None:
        frontier, expanded, enough = Frontier(root, self.depth, self.foresight), 0, False
        try:
            while not enough and (ends := frontier.best(self.parallel)):
                enough = expanded >= self.expansions
                expanded += len(ends)
                last = enough or frontier.last(ends[0])
                judged = await self.grow(run, [end.path for end in ends], self.width, last=last)
                born = {end.path.id: end for end in ends}
                frontier.replace(ends, [(born[parent(path)], path, probability(path)) for path in judged])
        finally:  # also where the budget ends in its midst
            finished = [end.path for end in frontier.ranked() if end.path.finished]
            run.note(f"expanded {expanded} paths, finished {len(finished)}", expanded=expanded)
            if finished:
                run.choose(finished[0])


def probability(path: Candidate) -> float:
    """The newest step's score as one; not 0, or all that follow would be equal. A step that was not judged is worst."""
    return min(max(path.score.newest if path.score else 0.0, 1e-6), 1.0)
