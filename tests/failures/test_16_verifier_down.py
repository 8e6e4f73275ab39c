"""A verifier that is slow or down has its share of the time; then the search goes on without it, and says so."""

import time

import anyio
import pytest

from server.settings import Settings, VerifierSettings
from strategies.beam_search import BeamSearch
from strategies.best_of_n import BestOfN
from strategies.events import Note
from strategies.protocols import BackendError
from strategies.run import PATIENCE
from strategies.testing import FakeBackend, play
from strategies.types import Budget
from tests.serving import ponder

pytestmark = pytest.mark.anyio


class Stuck:
    """A verifier that never answers, and counts how often it is asked."""

    logprobs = None
    compares = True

    def __init__(self):
        self.asked = 0

    async def score(self, candidates, ask):
        self.asked += 1
        await anyio.sleep_forever()


class Down(Stuck):
    """A verifier whose engine is gone."""

    async def score(self, candidates, ask):
        self.asked += 1
        raise BackendError("no connection", cause="connect")


def says(call, seed):
    """One that says 9 at length, and many that say 5: the likeliest is not what most agree on."""
    return "\\boxed{9}" if seed == 1 else "hmm well, hmmmmmm \\boxed{5}"


def degraded(played):
    return [event.text for event in played.events if isinstance(event, Note) and event.degraded]


async def test_a_verifier_that_hangs_has_its_share_of_the_time_and_the_majority_answers():
    stuck, started = Stuck(), time.monotonic()
    played = await play(BestOfN(n=4), FakeBackend(says), verifier=stuck, budget=Budget(seconds=2.0))
    assert time.monotonic() - started < 2.0 * (PATIENCE + 0.5)
    assert played.answer.text.endswith("\\boxed{5}")
    assert "more than its share" in degraded(played)[0]
    assert played.meter.cut is None


async def test_a_verifier_that_was_too_slow_is_not_asked_again():
    stuck = Stuck()

    def reply(call, seed):
        return "a step\n\n" if len(call.steps) < 3 else "\\boxed{1}"

    played = await play(BeamSearch(beams=2, width=2), FakeBackend(reply), verifier=stuck, budget=Budget(seconds=2.0))
    assert stuck.asked == 1
    assert played.answer.text.endswith("\\boxed{1}")
    assert len(degraded(played)) == 4


async def test_a_verifier_that_is_down_may_come_back():
    class Back(Down):
        async def score(self, candidates, ask):
            if self.asked:
                return [None] * len(candidates)
            return await super().score(candidates, ask)

    def reply(call, seed):
        return "a step\n\n" if len(call.steps) < 2 else "\\boxed{1}"

    played = await play(BeamSearch(beams=2, width=2), FakeBackend(reply), verifier=Back())
    assert len(degraded(played)) == 1


async def test_where_some_could_be_judged_the_best_of_these_answers():
    class Half(Down):
        async def score(self, candidates, ask):
            from strategies.types import Score

            return [Score(1.0) if "9" in one.text else None for one in candidates]

    played = await play(BestOfN(n=4), FakeBackend(says), verifier=Half())
    assert played.answer.text == "\\boxed{9}"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("streamed", [True, False])
async def test_a_reward_model_that_is_down_is_told_in_the_reply_without_being_asked(streamed, anyio_backend):
    made = {"kind": "outcome_reward", "url": "http://127.0.0.1:9", "model": "rm"}
    settings = Settings(verifiers={"rewards": VerifierSettings(**made)})
    wishes = {"reasoning_strategy": {"name": "best_of_n", "n": 3, "verifier": "rewards"}}
    async with ponder(lambda ask: "it is \\boxed{5}", settings=settings) as served:
        if streamed:
            [told] = [chunk["ponder"] for chunk in (await served.stream(**wishes))[:-1] if "ponder" in chunk]
        else:
            told = (await served.chat(**wishes)).json()["ponder"]
    assert told["samples"] == {"requested": 3, "ok": 3, "lost": {}}
    assert "the verifier failed" in told["degraded"][0]
    assert "127.0.0.1" not in str(told)
