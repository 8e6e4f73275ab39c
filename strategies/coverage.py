"""Repeated sampling (Large Language Monkeys: Brown et al. 2024, arXiv:2407.21787): how many samples hit the answer."""

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from strategies import select
from strategies.answers import answer_of
from strategies.base import Judged
from strategies.run import Run
from strategies.types import Candidate

RIGHT = 1.0
"""The score by which a sound checker says that a response is right."""


class Coverage(Judged):
    """Draw `n` samples and tell all answers with their votes; with a sound checker as `verifier`, pass@k as well.

    The most frequent answer wins; with a checker, a response that it found right.
    """

    name: Literal["coverage"] = "coverage"
    n: int = Field(64, ge=1, description="samples to draw")

    @property
    def widest(self) -> int:
        return self.n

    @property
    def judges(self) -> bool:
        return self.verifier is not None

    async def explore(self, root: Candidate, run: Run) -> None:
        async with run.race(root, n=self.n, judge=self.judges) as arriving:
            async for _ in arriving:
                pass
        drawn = run.found
        answers = len(select.tally(drawn))
        silent = sum(answer_of(c) is None for c in drawn)
        told = f"{answers} different answers in {len(drawn)} samples; {select.counted(drawn)}"
        run.note(told, samples=len(drawn), answers=answers, silent=silent)
        if judged := [c for c in drawn if c.score]:
            right = sum(select.value(c) >= RIGHT for c in judged)
            chances = {str(k): pass_at_k(len(judged), right, k) for k in ks(len(judged))}
            run.note(f"{right} of {len(judged)} samples are right", right=right, judged=len(judged), pass_at_k=chances)

    def select(self, found: Sequence[Candidate]) -> Candidate:
        right = [c for c in found if select.value(c) >= RIGHT]
        return select.best(right) if right else select.majority(found)


def ks(n: int) -> list[int]:
    """1, 2, 4, … and `n`."""
    return sorted({*(2**power for power in range(n.bit_length())), n})


def pass_at_k(n: int, right: int, k: int) -> float:
    """The chance that `k` samples hold a right one, unbiased, by `right` of `n` (Chen et al. 2021, arXiv:2107.03374).

    1 - C(n - right, k) / C(n, k) as a product, for the coefficients are huge.
    """
    return 1.0 - math.prod(1.0 - k / i for i in range(n - right + 1, n + 1)) if n - right >= k else 1.0
