"""Strategies that hold a model's thinking in their hands, over HTTP: what is told where, and how it is counted."""

import jsonschema
import pytest

from benchmarks.engine_replies import Reply
from benchmarks.engine_text import decode
from tests.server.test_chat import without_tokenize
from tests.serving import content_of, ponder

pytestmark = pytest.mark.anyio
TEMPLATE = {"chat_template_kwargs": {"enable_thinking": True}}
PROBE = "The final answer is \\boxed{"
FORMATS = ["think", "fields", "none"]
FORCED = {"name": "budget_forcing", "min_thinking": 30}
EXIT = {"name": "early_exit", "every": 16}


@pytest.fixture
def anyio_backend():
    return "asyncio"


def brief(ask):
    """Thinks too little at first, and writes blanks and a stray tag around its answer."""
    if "</think>" in ask.said:
        return "\n\nIt is</think> <answer>5</answer>"
    return " is it five? It is five.</think>" if "Wait" in ask.said else "two and three is five.</think>"


def endless(ask):
    """Never ends its thinking by itself, and is sure of its answer."""
    if ask.said.endswith(PROBE):
        return "5}."
    return "\n\nIt is <answer>5</answer>" if "</think>" in ask.said else "two and three is five. " * 30


def unsure(ask):
    """Changes its mind at each probe, until it ends its thinking."""
    if ask.said.endswith(PROBE):
        return f"{len(ask.said)}}}."
    if "</think>" in ask.said:
        return "\n\nIt is <answer>5</answer>"
    return Reply("two and three is five.</think>" if len(ask.said) > 150 else "two and three is five. " * 9)


CASES = [
    pytest.param(FORCED, brief, TEMPLATE, "It is <answer>5</answer>", id="waits"),
    pytest.param(FORCED, brief, {}, "It is <answer>5</answer>", id="waits, opened by us"),
    pytest.param(
        {**FORCED, "max_thinking": 40}, endless, TEMPLATE, "Final answer:\n\nIt is <answer>5</answer>", id="cut"
    ),
    pytest.param(EXIT, unsure, TEMPLATE, "It is <answer>5</answer>", id="probes that differ"),
    pytest.param(EXIT, unsure, {}, "It is <answer>5</answer>", id="probes that differ, opened by us"),
]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("strategy", "reply", "template", "answer"), CASES)
async def test_streamed_and_whole_tell_the_reasoning_first_and_then_the_answer_alone(
    strategy, reply, template, answer, format
):
    wishes = {"reasoning_strategy": strategy, "reasoning_format": format, "seed": 1, **template}
    async with ponder(reply) as served:
        message = (await served.chat(**wishes)).json()["choices"][0]["message"]
        chunks = await served.stream(**wishes)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    reasoning = "".join(delta.get("reasoning", "") for delta in deltas)
    assert content_of(chunks) == message["content"]
    assert reasoning == message.get("reasoning", "")
    if format == "think":
        head, _, told = message["content"].partition("</think>\n\n")
        assert head.startswith("<think>\n[0.0] two and three is five.")
        assert (message["content"].count("<think>"), message["content"].count("</think>")) == (1, 1)
        assert told == answer
    else:
        assert message["content"] == answer
        assert bool(reasoning) == (format == "fields")
        assert "think>" not in reasoning
    answered = [at for at, delta in enumerate(deltas) if delta.get("content")]
    assert not any("reasoning" in delta for delta in deltas[answered[0] :])


@pytest.mark.parametrize(("strategy", "reply", "template", "answer"), CASES)
async def test_all_but_the_answers_tokens_are_reasoning(strategy, reply, template, answer):
    async with ponder(reply) as served:
        whole = (await served.chat(reasoning_strategy=strategy, return_trace="full", **template)).json()
        assert whole["usage"]["completion_tokens"] == served.engine.generated
        document = (await served.client.get("/openapi.json")).json()
    schema = {"$ref": "#/components/schemas/ChatCompletion", "components": document["components"]}
    jsonschema.validate(whole, schema)
    [choice] = whole["ponder"]["choices"]
    candidates = {candidate["id"]: candidate for candidate in whole["ponder"]["candidates"]}
    chosen = candidates[choice["chosen"]]
    *thoughts, last = chosen["steps"]
    details = whole["usage"]["completion_tokens_details"]
    assert details["reasoning_tokens"] == served.engine.generated - len(last["token_ids"])
    assert chosen["text"] == "".join(step["text"] for step in chosen["steps"])
    assert decode(last["token_ids"]).removesuffix("<|im_end|>") == last["text"]
    assert all(decode(step["token_ids"]).startswith(step["text"]) for step in thoughts if step["token_ids"])
    assert all(len(step["token_ids"]) == len(step["logprobs"]) for step in chosen["steps"])
    assert choice["votes"] == {"5": 1}, "nothing but the answer votes"


