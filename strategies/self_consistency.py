"""Self-consistency (Wang et al. 2022, arXiv:2203.11171): sample many, keep the answer that most agree on."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from strategies import select, stopping
from strategies.answers import answer_of
from strategies.base import Judged
from strategies.confidence import TOP, WORTHS
from strategies.run import Run
from strategies.types import Candidate


class SelfConsistency(Judged):
    """Sample up to `n` responses and take the answer with the most votes; stop once it is clear enough.

    `certain`: the leader cannot be overtaken. `beta`, `esc`: after a round, for short answers come first, the leader is
    likely enough, or the round agrees, whose answer then wins whatever earlier ones said, as in ESC's own code.
    """

    name: Literal["self_consistency"] = "self_consistency"
    n: int = Field(8, ge=1, description="most samples to draw")
    weights: Literal["count", "logprob", "self_certainty", "verifier"] = Field(
        "count", description="what a vote weighs: 1, or how likely, how certain, or how good by a verifier it is"
    )
    early_stop: Literal["none", "certain", "beta", "esc"] = Field(
        default_factory=lambda data: "certain" if data.get("weights") == "count" else "none",
        description="when to stop before `n`; the default is `certain` for weights `count`, `none` for others",
    )
    threshold: float = Field(0.95, gt=0.5, lt=1, description="how likely the leader has to be under `beta`")
    window: int = Field(5, ge=2, description="samples in a row that have to agree under `esc`")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.early_stop == "certain" and self.weights != "count":
            raise ValueError("early_stop certain goes with weights count: of others nobody knows what is still to come")
        if self.verifier and not self.judges:
            raise ValueError("a verifier goes with weights verifier")
        return self

    @property
    def judges(self) -> bool:
        return self.weights == "verifier"

    @property
    def widest(self) -> int:
        return min(self.n, {"beta": stopping.ROUND, "esc": self.window}.get(self.early_stop, self.n))

    async def explore(self, root: Candidate, run: Run) -> None:
        votes: Counter[str] = Counter()
        top = TOP if self.weights == "self_certainty" else 0
        for start in range(0, self.n, self.widest):
            answers: list[str | None] = []
            async with run.race(root, n=min(self.widest, self.n - start), judge=self.judges, logprobs=top) as arriving:
                async for candidate in arriving:
                    answers.append(answer_of(candidate))
                    votes.update(filter(None, answers[-1:]))
                    if self.early_stop == "certain" and self._settled(votes, answers):
                        break
            if self._settled(votes, answers):
                saved = self.n - start - len(answers)
                run.note(f"settled after {self.n - saved} of {self.n} samples", saved=saved)
                if self.early_stop == "esc":
                    run.choose(self.select([c for c in run.found if answer_of(c) == answers[0]]))
                break
        run.note(select.counted(run.found, select.weighing(run.found, WORTHS[self.weights])))

    def _settled(self, votes: Counter[str], answers: Sequence[str | None]) -> bool:
        """Whether it stops here: `votes` are all so far, `answers` those of this round."""
        if self.early_stop == "certain":
            return stopping.decided(votes, self.n - len(answers)) and len(answers) < self.n
        if self.early_stop == "beta":
            return stopping.likely(votes, self.threshold)
        return self.early_stop == "esc" and len(answers) == self.window and stopping.unanimous(answers)

    def select(self, found: Sequence[Candidate]) -> Candidate:
        return select.weighted(found, WORTHS[self.weights])
