"""An engine that dies, or fails most calls, is left out; its searches go on on another; it comes back by and by."""

import anyio
import pytest

from benchmarks.engine import Engine as Simulated
from benchmarks.engine import Options
from server.backends.health import LONGEST, WINDOW, Health
from server.settings import PoolSettings, Settings
from tests.failures.fleets import completions, pair, words
from tests.serving import content_of, until

pytestmark = pytest.mark.anyio
SETTINGS = PoolSettings()


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Clock:
    """A time that passes when told."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def health(clock):
    return Health(SETTINGS, clock, chance=lambda: 0.5)


def fail(health, times):
    for _ in range(times):
        trying = health.begin()
        health.failed(trying)
        health.end(trying)


def test_failures_in_a_row_put_an_engine_out_and_fewer_do_not(health):
    fail(health, SETTINGS.eject_failures - 1)
    assert not health.out
    health.answered()
    fail(health, SETTINGS.eject_failures - 1)
    assert not health.out
    fail(health, 1)
    assert health.out
    assert not health.admits


def test_most_calls_failing_put_an_engine_out_though_some_are_answered(health):
    for _ in range(3):
        fail(health, 2)
        health.answered(health.begin())
    assert not health.out, "too few calls to tell"
    fail(health, 1)
    assert health.out


def test_failures_of_long_ago_do_not_count(health, clock):
    fail(health, 4)
    clock.now += WINDOW + 1
    for _ in range(10):
        health.answered(health.begin())
    fail(health, 4)
    assert not health.out


def test_calls_of_long_ago_are_not_kept_though_none_ever_fails(health, clock):
    for _ in range(1000):
        clock.now += 1
        health.answered(health.begin())
    assert len(health._calls) <= WINDOW + 1


def test_one_call_at_a_time_tries_an_engine_whose_time_is_over(health, clock):
    fail(health, 5)
    assert not health.admits
    clock.now += SETTINGS.eject_seconds
    assert health.begin()
    assert not health.admits
    health.end(True)
    assert health.admits


def test_an_answer_to_a_call_from_before_does_not_bring_it_back(health, clock):
    before = health.begin()
    fail(health, 5)
    health.answered(before)
    assert health.out
    clock.now += SETTINGS.eject_seconds
    health.answered(health.begin())
    assert not health.out


def test_a_call_that_was_given_up_leaves_its_place_to_the_next(health, clock):
    fail(health, 5)
    clock.now += SETTINGS.eject_seconds
    health.end(health.begin())
    assert health.out
    assert health.admits


def test_each_time_out_is_twice_as_long_up_to_a_minute_until_it_has_been_in_for_as_long(health, clock):
    fail(health, 5)
    seconds = []
    for _ in range(6):
        started = clock.now
        while not health.admits:
            clock.now += 0.5
        seconds.append(clock.now - started)
        fail(health, 1)
    assert seconds == [5, 10, 20, 40, 60, 60]
    while not health.admits:
        clock.now += 0.5
    health.answered(health.begin())
    clock.now += LONGEST + 1
    fail(health, 5)
    clock.now += SETTINGS.eject_seconds
    assert health.admits


def test_an_engine_that_was_down_and_answers_again_is_tried_at_once(health, clock):
    fail(health, 5)
    health.checked(fine=True)
    assert not health.admits, "it never was down: its time has to pass"
    health.checked(fine=False)
    clock.now += 1000
    assert not health.admits, "its time is over, but it is down"
    health.checked(fine=True)
    assert health.admits


def test_a_failure_of_a_call_that_was_sent_before_does_not_make_its_time_longer(health, clock):
    fail(health, 5)
    fail(health, 20)
    clock.now += SETTINGS.eject_seconds
    assert health.admits


async def test_one_of_two_engines_dies_in_the_midst_of_50_searches_and_all_of_them_answer():
    _, reply = words(60)
    answers, busy = [], {"connect_seconds": 30}  # the machine may be
    async with pair(reply, delay=0.01, patience=busy) as served, anyio.create_task_group() as tasks:

        async def ask(at):
            vote = {"name": "self_consistency", "n": 4, "early_stop": "none"}
            answers.append(await served.chat(f"question {at}", reasoning_strategy=vote, return_trace=True))

        for at in range(50):
            tasks.start_soon(ask, at)
        await until(lambda: all(engine.running > 50 for engine in served.engines), 10)
        await served.engines[0].close()
    assert [answer.text for answer in answers if answer.status_code != 200] == []
    assert len(answers) == 50
    told = [answer.json()["ponder"] for answer in answers]
    assert any("another engine goes on" in note for one in told for note in one["notes"])
    for one in told:
        samples = one["samples"]
        assert samples["requested"] == 4
        assert samples["ok"] == len(one["candidates"]) == 4 - sum(samples["lost"].values())
        assert len(one["lost"]) == sum(samples["lost"].values())


async def test_a_streamed_answer_goes_on_word_for_word_on_the_other_engine():
    whole, reply = words(60)
    streams = []
    async with pair(reply, delay=0.01) as served, anyio.create_task_group() as tasks:

        async def ask(at):
            streams.append(await served.stream(f"question {at}", max_tokens=400))

        for at in range(12):
            tasks.start_soon(ask, at)
        await until(lambda: all(engine.running > 2 and engine.generated > 40 for engine in served.engines), 10)
        await served.engines[1].close()
    assert [content_of(stream) for stream in streams] == [whole] * 12


async def test_what_goes_on_has_a_fresh_seed_and_starts_from_what_was_said():
    _, reply = words(60)
    async with pair(reply, delay=0.01) as served, anyio.create_task_group() as tasks:

        @tasks.start_soon
        async def ask():
            await served.chat(seed=7, max_tokens=400)

        await until(lambda: any(engine.generated > 10 for engine in served.engines), 10)
        dying, other = sorted(served.engines, key=lambda engine: -engine.generated)
        await dying.close()
    [first], [second] = completions(dying), completions(other)
    assert first["seed"] == 7 != second["seed"]
    assert len(first["prompt"]) < len(second["prompt"])
    assert second["max_tokens"] < first["max_tokens"]


async def test_what_is_bound_by_a_grammar_is_lost_rather_than_gone_on_with():
    _, reply = words(60)
    statuses = []
    async with pair(reply, delay=0.01) as served, anyio.create_task_group() as tasks:

        @tasks.start_soon
        async def ask():
            statuses.append((await served.chat(response_format={"type": "json_object"})).status_code)

        await until(lambda: any(engine.generated > 10 for engine in served.engines), 10)
        dying, other = sorted(served.engines, key=lambda engine: -engine.generated)
        await dying.close()
    assert statuses == [503]
    assert not completions(other)


async def up(served):
    text = (await served.client.get("/metrics")).text
    return [f'ponder_engine_up{{engine="{at}"}} 1.0' in text for at in (0, 1)]


async def test_an_engine_that_died_is_left_out_and_comes_back():
    async with pair() as served:
        for at in range(4):
            assert (await served.chat(f"question {at}")).status_code == 200
        dead = served.engines[0]
        await dead.close()
        for at in range(12):
            assert (await served.chat(f"question {at}")).status_code == 200
        assert await up(served) == [False, True]
        again = Simulated(options=Options())
        await again.listen(port=int(dead.url.rpartition(":")[2]))
        try:
            with anyio.fail_after(5):
                while not all(await up(served)):
                    assert (await served.chat("are you there?")).status_code == 200
                    await anyio.sleep(0.01)
            for at in range(8):
                assert (await served.chat(f"question {at}")).status_code == 200
            assert completions(again)
        finally:
            await again.close()


async def test_where_all_engines_are_out_they_are_asked_all_the_same():
    slow = PoolSettings(eject_seconds=3600.0, check_seconds=3600.0)
    broken = True
    async with pair(settings=Settings(pool=slow)) as served:
        made = served.engines[0]._respond, served.engines[1]._respond

        def respond(at):
            def answer(connection, method, path, data):
                if broken and path.endswith("/completions"):
                    connection.answer(500, b"{}")
                else:
                    made[at](connection, method, path, data)

            return answer

        for at, engine in enumerate(served.engines):
            engine._respond = respond(at)
        for at in range(12):
            assert (await served.chat(f"question {at}")).status_code == 502
        assert await up(served) == [False, False]
        broken = False
        assert (await served.chat("question")).status_code == 200


@pytest.mark.slow
async def test_of_a_thousand_requests_at_most_one_fails_while_an_engine_dies_and_comes_back():
    _, reply = words(10)
    statuses = []
    async with pair(reply, delay=0.002) as served:
        dead = served.engines[0]

        async def ask(at):
            statuses.append((await served.chat(f"question {at}")).status_code)

        async def wave(start):
            async with anyio.create_task_group() as tasks:
                for at in range(start, start + 50):
                    tasks.start_soon(ask, at)
                if start == 250:
                    await until(lambda: dead.running > 10, 10)
                    await dead.close()

        for start in range(0, 500, 50):
            await wave(start)
        again = Simulated(reply, Options(delay=0.002))
        await again.listen(port=int(dead.url.rpartition(":")[2]))
        try:
            for start in range(500, 1000, 50):
                await wave(start)
            assert completions(again)
        finally:
            await again.close()
    assert len(statuses) == 1000
    assert sum(status != 200 for status in statuses) <= 1
