"""P(True) (Kadavath et al. 2022, arXiv:2207.05221): how likely the serving model says Yes to "is this correct?"."""

import math
from collections.abc import Sequence
from typing import Literal

from strategies.protocols import Ask
from strategies.types import Candidate, Score
from strategies.verifiers.asking import Verdict, case, each, verdict
from strategies.verifiers.base import Settings

INSTRUCTION = "Is everything in the proposed response correct so far? Answer Yes or No."
YES, NO = "Yes", "No"


class PTrue(Settings):
    """The serving model's own probability that a response is correct: one token each, from its log-probabilities."""

    name: Literal["p_true"] = "p_true"

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score | None]:
        async def one(candidate: Candidate) -> Score | None:
            prompt = case(candidate, INSTRUCTION)
            return p_yes(await verdict(ask, prompt, [YES, NO], max_tokens=1, logprobs=20))

        return await each(one, candidates)


def p_yes(said: Verdict) -> Score | None:
    """P(Yes) / (P(Yes) + P(No)) over all first tokens that begin either word; None where there is none."""
    if not said.tokens:
        return None
    first = [(token.strip(), math.exp(p)) for token, p in said.tokens[0].top.items() if token.strip()]
    yes = sum(chance for token, chance in first if YES.startswith(token))
    no = sum(chance for token, chance in first if NO.startswith(token))
    return Score(yes / (yes + no)) if yes + no else None
