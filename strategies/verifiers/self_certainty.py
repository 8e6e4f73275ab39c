"""Self-certainty (Kang et al. 2025, arXiv:2502.18581) as DeepConf has it (Fu et al. 2025, arXiv:2508.15260)."""

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from strategies.protocols import Ask
from strategies.types import Candidate, Logprob, Score
from strategies.verifiers.base import Settings
from strategies.verifiers.tokenwise import by_tokens

MOST = 20
"""Alternatives that vLLM tells for a token, unless it is started with more."""


class SelfCertainty(Settings):
    """How sure the model was of its tokens: the mean over them of -(1/k) * sum log p of the k likeliest at each place.

    The likelier the first of them, the less is left to the others and the greater the value: some 5 to 25 at k = 20, no
    probability. Kang et al. take the divergence of the whole vocabulary from the uniform distribution; the k likeliest
    are what engines tell.
    """

    logprobs: ClassVar[int | None] = MOST
    name: Literal["self_certainty"] = "self_certainty"
    k: int = Field(MOST, ge=2, le=MOST, description="alternatives looked at for each token")

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score | None]:
        """A value for the path and for each step; None where the engine told no alternatives."""
        return [by_tokens(candidate, self.certainty) for candidate in candidates]

    def certainty(self, tokens: Sequence[Logprob]) -> float | None:
        """The mean confidence of tokens; None where no alternatives are known."""
        known = [confidence for token in tokens if (confidence := self.confidence(token)) is not None]
        return math.fsum(known) / len(known) if known else None

    def confidence(self, token: Logprob) -> float | None:
        """-(1/k) * sum log p of the k likeliest. A sampled token that is none of them is told besides, and dropped."""
        likeliest = sorted(token.top.values(), reverse=True)[: self.k]
        return -math.fsum(likeliest) / len(likeliest) if len(likeliest) > 1 else None
