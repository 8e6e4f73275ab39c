"""Responses over HTTP, on a simulated engine: input, output, events in their order, what is refused, hang-ups."""

import json
from itertools import pairwise

import jsonschema
import pytest
from openai import AsyncOpenAI, BadRequestError
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from benchmarks.engine_replies import Reply
from server.responses.schema import ResponsesRequest
from server.responses.translate import HARMLESS, NAMES, SAME, chat_request
from server.schema import ChatRequest
from tests.serving import hung_up, ponder

pytestmark = pytest.mark.anyio
SC = {"name": "self_consistency", "n": 3}
EVENT = TypeAdapter(ResponseStreamEvent)
WHOLE = TypeAdapter(Response)


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def post(served, input="What is 2 + 3?", **fields):
    return await served.client.post("/v1/responses", json={"model": "simulated", "input": input, **fields})


async def streamed(served, **fields):
    """A stream's events, each of which openai's types take."""
    reply = await post(served, stream=True, **fields)
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = []
    for block in reply.text.split("\n\n"):
        if block.startswith("event: "):
            name, data = block.removeprefix("event: ").split("\ndata: ")
            events.append(json.loads(data))
            assert events[-1]["type"] == name
            EVENT.validate_python(events[-1])
    return events


def kinds(events):
    """The types of events, deltas in a row as one."""
    types = [event["type"].removeprefix("response.") for event in events]
    return [one for one, after in pairwise([*types, ""]) if one != after]


def asked(**fields):
    return chat_request(ResponsesRequest.model_validate({"model": "m", "input": "hi"} | fields))


async def test_without_a_strategy_there_is_one_message():
    async with ponder(lambda ask: "It is five.") as served:
        reply = (await post(served)).json()
    [message] = reply["output"]
    assert message["content"] == [{"type": "output_text", "text": "It is five.", "annotations": [], "logprobs": []}]
    assert (message["role"], message["status"], reply["status"]) == ("assistant", "completed", "completed")
    assert reply["usage"]["output_tokens_details"]["reasoning_tokens"] == 0
    assert reply["store"] is False
    WHOLE.validate_python(reply)


async def test_a_strategys_thinking_is_an_item_of_its_own_before_the_message():
    async with ponder(lambda ask: f"so \\boxed{{{ask.index % 2}}}") as served:
        reply = (await post(served, reasoning_strategy=SC, return_trace=True)).json()
        generated = served.engine.generated
    reasoning, message = reply["output"]
    assert reasoning["summary"] == []
    assert reasoning["content"][0]["type"] == "reasoning_text"
    assert "[0.0] so" in reasoning["content"][0]["text"]
    assert "[0.0]" not in message["content"][0]["text"]
    usage = reply["usage"]
    assert usage["output_tokens"] == generated
    assert usage["total_tokens"] == usage["input_tokens"] + generated
    assert usage["output_tokens_details"]["reasoning_tokens"] == generated - reply["ponder"]["tokens"]["answer"]
    assert usage["input_tokens_details"]["cached_tokens"] <= usage["input_tokens"]
    WHOLE.validate_python(reply)


HEAD = ["created", "in_progress"]
REASONING = ["output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.done"]
MESSAGE = ["output_item.added", "content_part.added", "output_text.delta", "output_text.done"]
CLOSED = ["content_part.done", "output_item.done"]


