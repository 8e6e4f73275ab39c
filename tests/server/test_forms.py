"""Replies with a form of their own: tool calls, JSON, choices; the model's own thinking; log-probabilities."""

import json

import jsonschema
import pytest

from benchmarks.engine_replies import Reply
from tests.serving import content_of, ponder

pytestmark = pytest.mark.anyio
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
VOTE = {"name": "self_consistency", "n": 5, "early_stop": "none"}
BEST = {"name": "best_of_n", "n": 3}
SCHEMA = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
JSON = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}


@pytest.fixture
def anyio_backend():
    return "asyncio"


def calling(*arguments):
    """Calls `add` with the arguments of the sample's turn; the first sample's are the first."""
    turn = iter(arguments * 9)
    return lambda ask: Reply("", calls=(("add", next(turn)),)) if "tools" in ask.body else "0"


async def test_a_tool_call_passes_through_a_plain_completion():
    async with ponder(calling('{"a": 1}')) as served:
        reply = (await served.chat(tools=[TOOL], tool_choice="auto", parallel_tool_calls=False)).json()
        chunks = await served.stream(tools=[TOOL])
        [request, _] = [r.body for r in served.engine.requests if r.path == "/v1/chat/completions"]
    [choice] = reply["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 1}'}
    assert request["tools"] == [TOOL]
    assert (request["tool_choice"], request["parallel_tool_calls"]) == ("auto", False)
    [delta] = [c["choices"][0]["delta"] for c in chunks[:-1] if "tool_calls" in c["choices"][0]["delta"]]
    assert delta["tool_calls"][0]["function"]["arguments"] == '{"a": 1}'
    assert delta["tool_calls"][0]["id"]
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_vote_takes_the_most_frequent_call():
    async with ponder(calling('{"a": 2}', '{"a":1}', '{ "a": 1 }', '{"a": 1', '{"a": 1}')) as served:
        reply = (await served.chat(tools=[TOOL], reasoning_strategy=VOTE, return_trace=True)).json()
        chunks = await served.stream(tools=[TOOL], reasoning_strategy=VOTE)
    [choice] = reply["choices"]
    assert json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]) == {"a": 1}
    assert len(choice["message"]["tool_calls"]) == 1
    assert reply["ponder"]["choices"][0]["votes"] == {'[["add", {"a": 2}]]': 1, '[["add", {"a": 1}]]': 3}
    assert "<think>" not in content_of(chunks)
    assert "reasoning" in choice["message"]


@pytest.mark.parametrize("strategy", ["single", VOTE, BEST], ids=str)
async def test_json_is_bound_by_a_grammar_and_told_alone(strategy):
    sums = iter([1, 2, 2, 3, 2] * 9)
    async with ponder(lambda ask: json.dumps({"sum": next(sums)})) as served:
        reply = (await served.chat(response_format=JSON, reasoning_strategy=strategy)).json()
        asked = [r.body for r in served.engine.requests if r.path == "/v1/completions"]
        [told] = {r.body["messages"][0]["content"] for r in served.engine.requests[:1]}
    content = reply["choices"][0]["message"]["content"]
    jsonschema.validate(json.loads(content), SCHEMA)
    assert asked[0]["structured_outputs"] == {"json": SCHEMA}
    assert told == "What is 2 + 3?", "a prompt of ours would ask for another form"
    if strategy is VOTE:
        assert json.loads(content) == {"sum": 2}


async def test_a_json_object_is_asked_for_as_vllm_takes_it():
    async with ponder(lambda ask: "{}") as served:
        await served.chat(response_format={"type": "json_object"})
        await served.chat(response_format={"type": "text"})
        asked = [r.body for r in served.engine.requests if r.path.endswith("/completions")]
    assert asked[0]["structured_outputs"] == {"json_object": True}
    assert "structured_outputs" not in asked[1]


async def test_a_document_that_is_cut_off_is_not_chosen():
    texts = iter(['{"sum": 1' + "0" * 80, '{"sum": 2}', '{"sum": 3' + "0" * 80] * 9)
    async with ponder(lambda ask: next(texts)) as served:
        wishes = {"response_format": JSON, "max_tokens": 12}
        reply = (await served.chat(reasoning_strategy={**BEST, "verifier": "arithmetic"}, **wishes)).json()
    assert json.loads(reply["choices"][0]["message"]["content"]) == {"sum": 2}


