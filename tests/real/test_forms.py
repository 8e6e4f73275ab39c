"""Tool calls, JSON, several choices and a template that opens `<think>`, on a real vLLM."""

import json

import jsonschema
import pytest
from anyio.from_thread import start_blocking_portal
from openai import AsyncOpenAI

from server import paths
from server.backends.local import EngineSpec, local_engine
from server.settings import Engine, Settings
from tests.conftest import told
from tests.serving import content_of, serving

pytestmark = [pytest.mark.anyio, pytest.mark.real]
QUESTION = "Tom has 13 apples and buys 29 more. How many apples has he now?"
NUMBERS = {"a": {"type": "integer"}, "b": {"type": "integer"}}
PARAMETERS = {"type": "object", "properties": NUMBERS, "required": ["a", "b"], "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": PARAMETERS}}
COUNTED = "One two three four five six. One two three"
SCHEMA = {
    "type": "object",
    "properties": {"apples": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["apples"],
    "additionalProperties": False,
}
STRATEGIES = [
    "single",
    {"name": "self_consistency", "n": 3},
    {"name": "best_of_n", "n": 3},
    {"name": "beam_search", "beams": 2, "width": 2, "verifier": "arithmetic"},
]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
async def test_two_choices_are_two_answers(served, strategy):
    reply = (await served.chat(QUESTION, reasoning_strategy=strategy, n=2, max_tokens=64, return_trace=True)).json()
    assert [choice["index"] for choice in reply["choices"]] == [0, 1]
    chosen = [choice["chosen"] for choice in reply["ponder"]["choices"]]
    assert [id.partition(".")[0] for id in chosen] == ["0", "1"]
    spent = reply["ponder"]["tokens"]
    assert reply["usage"]["completion_tokens"] == spent["answer"] + spent["reasoning"] + spent["verifier"]


async def test_a_vote_on_tool_calls_answers_with_one_valid_call(served):
    strategy = {"name": "self_consistency", "n": 5, "early_stop": "none"}
    wishes = {"tools": [TOOL], "tool_choice": "required", "max_tokens": 128, "return_trace": True}
    reply = (await served.chat(QUESTION, reasoning_strategy=strategy, **wishes)).json()
    [choice] = reply["choices"]
    [call] = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert call["function"]["name"] == "add"
    jsonschema.validate(json.loads(call["function"]["arguments"]), PARAMETERS)
    votes = reply["ponder"]["choices"][0]["votes"]
    key = json.dumps([["add", json.loads(call["function"]["arguments"])]], sort_keys=True)
    assert votes[key] == max(votes.values())


@pytest.mark.parametrize("strategy", ["single", {"name": "best_of_n", "n": 4, "verifier": "judge"}], ids=str)
async def test_a_json_schema_is_kept(served, strategy):
    form = {"type": "json_schema", "json_schema": {"name": "count", "schema": SCHEMA, "strict": True}}
    chunks = await served.stream(QUESTION, reasoning_strategy=strategy, response_format=form, max_tokens=64)
    jsonschema.validate(json.loads(content_of(chunks)), SCHEMA)


async def test_log_probabilities_of_the_answer_come_with_their_tokens(served):
    reply = (await served.chat(QUESTION, logprobs=True, top_logprobs=3, max_tokens=8)).json()
    tokens = reply["choices"][0]["logprobs"]["content"]
    assert len(tokens) == reply["usage"]["completion_tokens"]
    assert all(len(token["top_logprobs"]) == 3 for token in tokens)


async def test_responses_and_plain_completions_and_tokens_come_from_the_real_engine_too(served):
    async with AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none") as client:
        vote = {"reasoning_strategy": {"name": "self_consistency", "n": 3}}
        wishes = {"model": "smollm2-135m", "input": QUESTION, "max_output_tokens": 64, "store": False}
        whole = await client.responses.create(**wishes, extra_body=vote)
        events = [event async for event in await client.responses.create(**wishes, stream=True, extra_body=vote)]
        text = await client.completions.create(model="smollm2-135m", prompt=COUNTED, max_tokens=4, temperature=0)
    assert whole.output[0].type == "reasoning"
    assert whole.output_text
    assert events[-1].type in ("response.completed", "response.incomplete")
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert text.choices[0].text.startswith(" four five")
    told = (await served.client.post("/tokenize", json={"model": "smollm2-135m", "prompt": "One, two"})).json()
    back = await served.client.post("/detokenize", json={"model": "smollm2-135m", "tokens": told["tokens"]})
    assert back.json()["prompt"] == "One, two"


TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)


