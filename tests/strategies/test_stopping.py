"""When a vote may end early."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.stopping import agreed, decided, likely, unanimous


@pytest.mark.parametrize("votes", [(4, 0), (6, 1), (8, 2), (9, 3), (11, 4), (12, 5)])
def test_the_beta_rule_stops_where_the_paper_does(votes):
    first, second = votes
    assert likely({"a": first, "b": second})
    assert not likely({"a": first - 1, "b": second})
    assert not likely({"b": second + 1, "a": first})


def test_the_beta_rule_looks_at_the_first_two_answers_alone():
    assert likely({"a": 6, "b": 1, "c": 1, "d": 1})


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_beta_rule_never_stops_a_vote_that_is_level(first, ahead):
    assert not likely({"a": first, "b": first})
    assert likely({"a": first + ahead, "b": first}, 0.5) or not first + ahead


def test_no_rule_stops_without_a_vote():
    assert not any((likely({}), decided({}, 0), unanimous([]), unanimous([None, None]), agreed({}, 0.5)))


def test_an_answer_that_cannot_be_read_breaks_a_window():
    assert unanimous(["1", "1", "1"])
    assert not unanimous(["1", None, "1"])
    assert not unanimous(["1", "2", "1"])


@given(st.lists(st.sampled_from("abc"), min_size=1), st.floats(0.5, 1))
def test_a_consensus_is_a_share_of_the_whole_weight(answers, share):
    votes = Counter(answers)
    assert agreed(votes, share) == (max(votes.values()) >= share * len(answers))
