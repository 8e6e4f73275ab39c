"""What gateways add: the loads, the accounts of processes, and the tables made of them."""

import os

import anyio
import pytest

from benchmarks.engine import simulated
from benchmarks.engine_replies import Ask
from benchmarks.engine_text import encode
from benchmarks.overhead.engine import ANSWER, counted, prompt
from benchmarks.overhead.load import load
from benchmarks.overhead.measure import DIRECT, MODEL, WORKS, Work, measure
from benchmarks.overhead.processes import cpu_seconds, memory
from benchmarks.overhead.report import ROWS, page, shown, tables
from strategies.answers import final_answer


@pytest.mark.parametrize("tokens", [2, 11, 32, 128])
def test_a_reply_is_as_long_as_the_prompt_asks_for(tokens):
    said = counted(Ask(prompt(tokens), 0, None, None, {}))
    assert len(encode(said)) + 1 == tokens  # the end of the text is one


def test_a_long_reply_ends_with_an_answer_that_can_vote():
    said = counted(Ask(prompt(32), 0, None, None, {}))
    assert said.endswith(ANSWER)
    assert final_answer(said) == "42"


@pytest.mark.parametrize("kind", sorted(DIRECT))
def test_a_load_counts_requests_tokens_and_events(kind):
    async def main():
        async with simulated(counted, model=MODEL) as engine:
            work = Work(kind, clients=3, tokens=32, pings=True)
            return await measure(work, engine.url, DIRECT[kind], 0.05, os.getpid(), "/health"), engine.generated

    figures, generated = anyio.run(main)
    samples = DIRECT[kind].get("n", 1)
    assert figures["requests"] >= 3
    assert generated == figures["requests"] * 32 * samples
    assert figures["ms_p50"] <= figures["ms_p99"]
    assert figures["ping_ms_max"] > 0
    assert ("events" in figures) == ("stream" in DIRECT[kind])


def test_a_request_that_fails_is_told_and_is_no_latency():
    async def main():
        async with simulated(counted, model="another") as engine:
            return await load(engine.url, {"model": MODEL, "messages": []}, clients=2, seconds=0.01)

    result = anyio.run(main)
    assert not result.seconds
    assert sum(result.failures.values()) >= 2


def test_cpu_time_and_memory_are_those_of_a_process_and_all_below_it():
    async def main():
        busy = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'sum(range(3_000_000)); input()'])"
        async with await anyio.open_process(["python3", "-c", busy]) as process:
            with anyio.fail_after(20):
                while cpu_seconds(process.pid) < 0.05:
                    await anyio.sleep(0.02)
            now, most = memory(process.pid)
            process.kill()
        return now, most

    now, most = anyio.run(main)
    assert 0 < now <= most
    assert cpu_seconds(2**22 + 1) == 0.0


def results():
    figures = {"ms_p50": 12.0, "ms_p99": 15.0, "cpu_us": 300.0, "cpu_us_token": 30.0}
    direct = {name: {"ms_p50": 10.0, "ms_p99": 11.0} for name in WORKS}
    slower = figures | {"ms_p50": 20.0}
    rounds = [{"direct": direct, "Ponder": {name: figures for name in WORKS}, "Other": {"one": slower}}] * 3
    cannot = {"Other": {"vote": "has no vote"}}
    memory = {"Ponder": {"idle": 70.0, "peak": 90.0, "after": 80.0}}
    return {"machine": "a machine", "seconds": 2.0, "rounds": rounds, "memory": memory, "cannot": cannot}


def test_latencies_are_told_as_differences_to_the_engine_alone():
    first = next(line for line in tables(results()).splitlines() if "1 client: added p50" in line)
    assert first == "| 1 client: added p50, ms | 2.00 | 10.0 |"


def test_what_a_server_cannot_do_is_a_dash_and_a_reason():
    vote = next(line for line in tables(results()).splitlines() if "vote over 64 samples: CPU" in line)
    assert vote.endswith("| - |")
    assert "- Other has no vote: vote." in page(results())


def test_every_row_of_the_table_is_about_a_load_that_is_measured():
    assert {work for _, work, _ in ROWS} == set(WORKS)


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.123, "0.12"), (-3.456, "-3.46"), (45.67, "45.7"), (1234.5, "1,234")]
)
def test_figures_are_shown_with_the_digits_that_count(value, text):
    assert shown(value) == text
