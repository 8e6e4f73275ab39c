"""Particle filtering: who is drawn, when, and what copies are worth."""

import math
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from strategies.particle_filter import ParticleFilter
from strategies.resampling import effective, multinomial, odds, systematic
from strategies.testing import chatter
from tests.strategies.stepping import facts, number, opened, parents, pruned, saying, search

WEIGHTS = st.lists(st.floats(0, 1), min_size=1, max_size=40)
N = st.integers(1, 64)


@given(WEIGHTS, N, st.floats(0, 1, exclude_max=True))
def test_a_systematic_draw_gives_each_its_share_up_or_down(weights, n, u):
    assume(sum(weights) > 1e-3)
    drawn = systematic(weights, n, u)
    assert sum(drawn) == n
    for weight, count in zip(weights, drawn, strict=True):
        share = n * weight / sum(weights)
        assert math.floor(share - 1e-8) <= count <= math.ceil(share + 1e-8)


@given(st.integers(1, 40), st.floats(0, 1, exclude_max=True))
def test_a_systematic_draw_of_equals_takes_each_once(n, u):
    assert systematic([0.3] * n, n, u) == [1] * n


@given(WEIGHTS, N, st.integers())
def test_a_multinomial_draw_never_takes_what_weighs_nothing(weights, n, seed):
    assume(sum(weights) > 1e-3)
    drawn = multinomial(weights, n, random.Random(seed))
    assert sum(drawn) == n
    assert all(weight or not count for weight, count in zip(weights, drawn, strict=True))


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=40), st.floats(1e-308, 1e308))
def test_the_effective_sample_size_lies_between_one_and_all(scores, softness):
    weights = odds(scores, softness)
    assert 1 - 1e-9 <= effective(weights) <= len(scores) + 1e-9
    assert max(weights) == 1


def test_weights_are_odds():
    half, three_quarters = odds([0.5, 0.75], 1.0)
    assert three_quarters / half == pytest.approx(3)
    assert effective([0.2] * 5) == pytest.approx(5)
    assert effective([1, 0, 0]) == 1
    assert odds([-math.inf, -math.inf], 1.0) == [1, 1]


@pytest.mark.anyio
@pytest.mark.parametrize("score", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("n", [3, 7])
async def test_equal_scores_grow_independent_samples(score, n):
    strategy = ParticleFilter(particles=n, ess=1.0)
    played = await search(strategy, saying([*"abcdefg"], ["e", "f"]), lambda c: score)
    assert pruned(played) == set()
    assert len(parents(played, 2)) == n
    assert set(facts(played, "ancestors")) == {n}
    assert facts(played, "ess") == [pytest.approx(n)] * 2


@pytest.mark.anyio
async def test_a_good_particle_takes_the_places_of_bad_ones():
    played = await search(ParticleFilter(particles=4), saying(["0.01", "0.99", "0.01", "0.01"], ["0.5"]))
    assert parents(played, 2) == ["0.1"]
    assert pruned(played) == {"0.0", "0.2", "0.3"}
    assert len([id for id in opened(played) if id.count(".") == 2]) == 4
    assert facts(played, "ancestors") == [1, 1]


@pytest.mark.anyio
async def test_nobody_is_drawn_anew_while_enough_particles_carry_the_weight():
    reply = saying(["0.4", "0.6", "0.5", "0.5"], ["0.5"])
    gentle, strict = [await search(ParticleFilter(particles=4, ess=ess), reply) for ess in (0.5, 1.0)]
    assert pruned(gentle) == set()
    assert len([id for id in opened(strict) if id.count(".") == 2]) == 4
    assert facts(gentle, "ess")[0] == facts(strict, "ess")[0] < 4


@pytest.mark.anyio
async def test_the_copies_of_a_finished_particle_vote_each():
    def judge(candidate):
        if not candidate.finished:
            return 0.3
        return 0.6 if "{1}" in candidate.text else 0.5

    reply = saying(["\\boxed{1}", "a", "b", "c"], end="\\boxed{2}")
    played = await search(ParticleFilter(particles=4, ess=1.0), reply, judge)
    others = [id for id in opened(played) if id.count(".") == 2]
    assert 1 <= len(others) <= 2, "it was drawn two times or three"
    assert played.answer.id == "0.0"


@pytest.mark.anyio
async def test_a_finished_particle_that_is_not_drawn_again_does_not_vote():
    reply = saying(["\\boxed{0.001}", "\\boxed{0.001}", "\\boxed{0.001}", "0.99"], end="\\boxed{0.5}")
    played = await search(ParticleFilter(particles=4), reply)
    assert pruned(played) == {"0.0", "0.1", "0.2"}
    assert number(played.answer) == 0.5


@pytest.mark.anyio
@pytest.mark.parametrize("resampling", ["systematic", "multinomial"])
async def test_the_same_samples_are_drawn_alike_whatever_else_draws_numbers(resampling):
    strategy, ids = ParticleFilter(particles=6, ess=1.0, resampling=resampling), []
    for seed in (1, 2):
        random.seed(seed)
        played = await search(strategy, chatter(5), lambda c: 0.9 if len(c.text) % 2 else 0.2)
        ids.append(opened(played))
    assert ids[0] == ids[1]
