"""Monte Carlo tree search over steps (Feng et al. 2023, arXiv:2309.17179); leaves in batches (Chaslot et al. 2008)."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from strategies import select
from strategies.run import Run
from strategies.steps import StrictSearch, level, parent
from strategies.tree import Node, Tree
from strategies.types import Candidate


class Mcts(StrictSearch):
    """Go down a tree of steps to its most promising leaves, try `width` next steps from each, judge them, repeat.

    The verifier's value of a path counts for all that the path grew from; there are no rollouts. In the end the best
    leaves that are unfinished grow to their ends, and the finished paths vote by their scores.
    """

    name: Literal["mcts"] = "mcts"
    iterations: int = Field(16, ge=1, description="leaves to expand")
    width: int = Field(4, ge=1, description="next steps to try from a leaf")
    parallel: int = Field(4, ge=1, description="leaves to expand at once")
    exploration: float = Field(1.4, ge=0, description="how much what is little known counts against what is good")

    @property
    def widest(self) -> int:
        return self.parallel * self.width

    async def explore(self, root: Candidate, run: Run) -> None:
        tree = Tree(root, self.exploration)
        try:
            with self.stopping(run) as stopped:
                while tree.root.open and (left := self.iterations - tree.expansions):
                    leaves = tree.wave(min(self.parallel, left), lambda path: self.last(path, root))
                    stopped += await self.expand(tree, leaves, run)
                await self.finish(tree, run)
        finally:  # also where the budget ends in its midst
            visits = {node.path.id: node.visits for node in tree.root.children}
            run.note(f"expanded {tree.expansions} leaves", expanded=tree.expansions, visits=visits)

    async def expand(self, tree: Tree, leaves: Sequence[Node], run: Run) -> list[Candidate]:
        """Grow all leaves at once; the children that are bad."""
        paths, born = [leaf.path for leaf in leaves], {leaf.path.id: leaf for leaf in leaves}
        judged = await self.grow(run, paths, self.width, last=self.last(paths[0], tree.root.path))
        for leaf in leaves:
            tree.expanded(leaf)
        for path in judged:
            value = path.score.value if path.score else None
            tree.add(born[parent(path)], path, value, open=not path.finished and not self.failed(path))
        return self.drop(run, judged)

    async def finish(self, tree: Tree, run: Run) -> None:
        """Grow the best leaves to their ends, but for those that finished paths are better than."""
        leaves = [leaf.path for leaf in tree.root.leaves() if leaf.open or leaf.path.finished]
        best = select.top([path for path in leaves if not self.failed(path)], self.parallel)
        if unfinished := [path for path in best if not path.finished]:
            run.note("the best leaves grow to their ends", *unfinished)
            self.drop(run, await self.grow(run, unfinished, self.width, last=True))

    def last(self, path: Candidate, root: Candidate) -> bool:
        """Whether the step after this one is the last."""
        return level(path, root) + 1 >= self.depth

    def select(self, found: Sequence[Candidate]) -> Candidate:
        return select.weighted(select.complete(found))
