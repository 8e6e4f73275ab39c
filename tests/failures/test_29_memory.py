"""What requests leave in memory: nothing when they were answered, and nothing for long when their callers have gone."""

import gc
from collections import Counter

import anyio
import pytest

from server.caller import Caller
from tests.hanging_up import asking, called, nothing_left
from tests.serving import ponder, until

pytestmark = pytest.mark.anyio
OURS = ("server", "strategies")
REQUESTS = 5
STRATEGIES = [
    {"name": "single"},
    {"name": "self_consistency", "n": 8, "early_stop": "none"},
    {"name": "best_of_n", "n": 3, "verifier": "p_true"},
    {"name": "beam_search", "beams": 2, "width": 2, "verifier": "arithmetic"},
]
EVERY = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy["name"])
BOTH = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])


@pytest.fixture
def anyio_backend():
    return "asyncio"


def ours():
    """How many objects there are of each of our types."""
    kinds = map(type, gc.get_objects())
    return Counter(kind.__qualname__ for kind in kinds if str(kind.__module__).partition(".")[0] in OURS)


async def left_by(served, request):
    """What some requests leave that was not there after the ones before them, by type."""
    for _ in range(REQUESTS):
        await request()
    await nothing_left(served.app, served.engine)
    gc.collect()
    before = ours()
    for _ in range(REQUESTS):
        await request()
    await nothing_left(served.app, served.engine)
    return before


@EVERY
@BOTH
@pytest.mark.usefixtures("without_garbage_collection")
async def test_a_request_that_was_answered_leaves_nothing_even_to_the_collector(strategy, stream):
    async with ponder() as served:
        before = await left_by(served, lambda: called(served.app, asking(strategy, stream), Caller()))
        assert not ours() - before


@EVERY
@BOTH
async def test_a_request_whose_caller_has_gone_leaves_nothing_that_the_collector_does_not_take(strategy, stream):
    async with ponder(delay=0.01) as served:

        async def leaving():
            caller = Caller()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(called, served.app, asking(strategy, stream), caller)
                await until(lambda: served.engine.running)
                caller.leave()
            await until(lambda: not served.engine.running)

        before = await left_by(served, leaving)
        gc.collect()
        assert not ours() - before
        assert served.engine.aborted >= 2 * REQUESTS
