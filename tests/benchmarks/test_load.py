"""The load generator: what it counts is what the server counts."""

import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.load.__main__ import load
from benchmarks.load.counts import OUTCOMES, Counts
from benchmarks.load.mix import ENDED, KINDS
from strategies.registry import Registry
from tests.serving import ponder
from tests.tenants import ALICE, BOB, settings

SECONDS, RATE = 2.0, 15.0


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def loaded():
    """The counts of a short load, and the server's samples of the same."""

    async def both():
        rules = settings(alice={"requests_per_minute": 1}, bob={"metrics": True})
        async with ponder(settings=rules, delay=0.004, fail_every=50) as served:
            counts = await load(served.url, SECONDS, RATE, [BOB, ALICE])
            return counts, served.app.state.metrics.text().decode()

    counts, text = anyio.run(both)
    return counts, [one for family in text_string_to_metric_families(text) for one in family.samples]


def total(samples, name, **labels):
    return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())


def test_requests_are_those_of_the_server_by_strategy_and_outcome(loaded):
    counts, samples = loaded
    for strategy in {strategy for strategy, _ in counts.requests}:
        for outcome in OUTCOMES:
            told = total(samples, "ponder_requests_total", strategy=strategy, outcome=outcome)
            assert told == counts.requests[strategy, outcome], (strategy, outcome)
    assert all(counts.outcome(outcome) > 0 for outcome in OUTCOMES)


def test_tokens_and_samples_are_those_of_the_server(loaded):
    counts, samples = loaded
    assert counts.told == {kind.strategy["name"] for kind in KINDS} - {ENDED["name"]}
    for strategy in counts.told:
        assert total(samples, "ponder_tokens_total", strategy=strategy) == counts.completion[strategy] > 0
        assert total(samples, "ponder_samples_total", strategy=strategy) == counts.samples[strategy] > 0


def test_refusals_are_those_of_the_server_by_status(loaded):
    counts, samples = loaded
    assert set(counts.refusals) == {401, 429}
    for status, number in counts.refusals.items():
        assert total(samples, "ponder_refusals_total", status=str(status)) == number


def test_the_counts_are_told_as_a_table_and_as_json(loaded):
    counts, _ = loaded
    told = counts.as_json()
    assert sum(map(sum, (one.values() for one in told["requests"].values()))) == counts.requests.total()
    assert set(told["seconds"]) == {"p50", "p95", "p99"}
    assert "beam_search" in counts.table()


def test_counts_of_few_requests_have_no_percentiles():
    assert Counts().as_json()["seconds"] == {}


def test_every_kind_asks_for_a_strategy_that_exists():
    assert {kind.strategy["name"] for kind in KINDS} <= set(Registry().strategies)
