"""Every panel has data of a real vLLM, and the totals are what the load has counted."""

import pytest
from anyio.from_thread import start_blocking_portal

from benchmarks.load.mix import ENDED, KINDS
from tests.observing import check_totals, needs, observed, without_data

pytestmark = pytest.mark.real
SECONDS, RATE = 60.0, 0.5
FAILING = [("Ponder / Engine", "Errors and retries", "{{engine}} {{cause}}")]
"""What has data only once an engine has failed."""


@pytest.fixture(scope="module")
def seen(real_engine, tmp_path_factory):
    needs("prometheus")
    folder = tmp_path_factory.mktemp("seen")
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(observed(real_engine.url, folder, SECONDS, RATE)) as seen,
    ):
        yield seen


def test_every_query_of_every_panel_returns_data(seen):
    assert [query for query in without_data(seen) if query not in FAILING] == []


def test_the_totals_are_what_the_load_has_counted(seen):
    assert seen.counts.told == {kind.strategy["name"] for kind in KINDS} - {ENDED["name"]}
    check_totals(seen)
