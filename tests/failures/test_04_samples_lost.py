"""Some samples of a request fail: the rest answers where a quorum is left, and the reply says what was lost and why."""

from itertools import product
from typing import get_args

import pytest

from benchmarks.engine_replies import Reply
from server.errors import from_engine
from server.settings import PoolSettings, Settings
from strategies.base import Strategy, execute
from strategies.beam_search import BeamSearch
from strategies.best_of_n import BestOfN
from strategies.events import Answered, Closed, Lost
from strategies.found import loss
from strategies.meter import Meter
from strategies.protocols import BackendError
from strategies.self_consistency import SelfConsistency
from strategies.single import Single
from strategies.testing import ROOT, FakeBackend, FakeVerifier, play
from strategies.types import Budget, Cause, Sampling
from tests.failures.fleets import Breaking
from tests.serving import ponder

pytestmark = pytest.mark.anyio
CAUSES = get_args(Cause)
N = 6
VOTE = SelfConsistency(n=N, early_stop="none")
STRATEGIES = [VOTE, BestOfN(n=N), BestOfN(n=N, selection="weighted_vote")]


@pytest.fixture
def anyio_backend():
    return "asyncio"


def says(call, seed):
    return f"{'hm ' * (seed % 4)}\\boxed{{{seed % 3}}}"


def losing(k, cause):
    """A model that loses its first `k` samples."""
    return lambda call, seed: BackendError("gone", cause=cause) if seed < k else says(call, seed)


async def run(strategy, reply, quorum):
    events, meter = [], Meter(Budget(seconds=5))
    verifier = FakeVerifier(lambda candidate: len(candidate.text) / 100)
    sampling = strategy.sampling(Sampling(seed=0))
    backend = FakeBackend(reply)
    try:
        answer = await execute(
            strategy,
            ROOT,
            backend,
            meter,
            verifier=verifier,
            sampling=sampling,
            observe=events.append,
            group=1,
            quorum=quorum,
        )
    finally:
        assert backend.open == 0
    return answer, events


async def oracle(strategy, k):
    """What the strategy chooses of the samples that survive, had the others never been."""
    played = await play(strategy, FakeBackend(says), group=1)
    found = {event.candidate.id: event.candidate for event in played.events if isinstance(event, Closed)}
    verifier = FakeVerifier(lambda candidate: len(candidate.text) / 100)
    left = [candidate for id, candidate in found.items() if int(id.rpartition(".")[2]) >= k]
    scores = await verifier.score(left, None)
    judged = [c.judged(score) for c, score in zip(left, scores, strict=True)] if strategy.judges else left
    return strategy.select(judged)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda one: f"{one.name}-{getattr(one, 'selection', '')}")
@pytest.mark.parametrize(("k", "cause"), list(product(range(N + 1), CAUSES)))
async def test_the_survivors_answer_as_if_the_others_had_never_been_while_a_quorum_is_left(strategy, k, cause):
    if N - k >= N / 2:
        answer, events = await run(strategy, losing(k, cause), quorum=0.5)
        assert answer.text == (await oracle(strategy, k)).text
        assert [event.cause for event in events if isinstance(event, Lost)] == [cause] * k
        assert isinstance(events[-1], Answered)
        return
    with pytest.raises(BackendError) as raised:
        await run(strategy, losing(k, cause), quorum=0.5)
    assert raised.value.cause == cause
    if cause != "refused":
        assert f"{k} of {N} samples were lost ({cause} {k})" in str(raised.value)


@pytest.mark.parametrize(("quorum", "most"), [(0.0, 5), (0.25, 4), (0.5, 3), (0.75, 1), (1.0, 0)])
async def test_the_quorum_says_how_many_may_be_lost(quorum, most):
    await run(VOTE, losing(most, "reset"), quorum)
    with pytest.raises(BackendError):
        await run(VOTE, losing(most + 1, "reset"), quorum)


@pytest.mark.parametrize("quorum", [0.0, 0.5, 1.0])
async def test_a_beam_search_goes_on_with_what_is_left_of_its_waves(quorum):
    def reply(call, seed):
        if len(call.steps) == 1 and seed % 2:
            return BackendError("gone", cause="reset")
        return "a step\n\n" if len(call.steps) < 2 else "\\boxed{1}"

    strategy = BeamSearch(beams=2, width=2)
    if quorum == 1.0:
        with pytest.raises(BackendError, match="samples were lost"):
            await run(strategy, reply, quorum)
        return
    answer, events = await run(strategy, reply, quorum)
    assert answer.text.endswith("\\boxed{1}")
    assert any(isinstance(event, Lost) for event in events)


