"""A Ponder over the real engine."""

import pytest

from server.settings import Engine, Settings
from tests.serving import serving


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def served(real_engine):
    async with serving(Settings(engines=(Engine(url=real_engine.url),))) as ponder:
        yield ponder
