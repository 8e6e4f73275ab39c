"""Several processes that serve: a scrape of any tells what all have counted, and no total ever falls."""

import os
import signal
from functools import partial
from pathlib import Path

import anyio
import httpx
import pytest

from tests.metrics import total
from tests.processes import served
from tests.serving import body, until

pytestmark = pytest.mark.anyio
SINGLE = {"reasoning_strategy": "single", "max_tokens": 8}


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def fresh(ponder, path, **request):
    """A request by a connection of its own, so that any worker may take it."""
    async with httpx.AsyncClient(base_url=ponder.url, timeout=30) as client:
        return await (client.post(path, **request) if request else client.get(path))


async def scraped(ponder):
    return (await fresh(ponder, "/metrics")).text


async def asked(ponder, times):
    """So many chats at once, each by a connection of its own."""
    request = body(ponder, "hi", **SINGLE)
    async with anyio.create_task_group() as tasks:
        for _ in range(times):
            tasks.start_soon(partial(fresh, ponder, "/v1/chat/completions", json=request))


def workers(ponder):
    """The process ids of those that serve."""
    tasks = Path(f"/proc/{ponder.process.pid}/task").glob("*/children")
    ids = " ".join(path.read_text() for path in tasks).split()
    return [int(id) for id in ids if b"server.__main__" in Path(f"/proc/{id}/cmdline").read_bytes()]


async def killed(ponder, id):
    """Kill a worker, and wait until another one is in its place."""
    os.kill(id, signal.SIGKILL)
    await until(lambda: len(workers(ponder)) == 2 and id not in workers(ponder), 20)


async def test_a_scrape_of_any_worker_tells_of_all_and_one_that_is_killed_leaves_what_it_counted():
    async with served("--workers", "2", engine={"delay": 0.01}) as ponder:
        await until(lambda: len(workers(ponder)) == 2, 10)
        await asked(ponder, 30)
        for _ in range(8):
            told = await scraped(ponder)
            assert total(told, "ponder_requests_total", strategy="single", outcome="ok") == 30
            assert total(told, "ponder_tokens_total") == ponder.engine.generated
            assert total(told, "ponder_request_duration_seconds_count") == 30
            assert total(told, "ponder_build_info") == 1
            assert total(told, "ponder_engine_up", engine="0") == 1
        await killed(ponder, workers(ponder)[0])
        assert total(await scraped(ponder), "ponder_requests_total") == 30
        await asked(ponder, 10)
        assert total(await scraped(ponder), "ponder_requests_total") == 40


@pytest.mark.slow
async def test_a_request_that_dies_with_its_worker_is_not_at_work_any_more():
    async with served("--workers", "2", engine={"delay": 0.2}) as ponder:
        await until(lambda: len(workers(ponder)) == 2, 10)

        async def lost():
            with pytest.raises(httpx.TransportError):
                await fresh(ponder, "/v1/chat/completions", json=body(ponder, "hi", **SINGLE))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lost)
            await until(lambda: ponder.engine.running == 1, 10)
            assert total(await scraped(ponder), "ponder_requests_running") == 1
            for id in workers(ponder):
                await killed(ponder, id)
        told = await scraped(ponder)
    assert total(told, "ponder_requests_running") == 0
    assert total(told, "ponder_upstream_requests_running") == 0
    assert total(told, "ponder_reserved_samples") == 0
