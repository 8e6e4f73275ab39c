"""Cancellation at every step: wherever a request's tasks are, to end them ends all its work, and the bill is right."""

import asyncio
from collections.abc import Coroutine
from contextlib import contextmanager
from contextvars import ContextVar

import anyio
import pytest

from server.backends.vllm import INTERVAL
from server.caller import Caller
from tests.hanging_up import asking, called, nothing_left, sample
from tests.serving import ponder

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("without_garbage_collection")]
BEST = {"name": "best_of_n", "n": 3, "verifier": "p_true"}
BEAM = {"name": "beam_search", "beams": 2, "width": 2, "verifier": "p_true"}
TIMES = 3
"""How often a request is cancelled, at steps that follow each other."""
MANY = 20
"""Steps that any request takes."""
UNREACHED = 3
"""Requests in a row that ended before their step came: then there are no more steps."""


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Steps:
    """Counts the steps of all tasks of a request, and cuts it at some of them."""

    def __init__(self, at, times, cut):
        self.due, self.cut, self.taken = range(at, at + times), cut, 0

    def __call__(self):
        if self.taken in self.due:
            self.cut()
        self.taken += 1

    @property
    def reached(self):
        return self.taken > self.due.start


STEPS = ContextVar[Steps]("STEPS")


class Stepped(Coroutine):
    """A coroutine of a request, whose steps are counted."""

    def __init__(self, coroutine, steps):
        self.coroutine, self.steps = coroutine, steps

    def __getattr__(self, name):
        return getattr(self.coroutine, name)  # anyio and asyncio look at frames

    def __await__(self):
        return self.coroutine.__await__()

    def send(self, value):
        self.steps()
        return self.coroutine.send(value)

    def throw(self, *error):
        self.steps()
        return self.coroutine.throw(*error)

    def close(self):
        return self.coroutine.close()


@contextmanager
def counted():
    """Tasks that are begun where STEPS is set, or in what was begun there, are counted."""

    def task(loop, coroutine, **named):
        steps = STEPS.get(None)
        return asyncio.Task(Stepped(coroutine, steps) if steps else coroutine, loop=loop, **named)

    loop = asyncio.get_running_loop()
    loop.set_task_factory(task)
    yield
    loop.set_task_factory(None)


async def cut(app, body, at, way):
    """One request that is cut at such a step; whether it got there."""
    client = Caller()
    scope = anyio.CancelScope()

    async def request():
        with scope:
            await called(app, body, client)

    ways = {"leaves": client.leave, "is cancelled": scope.cancel, "is cancelled again": lambda: running.cancel()}
    steps = Steps(at, TIMES if way == "is cancelled again" else 1, ways[way])
    token = STEPS.set(steps)
    running = asyncio.ensure_future(request())
    STEPS.reset(token)
    await asyncio.wait([running])
    if not running.cancelled():
        assert running.exception() is None
    return steps.reached


async def every_step(way, strategy, stream):
    """Cut one request at each of its steps; how many there are."""
    async with ponder(max_model_len=512) as served:
        body, at, unreached = asking(strategy, stream), 0, 0
        with counted():
            while unreached < UNREACHED:
                reached = await cut(served.app, body, at, way)
                unreached = 0 if reached else unreached + 1
                at += 1
        await nothing_left(served.app, served.engine)
        wasted = served.engine.generated - sample(served.app, "ponder_tokens_total")
        assert 0 <= wasted <= served.engine.aborted * 2 * INTERVAL
        assert served.engine.aborted > 0
    return at


LATER = pytest.mark.slow
WAYS = [
    pytest.param("leaves", True, id="leaves a stream"),
    pytest.param("leaves", False, id="leaves", marks=LATER),
    pytest.param("is cancelled", True, id="is cancelled in a stream", marks=LATER),
    pytest.param("is cancelled", False, id="is cancelled"),
    pytest.param("is cancelled again", True, id="is cancelled again and again in a stream"),
    pytest.param("is cancelled again", False, id="is cancelled again and again", marks=LATER),
]


@pytest.mark.parametrize(("way", "stream"), WAYS)
async def test_a_request_that_is_cut_at_any_step_of_its_tasks_leaves_nothing(way, stream):
    assert await every_step(way, BEST, stream) > MANY


@pytest.mark.slow
@pytest.mark.parametrize(("way", "stream"), WAYS)
async def test_neither_does_a_search(way, stream):
    assert await every_step(way, BEAM, stream) > MANY