async def test_a_choice_is_voted_on_as_a_whole():
    words = iter(["7 am", "7 pm", "7 am", "7 am", "7 pm"])
    async with ponder(lambda ask: next(words)) as served:
        reply = (await served.chat(structured_outputs={"choice": ["7 am", "7 pm"]}, reasoning_strategy=VOTE)).json()
    assert reply["choices"][0]["message"]["content"] == "7 am"


async def test_a_call_that_has_to_be_made_is_bound_by_its_schema():
    async with ponder(calling("{}")) as served:
        await served.chat(tools=[TOOL], tool_choice="required")
        await served.chat(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "add"}})
        await served.chat(tools=[TOOL])
        asked = [r.body["tools"][0]["function"] for r in served.engine.requests if r.path == "/v1/chat/completions"]
    assert [function.get("strict") for function in asked] == [True, True, None]


async def test_a_step_search_with_tools_is_refused():
    async with ponder() as served:
        reply = await served.chat(tools=[TOOL], reasoning_strategy="beam_search")
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "unsupported_parameter"


async def test_a_tool_loop_reaches_the_template_as_it_is():
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    talk = [
        {"role": "user", "content": "add"},
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "hm", "reasoning": "hm"},
        {"role": "tool", "tool_call_id": "c1", "content": "5"},
    ]
    async with ponder(lambda ask: "five") as served:
        await served.chat(talk, tools=[TOOL])
        asked = [r.body["messages"] for r in served.engine.requests if "messages" in r.body]
    assert all(messages == talk for messages in asked)


THINKING = {"chat_template_kwargs": {"enable_thinking": True}}
TEMPLATES = [("so it is\n</think>\n\nfive", THINKING), ("<think>so it is</think>\n\nfive", {})]


@pytest.mark.parametrize(("text", "fields"), TEMPLATES, ids=["opened by the template", "opened by the model"])
async def test_a_models_own_thinking_is_kept_apart_from_its_answer(text, fields):
    async with ponder(lambda ask: text) as served:
        apart = (await served.chat(reasoning_format="fields", **fields)).json()
        none = (await served.chat(reasoning_format="none", **fields)).json()["choices"][0]["message"]
        think = (await served.chat(**fields)).json()["choices"][0]["message"]["content"]
        chunks = await served.stream(reasoning_format="fields", **fields)
    message = apart["choices"][0]["message"]
    assert message["content"] == none["content"] == content_of(chunks) == "five"
    assert message["reasoning"].strip() == message["reasoning_content"].strip() == "so it is"
    assert "reasoning" not in none
    assert think.startswith("<think>")
    assert (think.count("<think>"), think.count("</think>")) == (1, 1)
    assert think.endswith("five")
    details = apart["usage"]["completion_tokens_details"]
    assert 0 < details["reasoning_tokens"] < apart["usage"]["completion_tokens"]


async def test_votes_look_at_the_answer_only():
    texts = iter(["maybe <answer>9</answer>\n</think>\n\n<answer>5</answer>", "is it <answer>9</answer>"] * 3)
    async with ponder(lambda ask: next(texts)) as served:
        vote = {"name": "self_consistency", "n": 4, "early_stop": "none"}
        reply = (await served.chat(reasoning_strategy=vote, return_trace=True, **THINKING)).json()
    assert reply["ponder"]["choices"][0]["votes"] == {"5": 2}
    content = reply["choices"][0]["message"]["content"]
    assert content.count("</think>") == 1
    assert content.endswith("</think>\n\n<answer>5</answer>")


