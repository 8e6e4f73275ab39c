"""What searches over steps share: growing every path by one step, all at once, and judging what grew."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field

from strategies import select
from strategies.base import Judged
from strategies.run import Run
from strategies.types import Candidate


class StepSearch(Judged):
    """A search that grows paths step by step and judges every step."""

    whole: ClassVar[bool] = False
    depth: int = Field(40, ge=1, le=1_000_000, description="most steps in a path; the last one runs to its end")
    step: str = Field("\n\n", min_length=1, max_length=64, description="what ends a step")
    step_tokens: int = Field(256, ge=1, description="tokens of the longest step")

    async def grow(
        self, run: Run, paths: Sequence[Candidate], n: int | Sequence[int], *, last: bool, lookahead: int = 0
    ) -> list[Candidate]:
        """Grow every path by a step, `n` times, all at once, and judge the children; a `last` step runs to its end.

        So does any step when the budget nears its end: what has been searched so far shall come to an answer. A child
        is judged by where `lookahead` further, greedy steps take it (Snell et al. 2024, arXiv:2408.03314).
        """
        wave = n * len(paths) if isinstance(n, int) else sum(n)
        step = {} if last or run.ending(wave) else self.stepwise
        children = settled(paths, await run.extend(*paths, n=n, logprobs=0, **step))
        return await run.score(children, await self.ahead(run, children, lookahead) if lookahead else None)

    async def ahead(self, run: Run, children: Sequence[Candidate], lookahead: int) -> list[Candidate]:
        """Where greedy steps take each child. They serve its score alone: none of them goes on, answers or votes."""
        ends = list(children)
        try:
            for _ in range(lookahead):
                if not (going := [end for end in ends if not end.finished]):
                    break
                rolled = settled(going, await run.extend(*going, temperature=0.0, **self.stepwise))
                grown = {parent(end): end for end in rolled}
                ends = [grown.get(end.id, end) for end in ends]
        finally:  # also where the budget ends in their midst
            below = tuple(f"{child.id}." for child in children)
            rollouts = [path for path in run.found if path.id.startswith(below)]
            run.prune(rollouts, f"looked ahead of {len(children)} steps")
        return ends

    @property
    def stepwise(self) -> dict[str, Any]:
        """The sampling of one step."""
        return {"step": self.step, "step_tokens": self.step_tokens}


class StrictSearch(StepSearch):
    """A search that gives a path up as soon as one of its steps is bad."""

    min_score: float | None = Field(
        None,
        description="a path whose newest step scores below it stops at once and is not replaced, but never the last",
    )

    def failed(self, path: Candidate) -> bool:
        """Whether the newest step scored below `min_score`."""
        return self.min_score is not None and path.score is not None and path.score.newest < self.min_score

    def fallen(self, run: Run, judged: Sequence[Candidate]) -> set[str]:
        """The ids of those that failed; without the best of them where no other path is there to answer."""
        failed = [path for path in judged if self.failed(path)]
        ids = {path.id for path in failed}
        others = len(failed) < len(judged) or any(path.finished and path.id not in ids for path in run.found)
        return ids if others or not failed else ids - {select.top(failed, 1)[0].id}

    def drop(self, run: Run, judged: Sequence[Candidate]) -> list[Candidate]:
        """Prune those that failed, and tell which they are."""
        failed = [path for path in judged if self.failed(path)]
        run.prune(failed, f"pruned {scored(failed)}")
        return failed

    @contextmanager
    def stopping(self, run: Run) -> Iterator[list[Candidate]]:
        """A list for the paths that are stopped for their score; in the end a note tells what that saved."""
        stopped: list[Candidate] = []
        try:
            yield stopped
        finally:
            if stopped:
                saved = tokens_saved(stopped, run.found)
                text = f"stopped {len(stopped)} paths at a step that scored below {self.min_score}"
                run.note(f"{text}, which saved about {saved} tokens", *stopped, tokens_saved=saved)


def tokens_saved(stopped: Sequence[Candidate], found: Sequence[Candidate]) -> int:
    """An estimate: for each stopped path, the tokens that it lacks of the mean finished one; 0 where none finished."""
    lengths = [path.tokens for path in found if path.finished]
    mean = sum(lengths) / len(lengths) if lengths else 0.0
    return round(sum(max(0.0, mean - path.tokens) for path in stopped if not path.finished))


def settled(parents: Sequence[Candidate], children: Sequence[Candidate]) -> list[Candidate]:
    """The children; one that has nothing its parent had not, an empty step, is at its end."""
    before = {path.id: path.tokens for path in parents}
    empty = [child.tokens <= before[parent(child)] for child in children]
    return [replace(child, finish="stop") if none else child for child, none in zip(children, empty, strict=True)]


def parent(path: Candidate) -> str:
    """The id of the path that it grew from."""
    return path.id.rpartition(".")[0]


def ancestor(path: Candidate, root: Candidate) -> str:
    """The id of the first step below the root that a path grew from."""
    return root.id + "." + path.id.removeprefix(f"{root.id}.").partition(".")[0]


def level(path: Candidate, root: Candidate) -> int:
    """How many steps below the root a path is."""
    return path.id.count(".") - root.id.count(".")


def scored(paths: Sequence[Candidate]) -> str:
    """The ids and scores of paths, for a note."""
    return ", ".join(f"{path.id} ({path.score.value:.2f})" if path.score else path.id for path in paths)
