"""A vLLM of our own starts, tells what went wrong, and never outlives us. The vLLM here is a small script."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import httpx
import pytest

from server import paths
from server.backends.local import GUARD, EngineFailed, EngineSpec, local_engine

FAKE_VLLM = f"""#!{sys.executable} -S
import http.server, os, signal, subprocess, sys
option = dict(zip(sys.argv[3::1], sys.argv[4::1]))
helper = subprocess.Popen(["sleep", "1000"])
loner = subprocess.Popen(["sleep", "1000"], start_new_session=True)
if "--stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("family", os.getpid(), helper.pid, loner.pid, flush=True)
if "--die" in sys.argv:
    print("out of memory, say", flush=True)
    sys.exit(int(option["--die"]))

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if "--never" in sys.argv:
            self.send_error(503)
        self.send_response(200)
        self.end_headers()
    do_POST = do_GET
    def log_request(self, *ignored):
        print(self.command, self.path, flush=True)

http.server.ThreadingHTTPServer((option["--host"], int(option["--port"])), Answer).serve_forever()
"""

HOLDER = """
import sys, anyio
from pathlib import Path
from server.backends.local import EngineSpec, local_engine

async def hold():
    spec = EngineSpec(model=sys.argv[1], name="m", python=Path(sys.argv[2]), log=Path(sys.argv[3]))
    async with local_engine(spec) as engine:
        await engine.ready(lambda line: None)
        print("ready", flush=True)
        await engine.gone()

anyio.run(hold)
"""


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def spec(tmp_path) -> EngineSpec:
    python = tmp_path / "python"
    python.write_text(FAKE_VLLM)
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return EngineSpec(model="org/model", name="m", python=python, log=tmp_path / "engine.log", kind="cpu")


def with_args(spec: EngineSpec, *args: str) -> EngineSpec:
    return EngineSpec(model=spec.model, name=spec.name, python=spec.python, log=spec.log, kind=spec.kind, args=args)


def family(log: Path) -> list[int]:
    """The fake's own process, its helper, and a helper that left the process group."""
    lines = [line for line in log.read_text().splitlines() if line.startswith("family ")] if log.exists() else []
    return [int(pid) for pid in lines[0].split()[1:]] if lines else []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def soon(condition: Callable[[], object], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(condition())


def none_alive(pids: list[int]) -> bool:
    return not any(map(alive, pids))


@pytest.mark.anyio
async def test_an_engine_is_ready_after_health_and_one_completion_and_leaves_no_process(spec):
    async with local_engine(spec) as engine:
        await engine.ready(lambda line: None)
        pids = family(spec.log)
        assert len(pids) == 3
        assert all(map(alive, pids))
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{engine.url}/health")).is_success
    assert none_alive(pids)
    assert spec.log.read_text().count("POST /v1/completions") == 1


@pytest.mark.anyio
async def test_an_engine_that_ends_while_loading_shows_the_end_of_its_log(spec):
    async with local_engine(with_args(spec, "--die", "3")) as engine:
        with pytest.raises(EngineFailed, match=r"status 3(.|\n)*out of memory, say"):
            await engine.ready(lambda line: None)


@pytest.mark.anyio
async def test_an_engine_that_ends_is_told_of_though_its_log_is_gone(spec):
    async with local_engine(with_args(spec, "--die", "3")) as engine:
        spec.log.unlink()
        with pytest.raises(EngineFailed, match="status 3"):
            await engine.ready(lambda line: None)


@pytest.mark.anyio
async def test_an_engine_that_ends_takes_its_children_along_and_its_status_is_told(spec):
    async with local_engine(with_args(spec, "--die", "7")) as engine:
        assert await engine.gone() == 7
        assert len(family(spec.log)) == 3
        assert none_alive(family(spec.log))


@pytest.mark.anyio
async def test_waiting_for_an_engine_can_be_cancelled(spec):
    with anyio.move_on_after(0.5) as patience:
        async with local_engine(with_args(spec, "--never")) as engine:
            await engine.ready(lambda line: None)
    assert patience.cancelled_caught
    assert none_alive(family(spec.log))


@pytest.mark.anyio
async def test_waiting_tells_how_long_it_has_taken(spec):
    told: list[str] = []
    with anyio.fail_after(20):
        async with local_engine(with_args(spec, "--never")) as engine, anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: engine.ready(told.append, every=0.05))
            while len(told) < 3:
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
    assert told[0] == "vLLM is loading m … 0 s"


