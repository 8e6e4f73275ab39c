"""Looks for a pattern in a response."""

import re
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, field_validator

from strategies.answers import final_answer, spoken
from strategies.protocols import Ask, BackendError
from strategies.types import Candidate, Score
from strategies.verifiers.base import Settings
from strategies.verifiers.computing import each_text


class Regex(Settings):
    """1 where the pattern (of Python's `re`) is found, else 0; unjudged where looking for it takes too long."""

    name: Literal["regex"] = "regex"
    pattern: str = Field(min_length=1, max_length=1000)
    where: Literal["answer", "text"] = Field(
        "answer", description="the final answer, or all of the text after thinking"
    )

    @field_validator("pattern")
    @classmethod
    def _is_one(cls, pattern: str) -> str:
        try:  # only parsed, for compiling may already take seconds
            re._parser.parse(pattern)  # type: ignore[attr-defined]
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"no regular expression: {error}") from None
        return pattern

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score | None]:
        read = [self._read(candidate) for candidate in candidates]
        found = await each_text(matches, [text or "" for text in read], ask, self.pattern)
        if "invalid" in found:
            raise BackendError(f"{self.pattern!r} is no regular expression", 400, "reasoning_strategy.verifier.pattern")
        return [
            None if one is None else Score(float(one == "found" and text is not None))
            for one, text in zip(found, read, strict=True)
        ]

    def _read(self, candidate: Candidate) -> str | None:
        said = spoken(candidate)
        return said if self.where == "text" else final_answer(said, whole=candidate.finish == "stop")


def matches(texts: Sequence[str], pattern: str) -> list[str]:
    """For each text "found" or "absent", or "invalid" where the pattern is none. May take forever."""
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError):
        return ["invalid"] * len(texts)
    return ["found" if compiled.search(text) else "absent" for text in texts]
