"""P(True) (Kadavath et al. 2022, arXiv:2207.05221): how likely the serving model says Yes to "is this correct?"."""

import math
from collections.abc import Sequence
from typing import Literal

from strategies.protocols import Backend
from strategies.tasks import together
from strategies.types import Candidate, Score
from strategies.verifiers.asking import Verdict, case, verdict
from strategies.verifiers.base import NEUTRAL, Settings

INSTRUCTION = "Is everything in the proposed response correct so far? Answer Yes or No."
YES, NO = "Yes", "No"


class PTrue(Settings):
    """The serving model's own probability that a response is correct: one token each, from its log-probabilities."""

    name: Literal["p_true"] = "p_true"

    async def score(self, candidates: Sequence[Candidate], ask: Backend) -> list[Score]:
        async def one(candidate: Candidate) -> Score:
            prompt = case(candidate, INSTRUCTION)
            return Score(p_yes(await verdict(ask, prompt, [YES, NO], max_tokens=1, logprobs=20)))

        return await together(one, candidates)


def p_yes(said: Verdict) -> float:
    """P(Yes) / (P(Yes) + P(No)) over all first tokens that begin either word."""
    if not said.tokens:
        return NEUTRAL
    first = [(token.strip(), math.exp(p)) for token, p in said.tokens[0].top.items() if token.strip()]
    yes = sum(chance for token, chance in first if YES.startswith(token))
    no = sum(chance for token, chance in first if NO.startswith(token))
    return yes / (yes + no) if yes + no else NEUTRAL
