"""A process reward model (Lightman et al. 2023, arXiv:2305.20050): one value for each step of a path."""

import math
from collections.abc import Callable, Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from strategies.protocols import Ask
from strategies.types import Candidate, Score
from strategies.verifiers.reward import RewardSettings

Aggregation = Literal["last", "min", "product", "mean"]
AGGREGATIONS: dict[Aggregation, Callable[[Sequence[float]], float]] = {
    "last": lambda steps: steps[-1],
    "min": min,
    "product": math.prod,
    "mean": lambda steps: math.fsum(steps) / len(steps),
}


class ProcessReward(RewardSettings):
    """A reward model's value of each step, and of the path as their aggregate.

    A model trained on Monte-Carlo estimates tells how likely the path still ends well, so its last value says it all
    (`last`); one trained on verdicts about single steps needs all of them (`product` or `min`): arXiv:2501.07301.
    """

    name: Literal["process_reward"] = "process_reward"
    mode: Literal["steps", "prefix"] = Field(
        "steps",
        description="steps: a value at a tag after each step, the whole path read again with every wave (/pooling); "
        "prefix: the value of the path up to each step, only new prefixes are read (/classify)",
    )
    step_tag: str | int | None = Field(
        None, description="of mode steps: the token put after each step, by its text (`<extra_0>`) or its id"
    )
    aggregation: Aggregation = Field(
        "last",
        description="last: for models trained on Monte-Carlo estimates; product, min: for models trained on judged "
        "steps; mean",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.mode == "steps") == (self.step_tag is None):
            raise ValueError("step_tag goes with mode steps, and mode steps needs it")
        if self.aggregation == "product" and not self.activation:
            raise ValueError("a product needs values from 0 to 1: aggregation product goes with activation")
        return self

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score | None]:
        """The aggregate and one value a step; None for a path that the model refuses. Raises BackendError."""
        scorer = self.scorer(ask)
        if self.step_tag is None:
            values = await scorer.prefixes(candidates, activation=self.activation)
        else:
            values = await scorer.steps(candidates, self.step_tag, activation=self.activation)
        return [Score(AGGREGATIONS[self.aggregation](steps), tuple(steps)) if steps else None for steps in values]
