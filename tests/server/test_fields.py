"""Every field that has an effect shows it: in what reaches the engine, or in the reply."""

import pytest

from benchmarks.engine_replies import Reply
from server.fields import of_kind
from tests.serving import body, ponder

pytestmark = pytest.mark.anyio
VOTE = {"name": "self_consistency", "n": 3}
TOOL = {"type": "function", "function": {"name": "add"}}
PASSED = {
    "presence_penalty": 1.5,
    "frequency_penalty": -0.5,
    "logit_bias": {"7": 2.0},
    "top_k": 7,
    "min_p": 0.25,
    "repetition_penalty": 1.25,
    "min_tokens": 2,
    "ignore_eos": True,
    "skip_special_tokens": False,
    "stop_token_ids": [9],
    "bad_words": ["no"],
    "allowed_token_ids": [5, 6, 7],
}


def sent(name, value=None):
    """What shows that the engine got the field, as this value."""
    return lambda request, asked, reply: asked[-1][name] == (request[name] if value is None else value)


def answered(true):
    """What shows in the first choice's message of the reply."""
    return lambda request, asked, reply: true(reply["choices"][0]["message"])


def planned(true):
    """What shows in the plan that the trace tells."""
    return lambda request, asked, reply: true(reply["ponder"]["plan"])


EFFECTS = {name: ({name: value}, sent(name)) for name, value in PASSED.items()} | {
    "model": ({"model": "simulated:best_of_n"}, planned(lambda plan: plan["strategy"]["name"] == "best_of_n")),
    "messages": ({}, lambda request, asked, reply: asked[0]["messages"] == request["messages"]),
    "stream": ({"stream": True}, lambda request, asked, reply: reply is None),
    "stream_options": ({"stream": True, "stream_options": {"include_usage": True}}, lambda *_: True),
    "max_tokens": ({"max_tokens": 3}, sent("max_tokens")),
    "max_completion_tokens": ({"max_completion_tokens": 4}, sent("max_tokens", 4)),
    "temperature": ({"temperature": 0.25}, sent("temperature")),
    "top_p": ({"top_p": 0.5}, sent("top_p")),
    "n": ({"n": 2}, lambda request, asked, reply: len(reply["choices"]) == 2),
    "stop": ({"stop": ["x", "y"]}, sent("stop")),
    "seed": ({"seed": 5}, sent("seed")),
    "logprobs": ({"logprobs": True}, sent("logprobs", 0)),
    "top_logprobs": ({"logprobs": True, "top_logprobs": 4}, sent("logprobs", 4)),
    "tools": ({"tools": [TOOL]}, sent("tools")),
    "tool_choice": ({"tools": [TOOL], "tool_choice": "none"}, sent("tool_choice")),
    "parallel_tool_calls": ({"tools": [TOOL], "parallel_tool_calls": False}, sent("parallel_tool_calls")),
    "response_format": (
        {"response_format": {"type": "json_object"}},
        sent("structured_outputs", {"json_object": True}),
    ),
    "structured_outputs": ({"structured_outputs": {"choice": ["a"]}}, sent("structured_outputs")),
    "chat_template_kwargs": (
        {"chat_template_kwargs": {"enable_thinking": False}},
        lambda request, asked, reply: asked[0]["chat_template_kwargs"] == {"enable_thinking": False},
    ),
    "include_reasoning": (
        {"include_reasoning": False, "reasoning_strategy": VOTE},
        answered(lambda message: "<think>" not in message["content"]),
    ),
    "reasoning_strategy": ({"reasoning_strategy": VOTE}, planned(lambda plan: plan["strategy"]["n"] == 3)),
    "reasoning_budget": ({"reasoning_budget": {"tokens": 9}}, sent("max_tokens", 9)),
    "reasoning_quorum": ({"reasoning_quorum": 0.75}, planned(lambda plan: plan["quorum"] == 0.75)),
    "reasoning_format": (
        {"reasoning_format": "fields", "reasoning_strategy": VOTE},
        answered(lambda message: message["reasoning"]),
    ),
    "reasoning_effort": ({"reasoning_effort": "low"}, planned(lambda plan: plan["strategy"]["n"] == 4)),
    "reasoning": ({"reasoning": {"effort": "high"}}, planned(lambda plan: plan["strategy"]["n"] == 16)),
    "return_trace": ({"return_trace": "full"}, lambda request, asked, reply: reply["ponder"]["candidates"][0]["steps"]),
}


@pytest.fixture
def anyio_backend():
    return "asyncio"


def test_the_effect_of_every_field_is_tested():
    assert set(EFFECTS) == {*of_kind("honoured"), *of_kind("passed on")}


@pytest.mark.parametrize("name", EFFECTS)
async def test_a_field_shows_its_effect(name):
    fields, shows = EFFECTS[name]
    async with ponder(lambda ask: Reply("it is 5")) as served:
        request = body(served, "hi", return_trace=True) | fields
        response = await served.client.post("/v1/chat/completions", json=request)
        asked = [r.body for r in served.engine.requests if r.path != "/detokenize"]
    assert response.status_code == 200, response.text
    streamed = response.headers["content-type"].startswith("text/event-stream")
    assert shows(request, asked, None if streamed else response.json())
    assert ('"usage":' in response.text) == (not streamed or name == "stream_options")
