"""Fixtures for all tests."""

import os
from dataclasses import dataclass

import pytest
from anyio.from_thread import start_blocking_portal

from server import paths
from server.backends.local import EngineSpec, local_engine
from tests.rewards import reward_servers


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@dataclass(frozen=True)
class RealEngine:
    """A running vLLM with the default model."""

    url: str
    model: str


@pytest.fixture(scope="session")
def real_engine(request, tmp_path_factory):
    """A vLLM for all tests that need a real one; PONDER_REAL_ENGINE names one that runs already."""
    if url := os.environ.get("PONDER_REAL_ENGINE"):
        yield RealEngine(url, paths.DEFAULT_MODEL)
        return
    python, model = paths.engine_python(), paths.default_model()
    assert python, "no vLLM is set up: use `make test`"
    assert model, "no model is set up: use `make test`"
    log = tmp_path_factory.mktemp("engine") / "engine.log"
    spec = EngineSpec(model=str(model), name=paths.DEFAULT_MODEL, python=python, log=log)
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(local_engine(spec)) as engine,
    ):
        portal.call(engine.ready, told(request.config))
        yield RealEngine(engine.url, paths.DEFAULT_MODEL)


@pytest.fixture(scope="session")
def real_rewards(request, tmp_path_factory):
    """Two vLLMs with tiny reward models: one of steps, one of outcomes."""
    logs = tmp_path_factory.mktemp("rewards")
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(reward_servers(logs, told(request.config))) as servers,
    ):
        yield servers


def told(config):
    """What shows progress on the terminal in spite of pytest's capturing."""
    capture = config.pluginmanager.getplugin("capturemanager")

    def tell(line):
        with capture.global_and_fixture_disabled():
            print(f"\n{line}", flush=True)

    return tell
