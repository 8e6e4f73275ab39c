"""Particle filtering over steps (Puri et al. 2025, arXiv:2502.01618), with systematic resampling behind an ESS gate."""

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Literal

from pydantic import Field

from strategies import select
from strategies.resampling import effective, multinomial, odds, systematic
from strategies.run import Run
from strategies.steps import StepSearch, ancestor
from strategies.types import Candidate


class ParticleFilter(StepSearch):
    """Grow `particles` paths by a step each; where few carry most of the weight, draw all anew by weight; repeat.

    Scores are read as probabilities, clipped to [0, 1]. They are of whole paths, so each wave weighs the particles
    afresh. A finished path stays in the draw with its last score.
    """

    name: Literal["particle_filter"] = "particle_filter"
    particles: int = Field(8, ge=1, description="paths to grow")
    softness: float = Field(1.0, gt=0, description="temperature of the softmax over the scores' log-odds")
    ess: float = Field(
        0.5, ge=0, le=1, description="draw anew where the effective sample size is below this share of the particles"
    )
    resampling: Literal["systematic", "multinomial"] = Field("systematic", description="how to draw")
    selection: Literal["weighted_vote", "max"] = Field(
        "weighted_vote", description="the answer whose particles' scores sum highest, or the best-scored path"
    )

    @property
    def widest(self) -> int:
        return self.particles

    async def explore(self, root: Candidate, run: Run) -> None:
        pool = [root] * self.particles
        for depth in range(1, self.depth + 1):
            copies = Counter(path.id for path in pool if not path.finished)
            paths = {path.id: path for path in pool}
            grown = await self.grow(run, [paths[id] for id in copies], [*copies.values()], last=depth == self.depth)
            pool = [path for path in pool if path.finished] + grown
            if all(path.finished for path in pool):
                break
            pool = self.drawn(pool, run, root, depth)
        if pool:
            run.choose(self.select(pool))

    def drawn(self, pool: list[Candidate], run: Run, root: Candidate, depth: int) -> list[Candidate]:
        """The particles, drawn anew if too few of them carry the weight. One that is drawn twice is there twice."""
        n, weights = len(pool), odds([select.value(path) for path in pool], self.softness)
        ess, kept = effective(weights), pool
        if ess < self.ess * n:
            random = Random(f"{root.id}/{depth}")  # what is drawn from is random: the same numbers do for each request
            systematically = self.resampling == "systematic"
            counts = systematic(weights, n, random.random()) if systematically else multinomial(weights, n, random)
            kept = [path for path, count in zip(pool, counts, strict=True) for _ in range(count)]
            again = {path.id for path in kept}
            gone = {path.id: path for path in pool if path.id not in again}
            run.prune(gone.values(), f"step {depth}: drew all {n} particles anew, {len(gone)} are gone")
        ancestors = len({ancestor(path, root) for path in kept})
        run.note(f"step {depth}: {ess:.1f} of {n} particles carry the weight", ess=ess, ancestors=ancestors)
        return kept

    def select(self, found: Sequence[Candidate]) -> Candidate:
        return select.weighted(select.complete(found)) if self.selection == "weighted_vote" else super().select(found)
