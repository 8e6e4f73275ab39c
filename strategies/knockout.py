"""Knockout (Chen et al. 2024, arXiv:2411.19477): samples meet in pairs, the model judges, the better ones go on."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field

from strategies import select
from strategies.base import Strategy
from strategies.protocols import Ask, Backend, BackendError
from strategies.run import Run
from strategies.tasks import together
from strategies.types import Call, Candidate, Chunk, Prompt
from strategies.verifiers.comparing import compare

Pair = tuple[Candidate, Candidate]


class Knockout(Strategy):
    """Sample `n` responses; pair by pair the model compares them, all pairs of a round at once, until one is left.

    A pair is compared `comparisons` times in both orders: greedily at first, then sampled. A tie goes to the likelier.
    """

    name: Literal["knockout"] = "knockout"
    n: int = Field(8, ge=1, description="responses to draw")
    comparisons: int = Field(1, ge=1, description="how often a pair is compared, in both orders each time")

    @property
    def widest(self) -> int:
        return max(self.n, self.n // 2 * 2 * self.comparisons)

    async def explore(self, root: Candidate, run: Run) -> None:
        drawn = await run.extend(root, n=self.n, logprobs=0)
        run.note(select.counted(drawn))
        left = select.shuffled(select.complete(drawn), root.id) if drawn else []
        while len(left) > 1:
            byes = left[len(left) // 2 * 2 :]  # in front next time: nobody is let off twice in a row
            pairs = list(zip(left[::2], left[1::2], strict=False))
            shares = await together(lambda pair: self._share(run.ask, pair), pairs)
            ahead = [winner(pair, share) for pair, share in zip(pairs, shares, strict=True)]
            told = ", ".join(
                f"{a.id} {share:.2g} : {1 - share:.2g} {b.id}" for (a, b), share in zip(pairs, shares, strict=True)
            )
            run.note(f"compared {told}", *ahead)
            left = [*byes, *ahead]
        if left:
            run.choose(left[0])

    async def _share(self, ask: Ask, pair: Pair) -> float:
        """The share of comparisons that the first one wins."""

        async def once(time: int) -> float:
            try:
                return await compare(replace(ask, model=Again(ask.model, time)) if time else ask, *pair)
            except BackendError:
                return 0.5

        return sum(await together(once, range(self.comparisons))) / self.comparisons

    def select(self, found: Sequence[Candidate]) -> Candidate:
        return select.majority(found)


def winner(pair: Pair, share: float) -> Candidate:
    """The one that won more than half of the comparisons; of a tie the likelier, then the first."""
    first, second = pair
    if share == 0.5:
        return max(pair, key=select.likelihood)
    return first if share > 0.5 else second


@dataclass(frozen=True, slots=True)
class Again:
    """A model asked the same thing once more: it is sampled, for greedily it would only repeat itself."""

    inner: Backend
    seed: int

    async def render(self, prompt: Prompt) -> Prompt:
        return await self.inner.render(prompt)

    def stream(self, call: Call) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
        return self.inner.stream(replace(call, sampling=replace(call.sampling, temperature=1.0, seed=self.seed)))
