"""An outcome reward model (Cobbe et al. 2021, arXiv:2110.14168): one value for a response as a whole."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from strategies.protocols import Ask, Endpoint
from strategies.types import Candidate, Score
from strategies.verifiers.reward import RewardSettings


class OutcomeReward(RewardSettings):
    """A reward model's value of each response as a whole, from its `/classify` or `/score`."""

    name: Literal["outcome_reward"] = "outcome_reward"
    endpoint: Endpoint = Field(
        "classify",
        description="classify: the conversation, response included, in the reward model's chat template; "
        "score: the last question and the response as a pair, for rerankers",
    )

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score | None]:
        """One value each; None for one that the model refuses, such as one too long for it. Raises BackendError."""
        values = await self.scorer(ask).outcomes(candidates, endpoint=self.endpoint, activation=self.activation)
        return [None if value is None else Score(value) for value in values]
