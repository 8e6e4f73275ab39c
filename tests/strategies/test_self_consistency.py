"""Self-consistency: weights of votes, and when it stops early."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from strategies import select
from strategies.answers import answer_of
from strategies.confidence import WORTHS
from strategies.events import Note, Scored
from strategies.growth import seed_of
from strategies.self_consistency import SelfConsistency
from strategies.testing import FakeBackend, FakeVerifier, failing, play
from strategies.types import Candidate, Logprob, Prompt, Score, Step

pytestmark = pytest.mark.anyio


def script(*answers):
    """A model whose sample i gives the i-th answer; None gives none."""
    said = ["hm" if answer is None else f"so \\boxed{{{answer}}}" for answer in answers]
    return lambda call, seed: said[seed - seed_of(0, "0")]


def facts(played):
    return {name: value for event in played.events if isinstance(event, Note) for name, value in event.facts.items()}


def voted(answer, weight, at):
    logprobs = (Logprob(-weight, {"x": -weight, "y": -weight}),)
    return Candidate(
        Prompt(()), f"0.{at}", (Step(f"\\boxed{{{answer}}}", tokens=1, logprobs=logprobs),), "stop", Score(weight)
    )


ballots = st.lists(st.tuples(st.integers(0, 3), st.floats(0, 5)), min_size=1, max_size=12).map(
    lambda votes: [voted(answer, weight, at) for at, (answer, weight) in enumerate(votes)]
)
answers = st.lists(st.sampled_from([1, 2, 3, None]), min_size=1, max_size=12)
WEIGHTS = ["count", "logprob", "self_certainty", "verifier"]


@pytest.mark.parametrize("weights", WEIGHTS)
@given(found=ballots, random=st.randoms())
def test_the_winner_does_not_depend_on_the_order_of_votes(weights, found, random):
    strategy, shuffled = SelfConsistency(weights=weights), list(found)
    random.shuffle(shuffled)
    votes = [select.tally(order, select.weighing(order, WORTHS[weights])) for order in (found, shuffled)]
    assert votes[0] == votes[1]
    if len({c.score.value for c in found}) == len(found):  # else a tie may go to whoever is first in the list
        assert strategy.select(shuffled).text == strategy.select(found).text


@pytest.mark.parametrize("weights", WEIGHTS)
@given(found=ballots, weight=st.floats(0, 5))
def test_equal_weights_are_the_majority(weights, found, weight):
    alike = [voted(answer_of(c), weight, at) for at, c in enumerate(found)]
    assert SelfConsistency(weights=weights).select(alike) is SelfConsistency().select(alike)


def test_a_sure_minority_outvotes_an_unsure_majority():
    found = [voted(1, 0.5, 0), voted(1, 0.6, 1), voted(2, 4.0, 2)]
    assert answer_of(SelfConsistency().select(found)) == "1"
    assert answer_of(SelfConsistency(weights="self_certainty").select(found)) == "2"
    assert answer_of(SelfConsistency(weights="verifier").select(found)) == "2"


@pytest.mark.parametrize(("weights", "asked"), [("count", 0), ("logprob", 0), ("self_certainty", 20)])
async def test_it_asks_for_the_log_probabilities_that_it_weighs(weights, asked):
    played = await play(SelfConsistency(n=2, weights=weights), FakeBackend(script(1, 1)))
    assert {call.sampling.logprobs for call in played.backend.calls} == {asked}


async def test_a_verifier_judges_only_where_its_scores_are_weights():
    plain = await play(SelfConsistency(n=3), FakeBackend(script(1, 1, 2)))
    verifier = FakeVerifier(lambda c: 1.0 if "2" in c.text else 0.1)
    scored = await play(SelfConsistency(n=3, weights="verifier"), FakeBackend(script(1, 1, 2)), verifier=verifier)
    assert not any(isinstance(event, Scored) for event in plain.events)
    assert sum(isinstance(event, Scored) for event in scored.events) == 3
    assert (answer_of(plain.answer), answer_of(scored.answer)) == ("1", "2")


@pytest.mark.parametrize(
    "asked",
    [
        {"weights": "logprob", "early_stop": "certain"},
        {"verifier": "judge"},
        {"verifier": "judge", "weights": "logprob"},
        {"early_stop": True},
        {"early_stop": "esc", "window": 1},
    ],
)
def test_settings_that_do_not_fit_are_refused(asked):
    with pytest.raises(ValidationError):
        SelfConsistency.model_validate(asked)


@pytest.mark.parametrize(("weights", "rule"), [("count", "certain"), ("logprob", "none"), ("verifier", "none")])
def test_it_stops_when_certain_by_default_where_votes_are_equal(weights, rule):
    assert SelfConsistency(weights=weights).early_stop == rule


@settings(max_examples=40, deadline=None)
@given(said=answers, jitter=st.integers(0, 99))
async def test_a_vote_stopped_when_certain_is_the_full_vote(said, jitter):
    full = await play(SelfConsistency(n=len(said), early_stop="none"), FakeBackend(script(*said)))
    early = await play(SelfConsistency(n=len(said)), FakeBackend(script(*said), jitter=jitter), group=1)
    assert answer_of(early.answer) == answer_of(full.answer)


@settings(max_examples=40, deadline=None)
@given(said=answers)
async def test_esc_with_a_window_of_all_is_the_full_vote(said):
    full = await play(SelfConsistency(n=len(said), early_stop="none"), FakeBackend(script(*said)))
    for window in (max(2, len(said)), 20):
        esc = await play(SelfConsistency(n=len(said), early_stop="esc", window=window), FakeBackend(script(*said)))
        assert answer_of(esc.answer) == answer_of(full.answer)


async def test_esc_stops_at_the_first_window_that_agrees_and_its_answer_wins():
    said = [1, 1, 2, 1, 1, 1, 2, 2, 2, 1, 1, 1]
    played = await play(SelfConsistency(n=12, early_stop="esc", window=3), FakeBackend(script(*said)))
    assert answer_of(played.answer) == "1"
    assert played.meter.spent.samples == 6
    assert facts(played)["saved"] == 6
    minority = [1, 1, 2, 1, 1, None, 2, 2, 2, 1]
    played = await play(SelfConsistency(n=10, early_stop="esc", window=3), FakeBackend(script(*minority)))
    assert answer_of(played.answer) == "2", "the window's answer wins, as in the reference"
    assert played.meter.spent.samples == 9


async def test_a_window_that_lost_a_sample_does_not_agree():
    reply = failing(script(1, 1, 2, 2), lambda call, seed: seed == seed_of(0, "0"))
    played = await play(SelfConsistency(n=4, early_stop="esc", window=2), FakeBackend(reply), group=1)
    assert answer_of(played.answer) == "2"
    assert played.meter.spent.samples == 4


@pytest.mark.parametrize(("said", "drawn"), [([1] * 12, 4), ([1, 2, *[1] * 10], 8), ([1, 2] * 6, 12)])
async def test_beta_draws_rounds_of_four_until_the_leader_is_likely(said, drawn):
    played = await play(SelfConsistency(n=12, early_stop="beta"), FakeBackend(script(*said)))
    assert played.meter.spent.samples == drawn
    assert facts(played).get("saved", 0) == 12 - drawn
    assert answer_of(played.answer) == "1"


async def test_short_answers_do_not_decide_because_they_come_first():
    """The first round is 1, 1, 1, 2, and 2 takes long: whoever looked at arrivals would have stopped at four ones."""
    said = {at: "\\boxed{1}" if at % 4 != 3 else "hm " * 40 + "\\boxed{2}" for at in range(8)}
    played = await play(
        SelfConsistency(n=8, early_stop="beta"), FakeBackend(lambda call, seed: said[seed - seed_of(0, "0")]), group=1
    )
    assert played.meter.spent.samples == 8


def test_rounds_are_never_wider_than_they_need_be():
    assert SelfConsistency(n=64).widest == 64
    assert SelfConsistency(n=64, early_stop="beta").widest == 4
    assert SelfConsistency(n=64, early_stop="esc").widest == 5
    assert SelfConsistency(n=3, early_stop="esc").widest == 3