async def test_events_come_in_the_order_that_clients_require():
    async with ponder() as served:
        events = await streamed(served, reasoning_strategy=SC)
        plain = await streamed(served)
    assert kinds(events) == [*HEAD, *REASONING, *CLOSED, *MESSAGE, *CLOSED, "completed"]
    assert kinds(plain) == [*HEAD, *MESSAGE, *CLOSED, "completed"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert len({event["response"]["id"] for event in events if "response" in event}) == 1


@pytest.mark.parametrize(
    "strategy", ["single", SC, {"name": "best_of_n", "n": 3}, {"name": "beam_search", "beams": 2, "width": 2}], ids=str
)
async def test_streamed_and_whole_responses_are_equal(strategy):
    wish = {**strategy, "early_stop": "none"} if strategy is SC else strategy
    async with ponder() as served:
        events = await streamed(served, reasoning_strategy=wish, temperature=0.0)
        whole = (await post(served, reasoning_strategy=wish, temperature=0.0)).json()
    last = events[-1]["response"]
    items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert last["output"] == items
    for item in items:
        mine = [event for event in events if event.get("item_id") == item["id"]]
        assert "".join(event["delta"] for event in mine if "delta" in event) == item["content"][0]["text"]
    assert set(last) == set(whole)
    assert [item["type"] for item in last["output"]] == [item["type"] for item in whole["output"]]
    if strategy == "single":
        assert last["output"][0]["content"] == whole["output"][0]["content"]


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_that_is_cut_is_incomplete(stream):
    async with ponder(lambda ask: "word " * 50) as served:
        if stream:
            events = await streamed(served, max_output_tokens=5)
            assert events[-1]["type"] == "response.incomplete"
            reply = events[-1]["response"]
        else:
            reply = (await post(served, max_output_tokens=5)).json()
    assert reply["status"] == reply["output"][-1]["status"] == "incomplete"
    assert reply["incomplete_details"] == {"reason": "max_output_tokens"}
    assert reply["usage"]["output_tokens"] == 5


async def test_an_effort_and_an_alias_choose_a_strategy():
    async with ponder() as served:
        effort = (await post(served, reasoning={"effort": "low", "summary": "auto"}, return_trace=True)).json()
        alias = (await post(served, model="simulated:best_of_n", return_trace=True)).json()
    assert effort["ponder"]["plan"]["strategy"]["n"] == 4
    assert effort["reasoning"] == {"effort": "low", "summary": None}
    assert (alias["model"], alias["ponder"]["plan"]["strategy"]["name"]) == ("simulated:best_of_n", "best_of_n")


async def test_items_become_the_messages_of_a_conversation():
    call = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}", "id": "fc_1"}
    items = [
        {"role": "developer", "content": "d"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "secret"}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "b", "annotations": []}], "id": "msg_1"},
        call,
        {**call, "call_id": "c2"},
        {"type": "function_call_output", "call_id": "c1", "output": "5"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "6"}]},
        call,
    ]
    messages = [m.model_dump(exclude_unset=True) for m in asked(input=items, instructions="be brief").messages]
    made = [{"id": id, "type": "function", "function": {"name": "add", "arguments": "{}"}} for id in ("c1", "c2")]
    assert messages == [
        {"role": "system", "content": "be brief"},
        {"role": "developer", "content": "d"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "tool_calls": made},
        {"role": "tool", "tool_call_id": "c1", "content": "5"},
        {"role": "tool", "tool_call_id": "c2", "content": "6"},
        {"role": "assistant", "content": None, "tool_calls": made[:1]},
    ]


async def test_what_a_response_said_can_be_sent_back():
    async with ponder() as served:
        first = (await post(served, reasoning_strategy=SC)).json()
        again = await post(
            served, [{"role": "user", "content": "hi"}, *first["output"], {"role": "user", "content": "so"}]
        )
        rendered = [r.body["messages"] for r in served.engine.requests if "messages" in (r.body or {})][-1]
    assert again.status_code == 200
    assert [message["role"] for message in rendered] == ["user", "assistant", "user"]
    assert rendered[1]["content"] == first["output"][1]["content"][0]["text"]


async def test_what_the_openai_client_got_can_be_sent_back_with_all_its_nulls():
    async with ponder() as served, AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none") as client:
        first = await client.responses.create(model="simulated", input="hi", extra_body={"reasoning_strategy": SC})
        said = [item.model_dump() for item in first.output]
        again = await client.responses.create(model="simulated", input=[*said, {"role": "user", "content": "so"}])
        typed = await client.responses.create(
            model="simulated", input=[*first.output, {"role": "user", "content": "so"}]
        )
    assert again.output_text
    assert typed.output_text


def test_formats_and_tools_take_the_shapes_of_chat():
    schema = {"type": "object"}
    made = asked(
        text={"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}, "verbosity": "low"},
        tools=[{"type": "function", "name": "add", "parameters": schema, "strict": False}],
        tool_choice={"type": "function", "name": "add"},
        max_output_tokens=9,
    )
    told = made.model_dump(exclude_unset=True, by_alias=True)
    assert told["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": schema, "strict": True},
    }
    assert told["tools"] == [{"type": "function", "function": {"name": "add", "parameters": schema, "strict": False}}]
    assert told["tool_choice"] == {"type": "function", "function": {"name": "add"}}
    assert (told["max_completion_tokens"], told["verbosity"], told["reasoning_format"]) == (9, "low", "fields")
    assert asked(text={"format": {"type": "json_object"}}).model_dump()["response_format"] == {"type": "json_object"}


