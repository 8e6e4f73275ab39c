"""The bill is every token that came, under hang-ups and faults, too; what an engine wastes after that is bounded."""

import re
from random import Random

import anyio
import pytest

from server.backends.vllm import INTERVAL
from tests.hanging_up import STRATEGIES, nothing_left, sample, somebody
from tests.serving import body, ponder

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


def billed(served):
    return sample(served.app, "ponder_tokens_total")


@pytest.mark.parametrize("stream", [True, False])
async def test_without_hang_ups_the_bill_is_what_the_engine_generated(stream):
    async with ponder() as served:
        usage = 0
        for strategy in STRATEGIES:
            if strategy.get("early_stop", "none") == "none" and strategy["name"] not in ("self_consistency", "auto"):
                before = served.engine.generated
                options = {"stream": stream, "stream_options": {"include_usage": True}} if stream else {}
                request = body(served, "What is 2 + 3?", reasoning_strategy=strategy, **options)
                reply = await served.client.post("/v1/chat/completions", json=request)
                told = int(re.findall(r'"completion_tokens":(\d+)', reply.text)[-1])
                assert told == served.engine.generated - before, strategy
                usage += told
        assert billed(served) == usage == served.engine.generated


async def test_what_is_billed_under_hang_ups_is_what_came_and_what_is_wasted_is_bounded():
    random = Random(7)
    async with ponder(ttft=0.005, delay=0.002) as served:

        async def callers():
            for _ in range(12):
                await somebody(random, 1.0, 16).ask(served)

        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(callers)
        await nothing_left(served.app, served.engine)
        wasted = served.engine.generated - billed(served)
        assert served.engine.aborted > 0
        assert 0 <= wasted <= served.engine.aborted * 2 * INTERVAL, "an event on its way, and one that was being made"
