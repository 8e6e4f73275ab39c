"""REBASE: reward-balanced search (Wu et al. 2024, arXiv:2408.00724)."""

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Literal

from pydantic import Field

from strategies import select
from strategies.run import Run
from strategies.steps import StepSearch
from strategies.types import Candidate


class Rebase(StepSearch):
    """Grow `width` paths by a step each; the better one scores, the more of the next steps start from it; repeat.

    A finished path keeps its place: there is one step less to share out.
    """

    name: Literal["rebase"] = "rebase"
    width: int = Field(16, ge=1, description="paths in all, growing and finished")
    softness: float = Field(
        0.2,
        gt=0,
        description="temperature of the softmax over scores: the higher, the more evenly steps are shared",
    )
    selection: Literal["weighted_vote", "max"] = Field(
        "weighted_vote", description="the answer whose paths' scores sum highest, or the best-scored path"
    )

    @property
    def widest(self) -> int:
        return self.width

    async def explore(self, root: Candidate, run: Run) -> None:
        paths, shares, places = [root], [self.width], self.width
        for depth in range(1, self.depth + 1):
            judged = await self.grow(run, paths, shares, last=depth == self.depth)
            going = [path for path in judged if not path.finished]
            places -= len(judged) - len(going)
            given = allocation([select.value(path) for path in going], places, self.softness)
            paths = [path for path, share in zip(going, given, strict=True) if share]
            shares = [share for share in given if share]
            run.prune(
                [path for path, share in zip(going, given, strict=True) if not share],
                f"step {depth}: {len(paths)} paths share the next {places} steps",
            )
            if not paths:
                return

    def select(self, found: Sequence[Candidate]) -> Candidate:
        return select.weighted(select.complete(found)) if self.selection == "weighted_vote" else super().select(found)


def allocation(scores: Sequence[float], steps: int, softness: float) -> list[int]:
    """How many of `steps` each path gets: by the softmax of scores, rounded up, the best first, until all are given.

    A path with no score (minus infinity) gets some only where none has one.
    """
    best = max(scores, default=-math.inf)
    if best == -math.inf:
        scores, best = [0.0] * len(scores), 0.0
    order = sorted(range(len(scores)), key=lambda at: -scores[at])
    weights = [math.exp((scores[at] - best) / softness) for at in order]
    rest = list(accumulate(reversed(weights)))[::-1]  # from here on; sums from the least up lose the least
    given = [0] * len(scores)
    for at, weight, total in zip(order, weights, rest, strict=True):
        if weight:
            given[at] = min(steps, math.ceil(steps * weight / total - 1e-9))  # 2.0000000001 is 2
            steps -= given[at]
    return given
