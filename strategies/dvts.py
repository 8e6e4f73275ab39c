"""Diverse verifier tree search (Beeching, Tunstall, Rush 2024, "Scaling test-time compute with open models")."""

from collections.abc import Sequence
from itertools import groupby
from typing import Literal

from pydantic import Field

from strategies import select
from strategies.run import Run
from strategies.steps import StrictSearch, parent, scored
from strategies.types import Candidate


class Dvts(StrictSearch):
    """Grow `trees` independent trees: each tries `width` next steps and keeps the best one, until that is finished.

    All `width` ends of a tree's last expansion may answer.
    """

    name: Literal["dvts"] = "dvts"
    trees: int = Field(4, ge=1, description="independent trees")
    width: int = Field(4, ge=1, description="next steps to try in each tree")
    lookahead: int = Field(0, ge=0, description="greedy steps to look ahead before a step is judged")
    selection: Literal["weighted_vote", "max"] = Field(
        "weighted_vote", description="the answer whose paths' scores sum highest, or the best-scored path"
    )

    @property
    def widest(self) -> int:
        return self.trees * self.width

    async def explore(self, root: Candidate, run: Run) -> None:
        paths = [root]
        passed: list[Candidate] = []
        with self.stopping(run) as stopped:
            for depth in range(1, self.depth + 1):
                n = self.width if depth > 1 else self.width * self.trees
                judged = await self.grow(run, paths, n, last=depth == self.depth, lookahead=self.lookahead)
                fallen = self.fallen(run, judged)
                out = [path for path in judged if path.id in fallen]
                stopped += out
                paths = []
                for _, tree in groupby(judged, lambda path: self.tree(path, root)):
                    ranked = select.top([path for path in tree if path.id not in fallen], self.width)
                    if ranked and not ranked[0].finished:
                        paths.append(ranked[0])
                        out += [path for path in ranked[1:] if not path.finished]
                        passed += [path for path in ranked if path.finished]  # they answer where the search is cut
                run.prune(out, f"step {depth}: {len(paths)} trees go on, pruned {scored(out)}")
                if not paths:
                    break
            run.prune(passed, f"pruned {scored(passed)}: finished, but not the best of their step")

    def tree(self, path: Candidate, root: Candidate) -> object:
        """Equal for paths of one tree: the children of one path, but the root's are all trees' first steps."""
        return int(path.id.rpartition(".")[2]) // self.width if parent(path) == root.id else parent(path)

    def select(self, found: Sequence[Candidate]) -> Candidate:
        return select.weighted(select.leaves(found)) if self.selection == "weighted_vote" else super().select(found)
