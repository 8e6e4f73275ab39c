"""Cross-talk: of a thousand concurrent requests each gets its own words and nobody else's."""

import re

import anyio
import pytest

from benchmarks.engine_replies import Reply
from tests.serving import body, content_of, ponder
from tests.tenants import ALICE, BOB, bearing, settings

pytestmark = pytest.mark.anyio
TAG = re.compile(r"tag-\d+x")
STRATEGIES = [
    "single",
    {"name": "self_consistency", "n": 3},
    {"name": "best_of_n", "n": 2, "verifier": "judge"},
    {"name": "beam_search", "beams": 2, "width": 2},
]


@pytest.fixture
def anyio_backend():
    return "asyncio"


def echo(ask):
    """The tags of the question, many times; a judge's verdict on them."""
    [tag, *_] = TAG.findall(ask.text)
    return Reply(f"{tag} " * 10 + f"<answer>{tag}</answer>", chances={"5": 1.0})


async def asked(served, at):
    """One request with a tag of its own, in one of many shapes; all that came back."""
    path, tag = at % 4, f"tag-{at}x"
    headers = bearing(ALICE if at % 2 else BOB)
    strategy = STRATEGIES[at % len(STRATEGIES)]
    if path == 0:
        plain = {"model": "simulated", "prompt": tag, "max_tokens": 64}
        return (await served.client.post("/v1/completions", json=plain, headers=headers)).text
    ask = body(served, tag, reasoning_strategy=strategy, return_trace=True)
    if path == 1:
        return (await served.client.post("/v1/chat/completions", json=ask, headers=headers)).text
    if path == 2:
        wanted = {"model": "simulated", "input": tag, "reasoning_strategy": strategy}
        return (await served.client.post("/v1/responses", json=wanted, headers=headers)).text
    request = {**ask, "stream": True}
    return (await served.client.post("/v1/chat/completions", json=request, headers=headers)).text


@pytest.mark.parametrize("times", [60, pytest.param(1000, marks=pytest.mark.slow)])
async def test_no_request_hears_a_word_of_another(times):
    heard = {}
    async with ponder(echo, settings=settings(), delay=0.0005) as served:

        async def one(at):
            heard[at] = await asked(served, at)

        async with anyio.create_task_group() as tasks:
            for at in range(times):
                tasks.start_soon(one, at)
    ids = [re.search(r'"id": ?"([^"]+)"', text)[1] for text in heard.values()]
    assert len(set(ids)) == times
    for at, text in heard.items():
        assert set(TAG.findall(text)) == {f"tag-{at}x"}, text[:500]


async def test_the_choices_of_one_request_are_not_mixed_up():
    def counted(ask):
        return f"<answer>{ask.seed}</answer>"

    async with ponder(counted) as served:
        chunks = await served.stream(n=8, seed=100)
        again = await served.stream(n=8, seed=100)
    by_index = {}
    for chunk in chunks[:-1]:
        for choice in chunk["choices"]:
            by_index[choice["index"]] = by_index.get(choice["index"], "") + (choice["delta"].get("content") or "")
    assert len(by_index) == len(set(by_index.values())) == 8
    assert content_of(chunks) == content_of(again)
