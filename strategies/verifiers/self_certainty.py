"""Self-certainty (Kang et al. 2025, arXiv:2502.18581) as DeepConf has it (Fu et al. 2025, arXiv:2508.15260)."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from strategies.confidence import TOP, certainty
from strategies.protocols import Ask
from strategies.types import Candidate, Logprob, Score
from strategies.verifiers.base import Settings
from strategies.verifiers.tokenwise import by_tokens


class SelfCertainty(Settings):
    """How sure the model was of its tokens: the mean over them of -(1/k) * sum log p of the k likeliest at each place.

    The likelier the first of them, the less is left to the others and the greater the value: some 5 to 25 at k = 20, no
    probability. Kang et al. take the divergence of the whole vocabulary from the uniform distribution; the k likeliest
    are what engines tell.
    """

    logprobs: ClassVar[int | None] = TOP
    name: Literal["self_certainty"] = "self_certainty"
    k: int = Field(TOP, ge=2, le=TOP, description="alternatives looked at for each token")

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score | None]:
        """A value for the path and for each step; None where the engine told no alternatives."""
        return [by_tokens(candidate, self.certainty) for candidate in candidates]

    def certainty(self, tokens: Sequence[Logprob]) -> float | None:
        """The mean confidence of those tokens whose alternatives were told."""
        return certainty([token for token in tokens if len(token.top) > 1], self.k)
