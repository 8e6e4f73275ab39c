"""A real server process over a simulated engine in another, and the clients' scripts, each run once."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import pytest

from deploy import install
from deploy.builder import GUARD
from server import paths

MODEL = "simulated"
REPLY = "20 + 22 = 42\n\n<answer>42</answer>"
SCRIPTS = Path(__file__).parent / "scripts"
JS = Path(__file__).parent / "js"
SECONDS_TO_START = 30
SECONDS_OF_A_CLIENT = 120


@contextmanager
def process(log, *command, path=None):
    """Run `python -m` and so on under guard, so that it ends with this process; the first address that it tells.

    `path` is a folder of further packages.
    """
    guarded = [sys.executable, "-I", "-S", GUARD, "--", sys.executable, "-m", *command]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PONDER_")}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            list(map(str, guarded)),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=log.parent,
            env={**environment, "PYTHONPATH": os.pathsep.join(map(str, filter(None, [paths.ROOT, path])))},
        ) as running,
    ):
        try:
            yield told_address(running, log)
        finally:
            running.terminate()


def told_address(running, log):
    deadline = time.monotonic() + SECONDS_TO_START
    while running.poll() is None and time.monotonic() < deadline:
        if found := re.search(r"http://[\d.]+:\d+\b", log.read_text()):
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"no address was told:\n{log.read_text()}")


@contextmanager
def ponder(folder, *flags):
    """A Ponder in `folder` whose engine, started with these flags, says `REPLY` whenever it is asked; its address."""
    (folder / "replies.json").write_text(json.dumps([REPLY]))
    says = ("--model", MODEL, "--reply", folder / "replies.json", "--delay", "0.01", *flags)
    with (
        process(folder / "engine.log", "benchmarks.engine", "--port", "0", *says) as engine,
        process(folder / "server.log", "server", "serve", "--port", "0", "--engine-url", engine) as url,
    ):
        yield url


@pytest.fixture(scope="session")
def client(tmp_path_factory):
    """Runs a client's script against a server: all its aspects, or those that are named; see `seen`."""
    python, packages = install.clients_folder() / "bin" / "python", install.clients_js_folder() / "node_modules"
    assert all(map(Path.exists, (python, packages))), "the clients are not set up: use `make test`"

    def run(server, script, *aspects):
        folder = tmp_path_factory.mktemp(script.partition(".")[0])
        if script.endswith(".mjs"):
            command = [install.node_folder(install.clients_folder()) / "bin" / "node", beside(packages, script, folder)]
        else:
            command = [sys.executable if script == "openai_python.py" else python, SCRIPTS / script]
        ended = subprocess.run(
            [*map(str, command), server, MODEL, *aspects],
            cwd=folder,
            env=environment_of_a_client(folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS_OF_A_CLIENT,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return json.loads(ended.stdout.splitlines()[-1])

    return run


@pytest.fixture(scope="session")
def seen(client, tmp_path_factory):
    """What a client's script saw, by aspect: `{"saw": …}`, or `{"raised": its class, "says": its message, …}`."""
    with ponder(tmp_path_factory.mktemp("server")) as server:
        yield cache(partial(client, server))


@pytest.fixture(scope="session")
def seen_breaking(client, tmp_path_factory):
    """The same, where the engine breaks every request half-way."""
    with ponder(tmp_path_factory.mktemp("breaking"), "--fail-every", "1", "--fault", "frame") as server:
        yield cache(partial(client, server))


def beside(packages, script, folder):
    """A copy of a script where Node finds the packages that it imports."""
    for file in JS.glob("*.mjs"):
        shutil.copy(file, folder)
    (folder / "node_modules").symlink_to(packages)
    return folder / script


def environment_of_a_client(folder):
    """Variables for a client: a home of its own, and no way to anywhere but the server."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "NO_PROXY": "127.0.0.1",
        "HTTPS_PROXY": "http://127.0.0.1:9",  # nobody listens there
        "HF_HUB_OFFLINE": "1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