def test_images_stay_parts():
    parts = [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "data:x", "detail": "low"}]
    [message] = asked(input=[{"role": "user", "content": parts}]).model_dump(exclude_unset=True)["messages"]
    assert message["content"] == [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}},
    ]


TOOL = {"type": "function", "name": "add", "parameters": {"type": "object"}}
CALLED = ["output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"]


@pytest.mark.parametrize("strategy", ["single", SC], ids=str)
async def test_a_call_is_an_item_that_can_be_answered(strategy):
    wish = {"tools": [TOOL], "tool_choice": "auto", "reasoning_strategy": strategy}
    async with ponder(lambda ask: Reply("", calls=(("add", '{"a": 1}'),))) as served:
        whole = (await post(served, **wish)).json()
        events = await streamed(served, **wish)
        loop = [
            *whole["output"],
            {"type": "function_call_output", "call_id": whole["output"][-1]["call_id"], "output": "5"},
        ]
        again = await post(served, [{"role": "user", "content": "hi"}, *loop], **wish)
        rendered = [r.body["messages"] for r in served.engine.requests if "messages" in r.body][-1]
    WHOLE.validate_python(whole)
    call = whole["output"][-1]
    assert (call["type"], call["name"], call["arguments"]) == ("function_call", "add", '{"a": 1}')
    assert [item["type"] for item in whole["output"]] == (["reasoning"] if strategy is SC else []) + ["function_call"]
    assert whole["status"] == call["status"] == "completed"
    assert whole["tools"] == [TOOL]
    assert kinds(events)[-5:] == [*CALLED, "completed"]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == events[-1]["response"]["output"]
    assert again.status_code == 200
    assert [message["role"] for message in rendered] == ["user", "assistant", "tool"]
    assert rendered[1]["tool_calls"][0]["id"] == rendered[2]["tool_call_id"] == call["call_id"]


async def test_a_schema_binds_the_text():
    schema = {"type": "object", "properties": {"sum": {"type": "integer"}}}
    format = {"type": "json_schema", "name": "n", "schema": schema, "strict": True}
    async with ponder(lambda ask: '{"sum": 2}') as served:
        reply = (await post(served, text={"format": format}, reasoning_strategy=SC)).json()
        [bound, *_] = [r.body for r in served.engine.requests if r.path == "/v1/completions"]
    assert json.loads(reply["output"][-1]["content"][0]["text"]) == {"sum": 2}
    assert bound["structured_outputs"] == {"json": schema}
    assert reply["text"]["format"] == format


def test_every_field_is_translated_renamed_or_refused():
    special = {
        "input",
        "instructions",
        "max_output_tokens",
        "reasoning",
        "text",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
    }
    idle = {"include", "stream_options", "max_tool_calls"}
    assert set(ResponsesRequest.model_fields) == special | idle | {*SAME} | {*HARMLESS}
    assert all(name.partition(".")[0] in ResponsesRequest.model_fields for name in NAMES.values())
    assert {"messages", "max_completion_tokens", "reasoning_effort"} <= set(ChatRequest.model_fields)


IMAGE = "input.0.content.0.image_url"
BAD = [
    ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"store": True}, "store"),
    ({"background": True}, "background"),
    ({"conversation": "c"}, "conversation"),
    ({"prompt": {"id": "p"}}, "prompt"),
    ({"truncation": "auto"}, "truncation"),
    ({"top_logprobs": 3}, "top_logprobs"),
    ({"include": ["message.output_text.logprobs"]}, "include"),
    ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
    ({"text": {"format": {"type": "xml"}}}, "text.format"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": {"type": "custom", "name": "x"}}, "tool_choice"),
    ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
    ({"reasoning": {"summary": "detailed"}}, "reasoning.summary"),
    ({"reasoning_strategy": "magic"}, "reasoning_strategy"),
    ({"reasoning_budget": {"tokens": 10**12}}, "reasoning_budget.tokens"),
    ({"input": []}, "input"),
    ({"input": 5}, "input"),
    ({"input": [{"role": "wizard", "content": "x"}]}, "input.0.role"),
    ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input.0.content.0"),
    ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://x"}]}]}, IMAGE),
    ({"input": [{"type": "item_reference", "id": "x"}]}, "input.0"),
    ({"input": [{"type": "function_call", "name": "f", "arguments": ""}]}, "input.0.call_id"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"max_output_tokens": True}, "max_output_tokens"),
    ({"temperature": 2.5}, "temperature"),
    ({"top_p": -1}, "top_p"),
    ({"metadata": {str(at): "x" for at in range(17)}}, "metadata"),
    ({"metadata": {"x" * 65: "y"}}, "metadata." + "x" * 65),
    ({"metadata": {"x": "y" * 513}}, "metadata.x"),
    ({"seed": 1}, "seed"),
    ({"messages": []}, "messages"),
    ({"reasoning_format": "think"}, "reasoning_format"),
]


