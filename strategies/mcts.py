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
        tree, left = Tree(root, self.exploration), self.iterations
        with self.stopping(run) as stopped:
            while tree.root.open and left:
                leaves = self.picked(tree, min(self.parallel, left))
                left -= len(leaves)
                stopped += await self.expand(tree, leaves, run)
            ends = [
                end.path for end in tree.root.leaves() if end.open or (end.path.finished and not self.failed(end.path))
            ]
            if best := [path for path in select.top(ends, self.parallel) if not path.finished]:
                run.note("the best leaves grow to their ends", *best)
                await self.grow(run, best, self.width, last=True)
        visits = {node.path.id: node.visits for node in tree.root.children}
        run.note(f"expanded {self.iterations - left} leaves", expanded=self.iterations - left, visits=visits)

    def picked(self, tree: Tree, most: int) -> list[Node]:
        """The leaves of the next wave: up to `most` as good as the first, whose children are the last step, or not."""
        leaves: list[Node] = []
        while tree.root.open and len(leaves) < most:
            leaves.append(tree.pick())
        alike = [leaf for leaf in leaves if self.last(leaf, tree) == self.last(leaves[0], tree)]
        for leaf in leaves:
            if leaf not in alike:
                tree.put_back(leaf)
        return alike

    async def expand(self, tree: Tree, leaves: Sequence[Node], run: Run) -> list[Candidate]:
        """Grow all leaves at once; the children that are bad."""
        paths = [leaf.path for leaf in leaves]
        judged = await self.grow(run, paths, self.width, last=self.last(leaves[0], tree))
        born = {leaf.path.id: leaf for leaf in leaves}
        for leaf in leaves:
            tree.expanded(leaf)
        for path in judged:
            value = path.score.value if path.score else None
            tree.add(born[parent(path)], path, value, open=not path.finished and not self.failed(path))
        return self.stop(run, judged)

    def last(self, leaf: Node, tree: Tree) -> bool:
        """Whether the step after this one is the last."""
        return level(leaf.path, tree.root.path) + 1 >= self.depth

    def select(self, found: Sequence[Candidate]) -> Candidate:
        return select.weighted(select.complete(found))
