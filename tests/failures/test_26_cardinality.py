"""Metrics: no text of a request becomes a label, so a flood of names leaves as many series as there were."""

import secrets

import anyio
import httpx
import pytest

from benchmarks.engine import simulated
from server.app import create_app
from server.metrics import Metrics
from server.settings import Engine
from tests.metrics import series
from tests.tenants import ALICE, BOB, bearing, settings

pytestmark = pytest.mark.anyio
MOST = 2000
"""Series of a server with one model, whoever asks for whatever."""
LABELS = {label.partition("=")[0] for family in Metrics().families for label in family.labels} | {"le"}


@pytest.fixture
def anyio_backend():
    return "asyncio"


def junk():
    """A name that nobody has given before."""
    return f"junk-{secrets.token_hex(8)}"


def hostile(at):
    """A request whose every name is new."""
    hi = [{"role": "user", "content": junk()}]
    bodies = [
        {"model": junk(), "messages": hi},
        {"model": f"simulated:{junk()}", "messages": hi},
        {"model": "simulated", "messages": hi, "reasoning_strategy": junk()},
        {"model": "simulated", "messages": hi, "reasoning_strategy": {"name": "best_of_n", "verifier": junk()}},
        {"model": "simulated", "messages": hi, junk(): 1},
        {"model": "simulated", "messages": hi, "user": junk(), "metadata": {junk(): junk()}},
    ]
    key = {"authorization": f"Bearer {junk()}"} if at % 5 == 0 else bearing(ALICE)
    headers = {**key, "x-request-id": junk(), junk(): junk(), "user-agent": junk(), "idempotency-key": junk()}
    path = f"/{junk()}" if at % 7 == 0 else "/v1/completions" if at % 11 == 0 else "/v1/chat/completions"
    return path, bodies[at % len(bodies)], headers


@pytest.mark.parametrize("times", [300, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_a_flood_of_names_adds_no_series(times):
    async with simulated() as engine:
        rules = settings(bob={"metrics": True}).model_copy(update={"engines": (Engine(url=engine.url),)})
        app = create_app(rules)
        transport = httpx.ASGITransport(app)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport) as client:

            async def flood(first):
                for at in range(first, times, 8):
                    path, body, headers = hostile(at)
                    await client.post(f"http://x{path}", json=body, headers=headers)

            async def metrics():
                return (await client.get("http://x/metrics", headers=bearing(BOB))).text

            for at in range(60):  # whatever there is to be counted is there once
                path, body, headers = hostile(at)
                await client.post(f"http://x{path}", json=body, headers=headers)
            before = set(series(await metrics()))
            async with anyio.create_task_group() as tasks:
                for first in range(8):
                    tasks.start_soon(flood, first)
            text = await metrics()
    assert set(series(text)) == before
    assert len(before) < MOST
    assert "junk" not in text
    assert {label for _, labels in before for label, _ in labels} <= LABELS
