"""Requests whose callers go at some moment, and what must be gone with them."""

import asyncio
import json
from dataclasses import dataclass
from random import Random

import anyio

from tests.serving import body

STRATEGIES = [
    {"name": "single"},
    {"name": "self_consistency", "n": 8},
    {"name": "self_consistency", "n": 64, "early_stop": "none"},
    {"name": "best_of_n", "n": 4, "verifier": "p_true"},
    {"name": "best_of_n", "n": 4, "verifier": {"name": "judge", "mode": "pairwise"}},
    {"name": "coverage", "n": 8, "verifier": {"name": "math_equal", "reference": "5"}},
    {"name": "beam_search", "beams": 2, "width": 2, "verifier": "p_true"},
    {"name": "mcts", "iterations": 4, "width": 2, "parallel": 2, "verifier": "arithmetic"},
    {"name": "particle_filter", "particles": 4, "verifier": "arithmetic"},
    {"name": "revise", "rounds": 2},
    {"name": "rsa", "n": 3, "rounds": 2, "k": 2},
    {"name": "auto", "n": 4},
]
ROUTES = {"/v1/chat/completions": "messages", "/v1/responses": "input"}


@dataclass(frozen=True)
class Caller:
    """Somebody who asks and goes after `patience` seconds."""

    path: str
    strategy: dict
    stream: bool
    patience: float

    async def ask(self, served):
        """Ask, and go in time. Whether the reply came before that."""
        request = body(served, "What is 2 + 3?", reasoning_strategy=self.strategy, stream=self.stream)
        if self.path == "/v1/responses":
            request = {**request, "input": request["messages"][0]["content"]}
            del request["messages"]
        with anyio.move_on_after(self.patience):
            await served.client.post(self.path, json=request)
            return True
        return False


def somebody(random: Random, longest: float, widest: int = 64) -> Caller:
    """Any caller; most of them go early."""
    strategy = random.choice(STRATEGIES)
    if strategy.get("n") == 64:
        strategy = strategy | {"n": random.choice([64, widest])}
    patience = longest * random.random() ** 2
    return Caller(random.choice(list(ROUTES)), strategy, random.random() < 0.5, patience)


def asking(strategy, stream):
    """The body of a request to a simulated engine."""
    words = [{"role": "user", "content": "2 + 3?"}]
    wishes = {"model": "simulated", "messages": words, "reasoning_strategy": strategy, "stream": stream}
    return json.dumps(wishes).encode()


async def turns(count):
    """So many turns of the event loop."""
    for _ in range(count):
        await asyncio.sleep(0)


async def called(app, body, client):
    """One request, without a socket, of a `client` that may leave, and takes whatever is sent at once.

    That is what uvicorn does for a client that is gone.
    """
    bodies = iter([{"type": "http.request", "body": body}])

    async def receive():
        return next(bodies, {"type": "http.disconnect"})

    async def send(message):
        pass

    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "raw_path": b"", "query_string": b""}
    headers = {"headers": [(b"content-type", b"application/json")], "http_version": "1.1", "scheme": "http"}
    with anyio.fail_after(20):
        await app.state.started.wait()
        await app({**scope, **headers, "client": ("test", 1), "state": {"caller": client}}, receive, send)


async def nothing_left(app, engine, seconds=15.0):
    """Wait until no work is left of any request: engines idle, nothing held, no task but those that live for long."""

    def left():
        """What there is, and should not be."""
        held = app.state.gate.desk.held
        there = {"running": engine.running, "samples": held.samples, "tokens": held.tokens}
        there["requests"] = sample(app, "ponder_requests_running")
        there["tasks"] = sorted(set(map(str, asyncio.all_tasks())) - set(lasting()))
        return {name: what for name, what in there.items() if what}

    with anyio.move_on_after(seconds):
        while left():
            await anyio.sleep(0.01)
    assert not left()


LASTING = (
    "server.workers",
    "server.pulse",
    "server.backends.pool",
    "tests.",
    "SocketListener",
    "functools",
    "Lifespan",
    "TestRunner",
)
"""What tasks are called that belong to no request: those of the server itself, and of the test."""


def lasting():
    """The tasks that there may be without any request."""
    for task in asyncio.all_tasks():
        if any(word in str(task) for word in LASTING):
            yield str(task)


def sample(app, name, **labels):
    """The sum of a metric over the labels that are not named."""
    return sum(
        one.value
        for family in app.state.metrics.registry.collect()
        for one in family.samples
        if one.name == name and labels.items() <= one.labels.items()
    )
