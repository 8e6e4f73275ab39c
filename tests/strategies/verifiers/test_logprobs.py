"""Verifiers that read the log-probabilities of sampling, and ask no model."""

import math

import pytest

from strategies.protocols import Ask
from strategies.testing import FakeBackend
from strategies.types import Candidate, Logprob, Prompt, Step
from strategies.verifiers.logprob import LogProb
from strategies.verifiers.self_certainty import SelfCertainty

pytestmark = pytest.mark.anyio
ASK = Ask(FakeBackend(lambda call, seed: ""))


def path(*steps):
    return Candidate(Prompt(()), steps=tuple(Step("a", tokens=len(tokens), logprobs=tuple(tokens)) for tokens in steps))


async def judged(verifier, *steps):
    [score] = await verifier.score([path(*steps)], ASK)
    return score


def token(*probabilities, sampled=None):
    top = {str(at): math.log(p) for at, p in enumerate(probabilities)}
    if sampled is not None:
        top["sampled"] = math.log(sampled)
    return Logprob(math.log(sampled or probabilities[0]), top)


async def test_logprob_is_the_geometric_mean_of_the_tokens_probabilities():
    score = await judged(LogProb(), [token(0.5), token(0.125)], [token(1.0)])
    assert score.value == pytest.approx((0.5 * 0.125) ** (1 / 3))
    assert score.steps == pytest.approx((0.25, 1.0))


async def test_a_longer_response_is_not_a_less_likely_one():
    assert (await judged(LogProb(), [token(0.5)] * 9)).value == pytest.approx(0.5)


async def test_self_certainty_is_the_mean_of_what_the_likeliest_tokens_leave():
    sure, unsure = token(0.98, 0.01), token(0.5, 0.5)
    score = await judged(SelfCertainty(k=2), [sure, unsure], [unsure])
    each = -(math.log(0.98) + math.log(0.01)) / 2, -math.log(0.5)
    assert score.value == pytest.approx((each[0] + 2 * each[1]) / 3)
    assert score.steps == pytest.approx((sum(each) / 2, each[1]))
    assert each[0] > each[1]


async def test_a_sampled_token_beyond_the_likeliest_does_not_count():
    rare = token(0.6, 0.3, sampled=0.0001)
    assert await judged(SelfCertainty(k=2), [rare]) == await judged(SelfCertainty(k=2), [token(0.6, 0.3)])


async def test_what_the_engine_did_not_tell_cannot_be_judged():
    only_the_sampled = [token(0.5)]
    assert await judged(LogProb(), []) is None
    assert await judged(SelfCertainty(), only_the_sampled) is None
    score = await judged(LogProb(), [token(0.5)], [])
    assert (score.value, score.steps) == (pytest.approx(0.5), ())


def test_they_tell_how_many_alternatives_they_need():
    assert (LogProb.logprobs, SelfCertainty.logprobs) == (0, 20)
