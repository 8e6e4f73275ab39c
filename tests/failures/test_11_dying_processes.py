"""Processes that are killed take their own requests along, nobody else's, and are replaced."""

import os
import signal
import sys
from pathlib import Path

import anyio
import httpx
import pytest

from server import supervisor
from server.metrics import FOLDER
from server.settings import Settings, Workers
from tests.processes import served, started
from tests.serving import body, ponder, until

pytestmark = pytest.mark.anyio
SUM = "1 + 2 + 3 + 4 + 5 + 6 = ?"


@pytest.fixture
def anyio_backend():
    return "asyncio"


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def outcome(ponder):
    """How a streamed reply of one's own connection ends."""
    try:
        async with httpx.AsyncClient(base_url=ponder.url, timeout=60) as client:
            reply = await client.post("/v1/chat/completions", json=body(ponder, SUM, stream=True))
    except httpx.TransportError:
        return "broken"
    return "whole" if reply.text.endswith("data: [DONE]\n\n") and "error" not in reply.text else reply.text


async def test_a_server_process_that_is_killed_takes_only_its_own_requests_along_and_is_replaced():
    async with served("--workers", "2", engine={"delay": 0.05}) as ponder:
        await until(lambda: len(children(ponder.process.pid)) == 2, 10)
        ended, victim = [], children(ponder.process.pid)[0]

        async def one():
            ended.append(await outcome(ponder))

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(one)
            await until(lambda: ponder.engine.running == 8, 20)
            os.kill(victim, signal.SIGKILL)
            await until(lambda: ponder.engine.running == 8 - ended.count("broken"), 2)
        assert set(ended) <= {"broken", "whole"}
        await until(lambda: len(children(ponder.process.pid)) == 2, 10)
        assert victim not in children(ponder.process.pid)
        assert [await outcome(ponder) for _ in range(4)] == ["whole"] * 4


@pytest.mark.slow
async def test_sigterm_to_the_parent_drains_all_of_them():
    quick = {"PONDER_SERVER__DRAIN_DELAY": "0"}
    async with (
        served("--workers", "2", engine={"delay": 0.02}, environment=quick) as ponder,
        anyio.create_task_group() as tasks,
    ):
        pids, ended = children(ponder.process.pid), []

        async def one():
            ended.append(await outcome(ponder))

        for _ in range(4):
            tasks.start_soon(one)
        await until(lambda: ponder.engine.running == 4, 20)
        ponder.process.send_signal(signal.SIGTERM)
        assert await ponder.ends(20) == 0
        await until(lambda: len(ended) == 4)
        assert ended == ["whole"] * 4
        assert not any(map(alive, pids))


@pytest.mark.slow
async def test_none_outlives_a_parent_that_is_killed():
    async with served("--workers", "2") as ponder:
        await until(lambda: len(children(ponder.process.pid)) == 2, 10)
        pids = children(ponder.process.pid)
        ponder.process.kill()
        await until(lambda: not any(map(alive, pids)), 15)


ENGINE = f"""#!{sys.executable} -S
import http.server, sys
option = dict(zip(sys.argv[3:], sys.argv[4:]))

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    do_POST = do_GET

http.server.ThreadingHTTPServer((option["--host"], int(option["--port"])), Answer).serve_forever()
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_local_engine_is_one_for_all_and_ends_last(workers, tmp_path):
    engine = tmp_path / "python"
    engine.write_text(ENGINE)
    engine.chmod(0o755)
    flags = ["--workers", workers, "--model", "org/model", "--engine-python", str(engine)]
    async with started(*flags, PONDER_CACHE=str(tmp_path), PONDER_SERVER__DRAIN_DELAY="0.5") as ponder:
        [guard] = [pid for pid in children(ponder.process.pid) if b"guard.py" in command(pid)]
        ponder.process.send_signal(signal.SIGTERM)
        await anyio.sleep(0.25)
        assert alive(guard)
        assert await ponder.ends(20) == 0
        assert not alive(guard)


def command(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes()


async def test_one_that_cannot_start_is_tried_again_ever_more_slowly(monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(supervisor, "START", "import sys; sys.exit(3)")
    monkeypatch.setattr(sys, "argv", ["ponder", "serve"])
    with supervisor.socket.socket() as listener:
        watched = supervisor.Supervisor(listener, {FOLDER: str(tmp_path)})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watched.keep, 0)
            await until(lambda: len(caplog.records) >= 3, 10)
            watched.end(signal.SIGTERM)
    pauses = [record.args[1] for record in caplog.records[:3]]
    assert pauses == [0.2, 0.4, 0.8]
    assert {record.args[0] for record in caplog.records} == {3}


async def test_a_vote_whose_verifier_process_is_killed_still_answers():
    answers = iter(["\\frac{1}{2}", "0.5", "\\frac{2}{4}", "3"] * 4)
    settings = Settings(workers=Workers(processes=1))
    async with ponder(lambda ask: f"\\boxed{{{next(answers)}}}", settings=settings, delay=0.02) as served:
        done = []

        async def vote():
            strategy = {"name": "self_consistency", "n": 8, "early_stop": "none"}
            done.append(await served.chat(reasoning_strategy=strategy))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(vote)
            compute = None
            while not done:
                compute = compute or getattr(served.app.state, "compute", None)
                for pid in children(compute.pid) if compute and compute.pid else ():
                    os.kill(pid, signal.SIGKILL)
                await anyio.sleep(0.02)
    assert done[0].status_code == 200
    assert "boxed" in done[0].json()["choices"][0]["message"]["content"]
