"""Overload: what does not fit waits in a bounded fair queue, or is told at once when to come again."""

import statistics
import time

import anyio
import pytest

from benchmarks.engine_replies import Reply
from server.admission import Desk, Granted, Refused, Size
from server.settings import Admission, Quotas
from tests.serving import body, ponder, until
from tests.tenants import ALICE, BOB, bearing, settings

pytestmark = pytest.mark.anyio
SC = {"name": "self_consistency", "n": 4, "early_stop": "none"}
ONE = Size(1, 100)


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Queue:
    """A desk, and in which order it lets requests in, and refuses them."""

    def __init__(self, quotas=None, **limits):
        self.desk = Desk(Admission(**limits), quotas or {}, lambda: 0.0)
        self.granted, self.refused, self._ids = [], [], 0

    def ask(self, tenant, size=ONE, times=1):
        for _ in range(times):
            self._ids += 1
            id = (tenant, self._ids)

            def tell(verdict, id=id):
                (self.granted if isinstance(verdict, Granted) else self.refused).append((id, verdict))

            self.desk.enter(id, tenant, size, tell)

    def finish(self, count=1):
        """So many of those at work end, oldest first."""
        for _ in range(count):
            self.desk.leave(next(iter(self.desk._working)), 0)

    @property
    def order(self):
        return [id[0] for id, _ in self.granted]


def test_a_light_tenant_passes_by_the_queue_of_a_heavy_one():
    queue = Queue(samples=1)
    queue.ask("heavy", times=50)
    queue.ask("light")
    queue.finish(2)
    assert queue.order[-2:] in (["light", "heavy"], ["heavy", "light"])


@pytest.mark.parametrize(("weight", "share"), [(1, 0.5), (3, 0.75), (0.25, 0.2)])
def test_those_who_wait_get_shares_by_their_weight_in_tokens_not_in_requests(weight, share):
    queue = Queue({"a": Quotas(weight=weight)}, samples=4, queue=10_000)
    queue.ask("a", Size(1, 300), times=1000)
    queue.ask("b", Size(1, 100), times=3000)
    queue.finish(800)
    waited = queue.granted[4:]
    tokens = sum(300 if id[0] == "a" else 100 for id, _ in waited)
    assert sum(300 for id, _ in waited if id[0] == "a") / tokens == pytest.approx(share, abs=0.02)


def test_a_tenants_own_requests_keep_their_order():
    queue = Queue(samples=2)
    for size in (5, 500, 5, 50):
        queue.ask("a", Size(1, size))
    queue.finish(2)
    assert [id[1] for id, _ in queue.granted] == [1, 2, 3, 4]


def test_a_large_request_is_not_starved_by_small_ones_nor_refused_for_its_size():
    queue = Queue(samples=4, tokens=1000)
    queue.ask("small", times=4)
    queue.ask("large", Size(64, 1 << 20))
    queue.ask("small", times=20)
    queue.finish(6)
    assert "large" in queue.order
    assert queue.desk.held.tokens <= 1 << 20


def test_a_full_queue_ousts_the_newest_of_who_has_most_in_it():
    queue = Queue(samples=1, queue=10)
    queue.ask("heavy", times=11)
    assert queue.refused == []
    queue.ask("light", times=2)
    queue.ask("heavy")
    assert [id for id, _ in queue.refused] == [("heavy", 11), ("heavy", 10), ("heavy", 14)]
    assert all((verdict.status, verdict.code) == (503, "overloaded") for _, verdict in queue.refused)
    assert all(isinstance(verdict, Refused) and verdict.wait > 0 for _, verdict in queue.refused)


def test_whoever_leaves_the_queue_makes_room_for_who_comes_behind():
    queue = Queue(samples=2)
    queue.ask("a", Size(2, 1))
    queue.ask("a", Size(2, 1))
    queue.ask("a", Size(0, 0))
    assert len(queue.granted) == 1
    queue.desk.leave(("a", 2), 0)
    assert [id[1] for id, _ in queue.granted] == [1, 3]


async def test_a_request_waits_for_its_turn_and_then_is_answered():
    rules = settings(admission={"samples": 4})
    async with ponder(settings=rules, delay=0.005) as served:
        most = 0

        async def watch():
            nonlocal most
            while True:
                most = max(most, served.engine.running)
                await anyio.sleep(0.002)

        told = []

        async def one(key, fields):
            ask = body(served, "What is 2 + 3?", reasoning_strategy=SC, **fields)
            told.append((await served.client.post("/v1/chat/completions", json=ask, headers=bearing(key))).status_code)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            async with anyio.create_task_group() as asking:
                for key in (ALICE, BOB, ALICE):
                    asking.start_soon(one, key, {})
                    asking.start_soon(one, key, {"stream": True})
            tasks.cancel_scope.cancel()
    assert told == [200] * 6
    assert 0 < most <= 4


