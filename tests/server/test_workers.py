"""Any computation costs at most its limits, never the event loop, and leaves no process behind."""

import operator
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from server import paths
from server.settings import Workers as Limits
from server.worker import LARGEST
from server.workers import EXPIRIES, Turn, workers
from strategies.protocols import Expired
from strategies.verifiers.arithmetic import verdicts
from strategies.verifiers.regex import matches
from tests.computing import computing, outcome
from tests.poison.lag import on_time
from tests.serving import until
from tests.working import attempt, busy, children, environment, fail, hold, nest

pytestmark = pytest.mark.anyio
asyncio_only = pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)  # these load sympy


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_a_function_runs_in_another_process_and_its_result_comes_back():
    async with computing() as compute:
        assert await compute(busy, 0) not in (os.getpid(), compute.pid)
        assert await compute(operator.add, "\ud800\x00", "é") == "\ud800\x00é"


async def test_a_call_takes_about_a_millisecond():
    async with computing() as compute:
        took = []
        for _ in range(50):
            start = time.perf_counter()
            await compute(operator.add, 1, 1)
            took.append(time.perf_counter() - start)
    assert sorted(took)[25] < 0.02


async def test_what_takes_too_long_expires_and_the_next_call_works_at_once():
    async with computing(processes=1, seconds=0.2) as compute:
        start = time.monotonic()
        with pytest.raises(Expired):
            await compute(busy, 60)
        assert time.monotonic() - start < 1
        assert await compute(operator.add, 1, 1) == 2
        assert time.monotonic() - start < 1.5


async def test_what_takes_too_much_memory_expires():
    async with computing(memory_mb=512) as compute:
        assert await compute(hold, 10) == 10 << 20
        with pytest.raises(Expired):
            await compute(hold, 600)
        assert await compute(operator.add, 1, 1) == 2


async def test_what_recurses_without_end_expires():
    async with computing() as compute:
        with pytest.raises(Expired):
            await compute(nest)


async def test_what_a_function_raises_is_told():
    async with computing() as compute:
        with pytest.raises(RuntimeError, match="fail: KeyError: 'x'"):
            await compute(fail)
        assert await compute(operator.add, 1, 1) == 2


async def test_arguments_and_results_that_are_too_large_expire():
    async with computing() as compute:
        with pytest.raises(Expired, match="more than"):
            await compute(len, "x" * LARGEST)
        with pytest.raises(Expired, match="too large"):
            await compute(operator.mul, "x", LARGEST)


async def test_more_calls_than_processes_wait_their_turn():
    async with computing(processes=2, seconds=1.0) as compute:
        results = []

        async def one(number):
            results.append(await compute(operator.add, number, 0))

        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(one, number)
        assert sorted(results) == list(range(100))


async def test_a_call_that_is_cut_gives_its_process_back():
    async with computing(processes=1, seconds=30) as compute:
        [before] = children(compute.pid)
        with anyio.move_on_after(0.05):
            await compute(busy, 60)
        start = time.monotonic()
        assert await compute(operator.add, 1, 1) == 2
        assert time.monotonic() - start < 2
        assert not alive(before)
        assert len(children(compute.pid)) == 1


async def test_a_call_that_is_cut_while_it_waits_is_never_begun():
    async with computing(processes=1, seconds=30) as compute:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(compute, busy, 0.1)
            with anyio.move_on_after(0.02):
                await compute(busy, 60)
        with anyio.fail_after(5):
            assert await compute(operator.add, 1, 1) == 2


async def test_a_worker_that_is_killed_costs_its_own_call_only():
    async with computing(processes=1, seconds=30) as compute:
        [worker] = children(compute.pid)
        async with anyio.create_task_group() as tasks:

            async def one():
                with pytest.raises(Expired):
                    await compute(busy, 60)

            tasks.start_soon(one)
            await anyio.sleep(0.03)
            os.kill(worker, signal.SIGKILL)
        assert await compute(operator.add, 1, 1) == 2


async def test_a_steward_that_is_killed_costs_the_calls_under_way_and_takes_its_workers_along():
    async with computing(processes=2, seconds=30) as compute:
        steward, orphans = compute.pid, children(compute.pid)
        async with anyio.create_task_group() as tasks:

            async def one():
                with pytest.raises(Expired):
                    await compute(busy, 60)

            tasks.start_soon(one)
            await anyio.sleep(0.03)
            os.kill(steward, signal.SIGKILL)
        assert await compute(operator.add, 1, 1) == 2
        assert compute.pid != steward
        await until(lambda: not any(map(alive, orphans)), 5)


async def test_no_process_is_left_when_they_close_even_at_work():
    async with computing(processes=2, seconds=30) as compute:
        with anyio.move_on_after(0.03):
            await compute(busy, 60)
        pids = [compute.pid, *children(compute.pid)]
    await until(lambda: not any(map(alive, pids)), 5)


async def test_nothing_is_started_before_it_is_needed():
    async with workers(Limits()) as compute:
        await anyio.sleep(0.02)
        assert compute.pid is None


async def test_they_are_started_before_a_call_where_the_settings_say_so():
    async with workers(Limits(ahead=True), loaded=False) as compute:
        await until(lambda: compute.pid and len(children(compute.pid)) == 2, 5)


HOLDER = """
import sys, anyio
from server.settings import Workers
from server.workers import EXPIRIES, Turn, workers
from tests.working import busy, children
async def hold():
    async with workers(Workers(seconds=1000), loaded=False) as compute:
        await compute(busy, 0)
        print(compute.pid, *children(compute.pid), flush=True)
        await compute(busy, 1000)
anyio.run(hold)
"""


def test_a_server_killed_by_kill_9_leaves_no_worker():
    process = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True, cwd=paths.ROOT)
    with process:
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert len(pids) == 3
        process.kill()
    end = time.monotonic() + 5
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(map(alive, pids))


@pytest.mark.parametrize("what", ["a socket", "a process", "a program", "a file", "a signal"])
async def test_a_worker_can_do_nothing_but_compute(what):
    async with computing() as compute:
        assert await compute(attempt, what) == 1  # EPERM


async def test_a_worker_knows_no_secret_of_the_environment():
    async with computing() as compute:
        assert set(await compute(environment)) <= {"PATH", "LANG", "LC_CTYPE"}


@asyncio_only
async def test_hostile_text_and_hostile_patterns_stall_nothing():
    texts = ["1+" * 15_000, "(" * 30_000, "9^9^" * 8_000, "\\frac{" * 5_000]
    async with computing(seconds=0.5, loaded=True) as compute, on_time():
        for text in texts:
            await outcome(compute(verdicts, [text]))
        assert await outcome(compute(matches, ["a" * 5000 + "!"], "(a+)+b")) == "expired"


async def test_a_request_of_many_calls_leaves_workers_to_the_others():
    async with computing(processes=2) as compute, anyio.create_task_group() as tasks:
        greedy, modest = Turn(compute), Turn(compute)
        for _ in range(20):
            tasks.start_soon(greedy, busy, 0.2)
        await anyio.sleep(0.05)
        with anyio.fail_after(1.5):
            assert await modest(operator.add, 1, 2) == 3
        tasks.cancel_scope.cancel()


async def test_a_request_whose_calls_expire_is_given_up_in_the_end():
    calls = []

    async def never(function, *args):
        calls.append(args)
        raise Expired

    turn = Turn(never)
    for _ in range(EXPIRIES + 5):
        with pytest.raises(Expired):
            await turn(operator.add, 1, 1)
    assert len(calls) == EXPIRIES
