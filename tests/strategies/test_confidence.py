"""How sure a model was: confidence of tokens, of groups of them, of whole responses."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.confidence import (
    Groups,
    group_width,
    least_confidence,
    probability,
    quantile,
    self_certainty,
    token_confidence,
)
from strategies.types import Candidate, Logprob, Prompt, Step


def token(*top, sampled=-1.0):
    return Logprob(sampled, {str(at): logprob for at, logprob in enumerate(top)})


def wrote(*tokens):
    return Candidate(Prompt(()), "0.0", (Step("x", tokens=len(tokens), logprobs=tokens),), "stop")


sure = st.lists(st.floats(0, 20), min_size=1, max_size=40).map(lambda means: [token(-mean) for mean in means])


def test_a_tokens_confidence_is_minus_the_mean_over_its_likeliest():
    assert token_confidence(token(-1.0, -3.0)) == 2.0
    assert token_confidence(token(-0.0, -9.0)) > token_confidence(token(-0.7, -0.7))


def test_a_sampled_token_beside_the_likeliest_is_left_out():
    assert token_confidence(token(-1.0, -3.0, -50.0), k=2) == 2.0
    assert token_confidence(Logprob(-50.0, {"rare": -50.0, "a": -1.0, "b": -3.0}), k=2) == 2.0


def test_where_no_alternatives_are_told_nothing_is_known():
    assert token_confidence(Logprob(-0.5)) is None
    assert self_certainty(wrote(Logprob(-0.5))) is None
    assert least_confidence(wrote(Logprob(-0.5)), 4) is None
    assert probability(wrote()) is None


def test_a_responses_probability_is_the_mean_of_its_tokens_not_their_product():
    assert probability(wrote(*[Logprob(math.log(0.5))] * 100)) == pytest.approx(0.5)


def test_self_certainty_skips_tokens_of_which_nothing_is_known():
    assert self_certainty(wrote(token(-1.0), Logprob(-9.0), token(-3.0))) == 2.0


@given(sure, st.integers(1, 50))
def test_the_lowest_group_is_the_lowest_mean_of_so_many_tokens_in_a_row(tokens, width):
    means = [-next(iter(one.top.values())) for one in tokens]
    groups = [means[at : at + width] for at in range(max(1, len(means) - width + 1))]
    told = least_confidence(wrote(*tokens), width)
    assert told == pytest.approx(min(sum(group) / len(group) for group in groups), abs=1e-9)


@given(sure, st.integers(1, 50), st.data())
def test_groups_are_the_same_in_whatever_pieces_tokens_come(tokens, width, data):
    at = data.draw(st.integers(0, len(tokens)))
    pieces, whole = Groups(width), Groups(width)
    pieces.add(tokens[:at])
    pieces.add(tokens[at:])
    whole.add(tokens)
    assert (pieces.lowest, pieces.least, pieces.seen) == (whole.lowest, whole.least, whole.seen)


def test_a_group_shrinks_to_a_quarter_of_the_typical_response():
    assert group_width([30_000, 9_000, 20_000], 2048) == 2048
    assert group_width([100, 120, 4000], 2048) == 30
    assert group_width([1], 2048) == 1


@given(st.lists(st.floats(0, 9), min_size=1), st.floats(0, 1))
def test_a_quantile_lies_among_the_values_and_grows(values, share):
    assert min(values) <= quantile(values, share) <= max(values)
    assert quantile(values, 0) <= quantile(values, share) <= quantile(values, 1)


def test_a_quantile_between_two_values_is_interpolated():
    assert quantile([1, 2, 3, 4, 5], 0.9) == pytest.approx(4.6)
    assert quantile([3], 0.9) == 3
