"""Trees of paths and what to expand next: UCT with virtual losses, A*. Pure: they do not know how paths grow."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from strategies.select import likelihood
from strategies.types import Candidate


class Node:
    """A path in a tree: `visits` values were seen at it or below, `total` is their sum.

    `open` counts the leaves from here on down that can still be expanded and are not out for it; `virtual`, those that
    are out.
    """

    def __init__(self, path: Candidate, parent: "Node | None" = None) -> None:
        self.path, self.parent = path, parent
        self.children: list[Node] = []
        self.visits = self.virtual = 0
        self.total = 0.0
        self.open = 1

    def lineage(self) -> "Iterator[Node]":
        """The node, its parent, and so on up to the root."""
        node: Node | None = self
        while node:
            yield node
            node = node.parent

    def leaves(self) -> "Iterator[Node]":
        """The nodes from here on down that have no children, the earliest born of a parent first."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            waiting += reversed(node.children)
            if not node.children:
                yield node


class Tree:
    """Nodes by upper confidence bounds (UCT: Kocsis and Szepesvari 2006).

    Values are meant to be in [0, 1]. Where some are not, all are scaled to the range that was seen, so that one
    exploration constant does for any verifier (as in MuZero, arXiv:1911.08265).
    """

    def __init__(self, root: Candidate, exploration: float) -> None:
        self.root, self.exploration = Node(root), exploration
        self.low, self.high = 0.0, 1.0
        self.expansions = 0

    def wave(self, most: int, kind: Callable[[Candidate], bool]) -> list[Node]:
        """Up to `most` leaves to expand at once: of those picked, the ones of the first one's kind."""
        leaves: list[Node] = []
        while self.root.open and len(leaves) < most:
            leaves.append(self.pick())
        alike = [kind(leaf.path) == kind(leaves[0].path) for leaf in leaves]
        for leaf, stays in zip(leaves, alike, strict=True):
            if not stays:
                self.put_back(leaf)
        return [leaf for leaf, stays in zip(leaves, alike, strict=True) if stays]

    def pick(self) -> Node:
        """The leaf to expand next. Until it is put back or expanded, it counts as a visit of the lowest value."""
        node = self.root
        while node.children:
            node = max((child for child in node.children if child.open), key=self.promise)
        for above in node.lineage():
            above.virtual += 1
            above.open -= 1
        return node

    def put_back(self, leaf: Node) -> None:
        """Take the virtual visit back; the leaf may be picked again."""
        for above in leaf.lineage():
            above.virtual -= 1
            above.open += 1

    def expanded(self, leaf: Node) -> None:
        """Take the virtual visit back; the leaf has been expanded, its children are to be added."""
        self.expansions += 1
        for above in leaf.lineage():
            above.virtual -= 1

    def add(self, leaf: Node, path: Candidate, value: float | None, *, open: bool) -> None:
        """A child of `leaf`, its value passed on up to the root; the lowest where it was not judged.

        One that is not `open` is never expanded.
        """
        value = self.low if value is None else value
        self.low, self.high = min(self.low, value), max(self.high, value)
        child = Node(path, leaf)
        child.open = 0
        leaf.children.append(child)
        for node in child.lineage():
            node.visits += 1
            node.total += value
            node.open += open

    def promise(self, node: Node) -> float:
        """The mean value and, the more the rarer it was visited, something for what is not known yet."""
        above = node.parent or node
        visits, all_visits = node.visits + node.virtual, above.visits + above.virtual
        mean = (node.total - self.low * node.visits) / (self.high - self.low) / visits
        return mean + self.exploration * math.sqrt(math.log(all_visits) / visits)


@dataclass(frozen=True, slots=True)
class End:
    """The end of a path of `depth` steps; `log` is the sum of the logarithms of their scores."""

    path: Candidate
    log: float = 0.0
    depth: int = 0
    likelihood: float = 0.0


class Frontier:
    """The ends of all paths, finished or not, ranked by what a whole path through them promises to score (A*).

    That is the product of its steps' scores, times what the steps that it lacks of the shortest finished path (of
    `depth`, before there is one) would score at the mean so far; these count `foresight` times.
    """

    def __init__(self, root: Candidate, depth: int, foresight: float) -> None:
        self.depth, self.foresight = depth, foresight
        self.ends = [End(root)]
        self.scores: list[float] = []

    def best(self, most: int) -> list[End]:
        """Up to `most` unfinished ends that promise more than every finished one; all or none of them lack one step."""
        ahead = list(takewhile(lambda end: not end.path.finished, self.ranked()))[:most]
        return [end for end in ahead if self.last(end) == self.last(ahead[0])]

    def last(self, end: End) -> bool:
        """Whether the step after this one is the last."""
        return end.depth + 1 >= self.depth

    def replace(self, ends: Sequence[End], children: Sequence[tuple[End, Candidate, float]]) -> None:
        """`ends` were expanded to `children`, told with the end that each grew from and its newest step's score."""
        self.ends = [end for end in self.ends if end not in ends]
        for end, path, score in children:
            self.ends.append(End(path, end.log + math.log(score), end.depth + 1, likelihood(path)))
        self.scores += [score for _, _, score in children]

    def ranked(self) -> list[End]:
        """The ends by promise; ties go to the finished, the deeper, the likelier, the earlier."""
        goal = min((end.depth for end in self.ends if end.path.finished), default=self.depth)
        mean = math.log(sum(self.scores) / len(self.scores)) if self.scores else 0.0

        def rank(end: End) -> tuple[float, bool, int, float]:
            promise = round(end.log + self.foresight * max(0, goal - end.depth) * mean, 9)
            return promise, end.path.finished, end.depth, end.likelihood

        return sorted(self.ends, key=rank, reverse=True)
