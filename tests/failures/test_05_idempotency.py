"""A request that comes again with its `Idempotency-Key` is the same piece of work, not a second fan-out."""

from functools import partial

import anyio
import pytest

from benchmarks.engine_replies import Reply
from server.settings import Idempotency, PoolSettings, Settings
from tests.serving import body, ponder, until

pytestmark = pytest.mark.anyio
VOTE = {"reasoning_strategy": {"name": "self_consistency", "n": 4}}
KEY = {"idempotency-key": "one"}


@pytest.fixture
def anyio_backend():
    return "asyncio"


def asked(served, headers=KEY, path="/v1/chat/completions", **fields):
    return served.client.post(path, json=body(served, "What is 2 + 3?", **VOTE | fields), headers=headers)


def generations(served):
    return sum(request.path.endswith("/completions") for request in served.engine.requests)


@pytest.mark.parametrize("stream", [True, False])
async def test_requests_at_the_same_time_are_one_fan_out_with_one_reply(stream):
    replies = []

    async def one(served):
        replies.append((await asked(served, stream=stream)).text)

    async with ponder(delay=0.005) as served:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(one, served)
        once = generations(served)
        await asked(served, {"idempotency-key": "two"}, stream=stream)
        assert generations(served) == 2 * once
    assert len(set(replies)) == 1
    assert "answer" in replies[0]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_reply_is_there_again_after_its_end_with_its_headers(stream):
    async with ponder() as served:
        first = await asked(served, stream=stream)
        calls = generations(served)
        again = await asked(served, stream=stream)
        assert generations(served) == calls
    assert again.text == first.text
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]


async def test_a_client_that_joins_late_gets_the_stream_from_its_beginning():
    async with ponder(lambda ask: "word " * 40, delay=0.01) as served:
        texts = []

        async def read():
            texts.append((await asked(served, stream=True)).text)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await until(lambda: served.engine.generated > 20, 10)
            tasks.start_soon(read)
    assert texts[0] == texts[1]


async def test_the_work_goes_on_while_one_of_its_clients_is_there_and_stops_with_the_last():
    async with ponder(lambda ask: Reply("word ", ends=False), delay=0.01) as served:
        async with anyio.create_task_group() as one, anyio.create_task_group() as other:
            one.start_soon(partial(asked, served, stream=True))
            await until(lambda: served.engine.running > 0, 10)
            other.start_soon(partial(asked, served, stream=True))
            await anyio.sleep(0.2)
            one.cancel_scope.cancel()
            await anyio.sleep(0.2)
            assert served.engine.running > 0
            other.cancel_scope.cancel()
        await until(lambda: served.engine.running == 0, 10)


async def test_after_everybody_left_a_new_request_is_new_work():
    async with ponder(lambda ask: "word " * 40, delay=0.01) as served:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(asked, served)
            await until(lambda: served.engine.running > 0, 10)
            tasks.cancel_scope.cancel()
        assert (await asked(served)).json()["choices"][0]["message"]["content"]


async def test_another_request_with_the_key_is_refused():
    async with ponder() as served:
        await asked(served)
        other = await asked(served, temperature=0.5)
    assert other.status_code == 422
    assert other.json()["error"]["code"] == "idempotency_key_reused"


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
async def test_a_key_that_is_none_is_refused(key):
    async with ponder() as served:
        reply = await asked(served, {"idempotency-key": key})
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "idempotency-key"


async def test_keys_of_different_callers_are_different_keys():
    async with ponder() as served:
        await asked(served, KEY | {"authorization": "Bearer a"})
        calls = generations(served)
        await asked(served, KEY | {"authorization": "Bearer b"}, temperature=0.5)
        assert generations(served) == 2 * calls


@pytest.mark.parametrize("fault", ["status", "frame"])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_failure_is_told_to_all_and_not_kept(stream, fault):
    broken = [True]

    def reply(ask):
        return Reply("word " * 4, fault=fault) if broken[0] else "word"

    async with ponder(reply, settings=Settings(pool=PoolSettings(retry_share=0, retry_reserve=0))) as served:
        failed = await asked(served, stream=stream)
        assert '"error"' in failed.text
        broken[0] = False
        again = await asked(served, stream=stream)
    assert again.status_code == 200
    assert '"error"' not in again.text


@pytest.mark.parametrize("limits", [Idempotency(bytes=10), Idempotency(seconds=1e-6), Idempotency(seconds=0)], ids=str)
async def test_what_is_kept_is_bounded_in_time_and_room(limits):
    async with ponder(settings=Settings(idempotency=limits)) as served:
        await asked(served)
        calls = generations(served)
        await asked(served)
        assert generations(served) == 2 * calls
