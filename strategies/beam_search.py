"""Beam search over steps, guided by a process verifier (Snell et al. 2024, arXiv:2408.03314)."""

from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from strategies import select
from strategies.base import Judged
from strategies.run import Run
from strategies.types import Candidate


class BeamSearch(Judged):
    """Grow `width` next steps from each of `beams` paths, keep the best `beams` paths, repeat until all finished.

    The first wave grows beams * width steps from the question. A finished path keeps its place and is not replaced.
    """

    whole: ClassVar[bool] = False
    name: Literal["beam_search"] = "beam_search"
    beams: int = Field(4, ge=1, description="paths to keep")
    width: int = Field(4, ge=1, description="next steps to try for each path")
    depth: int = Field(40, ge=1, description="most steps in a path; the last one runs to its end")
    step: str = Field("\n\n", min_length=1, max_length=64, description="what ends a step")
    step_tokens: int = Field(256, ge=1, description="tokens of the longest step")
    min_score: float | None = Field(None, description="a path whose newest step scores below it stops at once")
    selection: Literal["max", "weighted_vote"] = Field(
        "max", description="the best-scored path, or the answer whose paths' scores sum highest"
    )

    @property
    def widest(self) -> int:
        return self.beams * self.width

    async def explore(self, root: Candidate, run: Run) -> None:
        paths, places = [root], self.beams
        for depth in range(1, self.depth + 1):
            step = {"step": self.step, "step_tokens": self.step_tokens} if depth < self.depth else {}
            n = self.width if depth > 1 else self.width * self.beams
            judged = await run.score(await run.extend(*paths, n=n, logprobs=0, **step))
            kept = varied(select.top([path for path in judged if not self.failed(path)], len(judged)))[:places]
            out = [path for path in judged if path not in kept and (self.failed(path) or not path.finished)]
            run.prune(out, f"step {depth}: kept {len(kept)}, pruned {pruned(out)}")
            paths = [path for path in kept if not path.finished]
            places -= len(kept) - len(paths)
            if not paths:
                return

    def failed(self, path: Candidate) -> bool:
        """Whether the newest step scored below `min_score`."""
        return self.min_score is not None and path.score is not None and path.score.newest < self.min_score

    def select(self, found: Sequence[Candidate]) -> Candidate:
        return select.weighted(select.complete(found)) if self.selection == "weighted_vote" else super().select(found)


def varied(paths: Iterable[Candidate]) -> list[Candidate]:
    """The first of each text before its repetitions: equal paths would spend their places on one thought."""
    first: dict[str, Candidate] = {}
    again = [path for path in paths if first.setdefault(path.text, path) is not path]
    return [*first.values(), *again]


def pruned(paths: Iterable[Candidate]) -> str:
    """The ids and scores of paths, for a note."""
    return ", ".join(f"{path.id} ({path.score.value:.2f})" if path.score else path.id for path in paths)