@pytest.fixture(scope="module")
def thinking_engine(request, tmp_path_factory):
    """The default model under a template that opens `<think>`."""
    folder = tmp_path_factory.mktemp("thinking")
    (folder / "template.jinja").write_text(TEMPLATE)
    args = ("--chat-template", str(folder / "template.jinja"), "--max-model-len", "2048")
    model, python, log = str(paths.default_model()), paths.engine_python(), folder / "log"
    spec = EngineSpec(model=model, name=paths.DEFAULT_MODEL, python=python, log=log, args=args)
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(local_engine(spec)) as engine,
    ):
        portal.call(engine.ready, told(request.config))
        yield engine


async def test_a_template_that_opens_think_makes_all_that_follows_thinking(thinking_engine):
    """What SmolLM2 would think is not to be foreseen, so a grammar says it."""
    open_ended = {"structured_outputs": {"choice": ["Is it 42? I go on thinking about 42"]}, "max_tokens": 48}
    closed = {"structured_outputs": {"choice": ["It is 42.</think>\n\nIt is 42."]}, "max_tokens": 48}
    vote = {"name": "self_consistency", "n": 3}
    async with serving(Settings(engines=(Engine(url=thinking_engine.url),))) as served:
        thinking = (await served.chat(QUESTION, reasoning_format="fields", **open_ended)).json()
        voted = (await served.chat(QUESTION, reasoning_strategy=vote, return_trace=True, **open_ended)).json()
        answered = (await served.chat(QUESTION, reasoning_format="fields", **closed)).json()
        shown = (await served.chat(QUESTION, reasoning_format="none", **closed)).json()
        chunks = await served.stream(QUESTION, reasoning_format="none", **closed)
    message, usage = thinking["choices"][0]["message"], thinking["usage"]
    assert message["content"] == ""
    assert message["reasoning"].strip() == "Is it 42? I go on thinking about 42"
    assert usage["completion_tokens_details"]["reasoning_tokens"] == usage["completion_tokens"]
    assert voted["ponder"]["choices"][0]["votes"] == {}, "a thought voted"
    message, usage = answered["choices"][0]["message"], answered["usage"]
    assert message["reasoning"].strip() == "It is 42."
    assert message["content"] == shown["choices"][0]["message"]["content"] == content_of(chunks) == "It is 42."
    assert 0 < usage["completion_tokens_details"]["reasoning_tokens"] < usage["completion_tokens"]


THOUGHTFUL = [
    {"name": "budget_forcing", "min_thinking": 48, "max_thinking": 64, "waits": 3, "answer_tokens": 64},
    {"name": "early_exit", "every": 16, "stable": 2, "answer_tokens": 64},
]


@pytest.mark.parametrize("strategy", THOUGHTFUL, ids=lambda s: s["name"])
async def test_a_thinking_that_the_template_opened_is_held_in_our_hands(thinking_engine, strategy):
    wishes = {"reasoning_strategy": strategy, "return_trace": "full", "max_tokens": 160, "temperature": 0}
    async with serving(Settings(engines=(Engine(url=thinking_engine.url),))) as served:
        reply = (await served.chat(QUESTION, reasoning_format="fields", **wishes)).json()
        text = content_of(await served.stream(QUESTION, **wishes))
        [choice], candidates = reply["ponder"]["choices"], reply["ponder"]["candidates"]
        chosen = next(candidate for candidate in candidates if candidate["id"] == choice["chosen"])
        for step in (step for step in chosen["steps"] if step["token_ids"]):
            asked = {"model": "smollm2-135m", "tokens": step["token_ids"]}
            told = (await served.client.post("/detokenize", json=asked)).json()["prompt"]
            assert told.startswith(step["text"])
    content = reply["choices"][0]["message"]["content"]
    assert content
    assert "think>" not in content + reply["choices"][0]["message"]["reasoning"]
    assert chosen["text"].partition("</think>")[2].lstrip() == content
    assert (text.count("<think>"), text.count("</think>")) == (1, 1)
    most = strategy.get("max_thinking", 160 - 64)
    assert strategy.get("min_thinking", 16) <= choice["facts"]["thinking"] <= most
    answer = chosen["tokens"] - choice["facts"]["thinking"]
    assert 0 < answer == reply["ponder"]["tokens"]["answer"]
    details = reply["usage"]["completion_tokens_details"]
    assert details["reasoning_tokens"] == reply["usage"]["completion_tokens"] - answer
