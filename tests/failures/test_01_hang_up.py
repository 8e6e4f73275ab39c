"""A caller who goes, at any moment: all work for the request ends, wherever it was, and nothing of it stays."""

from random import Random

import anyio
import pytest

from benchmarks.engine import simulated
from server.backends.connections import KEPT
from server.settings import Admission, Engine, Settings
from tests.faults.proxy import faulty
from tests.hanging_up import Caller, nothing_left, somebody
from tests.serving import ponder, serving, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("without_garbage_collection")]
AT_ONCE = 8


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def go(count, longest, fault=lambda request: None, admission=None, widest=64, **engine):
    """So many callers, who leave nothing behind."""
    random, done, left = Random(count), list[bool](), iter(range(count))
    limits = admission or Admission()
    async with (
        simulated(**engine) as behind,
        faulty(behind.url, fault) as proxy,
        serving(Settings(engines=(Engine(url=proxy.url),), admission=limits)) as served,
    ):
        served.engine, app = behind, served.app
        await Caller("/v1/chat/completions", {"name": "single"}, False, 30).ask(served)

        async def callers():
            for _ in left:
                done.append(await somebody(random, longest, widest).ask(served))

        async with anyio.create_task_group() as group:
            for _ in range(min(AT_ONCE, count)):
                group.start_soon(callers)
        await nothing_left(app, behind)
        await until(lambda: proxy.open <= 2, 2 * KEPT)  # kept for a while, for nobody has left them half-read
        return sum(done), behind.aborted


async def test_callers_who_go_at_any_moment_leave_nothing():
    done, aborted = await go(150, 2.0, widest=16, ttft=0.01, delay=0.002)
    assert 0 < done < 150
    assert aborted > 0


async def test_callers_who_go_while_they_wait_to_be_let_in_leave_nothing():
    await go(60, 1.0, admission=Admission(samples=64, queue=1000), widest=16, ttft=0.01, delay=0.002)


async def test_callers_who_go_while_a_call_waits_to_be_made_again_leave_nothing():
    def script(request):
        return "status_503" if request.number is not None and request.number % 3 == 0 else None

    await go(60, 1.0, fault=script, widest=16, ttft=0.01, delay=0.002)


async def test_callers_who_go_while_the_engine_is_silent_leave_nothing():
    await go(30, 0.5, fault=lambda request: "hang_mid_stream" if request.number else None, widest=16)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_thousand_samples_end_with_their_caller(stream):
    wide = {"name": "self_consistency", "n": 1000, "early_stop": "none"}
    async with ponder(delay=0.5) as served:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Caller("/v1/chat/completions", wide, stream, 60).ask, served)
            await until(lambda: served.engine.running > 900, 50)
            tasks.cancel_scope.cancel()
        await nothing_left(served.app, served.engine)
        assert served.engine.aborted > 900


@pytest.mark.slow
async def test_ten_thousand_callers_who_go_leave_nothing():
    await go(10_000, 2.0, widest=1000, ttft=0.01, delay=0.002)
