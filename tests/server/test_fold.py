"""Whatever the strategy and the format: a stream adds up to the whole reply, and no budget is exceeded."""

import pytest

from strategies.registry import STRATEGIES, named
from tests.serving import content_of, ponder

pytestmark = pytest.mark.anyio
NAMES = [named(kind) for kind in STRATEGIES]
OVERSHOOT = 64


@pytest.fixture
def anyio_backend():
    return "asyncio"


def steps(ask):
    """A model that takes two steps to one of three answers."""
    if ask.said.count("\n\n") >= 2:
        return f"So it is.\n<answer>{ask.rng.randint(1, 3)}</answer>"
    return f"Step {ask.rng.randint(0, 99)}: 2 + 3 = 5.\n\n"


def added(chunks, field):
    """What a stream's first choice adds up to in one field."""
    deltas = [choice["delta"] for chunk in chunks[:-1] for choice in chunk["choices"]]
    return "".join(delta.get(field) or "" for delta in deltas)


@pytest.mark.parametrize("name", NAMES)
async def test_a_stream_adds_up_to_the_whole_reply(name):
    async with ponder(steps) as served:
        for format in ("think", "fields", "none"):
            wish = {"reasoning_strategy": name, "reasoning_format": format, "seed": 7, "return_trace": "full"}
            whole = (await served.chat(**wish, max_tokens=200)).json()
            chunks = await served.stream(**wish, max_tokens=200, stream_options={"include_usage": True})
            message, trace = whole["choices"][0]["message"], whole["ponder"]
            assert content_of(chunks) == message["content"]
            for field in ("reasoning", "reasoning_content"):
                assert added(chunks, field) == message.get(field, "")
            assert chunks[-3]["usage"] == whole["usage"]
            told = chunks[-2]["ponder"]
            for part in ("candidates", "choices", "plan"):
                assert told[part] == trace[part]
            known = {"0", *(one["id"] for one in trace["candidates"])}
            for one in trace["candidates"]:
                assert one["parent"] in known
                assert "".join(step["text"] for step in one["steps"]) == one["text"]
                assert all(len(step["logprobs"]) == len(step["token_ids"]) for step in one["steps"] if step["logprobs"])


@pytest.mark.parametrize("name", NAMES)
async def test_no_strategy_exceeds_its_tokens_by_the_engines_own_count(name):
    async with ponder(steps) as served:
        for budget in (40, 150):
            before = served.engine.generated
            reply = await served.chat(reasoning_strategy=name, seed=7, reasoning_budget={"tokens": budget})
            spent = reply.json()["usage"]["completion_tokens"]
            assert spent <= served.engine.generated - before <= budget + OVERSHOOT
