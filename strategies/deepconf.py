"""DeepConf (Fu et al. 2025, arXiv:2508.15260): responses that lose confidence are dropped, the others vote by it."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from strategies import select, stopping
from strategies.base import Strategy
from strategies.confidence import TOP, Groups, group_width, least_confidence, quantile
from strategies.growth import Growth
from strategies.run import Run
from strategies.types import Candidate


class DeepConf(Strategy):
    """A response's confidence is that of its least confident group of tokens; the surest `keep` of them vote, by it.

    `offline` draws all `n` and then keeps. `online` learns from `warmup` samples where the line is, stops any later one
    as soon as it falls below, and stops drawing once the leader has a share `consensus` of the weight. A group is of
    `window` tokens, or of a quarter of the warm-up's median length where that is less.
    """

    name: Literal["deepconf"] = "deepconf"
    n: int = Field(32, ge=1, description="most samples to draw")
    mode: Literal["online", "offline"] = Field("online", description="whether unsure samples stop while they grow")
    warmup: int = Field(16, ge=1, description="samples that set the line, and those of each later wave")
    keep: float = Field(0.9, gt=0, le=1, description="share of the samples to keep (the paper's eta: 0.1 or 0.9)")
    window: int = Field(2048, ge=1, description="tokens of a group whose mean confidence counts")
    consensus: float = Field(0.95, gt=0.5, le=1, description="share of the weight that ends it early (tau)")

    @property
    def widest(self) -> int:
        return self.n if self.mode == "offline" else min(self.n, self.warmup)

    async def explore(self, root: Candidate, run: Run) -> None:
        drawn = await run.extend(root, n=self.widest, logprobs=TOP)
        if not drawn:
            return
        width = group_width([c.tokens for c in drawn], self.window)
        trust = {c.id: least_confidence(c, width) or 0.0 for c in drawn}
        line = quantile(list(trust.values()), 1 - self.keep)
        run.note(f"groups of {width} tokens; the line is at {line:.3f}", group=width, line=line)
        started = self.widest
        while True:
            unsure = [c for c in drawn if trust[c.id] < line]
            run.prune(unsure, f"{len(unsure)} of {len(drawn)} fell below the line")
            weight = select.weighing(run.found, lambda c: trust.get(c.id))
            if started >= self.n or stopping.agreed(select.tally(run.found, weight), self.consensus):
                break
            n = min(self.warmup, self.n - started)
            drawn = await run.extend(root, n=n, logprobs=TOP, group=1, until=Below(width, line))
            trust.update((c.id, least_confidence(c, width) or 0.0) for c in drawn)
            started += n
        run.note(select.counted(run.found, weight), saved=self.n - started)
        run.choose(select.majority(run.found, weight))

    def select(self, found: Sequence[Candidate]) -> Candidate:
        """After a cut: all that was found votes by its confidence."""
        width = group_width([c.tokens for c in found], self.window)
        return select.weighted(found, lambda c: least_confidence(c, width))


class Below:
    """Whether a growing sequence has had a group of `width` tokens below the line: what is new of it is looked at."""

    def __init__(self, width: int, line: float) -> None:
        self._width, self._line = width, line
        self._groups: dict[str, Groups] = {}

    def __call__(self, growth: Growth) -> bool:
        groups = self._groups.setdefault(growth.child.id, Groups(self._width))
        groups.add(growth.logprobs[groups.seen :])
        return groups.lowest < self._line
