"""Every panel has data, and the totals are exact: a real Prometheus, a real server, a simulated engine, a load."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from benchmarks.load.counts import OUTCOMES
from benchmarks.load.mix import ENDED, KINDS
from tests.observing import check_totals, needs, observed, without_data

ROOT = Path(__file__).parents[2]
SECONDS, RATE = 15.0, 8.0
ENGINE = ("--port", "0", "--delay", "0.004", "--block-size", "4", "--fail-every", "40")


@contextmanager
def engine():
    """A simulated engine in a process of its own, that breaks now and then; its URL."""
    command = [sys.executable, "-m", "benchmarks.engine", *ENGINE]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.kill()


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    needs("prometheus")
    with (
        engine() as url,
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(observed(url, tmp_path_factory.mktemp("seen"), SECONDS, RATE)) as seen,
    ):
        yield seen


def test_every_query_of_every_panel_returns_data(seen):
    assert without_data(seen) == []


def test_the_totals_are_what_the_load_has_counted(seen):
    assert seen.counts.told == {kind.strategy["name"] for kind in KINDS} - {ENDED["name"]}
    check_totals(seen)
    assert seen.counts.refusals.total() > 0
    assert all(seen.counts.outcome(outcome) > 0 for outcome in OUTCOMES)
