"""Best-of-n: what must hold of it."""

import pytest

from strategies.best_of_n import BestOfN
from strategies.growth import seed_of
from strategies.single import Single
from strategies.testing import FakeBackend, FakeVerifier, chatter, play
from strategies.types import Sampling

pytestmark = pytest.mark.anyio


async def test_where_all_scores_are_equal_the_first_of_equally_likely_ones_answers():
    backend = FakeBackend(lambda call, seed: f"\\boxed{{{seed - seed_of(0, '0')}}}", jitter=3)
    played = await play(BestOfN(n=5), backend, verifier=FakeVerifier(lambda c: 0.5), group=1)
    assert played.answer.id == "0.0"


@pytest.mark.parametrize("selection", ["max", "weighted_vote"])
async def test_best_of_one_is_the_single_sample(selection):
    for seed in range(5):
        sampling = Sampling(seed=seed, temperature=0.7)
        one = await play(BestOfN(n=1, selection=selection), FakeBackend(chatter(1)), sampling=sampling)
        single = await play(Single(), FakeBackend(chatter(1)), sampling=sampling)
        assert one.answer.text == single.answer.text
