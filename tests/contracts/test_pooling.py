"""What Ponder's reward scorers depend on, asked alike of simulated reward models and of real ones, over plain HTTP."""

import math
from contextlib import AsyncExitStack

import httpx
import pytest

from benchmarks.engine_pooling import simulated_rewards
from benchmarks.engine_text import encode

pytestmark = pytest.mark.anyio
MESSAGES = [{"role": "user", "content": "What is 3 + 4?"}, {"role": "assistant", "content": "It is 7."}]


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Asked:
    """Both kinds of reward model, and the ways to ask them."""

    def __init__(self, step, outcome, names):
        self.clients = {"step": step, "outcome": outcome}
        self.names = names

    async def reply(self, kind, path, **body):
        return await self.clients[kind].post(path, json={"model": self.names[kind], **body})

    async def ask(self, kind, path, **body):
        reply = await self.reply(kind, path, **body)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def ids(self, kind, text):
        return (await self.ask(kind, "/tokenize", prompt=text, add_special_tokens=False))["tokens"]


@pytest.fixture(params=["simulated", pytest.param("real", marks=pytest.mark.real)])
async def rewards(request):
    async with AsyncExitStack() as stack:
        if request.param == "simulated":
            step = (await stack.enter_async_context(simulated_rewards(step_tag=encode("\n\n")[0]))).url
            outcome = (await stack.enter_async_context(simulated_rewards())).url
            names = {"step": "reward", "outcome": "reward"}
        else:
            real = request.getfixturevalue("real_rewards")
            step, outcome, names = real.step, real.outcome, {"step": "step", "outcome": "outcome"}
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=60)) for url in (step, outcome)
        ]
        yield Asked(*clients, names)


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


async def test_classify_gives_each_input_its_value_raw_or_as_a_probability(rewards):
    inputs = [await rewards.ids("outcome", text) for text in ("It is 7.", "It is 8, I think.")]
    told = await rewards.ask("outcome", "/classify", input=inputs)
    raw = await rewards.ask("outcome", "/classify", input=inputs, use_activation=False)
    assert set(told) == {"id", "object", "created", "model", "data", "usage"}
    assert (told["object"], told["model"]) == ("list", rewards.names["outcome"])
    assert [set(one) for one in told["data"]] == [{"index", "label", "probs", "num_classes"}] * 2
    assert [(one["index"], one["num_classes"]) for one in told["data"]] == [(0, 1), (1, 1)]
    values = [one["probs"] for one in told["data"]]
    assert values == [[pytest.approx(sigmoid(one["probs"][0]), rel=1e-4)] for one in raw["data"]]
    assert values[0] != values[1]
    assert told["usage"]["prompt_tokens"] == sum(map(len, inputs))


async def test_one_conversation_is_classified_as_its_rendered_ids_are(rewards):
    told = await rewards.ask("outcome", "/classify", messages=MESSAGES)
    ids = (await rewards.ask("outcome", "/tokenize", messages=MESSAGES, add_generation_prompt=False))["tokens"]
    again = await rewards.ask("outcome", "/classify", input=[ids])
    assert told["data"][0]["probs"] == pytest.approx(again["data"][0]["probs"], rel=1e-4)


async def test_score_gives_each_pair_its_value(rewards):
    pairs = {"queries": ["2 + 2?", "2 + 3?"], "documents": ["4", "5"]}
    told = await rewards.ask("outcome", "/score", **pairs)
    raw = await rewards.ask("outcome", "/score", **pairs, use_activation=False)
    assert [set(one) for one in told["data"]] == [{"index", "object", "score"}] * 2
    assert [one["index"] for one in told["data"]] == [0, 1]
    assert [one["score"] for one in told["data"]] == [
        pytest.approx(sigmoid(one["score"]), rel=1e-4) for one in raw["data"]
    ]


async def test_pooling_gives_one_row_of_two_labels_for_each_tag_and_what_follows_changes_none(rewards):
    [tag] = await rewards.ids("step", "\n\n")
    one, two = [await rewards.ids("step", text) for text in ("It is 7.", "So it is.")]
    inputs = [[*one, tag, *two, tag], [*one, tag], one]
    told = await rewards.ask("step", "/pooling", input=inputs)
    raw = await rewards.ask("step", "/pooling", input=inputs, use_activation=False)
    assert [set(each) for each in told["data"]] == [{"index", "object", "data"}] * 3
    rows = [each["data"] for each in told["data"]]
    assert [len(each) for each in rows] == [2, 1, 0]
    assert rows[0][0] == pytest.approx(rows[1][0], rel=1e-3)
    for row, logits in zip(rows[0], raw["data"][0]["data"], strict=True):
        assert row == pytest.approx([1 - row[1], sigmoid(logits[1] - logits[0])], rel=1e-3)


@pytest.mark.parametrize(
    ("kind", "path", "body", "status", "message"),
    [
        ("outcome", "/classify", {"input": []}, 400, "at least one prompt"),
        ("outcome", "/classify", {"input": [[]]}, 400, "cannot be empty"),
        ("outcome", "/classify", {"input": [[5] * 9000, [5]]}, 400, "maximum context length"),
        ("step", "/pooling", {"input": [[5] * 9000, [5]]}, 400, "maximum context length"),
        ("step", "/pooling", {"input": [[99_999_999]]}, 400, "out of vocabulary"),
        ("step", "/classify", {"input": [[5]]}, 501, "does not support Classification"),
        ("outcome", "/classify", {"input": [[5]], "model": "other"}, 404, "does not exist"),
    ],
)
async def test_what_cannot_be_judged_is_refused_in_the_same_words(rewards, kind, path, body, status, message):
    reply = await rewards.reply(kind, path, **body)
    assert reply.status_code == status
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
    assert message in reply.json()["error"]["message"]


async def test_a_reward_model_does_not_write_and_a_step_model_scores_no_pairs(rewards):
    assert (await rewards.reply("outcome", "/v1/completions", prompt="a")).status_code == 404
    assert (await rewards.reply("step", "/score", queries="a", documents="b")).status_code == 404
