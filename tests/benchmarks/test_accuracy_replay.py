"""Replays: what they answer is what the pool holds, what they cost is what was generated."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.accuracy.pool import Drawn, Sample
from benchmarks.accuracy.replay import Exhausted, orders, replay, virtually
from strategies.best_of_n import BestOfN
from strategies.registry import Registry
from strategies.self_consistency import SelfConsistency
from strategies.types import Budget

VOTE = Registry().strategy({"name": "self_consistency", "n": 6, "early_stop": "none"})


def sample(answer, tokens=20, right=False, score=0.5, logprob=-0.5):
    text = f"so it is <answer>{answer}</answer>"
    return Sample(text, tokens, "stop", answer, right, logprob, logprob, {"arithmetic": score})


def drawn(*samples):
    return Drawn(0, "What?", "1", samples)


def played(strategy, problem, order=None, **kwargs):
    order = list(range(len(problem.samples))) if order is None else order
    return virtually(lambda: replay(strategy, problem, order, **kwargs))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from("1123"), min_size=6, max_size=6), st.integers(0, 99))
def test_a_vote_wins_by_what_the_pool_holds_in_any_order(answers, seed):
    problem = drawn(*(sample(answer, 10 + at, answer == "1", logprob=-at - 1.0) for at, answer in enumerate(answers)))
    order = Random(seed).sample(range(6), 6)
    outcome = played(VOTE, problem, order)
    votes = Counter(answers)
    most = [answer for answer in votes if votes[answer] == max(votes.values())]
    likeliest = next(answer for answer in answers if answer in most)
    assert outcome.right == (likeliest == "1")
    assert outcome.tokens == sum(s.tokens for s in problem.samples)


def test_samples_grow_at_once_so_a_replay_waits_for_the_longest():
    outcome = played(VOTE, drawn(*(sample("1", tokens) for tokens in (5, 10, 15, 20, 40, 33))))
    assert outcome.sequential == 40
    assert outcome.samples == 6


def test_the_best_scored_sample_is_chosen():
    problem = drawn(sample("2", score=0.2), sample("1", right=True, score=0.9), sample("2", score=0.4))
    assert played(BestOfN(n=3), problem, verifier="arithmetic").right


def test_a_formula_is_right_though_it_voted_with_an_equal_one():
    problem = drawn(sample("(3 + 4) * 2"), sample("2 * (4 + 3)", right=True, logprob=-0.1), sample("4 * 3"))
    assert played(Registry().strategy({"name": "self_consistency", "n": 3}), problem).right


def test_a_sample_that_is_aborted_costs_what_it_had_generated_by_then():
    fast, slow = sample("1", 10, right=True), sample("2", 1000)
    outcome = played(SelfConsistency(n=5), drawn(fast, fast, fast, slow, slow))
    assert outcome.right
    assert outcome.sequential == 10
    assert outcome.tokens == 50


def test_a_budget_cuts_a_replay_as_it_cuts_a_request():
    problem = drawn(*(sample("1", 100) for _ in range(6)))
    outcome = played(VOTE, problem, budget=Budget(tokens=300))
    assert outcome.tokens <= 300
    assert not outcome.right


def test_a_path_that_ran_out_of_its_allowance_goes_on_as_the_same_sample():
    problem = drawn(sample("1", 30, right=True), sample("1", 200, right=True), *(sample("1", 30) for _ in range(4)))
    outcome = played(VOTE, problem, budget=Budget(tokens=350))
    assert outcome.tokens == 350
    assert outcome.samples == 6


def test_a_strategy_that_wants_more_than_the_pool_holds_fails():
    with pytest.raises(Exhausted, match="more are wanted"):
        played(VOTE, drawn(sample("1")))


def test_unparsed_samples_abstain_and_count_as_unanswered():
    blank = Sample("no idea", 5, "length", None, False)
    outcome = played(VOTE, drawn(*(blank for _ in range(6))))
    assert (outcome.right, outcome.answered) == (False, False)


def test_orders_are_the_same_for_everyone_and_differ_between_resamples():
    problem = drawn(*(sample(str(at)) for at in range(8)))
    first, again = list(orders(problem, 3)), list(orders(problem, 3))
    assert first == again
    assert len(set(map(tuple, first))) == 3
    assert all(sorted(order) == list(range(8)) for order in first)
