"""What tests of leaks share."""

import gc

import pytest


@pytest.fixture
def without_garbage_collection():
    """What only the collector would close is a leak."""
    gc.disable()
    yield
    gc.enable()
