"""Reward models really served: tiny ones with random weights, behind vLLM's pooling runner."""

import json
import subprocess
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import anyio

from server import paths
from server.backends.http import Patience, Upstream
from server.backends.local import WARM_UP_SECONDS, EngineSpec, local_engine, until_success

SCRIPT = Path(__file__).with_name("tiny_rewards.py")
TAG = 1116
"""The id of a blank line in SmolLM2's vocabulary: most prompts have some too."""
POOLER = {"tok_pooling_type": "STEP", "step_tag_id": TAG}
FLAGS = ("--runner", "pooling", "--dtype", "float32", "--pooler-config")
WAYS = {"step": "/pooling", "outcome": "/classify"}


@dataclass(frozen=True)
class RewardServers:
    """Two running reward models: one of steps, one of outcomes; each is called as its kind."""

    step: str
    outcome: str


def tiny_models():
    """The folder of the models, made where it is missing."""
    python, model = paths.engine_python(), paths.default_model()
    assert python, "no vLLM is set up: use `make test`"
    assert model, "no model is set up: use `make test`"
    folder = model.parent / f"tiny-rewards-{paths.fingerprint(SCRIPT)[:12]}"
    if not folder.exists():
        subprocess.run([python, SCRIPT, model, folder], check=True, capture_output=True)
    return folder


@asynccontextmanager
async def reward_servers(logs, tell):
    """Both models, each by a vLLM of its own."""
    models = await anyio.to_thread.run_sync(tiny_models)
    async with local_engine(spec(models, "step", logs)) as step, local_engine(spec(models, "outcome", logs)) as outcome:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ready, step, tell)
            tasks.start_soon(ready, outcome, tell)
        yield RewardServers(step.url, outcome.url)


def spec(models, name, logs):
    """How to serve one of them."""
    args = (*FLAGS, json.dumps(POOLER))
    return EngineSpec(str(models / name), name, paths.engine_python(), logs / f"{name}.log", args=args)


async def ready(engine, tell):
    """Wait for a first value; fails as soon as the process has ended."""

    async def gone():
        await engine.gone()
        raise AssertionError(engine.tail())

    name = engine.spec.name
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(gone)
        tell(f"vLLM is loading the reward model {name} …")
        with closing(Upstream(engine.url, patience=Patience(idle=WARM_UP_SECONDS))) as asked:
            await until_success(lambda: asked.get("/health"))
            await until_success(lambda: asked.post(WAYS[name], {"model": name, "input": [[TAG]]}))
        tasks.cancel_scope.cancel()
