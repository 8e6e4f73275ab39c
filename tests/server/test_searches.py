"""Searches over steps over HTTP, on a simulated engine: budgets, and what the trace tells while they go on."""

import pytest

from tests.serving import content_of, ponder

pytestmark = pytest.mark.anyio
SEARCHES = [
    {"name": "beam_search", "beams": 2, "width": 2, "lookahead": 1},
    {"name": "dvts", "trees": 2, "width": 2, "lookahead": 1},
    {"name": "rebase", "width": 4},
    {"name": "particle_filter", "particles": 4, "ess": 1.0},
    {"name": "mcts", "iterations": 6, "width": 2, "parallel": 2, "min_score": 0.6},
    {"name": "a_star", "width": 3, "parallel": 2},
]


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def asked(strategy, **fields):
    """The content of a streamed reply, its live events, and the trace at its end."""
    async with ponder() as served:
        wish = {**strategy, "verifier": "arithmetic"}
        chunks = await served.stream(reasoning_strategy=wish, return_trace=True, seed=3, **fields)
        generated = served.engine.generated
    *events, trace = [chunk["ponder"] for chunk in chunks if chunk != "[DONE]" and chunk.get("ponder")]
    return content_of(chunks), events, trace, generated


@pytest.mark.parametrize("strategy", SEARCHES, ids=lambda strategy: strategy["name"])
async def test_a_search_tells_live_what_it_opens_judges_and_drops(strategy):
    content, events, trace, _ = await asked(strategy)
    kinds = [event["event"] for event in events]
    assert kinds[0] == "started"
    assert kinds[-1] == "answered"
    assert {"opened", "token", "closed", "scored", "note" if strategy["name"] == "a_star" else "pruned"} <= set(kinds)
    assert kinds.index("scored") < len(kinds) - 1 - kinds[::-1].index("opened"), "it judged before it went on"
    chosen = next(c for c in trace["candidates"] if c["id"] == trace["choices"][0]["chosen"])
    assert chosen["finish"] == "stop"
    assert chosen["id"].count(".") > 1
    assert "<answer>" in content.partition("</think>")[2]
    if strategy["name"] in ("particle_filter", "mcts", "a_star"):
        assert any(event["event"] == "note" and event.get("facts") for event in events)


@pytest.mark.parametrize("tokens", [1, 60])
@pytest.mark.parametrize("strategy", SEARCHES, ids=lambda strategy: strategy["name"])
async def test_a_search_streams_within_its_budget(strategy, tokens):
    content, events, trace, generated = await asked(strategy, reasoning_budget={"tokens": tokens})
    assert generated <= tokens
    assert events[-1]["event"] == "answered"
    assert content
    assert sum(trace["tokens"][name] for name in ("answer", "reasoning", "verifier")) == generated
