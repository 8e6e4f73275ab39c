"""Checks the sums that a response writes down. Asks no model."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Literal

from strategies.protocols import Ask
from strategies.types import Candidate, Score
from strategies.verifiers.base import NEUTRAL, Settings
from strategies.verifiers.equations import equations

LONGEST = 32_000
"""Characters of a path that are read; the scan takes some 10 microseconds for each in the worst case."""


class Arithmetic(Settings):
    """Tests every equation a response writes (3 + 4 = 7) in exact rationals and scores the share that holds."""

    name: Literal["arithmetic"] = "arithmetic"

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score]:
        """The share of a path's equations that hold, the same for each step; 0.5 where there is none to test."""
        return [judge(candidate) for candidate in candidates]


def judge(candidate: Candidate) -> Score:
    """The score of one path. An equation belongs to the step that it ends in."""
    text = candidate.text[:LONGEST]
    found = equations(text, complete=candidate.finish == "stop" and len(text) == len(candidate.text))
    ends = list(accumulate(len(step.text) for step in candidate.steps))
    verdicts: list[list[bool]] = [[] for _ in ends]
    for equation in found:
        verdicts[bisect_right(ends[:-1], equation.end - 1)].append(equation.holds)
    return Score(_share([equation.holds for equation in found]), tuple(map(_share, verdicts)))


def _share(verdicts: Sequence[bool]) -> float:
    return sum(verdicts) / len(verdicts) if verdicts else NEUTRAL
