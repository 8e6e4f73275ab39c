"""Several verifiers as one (Lifshitz et al. 2025, arXiv:2502.20379: more verifiers, weak ones too, judge better)."""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from strategies.protocols import Ask, BackendError, Verifier
from strategies.tasks import together
from strategies.types import Candidate, Score
from strategies.verifiers.base import Settings

COMBINE: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": lambda values: math.fsum(values) / len(values),
    "min": min,
}


def built(member: Any, info: ValidationInfo) -> Any:
    """A member as a verifier: one that is built stays, a name or an object goes to whoever validates (`make`)."""
    match member:
        case str() | dict():
            make = (info.context or {}).get("make")
            if make is None:
                raise ValueError("here is nobody who makes verifiers of names")
            return make(member)
    return member


NAMED: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "object", "required": ["name"]}]}
Member = Annotated[Any, BeforeValidator(built), WithJsonSchema(NAMED)]


class Ensemble(Settings):
    """Several verifiers at once: the mean, or the least, of their scores. They should score on a like scale.

    A member that cannot judge a candidate is left out for it; so is, for all, one whose engine fails.
    """

    name: Literal["ensemble"] = "ensemble"
    members: list[Member] = Field(min_length=1, max_length=8, description="verifiers' names, or objects as `verifier`")
    combine: Literal["mean", "min"] = Field("mean", description="of the members' scores")

    @property
    def logprobs(self) -> int | None:  # type: ignore[override]
        """The most alternatives that a member needs to see."""
        return max((one.logprobs for one in self.members if one.logprobs is not None), default=None)

    @property
    def compares(self) -> bool:
        return any(one.compares for one in self.members)

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score | None]:
        """One score each; None where no member can judge. Raises BackendError where every member's engine fails."""
        errors: list[BackendError] = []

        async def one(member: Verifier) -> Sequence[Score | None]:
            try:
                return await member.score(candidates, ask)
            except BackendError as error:
                errors.append(error)
                return [None] * len(candidates)

        columns = await together(one, self.members)
        if len(errors) == len(self.members):
            raise errors[0]
        return [self.combined([score for score in row if score]) for row in zip(*columns, strict=True)]

    def combined(self, scores: Sequence[Score]) -> Score | None:
        """The members' scores of one candidate as one; step by step where all have equally many steps."""
        if not scores:
            return None
        combine = COMBINE[self.combine]
        alike = len({len(score.steps) for score in scores}) == 1
        steps = zip(*(score.steps for score in scores), strict=True) if alike else ()
        return Score(combine([score.value for score in scores]), tuple(combine(values) for values in steps))
