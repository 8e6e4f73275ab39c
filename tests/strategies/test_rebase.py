"""REBASE: sharing out steps by score."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.rebase import Rebase, allocation
from tests.strategies.stepping import opened, parents, pruned, saying, search

SCORES = st.lists(st.floats(-5, 5), min_size=1, max_size=40)
STEPS = st.integers(0, 64)
SOFTNESS = st.floats(1e-308, 1e308)


@given(SCORES, STEPS, SOFTNESS)
def test_all_steps_are_given_and_no_more(scores, steps, softness):
    assert sum(allocation(scores, steps, softness)) == steps


@given(SCORES, STEPS, SOFTNESS)
def test_a_better_score_never_gets_less(scores, steps, softness):
    ranked = sorted(zip(scores, allocation(scores, steps, softness), strict=True), key=lambda pair: -pair[0])
    shares = [share for _, share in ranked]
    assert shares == sorted(shares, reverse=True)


@given(SCORES, st.integers(1, 8), st.sampled_from([1e9, 1e12, math.inf]))
def test_where_all_is_soft_all_get_alike(scores, each, softness):
    assert allocation([score / 1e3 for score in scores], each * len(scores), softness) == [each] * len(scores)


@given(SCORES, STEPS)
def test_where_nothing_is_soft_the_best_gets_all(scores, steps):
    shares = allocation([round(score) for score in scores], steps, 1e-3)
    best = {at for at, score in enumerate(scores) if round(score) == max(map(round, scores))}
    assert sum(shares[at] for at in best) == steps


def test_shares_are_rounded_up_from_the_best_on():
    assert allocation([0.0, math.log(3)], 6, 1.0) == [1, 5]
    assert allocation([math.log(4), math.log(2), math.log(1)], 4, 1.0) == [3, 1, 0]


def test_those_without_a_score_get_steps_only_where_none_has_one():
    assert allocation([-math.inf, 0.1], 4, 1.0) == [0, 4]
    assert allocation([-math.inf, -math.inf], 4, 1.0) == [2, 2]
    assert allocation([], 4, 1.0) == []


@pytest.mark.anyio
async def test_a_better_path_has_more_children():
    played = await search(Rebase(width=4, softness=0.5), saying(["0.1", "0.9", "0.5", "0.2"], ["0.5"]))
    children = [sum(id.startswith(f"0.{at}.") for id in opened(played) if id.count(".") == 2) for at in range(4)]
    assert sum(children) == 4
    assert children[1] == max(children) > children[0]
    assert pruned(played) == {f"0.{at}" for at in range(4) if not children[at]}


@pytest.mark.anyio
async def test_a_finished_path_leaves_one_step_less_to_share():
    played = await search(Rebase(width=4), saying(["0.5", "\\boxed{9}", "0.5", "0.5"], ["0.5", "0.5"]))
    assert len([id for id in opened(played) if id.count(".") == 2]) == 3
    assert "0.1" not in parents(played, 2)


@pytest.mark.anyio
async def test_equal_scores_grow_independent_samples():
    played = await search(Rebase(width=4), saying(["a", "b", "c", "d"], ["e", "f"]), lambda c: 0.7)
    assert pruned(played) == set()
    assert parents(played, 2) == ["0.0", "0.1", "0.2", "0.3"]
