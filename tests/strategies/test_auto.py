"""Compute where it is needed: a few samples tell how hard a question is."""

from dataclasses import replace

import pytest

from server.resolve import resolve
from server.schema import ChatRequest
from server.settings import Settings
from strategies.auto import Auto
from strategies.base import execute
from strategies.events import Note, Scored
from strategies.meter import Meter
from strategies.registry import Registry
from strategies.testing import ROOT, FakeBackend, FakeVerifier, play
from strategies.types import Budget, Sampling

pytestmark = pytest.mark.anyio


def answering(*numbers):
    """Sample i answers the i-th of these, in turn."""
    return lambda call, seed: f"\\boxed{{{numbers[seed % len(numbers)]}}}"


def told(played):
    return next(event.facts for event in played.events if isinstance(event, Note) and event.facts)


async def test_it_stops_where_the_first_samples_agree():
    played = await play(Auto(n=16), FakeBackend(answering(5)))
    assert told(played) == {"agreement": 1.0, "decision": "stop"}
    assert played.meter.spent.samples == 4


async def test_a_split_is_voted_on_in_rounds_until_the_leader_cannot_be_overtaken():
    played = await play(Auto(n=16), FakeBackend(answering(5, 5, 5, 4)))
    assert told(played) == {"agreement": 0.75, "decision": "vote"}
    assert played.meter.spent.samples == 12, "9 to 3, and 4 to come"
    assert played.answer.text == "\\boxed{5}"


async def test_it_never_draws_more_samples_than_it_may():
    played = await play(Auto(n=10), FakeBackend(answering(*range(10))))
    assert played.meter.spent.samples == 10
    assert (await play(Auto(n=3), FakeBackend(answering(*range(10))))).meter.spent.samples == 3


async def test_it_searches_where_a_verifier_is_named_and_few_agree():
    def reply(call, seed):
        return f"\\boxed{{{seed % 10}}}" if call.steps or call.sampling.step is None else f"step {seed}\n\n"

    backend = FakeBackend(reply)
    verifier = FakeVerifier(lambda c: 0.9 if c.text.endswith("{7}") else 0.1)
    played = await play(Auto(n=16, verifier="judge"), backend, verifier=verifier, sampling=Sampling(seed=0))
    assert told(played) == {"agreement": 0.25, "decision": "search"}
    assert max(call.n for call in backend.calls) <= 12
    assert any(call.sampling.step for call in backend.calls)
    scored = {event.candidate.id for event in played.events if isinstance(event, Scored)}
    assert {"0.0", "0.1", "0.2", "0.3"} <= scored, "the first samples are judged too"
    assert played.answer.score is not None


async def test_few_that_agree_are_voted_on_where_no_verifier_is_named():
    backend = FakeBackend(answering(*range(10)))
    played = await play(Auto(n=8), backend)
    assert told(played)["decision"] == "vote"
    assert not any(call.sampling.step for call in backend.calls)
    assert not any(isinstance(event, Scored) for event in played.events)


async def test_what_is_asked_for_in_one_piece_is_not_searched_for():
    root = replace(ROOT, prompt=replace(ROOT.prompt, form="json"))
    backend = FakeBackend(lambda call, seed: str(seed))
    strategy = Auto(n=8, verifier="judge")
    await execute(strategy, root, backend, Meter(Budget()), verifier=FakeVerifier(lambda c: 0), sampling=Sampling())
    assert not any(call.sampling.step for call in backend.calls)


@pytest.mark.parametrize(("named", "made"), [({}, None), ({"verifier": "judge"}, "judge")])
def test_the_servers_default_verifier_does_not_count_as_named(named, made):
    request = ChatRequest.model_validate(
        {
            "model": "m",
            "messages": [{"role": "user", "content": "hi"}],
            "reasoning_strategy": {"name": "auto", **named},
        }
    )
    plan = resolve(request, Settings(), Registry(), {"m": None})
    assert (plan.verifier and plan.verifier.name) == made