async def test_a_single_sample_that_is_lost_is_an_error_as_itself():
    with pytest.raises(BackendError, match="gone") as raised:
        await run(Single(), lambda call, seed: BackendError("gone", cause="timeout"), 0.0)
    assert raised.value.cause == "timeout"


class Twice(Strategy):
    """Drafts, and an answer that goes on with the first of them."""

    name: str = "twice"

    async def explore(self, root, run):
        drafts = await run.extend(root, n=2)
        await run.answer(drafts[0])


async def test_an_answer_that_breaks_off_after_it_was_shown_is_an_error_not_its_end():
    with pytest.raises(BackendError, match="broke off"):
        await play(Twice(), Breaking(says, breaks=lambda call: bool(call.steps)))


@pytest.mark.parametrize(
    ("causes", "status"),
    [
        (["timeout"] * 3, 504),
        (["connect"] * 3, 503),
        (["timeout", "connect", "reset"], 502),
        (["error_in_stream"] * 2, 502),
        (["garbage"] * 2, 503),
    ],
)
def test_the_status_tells_what_the_losses_have_in_common(causes, status):
    made = loss([BackendError("gone", 500 if cause == "error_in_stream" else None, cause=cause) for cause in causes], 4)
    assert from_engine(made).status == status


def test_what_an_engine_refuses_is_told_in_its_words_whatever_else_was_lost():
    refused = BackendError("too long", 400, "messages")
    assert loss([BackendError("gone", cause="reset"), refused], 4) is refused


UNTRIED = Settings(pool=PoolSettings(retry_reserve=0, retry_share=0))


def half(ask):
    """A model whose second group of samples breaks off."""
    return Reply("\\boxed{5}", fault="frame") if (ask.seed or 0) >= 4 else "\\boxed{5}"


EIGHT = {"name": "self_consistency", "n": 8, "early_stop": "none"}
TOLD = {"samples": {"requested": 8, "ok": 4, "lost": {"error_in_stream": 4}}, "degraded": []}


async def test_a_reply_tells_of_lost_samples_without_being_asked():
    async with ponder(half, settings=UNTRIED) as served:
        whole = (await served.chat(seed=0, reasoning_strategy=EIGHT)).json()
        stream = await served.stream(seed=0, reasoning_strategy=EIGHT)
        asked = {"model": "simulated", "input": "hi", "reasoning_strategy": VOTE.model_dump(exclude_none=True)}
        response = (await served.client.post("/v1/responses", json=asked)).json()
        traced = (await served.chat(seed=0, reasoning_strategy=EIGHT, return_trace=True)).json()
    assert whole["ponder"] == TOLD
    assert [chunk["ponder"] for chunk in stream[:-1] if "ponder" in chunk] == [TOLD]
    assert [chunk["choices"][0]["finish_reason"] for chunk in stream[:-1] if "ponder" in chunk] == ["stop"]
    assert "ponder" not in response, "nothing was lost"
    assert traced["ponder"]["samples"] == TOLD["samples"]
    assert {lost["cause"] for lost in traced["ponder"]["lost"]} == {"error_in_stream"}


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_request_may_insist_on_more_than_half(streamed):
    wishes = {"seed": 0, "reasoning_strategy": EIGHT, "reasoning_quorum": 0.75}
    async with ponder(half, settings=UNTRIED) as served:
        if streamed:
            *_, error, done = await served.stream(**wishes)
            assert done == "[DONE]"
        else:
            reply = await served.chat(**wishes)
            assert reply.status_code == 502
            error = reply.json()
    assert "4 of 8 samples were lost (error_in_stream 4)" in error["error"]["message"]


async def test_a_request_may_take_whatever_is_left():
    three = {"name": "self_consistency", "n": 3, "early_stop": "none"}
    reply = lambda ask: Reply("\\boxed{5}", fault="reset" if ask.seed else None)  # noqa: E731
    async with ponder(reply, settings=UNTRIED) as served:
        refused = await served.chat(seed=0, reasoning_strategy=three)
        answered = await served.chat(seed=0, reasoning_strategy=three, reasoning_quorum=0)
    assert refused.status_code == 503
    assert "2 of 3 samples were lost (reset 2)" in refused.json()["error"]["message"]
    assert answered.json()["ponder"]["samples"] == {"requested": 3, "ok": 1, "lost": {"reset": 2}}
