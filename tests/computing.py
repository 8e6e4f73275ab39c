"""Workers inside a test, and what a call to them comes to."""

import operator
from contextlib import asynccontextmanager

from server.settings import Workers as Limits
from server.workers import workers
from strategies.protocols import Expired


@asynccontextmanager
async def computing(*, loaded=False, **limits):
    """Workers that have answered once."""
    async with workers(Limits(**limits), loaded=loaded) as compute:
        assert await compute(operator.add, 2, 3) == 5
        yield compute


async def outcome(call):
    """What a call gives, or "expired"."""
    try:
        return await call
    except Expired:
        return "expired"
