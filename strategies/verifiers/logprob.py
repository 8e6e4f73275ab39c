"""The mean log-probability of a response: what its sampling already tells. Asks no model."""

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from strategies.protocols import Ask
from strategies.types import Candidate, Logprob, Score
from strategies.verifiers.base import Settings
from strategies.verifiers.tokenwise import by_tokens


class LogProb(Settings):
    """The geometric mean of the probabilities of a response's tokens, from 0 to 1. It favours the fluent."""

    logprobs: ClassVar[int | None] = 0
    name: Literal["logprob"] = "logprob"

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score | None]:
        """A value for the path and for each step; None where the engine told no log-probabilities."""
        return [by_tokens(candidate, likelihood) for candidate in candidates]


def likelihood(tokens: Sequence[Logprob]) -> float | None:
    """exp(mean log p); None of no tokens."""
    return math.exp(math.fsum(token.logprob for token in tokens) / len(tokens)) if tokens else None
