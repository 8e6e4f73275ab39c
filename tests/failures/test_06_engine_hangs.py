"""An engine that hangs: nobody waits longer than the limits say, and never past the deadline of the request."""

import socket
import time

import anyio
import pytest

from benchmarks.engine import simulated
from benchmarks.engine_replies import Reply
from server.backends.http import Patience, Upstream
from server.settings import Engine, PoolSettings, Settings
from strategies.protocols import BackendError
from tests.failures.fleets import pair, words
from tests.serving import content_of, ponder, serving, until

pytestmark = pytest.mark.anyio
SLACK = 0.5
"""Seconds that a busy machine may add; the limits under test are told apart by more."""
NEVER = 3600.0
ONCE = PoolSettings(retry_reserve=0, retry_share=0)


@pytest.fixture
def anyio_backend():
    return "asyncio"


def hanging(patience, **options):
    """A server over one engine with such limits."""
    return pair(settings=Settings(pool=ONCE), patience=patience, **options)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("strategy", ["single", {"name": "self_consistency", "n": 4}], ids=["single", "vote"])
async def test_an_answer_that_does_not_begin_is_a_504(strategy, streamed):
    async with hanging({"first_seconds": 0.2}, ttft=NEVER) as served:
        with anyio.fail_after(0.2 + 10 * SLACK):
            asked = {"model": "simulated", "messages": [{"role": "user", "content": "hi"}], "stream": streamed}
            reply = await served.client.post("/v1/chat/completions", json=asked | {"reasoning_strategy": strategy})
    assert reply.status_code == 504
    assert reply.json()["error"]["code"] == "engine_timeout"
    assert reply.headers["x-should-retry"] == "false"


async def test_an_answer_that_stops_in_its_midst_is_an_error_of_its_stream():
    async with hanging({"idle_seconds": 0.2}, delay=NEVER) as served:
        with anyio.fail_after(20):
            *_, error, done = await served.stream(reasoning_budget={"seconds": 30})
    assert done == "[DONE]"
    assert error["error"]["code"] == "engine_timeout"


async def test_an_engine_may_queue_for_longer_than_it_may_be_silent_later():
    async with hanging({"first_seconds": 60, "idle_seconds": 0.3}, ttft=0.6) as served:
        assert (await served.chat()).status_code == 200


async def test_what_hangs_in_its_midst_goes_on_on_the_other_engine():
    whole, reply = words(20)
    patience = {"idle_seconds": 0.3, "first_seconds": 0.3}
    async with pair(reply, patience=patience, delay=NEVER, others={"delay": 0.0}) as served:
        with anyio.fail_after(20):
            streams = [await served.stream(f"question {at}", max_tokens=400) for at in range(8)]
        assert served.engines[0].generated, "some began where it hangs"
    assert [content_of(stream) for stream in streams] == [whole] * 8


PHASES = {
    "before the answer": {"ttft": NEVER},
    "in the midst of it": {"delay": NEVER},
}
STRATEGIES = ["single", "self_consistency", "best_of_n", "beam_search", "revise"]


@pytest.mark.parametrize("options", PHASES.values(), ids=PHASES)
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("streamed", [True, False])
async def test_nobody_waits_past_the_deadline(strategy, options, streamed):
    async with ponder(**options) as served:
        asked = {"reasoning_strategy": strategy, "reasoning_budget": {"seconds": 0.3}}
        started = time.monotonic()
        with anyio.fail_after(0.3 + 10 * SLACK):
            if streamed:
                assert (await served.stream(**asked))[-1] == "[DONE]"
            else:
                assert (await served.chat(**asked)).status_code == 200
        assert time.monotonic() - started >= 0.3 or strategy == "beam_search"
        await until(lambda: served.engine.running == 0)


async def test_a_retry_does_not_outlive_the_deadline():
    async with pair(ttft=NEVER, patience={"first_seconds": 0.2}) as served:
        with anyio.fail_after(0.3 + 10 * SLACK):
            reply = await served.chat(reasoning_budget={"seconds": 0.3})
    assert reply.json()["choices"][0]["finish_reason"] == "length"


async def test_a_decided_vote_does_not_wait_for_an_engine_that_hangs():
    def reply(ask):
        return Reply("hm " * 4000, ends=False) if (ask.seed or 0) >= 6 else "\\boxed{5}"

    async with ponder(reply, delay=0.001) as served:
        vote = {"name": "self_consistency", "n": 9}
        with anyio.fail_after(20):
            answered = (await served.chat(seed=0, reasoning_strategy=vote, max_tokens=8000)).json()
        await until(lambda: served.engine.running == 0)
    assert answered["choices"][0]["message"]["content"].endswith("\\boxed{5}")


async def test_an_engine_that_takes_no_connection_is_given_up_within_its_time():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        held = [socket.socket() for _ in range(4)]
        for one in held:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        await anyio.sleep(0.05)
        try:
            upstream = Upstream(url, patience=Patience(connect=0.2))
            with anyio.fail_after(5), pytest.raises(BackendError) as raised:
                await upstream.post("/v1/completions", {})
        finally:
            for one in held:
                one.close()
    assert raised.value.cause == "connect"


async def test_a_hung_engine_beside_a_good_one_holds_up_no_request_twice():
    with socket.create_server(("127.0.0.1", 0)) as hung:
        async with simulated() as engine:
            engines = (Engine(url=f"http://127.0.0.1:{hung.getsockname()[1]}"), Engine(url=engine.url))
            async with serving(Settings(engines=engines)) as served:
                served.engine = engine
                assert (await served.chat()).status_code == 200
                with anyio.fail_after(2 + SLACK):
                    assert (await served.client.get("/ready")).status_code == 200
                    assert (await served.chat()).status_code == 200


@pytest.mark.parametrize(
    ("version", "warned"), [("0.18.2", True), ("0.19.0", False), ("0.32.0", False), ("dev", False)]
)
async def test_an_engine_that_is_too_old_is_told_in_the_log(version, warned, monkeypatch, caplog):
    monkeypatch.setattr("benchmarks.engine.VERSION", version)
    async with ponder() as served:
        await served.chat()
        await served.chat()
    assert caplog.text.count("one request can take it down") == warned
