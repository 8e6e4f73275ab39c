"""Recursive self-aggregation (Venkatraman et al. 2025, arXiv:2509.26626): answers made out of several answers."""

import json
import random
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from strategies import select
from strategies.answers import spoken
from strategies.base import Strategy
from strategies.prompts import again, asking
from strategies.revise import excerpt
from strategies.run import Run
from strategies.types import Candidate

AGGREGATE = (
    "Above are attempts of others at this question, each as one JSON string. Any of them may be wrong, or right in "
    "parts. Compare them, keep what is right, correct what is not, and give one full answer of your own that is better "
    "than each of them."
)


class Rsa(Strategy):
    """Sample `n` answers, then make `n` new ones, each out of `k` of the last, and so on; the last ones vote."""

    name: Literal["rsa"] = "rsa"
    n: int = Field(8, ge=1, description="answers in each generation")
    rounds: int = Field(3, ge=1, description="generations, the first one included")
    k: int = Field(4, ge=1, description="answers that each new one is made out of")

    @property
    def widest(self) -> int:
        return self.n

    async def explore(self, root: Candidate, run: Run) -> None:
        population = await run.extend(root, n=self.n, logprobs=0)
        for generation in range(2, self.rounds + 1):
            shown = [candidate for candidate in population if spoken(candidate)]
            if not shown:
                return
            draws = [drawn(shown, self.k, f"{root.id}/{generation}/{at}") for at in range(self.n)]
            new = await run.extend(*(aggregation(root, some) for some in draws), logprobs=0)
            if select.tally(population) and not select.tally(new):
                run.note(f"generation {generation} gives no answer that can be read: the one before it votes")
                run.prune(new, "no answers")
                return
            run.prune(population, f"generation {generation}: {select.counted(new)}")
            population = new

    def select(self, found: Sequence[Candidate]) -> Candidate:
        return select.majority(found)


def drawn(population: Sequence[Candidate], k: int, seed: str) -> list[Candidate]:
    """`k` of a population, none twice; the same for the same seed."""
    return random.Random(seed).sample(population, min(k, len(population)))


def aggregation(root: Candidate, attempts: Sequence[Candidate]) -> Candidate:
    """The question with attempts at it, to be answered as a child of the first of them."""
    said = (json.dumps(excerpt(attempt, len(attempts)), ensure_ascii=False) for attempt in attempts)
    listed = "\n\n".join(f"Attempt {number}: {text}" for number, text in enumerate(said, start=1))
    words = f"{listed}\n\n{again(root.prompt.messages, AGGREGATE)}"
    return attempts[0].asked(asking(root.prompt.messages, words))
