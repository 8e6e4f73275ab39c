"""A strategy and a verifier in a package of their own enter by entry points; the server is not touched."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from server import paths
from tests.clients.conftest import MODEL, process

EXAMPLE = Path(__file__).parent / "example"
WORDS = '["a long way round to the answer, which is 42", "it is 42"]'


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder into which the example package was really installed, by pip's rules."""
    folder = tmp_path_factory.mktemp("installed")
    source = shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("source") / "example")
    command = ["uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [
            Path(sys.executable).parent / command[0],
            *command[1:],
            "--python",
            sys.executable,
            "--target",
            folder,
            source,
        ],
        check=True,
        env={**os.environ, "UV_NO_CACHE": "1"},
    )
    return folder


@pytest.fixture(scope="module")
def ponder(installed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    (folder / "replies.json").write_text(WORDS)
    says = ("--model", MODEL, "--reply", folder / "replies.json")
    with (
        process(folder / "engine.log", "benchmarks.engine", "--port", "0", *says) as engine,
        process(folder / "server.log", "server", "serve", "--port", "0", "--engine-url", engine, path=installed) as url,
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        yield client


def ask(ponder, **strategy):
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "6 x 7?"}], "return_trace": True}
    reply = ponder.post("/v1/chat/completions", json={**asked, "reasoning_strategy": strategy})
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_the_server_lists_what_a_package_brings(ponder):
    for path, name in (("/v1/strategies", "briefest"), ("/v1/verifiers", "brevity")):
        assert name in [one["name"] for one in ponder.get(path).json()["data"]]
    assert f"{MODEL}:briefest" in [one["id"] for one in ponder.get("/v1/models").json()["data"]]


def test_a_packages_strategy_answers(ponder):
    trace = ask(ponder, name="briefest", n=6)["ponder"]
    assert len(trace["candidates"]) == 6
    chosen = next(c for c in trace["candidates"] if c["id"] == trace["choices"][0]["chosen"])
    assert chosen["tokens"] == min(c["tokens"] for c in trace["candidates"])


def test_a_packages_verifier_judges_for_our_strategies(ponder):
    trace = ask(ponder, name="best_of_n", n=6, verifier={"name": "brevity", "half": 10})["ponder"]
    scores = {c["text"]: c["score"] for c in trace["candidates"]}
    assert all(score == pytest.approx(0.5 ** (len(text) / 10)) for text, score in scores.items())


def test_a_packages_settings_are_checked_by_name(ponder):
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    reply = ponder.post("/v1/chat/completions", json={**asked, "reasoning_strategy": {"name": "briefest", "n": 0}})
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "reasoning_strategy.n"


def test_the_page_on_plugins_shows_this_package():
    page = (paths.ROOT / "docs" / "plugins.md").read_text()
    for name in ("pyproject.toml", "ponder_brevity.py"):
        assert (EXAMPLE / name).read_text() in page