async def test_too_many_who_wait_are_told_at_once_and_those_who_wait_too_long_in_time():
    rules = settings(admission={"samples": 1, "queue": 1, "queue_seconds": 0.2})
    async with ponder(lambda ask: Reply("word " * 2000), settings=rules, delay=0.01) as served:
        headers, times, told = bearing(ALICE), [], []

        async def one():
            began = time.monotonic()
            ask = body(served, "hi", max_tokens=2000)
            told.append(await served.client.post("/v1/chat/completions", json=ask, headers=headers))
            times.append(time.monotonic() - began)

        ask = body(served, "hi", stream=True, max_tokens=2000)
        async with served.client.stream("POST", "/v1/chat/completions", json=ask, headers=headers) as running:
            assert running.status_code == 200
            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(one)
        asked = [request for request in served.engine.requests if request.path.endswith("/completions")]
    assert [one.status_code for one in told] == [503] * 4
    assert all(one.json()["error"]["code"] == "overloaded" for one in told)
    assert all(int(one.headers["retry-after"]) >= 1 for one in told)
    assert len(asked) == 1
    assert max(times) >= 0.2


async def test_a_client_that_hangs_up_while_it_waits_leaves_the_queue():
    rules = settings(admission={"samples": 1})
    async with ponder(lambda ask: Reply("word " * 60), settings=rules, delay=0.005) as served:
        ask = body(served, "hi", stream=True, max_tokens=60)
        headers = bearing(ALICE)
        async with served.client.stream("POST", "/v1/chat/completions", json=ask, headers=headers) as running:
            with anyio.move_on_after(0.05):
                await served.client.post("/v1/chat/completions", json=body(served, "gone"), headers=headers)
            await running.aread()
        last = await served.client.post("/v1/chat/completions", json=body(served, "hi"), headers=headers)
        asked = [request.body for request in served.engine.requests if request.path == "/tokenize"]
    assert last.status_code == 200
    assert not any("gone" in str(request) for request in asked)


async def test_a_text_completion_waits_as_well():
    rules = settings(admission={"samples": 1, "queue": 0})
    async with ponder(lambda ask: Reply("word " * 2000), settings=rules, delay=0.01) as served:
        ask = body(served, "hi", stream=True, max_tokens=2000)
        async with served.client.stream("POST", "/v1/chat/completions", json=ask, headers=bearing(ALICE)) as running:
            assert running.status_code == 200
            plain = {"model": "simulated", "prompt": "x"}
            told = await served.client.post("/v1/completions", json=plain, headers=bearing(BOB))
    assert told.status_code == 503


async def test_a_budget_of_seconds_that_is_over_while_it_waits_is_a_503_and_no_empty_answer():
    rules = settings(admission={"samples": 1})
    async with ponder(lambda ask: Reply("word " * 2000), settings=rules, delay=0.01) as served:
        ask = body(served, "hi", stream=True, max_tokens=2000)
        async with served.client.stream("POST", "/v1/chat/completions", json=ask, headers=bearing(ALICE)) as running:
            assert running.status_code == 200
            hurried = body(served, "hi", reasoning_budget={"seconds": 0.1})
            told = await served.client.post("/v1/chat/completions", json=hurried, headers=bearing(BOB))
    assert told.status_code == 503


@pytest.mark.slow
async def test_under_ten_times_the_load_a_light_tenant_waits_little_longer_than_alone():
    """A flood that keeps the queue full of one tenant's requests; the other asks one thing at a time."""
    rules = settings(admission={"samples": 8, "queue": 64})
    async with ponder(lambda ask: Reply("word " * 20), settings=rules, delay=0.005) as served:

        async def light(times):
            waits = []
            for _ in range(times):
                began = time.monotonic()
                told = await served.client.post("/v1/chat/completions", json=body(served, "hi"), headers=bearing(BOB))
                assert told.status_code == 200
                waits.append(time.monotonic() - began)
            return statistics.median(waits)

        async def flood():
            while True:
                await served.client.post("/v1/chat/completions", json=body(served, "hi"), headers=bearing(ALICE))
                await anyio.sleep(0.05)

        alone = await light(10)
        async with anyio.create_task_group() as tasks:
            for _ in range(80):
                tasks.start_soon(flood)
            await until(lambda: served.engine.running >= 6, 10)
            beside = await light(10)
            tasks.cancel_scope.cancel()
    assert beside < 6 * alone  # with one queue for all it is tenfold