async def test_an_exit_leaves_the_rest_of_the_thinking_unsaid():
    async with ponder(endless) as served:
        wishes = {"reasoning_strategy": EXIT, "return_trace": True, **TEMPLATE}
        whole = (await served.chat(**wishes)).json()
        chunks = await served.stream(**wishes)
    [choice] = whole["ponder"]["choices"]
    assert choice["facts"] == {"thinking": 48, "probes": 3, "settled": True}
    assert choice["votes"] == {"5": 1}
    probes = [candidate for candidate in whole["ponder"]["candidates"] if PROBE in candidate["text"]]
    assert [probe["pruned"] for probe in probes] == [True] * 3
    for content in (whole["choices"][0]["message"]["content"], content_of(chunks)):
        assert content.endswith("settled on 5\n\n</think>\n\nIt is <answer>5</answer>")


async def test_what_is_put_into_the_models_mouth_reaches_the_engine_as_ids_behind_what_it_said():
    async with ponder(brief) as served:
        await served.chat(reasoning_strategy=FORCED)
        prompts = [r.body["prompt"] for r in served.engine.requests if r.path == "/v1/completions"]
    heads = [decode(prompt).partition("assistant\n")[2] for prompt in prompts]
    first = "<think>\ntwo and three is five."
    assert heads == ["<think>\n", f"{first}\nWait", f"{first}\nWait is it five? It is five.</think>"]


async def test_a_model_that_stops_inside_its_thinking_gets_no_end_of_text_in_its_prompt():
    async with ponder(lambda ask: "five" if "</think>" in ask.said else "hm") as served:
        reply = (await served.chat(reasoning_strategy=FORCED, reasoning_format="none")).json()
        prompts = [r.body["prompt"] for r in served.engine.requests if r.path == "/v1/completions"]
    heads = [decode(prompt).partition("assistant\n")[2] for prompt in prompts]
    assert heads == ["<think>\n", "<think>\nhm\nWait", "<think>\nhm\nWaithm\n</think>\n\n"]
    assert reply["choices"][0]["message"]["content"] == "five"


async def test_a_thinking_without_a_word_is_no_text_to_tokenise():
    async with ponder(lambda ask: "five" if "Wait" in ask.said else "</think>") as served:
        reply = await served.chat(reasoning_strategy=FORCED)
        texts = [r.body["prompt"] for r in served.engine.requests if r.path == "/tokenize" and "prompt" in r.body]
    assert reply.status_code == 200
    assert "" not in texts


@pytest.mark.parametrize("strategy", [FORCED, EXIT], ids=str)
async def test_tools_and_json_are_refused(strategy):
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    async with ponder() as served:
        tools = await served.chat(reasoning_strategy=strategy, tools=[tool])
        json = await served.chat(reasoning_strategy=strategy, response_format={"type": "json_object"})
    assert [tools.status_code, json.status_code] == [400, 400]
    assert [reply.json()["error"]["param"] for reply in (tools, json)] == ["tools", "response_format"]


@pytest.mark.parametrize("strategy", [FORCED, EXIT], ids=str)
async def test_an_engine_that_does_not_tokenise_continues_the_message_by_its_text(strategy):
    async with ponder(endless) as served:
        await without_tokenize(served)
        wishes = {"reasoning_strategy": strategy, "reasoning_format": "none", "max_tokens": 200}
        reply = (await served.chat(**wishes)).json()
    assert reply["choices"][0]["message"]["content"].endswith("It is <answer>5</answer>")


@pytest.mark.parametrize("budget", [{"tokens": 300}, {"samples": 5}, {"seconds": 2}], ids=str)
@pytest.mark.parametrize("strategy", [FORCED, EXIT], ids=str)
async def test_two_choices_that_share_a_budget_both_answer(strategy, budget):
    slow = {"delay": 0.02} if "seconds" in budget else {}
    async with ponder(lambda ask: Reply("so it is five. ", ends=False), **slow) as served:
        wishes = {"reasoning_strategy": strategy, "reasoning_budget": budget, "max_tokens": 200, "n": 2, **TEMPLATE}
        reply = (await served.chat(reasoning_format="none", **wishes)).json()
    assert [bool(choice["message"]["content"]) for choice in reply["choices"]] == [True, True]