@pytest.mark.parametrize(("fields", "param"), BAD, ids=lambda value: str(value)[:50])
async def test_bad_input_is_a_400_that_names_the_parameter(fields, param):
    async with ponder() as served:
        reply = await post(served, **{"input": "hi"} | fields)
        assert served.engine.generated == 0
    error = reply.json()["error"]
    assert (reply.status_code, error["param"], error["type"]) == (400, param, "invalid_request_error")


async def test_what_says_what_holds_anyway_is_taken():
    idle = {"store": False, "background": False, "previous_response_id": None, "truncation": "disabled"}
    idle |= {"include": ["reasoning.encrypted_content"], "tools": [], "tool_choice": "auto", "metadata": {"a": "b"}}
    idle |= {"text": {"format": {"type": "text"}}, "service_tier": "auto", "user": "u", "max_tool_calls": 3}
    async with ponder() as served:
        reply = await post(served, **idle)
    assert reply.status_code == 200
    assert reply.json()["metadata"] == {"a": "b"}


async def test_a_prompt_that_is_too_long_names_the_input():
    async with ponder(max_model_len=64) as served:
        reply = await post(served, "word " * 500, stream=True)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", "input")


@pytest.mark.parametrize("strategy", ["single", SC], ids=str)
async def test_an_early_failure_of_a_stream_is_a_true_http_status(strategy):
    async with ponder(lambda ask: Reply("a b c", fault="status")) as served:
        reply = await post(served, stream=True, reasoning_strategy=strategy)
    assert reply.status_code == 502


async def test_a_late_failure_ends_the_stream_with_a_failed_response():
    async with ponder(lambda ask: Reply("word " * 60, fault="reset"), delay=0.002) as served:
        events = await streamed(served)
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["status"] == "failed"
    assert events[-1]["response"]["error"]["code"] == "server_error"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("strategy", ["single", SC], ids=str)
async def test_a_client_that_hangs_up_stops_the_work(strategy, stream):
    async with ponder(lambda ask: Reply("word ", ends=False), delay=0.01) as served:
        request = {"model": "simulated", "input": "hi", "reasoning_strategy": strategy, "stream": stream}
        await hung_up(served, "/v1/responses", request)


async def test_the_openai_client_creates_and_streams_responses():
    extra = {"reasoning_strategy": SC, "return_trace": True}
    async with ponder() as served, AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none") as client:
        whole = await client.responses.create(model="simulated", input="What is 2 + 3?", extra_body=extra)
        raw = await client.responses.create(model="simulated", input="hi", stream=True, extra_body=extra)
        types = [event.type async for event in raw]
        async with client.responses.stream(model="simulated", input="hi", extra_body=extra) as stream:
            deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
            final = await stream.get_final_response()
        with pytest.raises(BadRequestError) as refused:
            await client.responses.create(model="simulated", input="hi", previous_response_id="resp_1")
    assert whole.output_text
    assert [item.type for item in whole.output] == ["reasoning", "message"]
    assert whole.usage.output_tokens > 0
    assert whole.model_extra["ponder"]["choices"]
    assert (types[0], types[-1]) == ("response.created", "response.completed")
    assert "".join(deltas) == final.output_text
    assert refused.value.param == "previous_response_id"


@pytest.mark.parametrize("trace", [True, "full"])
async def test_responses_and_events_keep_the_published_schema(trace):
    async with ponder() as served:
        document = (await served.client.get("/openapi.json")).json()
        whole = (await post(served, reasoning_strategy=SC, return_trace=trace)).json()
        events = await streamed(served, reasoning_strategy=SC, return_trace=trace)
    validate(document, "ResponseObject", whole)
    validate(document, "Trace", events[-1]["response"]["ponder"])
    for event in events:
        validate(document, "ResponseEvent", event)
    validate(document, "ResponsesRequest", {"model": "m", "input": "x", "text": {"format": {"type": "text"}}})
    validate(document, "ResponsesRequest", {"model": "m", "input": [{"role": "user", "content": "x"}]})


def validate(document, name, value):
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema.validate(value, schema)
