"""Checks the sums that a response writes down. Asks no model."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Literal

from strategies.protocols import Ask
from strategies.types import Candidate, Score
from strategies.verifiers.base import NEUTRAL, Settings
from strategies.verifiers.computing import each_text
from strategies.verifiers.equations import equations

LONGEST = 32_000
"""Characters of a path that are read; the scan takes some 10 microseconds for each in the worst case."""
AT_ONCE = 200
"""Characters of all paths together that are read right here: 2 ms at worst, and less than a call costs as a rule."""


class Arithmetic(Settings):
    """Tests every equation a response writes (3 + 4 = 7) in exact rationals and scores the share that holds."""

    name: Literal["arithmetic"] = "arithmetic"

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score]:
        """The share of a path's equations that hold, the same for each step; 0.5 where there is none to test."""
        texts = [candidate.text[:LONGEST] for candidate in candidates]
        short = sum(map(len, texts)) <= AT_ONCE
        found = verdicts(texts) if short else await each_text(verdicts, texts, ask)
        return [judged(candidate, told or []) for candidate, told in zip(candidates, found, strict=True)]


def verdicts(texts: Sequence[str]) -> list[list[tuple[int, bool]]]:
    """Where in each text a tested equation ends, and whether it holds."""
    return [[(equation.end, equation.holds) for equation in equations(text)] for text in texts]


def judge(candidate: Candidate) -> Score:
    """The score of one path."""
    return judged(candidate, verdicts([candidate.text[:LONGEST]])[0])


def judged(candidate: Candidate, found: Sequence[tuple[int, bool]]) -> Score:
    """The score of a path with these verdicts. An equation belongs to the step that it ends in.

    One at the very end of what was read does not count where more digits may follow.
    """
    cut = candidate.finish != "stop" or len(candidate.text) > LONGEST
    last = min(len(candidate.text), LONGEST)
    counted = [(end, holds) for end, holds in found if end < last or not cut]
    ends = list(accumulate(len(step.text) for step in candidate.steps))
    steps: list[list[bool]] = [[] for _ in ends]
    for end, holds in counted:
        steps[bisect_right(ends[:-1], end - 1)].append(holds)
    return Score(_share([holds for _, holds in counted]), tuple(map(_share, steps)))


def _share(holds: Sequence[bool]) -> float:
    return sum(holds) / len(holds) if holds else NEUTRAL
