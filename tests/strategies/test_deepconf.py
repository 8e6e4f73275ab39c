"""DeepConf: unsure samples stop, the others vote by their confidence. Here a word is as sure as it is long."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.answers import answer_of
from strategies.deepconf import Below, DeepConf
from strategies.events import Closed, Note, Pruned
from strategies.growth import seed_of
from strategies.testing import FakeBackend, play
from strategies.types import Budget, Logprob

pytestmark = pytest.mark.anyio
SURE, UNSURE = "certainly", "um"


def script(*samples):
    """A model whose sample i says so many words of a kind, then its answer."""
    said = [f"{word} " * count + f"\\boxed{{{answer}}}" for word, count, answer in samples]
    return lambda call, seed: "hm " * 900 if call.steps else said[seed - seed_of(0, "0")]


def facts(played):
    return {name: value for event in played.events if isinstance(event, Note) for name, value in event.facts.items()}


def pruned(played):
    return {id for event in played.events if isinstance(event, Pruned) for id in event.ids}


async def test_a_sample_that_falls_below_the_line_stops_while_it_grows():
    later = [(UNSURE, 400, 2)] * 3 + [(SURE, 40, 1)]
    backend = FakeBackend(script(*[(SURE, 40, 1)] * 2, (UNSURE, 40, 2), (SURE, 40, 3), *later))
    played = await play(DeepConf(n=8, warmup=4, keep=0.7), backend)
    assert answer_of(played.answer) == "1"
    assert pruned(played) == {"0.2", "0.4", "0.5", "0.6"}
    stopped = [e.candidate for e in played.events if isinstance(e, Closed) and e.candidate.finish == "cut"]
    assert {c.id for c in stopped} == {"0.4", "0.5", "0.6"}
    assert all(c.tokens < 30 for c in stopped)
    assert facts(played)["group"] == 11


async def test_it_asks_for_the_alternatives_that_confidence_is_measured_over():
    played = await play(DeepConf(n=2), FakeBackend(script((SURE, 4, 1), (SURE, 4, 1))))
    assert {call.sampling.logprobs for call in played.backend.calls} == {20}


async def test_it_stops_drawing_once_the_leader_has_nearly_all_weight():
    played = await play(DeepConf(n=16, warmup=4), FakeBackend(script(*[(SURE, 8, 1)] * 16)))
    assert played.meter.spent.samples == 4
    assert facts(played)["saved"] == 12
    split = await play(DeepConf(n=16, warmup=4), FakeBackend(script(*[(SURE, 8, 1), (SURE, 8, 2)] * 8)))
    assert split.meter.spent.samples == 16


async def test_offline_keeps_the_surest_of_all():
    samples = [(UNSURE, 8, 2)] * 5 + [(SURE, 8, 1)] * 2 + [(UNSURE, 8, 2)]
    played = await play(DeepConf(n=8, mode="offline", keep=0.25), FakeBackend(script(*samples)))
    assert answer_of(played.answer) == "1"
    assert pruned(played) == {"0.0", "0.1", "0.2", "0.3", "0.4", "0.7"}
    assert {e.candidate.finish for e in played.events if isinstance(e, Closed)} == {"stop"}


async def test_one_unsure_stretch_counts_however_sure_the_rest_is():
    wavering = f"{SURE} " * 20 + f"{UNSURE} " * 10 + f"{SURE} " * 20 + "\\boxed{2}"
    steady = "surely " * 50 + "\\boxed{1}"
    said = [steady, wavering, wavering]
    played = await play(
        DeepConf(n=3, warmup=3, keep=0.1), FakeBackend(lambda call, seed: said[seed - seed_of(0, "0")]), group=1
    )
    assert answer_of(played.answer) == "1"


async def test_after_a_cut_what_was_found_votes_by_its_confidence():
    samples = [(UNSURE, 8, 2)] * 2 + [(SURE, 8, 1)] + [(SURE, 900, 3)]
    budget = Budget(tokens=150, seconds=5)
    played = await play(DeepConf(n=4, mode="offline"), FakeBackend(script(*samples)), budget=budget)
    assert played.meter.cut == "tokens"
    assert answer_of(played.answer) == "1"


@settings(max_examples=30, deadline=None)
@given(
    samples=st.lists(
        st.tuples(st.sampled_from([SURE, UNSURE, "well"]), st.integers(1, 12), st.integers(1, 3)),
        min_size=6,
        max_size=6,
    ),
    jitter=st.integers(0, 99),
    interval=st.integers(1, 5),
)
async def test_the_answer_does_not_depend_on_order_or_pieces(samples, jitter, interval):
    strategy = DeepConf(n=6, warmup=2, keep=0.5)
    plain = await play(strategy, FakeBackend(script(*samples)))
    other = await play(strategy, FakeBackend(script(*samples), jitter=jitter, interval=interval), group=1)
    assert other.answer.id == plain.answer.id
    assert pruned(other) == pruned(plain)


def test_each_token_of_a_growing_sample_is_looked_at_once():
    looks = []

    class Counted(dict):
        def values(self):
            looks.append(1)
            return super().values()

    growth = SimpleNamespace(child=SimpleNamespace(id="0.0"), logprobs=[])
    below = Below(256, 1.0)
    for _ in range(2000):
        growth.logprobs.append(Logprob(-2.0, Counted(a=-2.0)))
        assert not below(growth)
    assert len(looks) == 2000
