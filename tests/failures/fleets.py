"""A server over several simulated engines, and engines that misbehave."""

from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from benchmarks.engine import simulated
from server.settings import Engine, PoolSettings, Settings
from strategies.protocols import BackendError
from strategies.testing import FakeBackend
from strategies.types import Call
from tests.serving import serving

QUICK = PoolSettings(check_seconds=0.02, eject_seconds=0.05)
"""Engines that are out are looked after often enough for a test."""


def words(n):
    """A script that says the same `n` words, whatever was said already, and ends in an answer."""
    whole = " ".join(f"w{at}" for at in range(n)) + " \\boxed{5}"
    return whole, lambda ask: whole[len(ask.said) :]


@asynccontextmanager
async def pair(reply=None, *, settings=None, patience=None, others=None, **options):
    """A Ponder over two simulated engines, `served.engines`; the second has `others` for options, where given."""
    asked = {"reply": reply} if reply else {}
    async with AsyncExitStack() as stack:
        engines = [
            await stack.enter_async_context(simulated(**asked, **given)) for given in (options, others or options)
        ]
        urls = [Engine(url=engine.url, **(patience or {})) for engine in engines]
        made = (settings or Settings(pool=QUICK)).model_copy(update={"engines": tuple(urls)})
        served = await stack.enter_async_context(serving(made))
        served.engine, served.engines = engines[0], engines
        yield served


def completions(engine):
    """The bodies of the completions that an engine was asked for."""
    return [request.body for request in engine.requests if request.path.endswith("/completions")]


@dataclass
class Breaking(FakeBackend):
    """A fake engine whose calls break off after their first piece, those that `breaks` names."""

    breaks: Callable[[Call], bool] = lambda call: True

    async def _say(self, call, texts, take):
        async def breaking(chunks):
            await take(chunks)
            if self.breaks(call):
                raise BackendError("it broke off", cause="reset")

        await super()._say(call, texts, breaking)
