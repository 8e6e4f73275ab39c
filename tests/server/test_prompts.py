"""Prompts over HTTP: what the engine is sent, with every strategy."""

import pytest

from server.settings import Settings
from strategies.prompts import ANSWER, TEXTS
from strategies.registry import Registry
from tests.serving import ponder

pytestmark = pytest.mark.anyio
QUESTION = "What is 2 + 3?"
EXAMPLES = [{"question": "1 + 1?", "answer": "1 + 1 = 2\n\n<answer>2</answer>"}]
SUMS = Settings(prompts={"sums": {"kind": "few_shot", "examples": EXAMPLES}})
SHOWN = ["1 + 1?", EXAMPLES[0]["answer"]]
PROMPTS = [
    ("zero_shot", [], TEXTS["zero_shot"]),
    ("supervised", [], TEXTS["supervised"]),
    ("long", [], TEXTS["long"]),
    ({"name": "few_shot", "examples": EXAMPLES}, SHOWN, TEXTS["few_shot"]),
    ("sums", SHOWN, TEXTS["few_shot"]),
    ({"name": "supervised", "text": "Draw it."}, [], f"Draw it.\n\n{ANSWER}"),
]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.parametrize("strategy", sorted(Registry().strategies))
async def test_every_prompt_stacks_on_every_strategy(strategy):
    async with ponder(lambda ask: "\\boxed{5}", settings=SUMS) as served:
        for prompt, shown, words in PROMPTS:
            served.engine.requests.clear()
            reply = await served.chat(reasoning_strategy={"name": strategy, "prompt": prompt})
            first = next(r.body["messages"] for r in served.engine.requests if "messages" in (r.body or {}))
            assert reply.status_code == 200
            assert [message["content"] for message in first] == [*shown, f"{QUESTION}\n\n{words}"]


@pytest.mark.parametrize(
    ("prompt", "param", "told"),
    [
        ("few_shot", "reasoning_strategy.prompt", "needs examples"),
        ({"name": "few_shot", "examples": []}, "reasoning_strategy.prompt", "needs examples"),
        ("magic", "reasoning_strategy.prompt", "there are none, zero_shot"),
        ({"name": "magic"}, "reasoning_strategy.prompt", "sums"),
        ({"name": "zero_shot", "words": "x"}, "reasoning_strategy.prompt.words", ""),
        ({"name": "few_shot", "examples": [{"question": "1"}]}, "reasoning_strategy.prompt.examples.0.answer", ""),
        ({"name": "supervised", "text": ""}, "reasoning_strategy.prompt.text", ""),
    ],
    ids=str,
)
async def test_a_prompt_that_cannot_be_is_refused_by_name(prompt, param, told):
    async with ponder(settings=SUMS) as served:
        reply = await served.chat(reasoning_strategy={"name": "best_of_n", "prompt": prompt})
        assert served.engine.generated == 0
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == param
    assert told in reply.json()["error"]["message"]