@pytest.mark.parametrize("strategy", ["single", VOTE], ids=str)
async def test_log_probabilities_are_those_of_the_answer(strategy):
    async with ponder(lambda ask: "it is \\boxed{5}") as served:
        wishes = {"logprobs": True, "top_logprobs": 2, "reasoning_strategy": strategy, "reasoning_format": "none"}
        reply = (await served.chat(**wishes)).json()
        chunks = await served.stream(**wishes)
        none = (await served.chat(reasoning_strategy=strategy)).json()
    [choice] = reply["choices"]
    tokens = choice["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens).startswith(choice["message"]["content"])
    assert all(len(token["top_logprobs"]) == 2 and token["logprob"] <= 0 for token in tokens)
    assert bytes(tokens[0]["bytes"]).decode() == tokens[0]["token"]
    streamed = [c["choices"][0]["logprobs"] for c in chunks[:-1] if c["choices"] and c["choices"][0]["logprobs"]]
    assert [token["token"] for part in streamed for token in part["content"]] == [token["token"] for token in tokens]
    assert none["choices"][0]["logprobs"] is None


async def test_images_go_to_the_engines_chat_as_data_urls():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    async with ponder(lambda ask: "a cat") as served:
        reply = await served.chat([{"role": "user", "content": [{"type": "text", "text": "what?"}, image]}])
        asked = [r for r in served.engine.requests if r.path == "/v1/chat/completions"]
    assert reply.status_code == 200
    assert asked[0].body["messages"][0]["content"][1] == image


async def test_a_judge_sees_the_calls_that_it_judges():
    async with ponder(calling('{"a": 77}')) as served:
        await served.chat(tools=[TOOL], reasoning_strategy={**BEST, "verifier": "judge"})
        asked = [r.body["messages"][0]["content"] for r in served.engine.requests if r.path == "/tokenize"]
    assert any("Proposed response" in text and "77" in text for text in asked)


async def test_a_call_that_the_budget_cuts_off_is_not_gone_on_with():
    async with ponder(lambda ask: Reply("thinking " * 60, calls=(("add", "{}"),))) as served:
        reply = (await served.chat(tools=[TOOL], reasoning_strategy=VOTE, reasoning_budget={"tokens": 100})).json()
        asked = [r for r in served.engine.requests if r.path == "/v1/chat/completions"]
        assert served.engine.generated <= 100
    assert len(asked) == 2, "a request for each group, and no more"
    assert "tool_calls" not in reply["choices"][0]["message"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("strategy", ["single", VOTE], ids=str)
async def test_log_probabilities_begin_behind_the_thinking(strategy, stream):
    async with ponder(lambda ask: "<think>short six</think>42 is it") as served:
        wishes = {"logprobs": True, "reasoning_strategy": strategy, "reasoning_format": "fields"}
        if stream:
            choices = [c["choices"][0] for c in (await served.stream(**wishes))[:-1] if c["choices"]]
        else:
            choices = (await served.chat(**wishes)).json()["choices"]
    tokens = [token["token"] for choice in choices for token in (choice["logprobs"] or {"content": []})["content"]]
    assert "".join(tokens).removesuffix("<|im_end|>") == "42 is it"


async def test_json_beside_tools_votes_by_its_value():
    texts = iter(['{"a": 1, "t": 9}', '{"a": 2, "t": 9}', '{"a": 2, "t": 9}', '{"a": 3, "t": 9}', '{"a": 2'])
    async with ponder(lambda ask: next(texts)) as served:
        wishes = {"tools": [TOOL], "response_format": JSON, "reasoning_strategy": VOTE}
        reply = (await served.chat(**wishes)).json()
    assert json.loads(reply["choices"][0]["message"]["content"])["a"] == 2


async def test_a_refusal_of_an_earlier_turn_reaches_the_template_as_text():
    talk = [
        {"role": "user", "content": "do it"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "I will not"}]},
        {"role": "user", "content": "why?"},
    ]
    async with ponder(lambda ask: "so") as served:
        await served.chat(talk)
        messages = served.engine.requests[0].body["messages"]
    assert messages[1]["content"] == [{"type": "text", "text": "I will not"}]


async def test_what_only_seems_to_close_the_thinking_is_told_too():
    async with ponder(lambda ask: "<think>abc</thi") as served:
        message = (await served.chat(reasoning_format="fields")).json()["choices"][0]["message"]
    assert (message["reasoning"], message["content"]) == ("abc</thi", "")


async def test_a_seed_below_zero_is_a_seed():
    async with ponder() as served:
        replies = [(await served.chat(seed=-1)).json()["choices"] for _ in range(2)]
        seeds = {r.body["seed"] for r in served.engine.requests if r.path == "/v1/completions"}
    assert replies[0] == replies[1]
    assert all(seed >= 0 for seed in seeds)