def hold_engine(spec: EngineSpec) -> subprocess.Popen[str]:
    """Start a process that holds an engine, as the server does, and wait until the engine is ready."""
    command = [sys.executable, "-c", HOLDER, spec.model, str(spec.python), str(spec.log)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=paths.ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_server_killed_by_kill_9_leaves_no_engine(spec):
    with hold_engine(spec) as server:
        pids = family(spec.log)
        assert all(map(alive, pids))
        server.kill()
    assert soon(lambda: none_alive(pids))


def descendants(pid: int) -> list[int]:
    listing = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [found for child in map(int, listing.split()) for found in (child, *descendants(child))]


@pytest.mark.real
@pytest.mark.slow
def test_a_server_killed_by_kill_9_leaves_no_real_vllm(tmp_path):
    python, model = paths.engine_python(), paths.default_model()
    assert python is not None, "set up by deploy/install.py"
    spec = EngineSpec(model=str(model), name="m", python=python, log=tmp_path / "engine.log")
    with hold_engine(spec) as server:
        pids = descendants(server.pid)
        assert len(pids) >= 4, "guard, API server, engine core, worker"
        server.kill()
    assert soon(lambda: none_alive(pids))


def guard(*command: str, grace: float = 0.2) -> subprocess.Popen[str]:
    guarded = [sys.executable, "-I", "-S", str(GUARD), "--grace", str(grace), "--", *command]
    return subprocess.Popen(guarded, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)


def guard_fake(spec: EngineSpec, *args: str) -> subprocess.Popen[str]:
    process = guard(*with_args(spec, *args).command(0))
    assert process.stdout is not None
    spec.log.write_text(process.stdout.readline())
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_guard_ends_the_whole_family(spec, number):
    with guard_fake(spec) as process:
        process.send_signal(number)
        assert process.wait() == 128 + signal.SIGTERM
    assert none_alive(family(spec.log))


def test_an_engine_that_ignores_the_polite_signal_is_killed_after_the_grace(spec):
    with guard_fake(spec, "--stubborn") as process:
        pids = family(spec.log)
    assert process.returncode == 128 + signal.SIGKILL
    assert none_alive(pids)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


@pytest.mark.anyio
async def test_an_engine_whose_guard_is_killed_by_kill_9_is_ended_by_the_server(spec):
    async with local_engine(spec) as engine:
        await engine.ready(lambda line: None)
        api_server, helper, loner = family(spec.log)
        os.kill(parent(api_server), signal.SIGKILL)
        assert await engine.gone() == -signal.SIGKILL
    os.kill(loner, signal.SIGKILL)  # out of reach: it has a session of its own, and nobody is left who adopted it
    assert soon(lambda: none_alive([api_server, helper]))


def test_the_guard_passes_the_status_of_its_command_on():
    with guard("sh", "-c", "exit 5") as process:
        assert process.wait() == 5
    with guard("/no/such/program") as process:
        assert process.wait() == 127


def test_only_the_cpu_engine_gets_the_cpu_flags(spec):
    assert "--no-enable-chunked-prefill" in spec.command(1)
    cuda = EngineSpec(model="m", name="m", python=spec.python, log=spec.log, kind="cuda", args=("--enforce-eager",))
    assert "--no-enable-chunked-prefill" not in cuda.command(1)
    assert cuda.command(1)[-1] == "--enforce-eager"
    assert "VLLM_CPU_KVCACHE_SPACE" not in cuda.environment()


def test_only_a_model_folder_is_served_offline(spec, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    folder = EngineSpec(model=str(tmp_path), name="m", python=spec.python, log=spec.log)
    assert folder.environment()["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in spec.environment()


def test_the_callers_environment_wins_over_our_settings(spec, monkeypatch):
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "7")
    assert spec.environment()["VLLM_CPU_KVCACHE_SPACE"] == "7"
