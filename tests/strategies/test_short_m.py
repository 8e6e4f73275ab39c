"""short-m@k: the shortest responses vote, and nobody waits for the others."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from strategies.answers import answer_of
from strategies.events import Closed, Note, Pruned
from strategies.growth import seed_of
from strategies.short_m import ShortM
from strategies.testing import FakeBackend, play
from strategies.types import Budget

pytestmark = pytest.mark.anyio


def script(*samples):
    """A model whose sample i has so many tokens and gives that answer; None gives none."""
    said = ["hm " * (tokens - 1) + ("hm" if answer is None else f"\\boxed{{{answer}}}") for tokens, answer in samples]
    return lambda call, seed: "hm " * 900 if call.steps else said[seed - seed_of(0, "0")]


async def test_the_shortest_vote_and_longer_ones_stop_at_their_length():
    samples = [(400, 1), (400, 1), (20, 2), (400, 1), (21, 2), (22, 1)]
    played = await play(ShortM(n=6, m=3), FakeBackend(script(*samples)))
    assert played.answer.id == "0.2"
    stopped = [e.candidate for e in played.events if isinstance(e, Closed) and e.candidate.finish == "cut"]
    assert {c.id for c in stopped} == {"0.0", "0.1", "0.3"}
    assert all(c.tokens < 30 for c in stopped)
    [pruned] = [event for event in played.events if isinstance(event, Pruned)]
    assert set(pruned.ids) == {"0.0", "0.1", "0.3"}
    [facts] = [event.facts for event in played.events if isinstance(event, Note)]
    assert facts == {"stopped": 3, "lengths": [20, 21, 22]}


async def test_a_tie_goes_to_the_shortest():
    played = await play(ShortM(n=4, m=4), FakeBackend(script((30, 1), (29, 2), (20, 1), (18, 2))))
    assert played.answer.id == "0.3"


async def test_what_is_too_short_or_gives_no_answer_neither_votes_nor_stops_others():
    played = await play(ShortM(n=3, m=1, min_tokens=10), FakeBackend(script((2, 7), (12, None), (40, 5))))
    assert answer_of(played.answer) == "5"
    assert played.answer.finish == "stop"


async def test_where_none_may_vote_the_majority_of_all_answers():
    played = await play(ShortM(n=3, m=1, min_tokens=50), FakeBackend(script((2, 7), (3, 5), (4, 5))))
    assert answer_of(played.answer) == "5"


async def test_after_a_cut_those_that_finished_vote():
    budget = Budget(tokens=200, seconds=5)
    played = await play(ShortM(n=4, m=3), FakeBackend(script((20, 1), (300, 2), (300, 2), (300, 2))), budget=budget)
    assert played.meter.cut == "tokens"
    assert answer_of(played.answer) == "1"


@settings(max_examples=40, deadline=None)
@given(
    samples=st.lists(st.tuples(st.integers(1, 12), st.sampled_from([1, 2, None])), min_size=1, max_size=7),
    jitter=st.integers(0, 99),
    interval=st.integers(1, 5),
    most=st.integers(1, 7),
)
async def test_who_wins_does_not_depend_on_who_is_served_first(samples, jitter, interval, most):
    m = min(most, len(samples))
    backend = FakeBackend(script(*samples), jitter=jitter, interval=interval)
    played = await play(ShortM(n=len(samples), m=m, min_tokens=3), backend)
    may = [(tokens, at) for at, (tokens, answer) in enumerate(samples) if tokens >= 3 and answer]
    votes = [samples[at][1] for _, at in sorted(may)[:m]]
    if votes:
        expected = max(votes, key=lambda answer: (votes.count(answer), -votes.index(answer)))
        assert answer_of(played.answer) == str(expected)
        assert played.answer.tokens == next(samples[at][0] for _, at in sorted(may) if samples[at][1] == expected)


def test_no_more_can_vote_than_there_are():
    with pytest.raises(ValidationError, match="m is at most n"):
        ShortM(n=2, m=3)
