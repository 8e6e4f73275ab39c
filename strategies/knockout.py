"""Knockout (Chen et al. 2024, arXiv:2411.19477): samples meet in pairs, the model judges, the better ones go on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field

from strategies import select
from strategies.base import Strategy
from strategies.protocols import Ask, Backend, BackendError, Take
from strategies.run import Run
from strategies.tasks import together
from strategies.types import Call, Candidate, Prompt
from strategies.verifiers.comparing import compare


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
            pairs = zip(left[::2], left[1::2], strict=False)
            met = await together(lambda pair: self._compared(run.ask, *pair), list(pairs))
            ahead = [candidate for candidate, _ in met]
            run.note("; ".join(told for _, told in met), *ahead)
            left = [*byes, *ahead]
        if left:
            run.choose(left[0])

    async def _compared(self, ask: Ask, first: Candidate, second: Candidate) -> tuple[Candidate, str]:
        """The one that wins more than half of the comparisons, of a tie the likelier; and how they met."""

        async def once(time: int) -> float:
            try:
                return await compare(replace(ask, model=Again(ask.model, time)) if time else ask, first, second)
            except BackendError:
                return 0.5

        won = sum(await together(once, range(self.comparisons)))
        lost = self.comparisons - won
        if won == lost:
            return max(first, second, key=select.likelihood), f"{first.id} = {second.id}"
        return first if won > lost else second, f"{first.id} {won:g} : {lost:g} {second.id}"

    def select(self, found: Sequence[Candidate]) -> Candidate:
        return select.majority(found)


@dataclass(frozen=True, slots=True)
class Again:
    """A model asked the same thing once more: it is sampled, for greedily it would only repeat itself."""

    inner: Backend
    seed: int

    async def render(self, prompt: Prompt) -> Prompt:
        return await self.inner.render(prompt)

    async def stream(self, call: Call, take: Take) -> None:
        sampling = replace(call.sampling, temperature=1.0, seed=self.seed)
        await self.inner.stream(replace(call, sampling=sampling), take)
