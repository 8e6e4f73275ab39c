"""A part of the matrix of `make chaos`: every fault with a vote, every strategy with two faults."""

from pathlib import Path

import pytest

from strategies.registry import Registry
from tests.chaos.matrix import bench, cases
from tests.chaos.outcomes import OUTCOMES
from tests.faults.faults import FAULTS

PAGE = Path(__file__).parent.parent.parent / "docs" / "reliability.md"


@pytest.fixture
def anyio_backend():
    return "asyncio"


def test_every_fault_has_a_documented_outcome():
    assert set(OUTCOMES) == set(FAULTS)
    page = PAGE.read_text("utf-8")
    for name, outcome in OUTCOMES.items():
        told = {"answered": "answered", "survived": "lost, told"}[outcome.once]
        statuses = " or ".join(map(str, outcome.always))
        assert f"| `{name}` |" in page
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        assert row.endswith(f"| {told} | {statuses} |"), row


@pytest.mark.anyio
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_vote_whose_engine_fails_ends_as_documented(fault):
    async with bench() as table:
        problems = {str(case): await table.tried(case) for case in cases([fault], ["self_consistency"])}
    assert not {case: problem for case, problem in problems.items() if problem}


@pytest.mark.anyio
@pytest.mark.parametrize("strategy", Registry.installed().strategies)
async def test_a_strategy_whose_engine_fails_ends_as_documented(strategy):
    async with bench() as table:
        faults = ["reset_mid_stream", "status_500"]
        problems = {str(case): await table.tried(case) for case in cases(faults, [strategy])}
    assert not {case: problem for case, problem in problems.items() if problem}
