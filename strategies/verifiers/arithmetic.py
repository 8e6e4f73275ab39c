"""Checks the sums that a response writes down. Asks no model."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import Literal

from pydantic import Field

from strategies.answers import canonical
from strategies.protocols import Ask
from strategies.types import Candidate, Score
from strategies.verifiers.base import NEUTRAL, Settings, question
from strategies.verifiers.computing import each_text
from strategies.verifiers.equations import equations

LONGEST = 32_000
"""Characters of a path that are read; the scan takes some 10 microseconds for each in the worst case."""
AT_ONCE = 200
"""Characters of all paths together that are read right here: 2 ms at worst, and less than a call costs as a rule."""
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


class Arithmetic(Settings):
    """Tests every equation a response writes (3 + 4 = 7) in exact rationals and scores the share that holds."""

    name: Literal["arithmetic"] = "arithmetic"
    grounded: bool = Field(
        False,
        description="whether an equation may use only numbers of the question and earlier results, and a response that "
        "ends must have used all of the question's",
    )

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score]:
        """The share of a path's equations that hold, the same for each step; 0.5 where there is none to test."""
        texts = [candidate.text[:LONGEST] for candidate in candidates]
        asked = question(candidates[0])[:LONGEST] if self.grounded and candidates else None
        short = sum(map(len, texts)) <= AT_ONCE
        found = verdicts(texts, asked) if short else await each_text(verdicts, texts, ask, asked)
        return [judged(candidate, told or []) for candidate, told in zip(candidates, found, strict=True)]


def verdicts(texts: Sequence[str], asked: str | None = None) -> list[list[tuple[int, bool]]]:
    """Where in each text a tested equation ends, and whether it holds: on its own, or for the question `asked`."""
    if asked is not None:
        given = numbers(asked)
        return [grounded(text, given) for text in texts]
    return [[(equation.end, equation.holds) for equation in equations(text)] for text in texts]


def grounded(text: str, given: Sequence[str]) -> list[tuple[int, bool]]:
    """The verdicts on a text's equations, false where a number comes from nowhere; a last one on the whole text.

    That one, at the text's end, says whether all `given` numbers were used, each as often as it is there.
    """
    known, used, told = set(given), Counter[str](), []
    for equation in equations(text):
        left, _, right = equation.text.partition("=")
        working, results = numbers(left), numbers(right)
        if len(working) < 2:  # the result stands first
            working, results = results, working
        told.append((equation.end, equation.holds and known.issuperset(working)))
        used.update(working)
        known.update(results)
    return [*told, (len(text), Counter(given) <= used)]


def numbers(text: str) -> list[str]:
    """The numbers of a text without their signs, each written one way."""
    return [canonical(number) for number in NUMBER.findall(text)]


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
