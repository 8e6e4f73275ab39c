"""`make run` as a user runs it: it gets ready, answers, and leaves no process behind, however it ends."""

import os
import re
import signal
import subprocess
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from openai import OpenAI

from tests.conftest import told

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]
MARK = "PONDER_TEST_MARK"


def marked(mark):
    """The processes that were started, however indirectly, with this mark in their environment."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes():
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has just ended, or is not ours
            continue
    return found


@contextmanager
def make_run(request, tmp_path):
    """A running `make run` on a free port: the process, its mark, and where its output goes."""
    mark, output = uuid.uuid4().hex, tmp_path / "output"
    environment = {**os.environ, "PONDER_PORT": "0", MARK: mark}
    with output.open("wb") as file:
        process = subprocess.Popen(
            ["make", "run"], cwd=ROOT, env=environment, stdout=file, stderr=file, start_new_session=True
        )
    told(request.config)("make run is starting")
    try:
        yield process, mark, output
    finally:
        for pid in marked(mark):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def until_said(process, output, pattern, seconds=600):
    """Wait until the output matches; what it matched."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := re.search(pattern, output.read_text()):
            return found
        assert process.poll() is None, output.read_text()
        time.sleep(0.05)
    raise AssertionError(f"no {pattern!r} in\n{output.read_text()}")


def test_it_gets_ready_answers_the_openai_client_and_ends_on_sigterm_without_a_trace(request, tmp_path):
    with make_run(request, tmp_path) as (process, mark, output):
        url = until_said(process, output, r"ponder is ready: curl -N (http://127\.0\.0\.1:\d+)/v1/chat")[1]
        with OpenAI(base_url=f"{url}/v1", api_key="none") as client:
            stream = client.chat.completions.create(
                model="smollm2-135m",
                messages=[{"role": "user", "content": "What is 13 + 29?"}],
                max_tokens=64,
                stream=True,
                stream_options={"include_usage": True},
                extra_body={"reasoning_strategy": {"name": "self_consistency", "n": 8}, "return_trace": True},
            )
            chunks = list(stream)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert text.startswith("<think>\n[0.0] ")
        assert text.count("</think>") == 1
        assert [chunk.usage.completion_tokens > 0 for chunk in chunks if chunk.usage] == [True]
        assert len(marked(mark)) >= 4, "make, ponder, guard, vLLM"
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        assert marked(mark) == {}


@pytest.mark.parametrize("ctrl_c", [False, True], ids=["SIGTERM to make", "Ctrl-C to all"])
def test_it_ends_while_the_engine_loads(request, tmp_path, ctrl_c):
    with make_run(request, tmp_path) as (process, mark, output):
        until_said(process, output, r"vLLM is loading")
        if ctrl_c:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGTERM)
        process.wait(30)
        assert marked(mark) == {}


def test_a_crash_of_the_engine_ends_the_server_with_a_word_about_it(request, tmp_path):
    with make_run(request, tmp_path) as (process, mark, output):
        until_said(process, output, r"vLLM is loading")
        [engine] = [pid for pid, line in marked(mark).items() if " -m vllm" in line and "guard.py" not in line]
        os.kill(engine, signal.SIGKILL)
        assert process.wait(30) != 0
        assert "the engine failed" in output.read_text()
        assert marked(mark) == {}


def test_a_crash_of_the_server_ends_the_engine(request, tmp_path):
    with make_run(request, tmp_path) as (process, mark, output):
        until_said(process, output, r"vLLM is loading")
        [server] = [pid for pid, line in marked(mark).items() if "ponder serve" in line]
        os.kill(server, signal.SIGKILL)
        process.wait(30)
        deadline = time.monotonic() + 15
        while marked(mark) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert marked(mark) == {}


def test_a_running_engine_can_be_used_instead_of_one_of_its_own(real_engine, tmp_path):
    command = [ROOT / ".venv/bin/ponder", "serve", "--engine-url", real_engine.url, "--port", "0"]
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=file, stderr=file)
    try:
        url = until_said(process, output, r"ponder is ready: curl -N (http://127\.0\.0\.1:\d+)/v1/chat")[1]
        assert httpx.get(f"{url}/ready").is_success
        asked = [
            ROOT / ".venv/bin/ponder",
            "ask",
            "What is 2 + 3?",
            "--url",
            url,
            "--max-tokens",
            "64",
            "--tokens",
            "400",
        ]
        told_ = subprocess.run(asked, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "100"})
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert "8 samples" in told_.stdout
    assert "of 400 tokens" in told_.stdout
    assert "answer" in told_.stdout
