"""A server that is told to end serves what it has, refuses what comes, and cuts no stream without a word."""

import random
import signal

import anyio
import pytest

from server.drain import Drain
from server.settings import Server, Settings
from tests.processes import lines, served
from tests.serving import body, ponder, until

pytestmark = pytest.mark.anyio
SUM = "1 + 2 + 3 + 4 + 5 + 6 = ?"


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def streamed(served, path="/v1/chat/completions", **fields):
    """The status and the whole text of a streamed reply; raises where the connection breaks."""
    asked = body(served, SUM, stream=True, **fields)
    async with served.client.stream("POST", path, json=asked) as reply:
        return reply.status_code, (await reply.aread()).decode()


def drain_of(served):
    return served.app.state.drain


async def test_ready_says_503_from_the_first_moment_and_tasksare_served_until_the_delay_is_over():
    async with ponder() as served, anyio.create_task_group() as tasks:
        drain = drain_of(served)
        tasks.start_soon(drain.end, 60, 60)
        await until(lambda: drain.begun)
        ready = await served.client.get("/ready")
        assert (ready.status_code, ready.json()["error"]["code"]) == (503, "shutting_down")
        assert (await served.chat()).status_code == 200
        assert (await served.client.get("/health")).status_code == 200
        tasks.cancel_scope.cancel()


async def test_what_comes_after_that_is_a_503_with_retry_after_and_what_runs_ends_whole():
    async with ponder(delay=0.01) as served, anyio.create_task_group() as tasks:
        drain, got = drain_of(served), []

        async def one():
            got.append(await streamed(served))

        tasks.start_soon(one)
        await until(lambda: served.engine.running)
        tasks.start_soon(drain.end, 0, 60)
        await until(lambda: drain.closed)
        late = await served.chat()
        assert (late.status_code, late.json()["error"]["code"]) == (503, "shutting_down")
        assert int(late.headers["retry-after"]) > 0
        assert late.headers["connection"] == "close"
        assert late.headers["x-request-id"]
        assert (await served.client.get("/health")).status_code == 200
        await until(lambda: got, 10)
        assert got[0][0] == 200
        assert "error" not in got[0][1]
        await until(lambda: drain.over, 5)


@pytest.mark.parametrize("strategy", ["single", {"name": "self_consistency", "n": 4}], ids=str)
async def test_a_stream_that_outlasts_the_grace_ends_with_an_error_and_done(strategy):
    async with ponder(delay=0.2) as served, anyio.create_task_group() as tasks:
        got = []

        async def one():
            got.append(await streamed(served, reasoning_strategy=strategy))

        tasks.start_soon(one)
        await until(lambda: served.engine.generated >= 2 * 4, 10)
        await drain_of(served).end(0, 0)
        await until(lambda: got, 5)
        await until(lambda: not served.engine.running)
    [(status, text)] = got
    events = lines(text)
    assert status == 200
    assert events[-1] == "[DONE]"
    assert events[-2]["error"]["code"] == "shutting_down"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/completions"])
@pytest.mark.parametrize("phase", ["working", "waiting for the engine's models"])
async def test_a_reply_that_has_not_begun_is_a_503(path, phase, monkeypatch):
    async with ponder(ttft=60) as served, anyio.create_task_group() as tasks:
        got = []
        await served.client.get("/health")
        if phase != "working":
            monkeypatch.setattr(served.app.state.pool, "models", anyio.sleep_forever)
        asked = {"chat": body(served, SUM), "resp": {"model": "simulated", "input": SUM}}
        asked = asked.get(path[4:8], {"model": "simulated", "prompt": SUM})

        async def one():
            got.append(await served.client.post(path, json=asked))

        tasks.start_soon(one)
        await until(lambda: drain_of(served).running and (served.engine.running or phase != "working"))
        monkeypatch.setattr("server.drain.FAREWELL_SECONDS", 0.3)
        await drain_of(served).end(0, 0)
        await until(lambda: got, 5)
        assert got[0].status_code == 503
        assert got[0].json()["error"]["code"] == "shutting_down"


async def test_an_idle_server_ends_at_once():
    drain = Drain()
    with anyio.fail_after(1):
        await drain.end(0, 60)


def settled(delay, seconds):
    return {"PONDER_SERVER__DRAIN_DELAY": str(delay), "PONDER_SERVER__DRAIN_SECONDS": str(seconds)}


async def test_sigterm_lets_running_streams_end_and_then_the_process_ends_well():
    async with (
        served(engine={"delay": 0.02}, environment=settled(0.5, 30)) as ponder,
        anyio.create_task_group() as tasks,
    ):
        got = []

        async def one(wait):
            await anyio.sleep(wait)
            got.append(await streamed(ponder))

        dice = random.Random(1)
        for _ in range(8):
            tasks.start_soon(one, dice.uniform(0, 0.6))
        await anyio.sleep(0.3)
        ponder.process.send_signal(signal.SIGTERM)
        await until(lambda: len(got) == 8, 20)
        assert {status for status, _ in got} == {200}
        assert all(text.endswith("data: [DONE]\n\n") for _, text in got)
        assert not any("error" in text for _, text in got)
        assert await ponder.ends() == 0


@pytest.mark.slow
async def test_a_stream_that_outlasts_sigterm_is_told_and_the_process_ends_well():
    async with served(engine={"delay": 0.2}, environment=settled(0, 0.2)) as ponder, anyio.create_task_group() as tasks:
        got = []

        async def one():
            got.append(await streamed(ponder))

        tasks.start_soon(one)
        await until(lambda: ponder.engine.generated, 10)
        ponder.process.send_signal(signal.SIGTERM)
        assert await ponder.ends() == 0
        await until(lambda: got)
    assert lines(got[0][1])[-2]["error"]["code"] == "shutting_down"
    assert lines(got[0][1])[-1] == "[DONE]"


@pytest.mark.slow
async def test_a_second_signal_ends_it_now():
    async with served(engine={"ttft": 60}) as ponder, anyio.create_task_group() as tasks:
        got = []

        async def one():
            got.append(await ponder.chat())

        tasks.start_soon(one)
        await until(lambda: ponder.engine.running, 10)
        ponder.process.send_signal(signal.SIGTERM)
        await anyio.sleep(0.2)
        assert ponder.process.returncode is None
        ponder.process.send_signal(signal.SIGTERM)
        assert await ponder.ends(5) == 0
        await until(lambda: got)
    assert got[0].status_code == 503


def test_the_whole_end_fits_into_the_time_that_kubernetes_gives():
    server = Settings(server=Server()).server
    assert server.drain_delay + server.drain_seconds < 30
