"""Questions of many callers in few requests: each caller gets its own answers, or its own error."""

import anyio
import pytest

from server.backends.batching import Batches
from strategies.protocols import BackendError

pytestmark = pytest.mark.anyio


class Upstream:
    """Doubles numbers; refuses a batch with an odd one in it; fails on 0, and is broken by None."""

    def __init__(self, pause=0.0):
        self.pause, self.batches, self.cancelled = pause, [], 0

    async def send(self, questions):
        self.batches.append(list(questions))
        try:
            await anyio.sleep(self.pause)
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        if 0 in questions:
            raise BackendError("the engine broke", 500)
        if any(number % 2 for number in questions):
            raise BackendError("odd", 400)
        return [number * 2 for number in questions]


async def gather(upstream, *callers, **options):
    """What each caller got: answers, or an error."""
    got = {}

    async def call(batches, at, questions):
        try:
            got[at] = await batches.ask(questions)
        except BackendError as error:
            got[at] = str(error)

    async with anyio.create_task_group() as server:
        batches = Batches(server, upstream.send, **options)
        async with anyio.create_task_group() as tasks:
            for at, questions in enumerate(callers):
                tasks.start_soon(call, batches, at, questions)
        server.cancel_scope.cancel()
    return [got[at] for at in range(len(callers))]


async def test_concurrent_callers_share_a_request_and_get_their_own_in_order():
    upstream = Upstream()
    got = await gather(upstream, *([number, number + 2] for number in range(2, 42, 4)))
    assert got == [[number * 2, number * 2 + 4] for number in range(2, 42, 4)]
    assert len(upstream.batches) == 1


async def test_no_request_is_larger_than_the_largest():
    upstream = Upstream()
    [got] = await gather(upstream, range(2, 22, 2), largest=4)
    assert got == list(range(4, 44, 4))
    assert [len(batch) for batch in upstream.batches] == [4, 4, 2]


async def test_a_refusal_reaches_only_the_question_to_blame():
    got = await gather(Upstream(), [2, 4], [6, 7, 8], [9], [10])
    assert got == [[4, 8], [12, None, 16], "odd", [20]]


async def test_a_failure_of_the_engine_is_not_tried_again():
    upstream = Upstream()
    assert await gather(upstream, [2], [0]) == ["the engine broke"] * 2
    assert len(upstream.batches) == 1


async def test_an_engine_that_fails_half_way_is_an_error_not_a_refusal():
    assert await gather(Upstream(), [0, 2, 4, 6], largest=2) == ["the engine broke"]


async def test_a_caller_that_leaves_takes_nothing_from_the_others():
    upstream, got = Upstream(pause=0.03), []
    async with anyio.create_task_group() as server:
        batches = Batches(server, upstream.send)

        async def stay():
            got.extend(await batches.ask([4]))

        async with anyio.create_task_group() as tasks:
            with anyio.move_on_after(0.02) as leaving:
                tasks.start_soon(stay)
                await batches.ask([2])
        assert leaving.cancelled_caught
    assert got == [8]
    assert upstream.cancelled == 0


async def test_a_request_that_nobody_waits_for_ends():
    upstream = Upstream(pause=10)
    async with anyio.create_task_group() as server:
        batches = Batches(server, upstream.send)
        with anyio.move_on_after(0.03):
            await batches.ask([2, 4])
    assert upstream.cancelled == 1


async def test_who_leaves_before_the_request_is_not_asked_for():
    upstream = Upstream()
    async with anyio.create_task_group() as server:
        batches = Batches(server, upstream.send, window=0.02)
        with anyio.move_on_after(0):
            await batches.ask([2])
        assert await batches.ask([4]) == [8]
    assert upstream.batches == [[4]]


async def test_an_error_of_ours_is_the_callers_and_ends_nothing_else():
    class Broken(Upstream):
        async def send(self, questions):
            if None in questions:
                raise TypeError("ours")
            return await super().send(questions)

    async with anyio.create_task_group() as server:
        batches = Batches(server, Broken().send)
        with pytest.raises(BackendError, match="given up"):
            await batches.ask([None])
        assert await batches.ask([2]) == [4]


async def test_nothing_asked_is_nothing_sent():
    upstream = Upstream()
    assert await gather(upstream, []) == [[]]
    assert upstream.batches == []
