"""Repeated sampling: all answers and their votes, pass@k with a sound checker."""

import time
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import select
from strategies.answers import answer_of
from strategies.coverage import Coverage, ks, pass_at_k
from strategies.events import Closed, Note, Scored
from strategies.growth import seed_of
from strategies.testing import FakeBackend, FakeVerifier, play
from strategies.types import Budget

pytestmark = pytest.mark.anyio


def script(*answers):
    said = ["hm" if answer is None else f"\\boxed{{{answer}}}" for answer in answers]
    return lambda call, seed: said[(seed - seed_of(0, "0")) % len(said)]


def facts(played):
    return {name: value for event in played.events if isinstance(event, Note) for name, value in event.facts.items()}


def checker(right):
    return FakeVerifier(lambda c: float(answer_of(c) == right))


async def test_the_most_frequent_answer_wins_and_all_are_counted():
    played = await play(Coverage(n=7), FakeBackend(script(1, 2, 2, 3, 2, None, 1)))
    assert answer_of(played.answer) == "2"
    assert facts(played) == {"samples": 7, "answers": 3, "silent": 1}


async def test_without_a_checker_nothing_is_judged_and_no_log_probabilities_are_asked_for():
    assert not Coverage().judges
    played = await play(Coverage(n=3), FakeBackend(script(1)))
    assert not any(isinstance(event, Scored) for event in played.events)
    assert {call.sampling.logprobs for call in played.backend.calls} == {None}


async def test_with_a_checker_a_right_one_answers_and_pass_at_k_is_told():
    strategy = Coverage(n=6, verifier="checker")
    played = await play(strategy, FakeBackend(script(1, 1, 1, 2, 1, 1)), verifier=checker("2"))
    assert played.answer.id == "0.3"
    assert facts(played)["right"] == 1
    assert facts(played)["pass_at_k"] == pytest.approx({"1": 1 / 6, "2": 2 / 6, "4": 4 / 6, "6": 1.0})


async def test_where_nothing_is_right_the_most_frequent_answers():
    played = await play(Coverage(n=3, verifier="checker"), FakeBackend(script(1, 1, 2)), verifier=checker("9"))
    assert answer_of(played.answer) == "1"
    assert set(facts(played)["pass_at_k"].values()) == {0.0}


@given(st.integers(1, 60), st.data())
def test_pass_at_k_is_the_share_of_draws_that_hold_a_right_one(n, data):
    right, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    assert pass_at_k(n, right, k) == pytest.approx(1 - comb(n - right, k) / comb(n, k))


@pytest.mark.parametrize(
    ("n", "told"), [(1, [1]), (4, [1, 2, 4]), (6, [1, 2, 4, 6]), (1024, [2**i for i in range(11)])]
)
def test_k_doubles_up_to_n(n, told):
    assert ks(n) == told


async def test_a_thousand_samples_are_no_trouble(anyio_backend):
    started = time.process_time()
    played = await play(
        Coverage(n=1024), FakeBackend(script(*range(300), 7), interval=8), budget=Budget(samples=1024, seconds=60)
    )
    assert time.process_time() - started < 5
    grown = [event.candidate for event in played.events if isinstance(event, Closed)]
    assert len(grown) == 1024
    assert len(select.tally(grown)) == 300
    assert answer_of(played.answer) == "7"
