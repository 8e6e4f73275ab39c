"""`send` returns at once where nobody is there any more; work that never waits must still hear of it."""

import anyio
import pytest

from server.caller import Caller
from tests.hanging_up import asking, called, nothing_left, turns
from tests.serving import ponder

pytestmark = pytest.mark.anyio
LONG = 4000
"""Tokens of a sample, which the engine says without a pause."""


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("strategy", [{"name": "single"}, {"name": "best_of_n", "n": 3, "verifier": "p_true"}], ids=str)
async def test_a_request_that_never_waits_ends_with_its_caller(strategy, stream):
    async with ponder(lambda ask: "word " * LONG, max_model_len=2 * LONG) as served:
        client = Caller()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(called, served.app, asking(strategy, stream), client)
            await turns(40)
            client.leave()
        await nothing_left(served.app, served.engine)
        assert served.engine.generated < LONG * strategy.get("n", 1)
