"""Strategies that answer again, or look before they search, over HTTP."""

import pytest

from benchmarks.engine_replies import Reply
from tests.server.test_chat import validate
from tests.serving import body, content_of, hung_up, ponder

pytestmark = pytest.mark.anyio
AGAIN = [
    {"name": "revise", "rounds": 2},
    {"name": "parallel_then_revise", "n": 3, "k": 2, "verifier": "judge"},
    {"name": "rsa", "n": 3, "rounds": 2, "k": 2},
    {"name": "auto", "n": 8},
    {"name": "auto", "n": 8, "verifier": "judge"},
]
ALL = [*AGAIN, {"name": "budget_forcing"}, {"name": "early_exit", "every": 8}]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.parametrize("strategy", AGAIN, ids=str)
async def test_streamed_and_whole_replies_are_equal_and_their_traces_keep_the_schema(strategy):
    async with ponder() as served:
        document = (await served.client.get("/openapi.json")).json()
        wishes = {"reasoning_strategy": strategy, "seed": 4, "return_trace": "full"}
        whole = (await served.chat(**wishes)).json()
        chunks = await served.stream(**wishes)
    validate(document, "ChatCompletion", whole)
    for chunk in chunks[:-2]:
        if chunk.get("ponder"):
            validate(document, "TraceEvent", chunk["ponder"])
    assert content_of(chunks) == whole["choices"][0]["message"]["content"]
    assert content_of(chunks).count("<think>") == content_of(chunks).count("</think>") == 1
    ids = {candidate["id"] for candidate in whole["ponder"]["candidates"]}
    assert {c["parent"] for c in whole["ponder"]["candidates"]} <= {"0", *ids}, "the trace is a tree"


@pytest.mark.parametrize(("limit", "budget"), [("tokens", {"tokens": 40}), ("samples", {"samples": 2})])
@pytest.mark.parametrize("strategy", AGAIN, ids=str)
async def test_every_budget_cuts_and_still_answers(strategy, limit, budget):
    numbers = iter(range(99))
    async with ponder(lambda ask: "word " * 20 + f"<answer>{next(numbers)}</answer>") as served:
        reply = (await served.chat(reasoning_strategy=strategy, reasoning_budget=budget, return_trace=True)).json()
        if limit == "tokens":
            assert served.engine.generated <= 40
    assert reply["ponder"]["cut"] == limit
    assert reply["choices"][0]["message"]["content"]


@pytest.mark.parametrize("strategy", ALL, ids=str)
async def test_a_client_that_hangs_up_stops_the_work(strategy):
    async with ponder(lambda ask: Reply("word ", ends=False), delay=0.01) as served:
        request = body(served, "hi", reasoning_strategy=strategy, stream=True)
        await hung_up(served, "/v1/chat/completions", request)


async def test_attempts_that_fill_the_context_end_the_search_and_not_the_request():
    async with ponder(lambda ask: "one " * 200 + "<answer>5</answer>", max_model_len=430) as served:
        strategy = {"name": "rsa", "n": 4, "rounds": 3}
        reply = (await served.chat(reasoning_strategy=strategy, return_trace=True)).json()
    assert reply["choices"][0]["message"]["content"].endswith("<answer>5</answer>")
    assert any("ended early" in note for note in reply["ponder"]["notes"])
