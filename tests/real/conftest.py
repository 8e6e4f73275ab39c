"""A Ponder over the real engine."""

import pytest

from server.settings import Engine, Limits, Settings
from tests.serving import serving


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def served(real_engine):
    async with serving(Settings(engines=(Engine(url=real_engine.url),), limits=Limits(run_code=True))) as ponder:
        yield ponder
