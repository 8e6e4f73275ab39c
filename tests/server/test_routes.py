"""Routes beside chat: completions, tokens and models, as the engine has them, and what may not pass."""

import json

import httpx
import jsonschema
import pytest
from openai import AsyncOpenAI, BadRequestError

from benchmarks.engine_replies import Reply
from benchmarks.engine_text import encode
from server.settings import Limits, Settings
from tests.serving import hung_up, ponder

pytestmark = pytest.mark.anyio
ASK = {"model": "simulated", "prompt": "What is 2 + 3?"}


@pytest.fixture
def anyio_backend():
    return "asyncio"


def scrubbed(text):
    """An answer without its id and time."""
    for name in ("id", "created"):
        text = "".join(part.partition(",")[2] if at else part for at, part in enumerate(text.split(f'"{name}":')))
    return text


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("prompt", ["one two", ["one", "two"], [300, 301], [[300], [301, 302]]], ids=str)
async def test_a_completion_is_the_engines_own_answer(stream, prompt):
    request = {"model": "simulated", "prompt": prompt, "seed": 4, "n": 2, "stream": stream, "max_tokens": 12}
    async with ponder() as served, httpx.AsyncClient(base_url=served.engine.url) as engine:
        ours = await served.client.post("/v1/completions", json=request)
        direct = await engine.post("/v1/completions", json=request)
        first, second = [r.body for r in served.engine.requests if r.path == "/v1/completions"]
    assert first == second == request
    assert ours.status_code == direct.status_code == 200
    assert scrubbed(ours.text) == scrubbed(direct.text)
    assert ours.headers["content-type"] == direct.headers["content-type"]


async def test_everything_that_may_pass_reaches_the_engine():
    wishes = {
        "echo": False,
        "logprobs": 2,
        "stop": ["x"],
        "logit_bias": {"5": -100},
        "top_k": 3,
        "structured_outputs": {"choice": ["a", "b"]},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
        "stream_options": {"include_usage": True},
        "stream": True,
    }
    async with ponder() as served:
        await served.client.post("/v1/completions", json=ASK | wishes)
        [request] = [r.body for r in served.engine.requests if r.path == "/v1/completions"]
    assert request == ASK | wishes


BAD = [
    ({"model": "simulated:best_of_n"}, "model"),
    ({"reasoning_strategy": "best_of_n"}, "reasoning_strategy"),
    ({"reasoning_budget": {"tokens": 5}}, "reasoning_budget"),
    ({"return_trace": True}, "return_trace"),
    ({"cache_salt": "x"}, "cache_salt"),
    ({"priority": 1}, "priority"),
    ({"kv_transfer_params": {}}, "kv_transfer_params"),
    ({"mm_processor_kwargs": {}}, "mm_processor_kwargs"),
    ({"vllm_xargs": {}}, "vllm_xargs"),
    ({"request_id": "x"}, "request_id"),
    ({"prompt_embeds": "x"}, "prompt_embeds"),
    ({"structured_outputs": {"regex": "(a+)+"}}, "structured_outputs.regex"),
    ({"structured_outputs": {"grammar": "x"}}, "structured_outputs.grammar"),
    ({"structured_outputs": {"structural_tag": "x"}}, "structured_outputs.structural_tag"),
    ({"response_format": {"type": "structural_tag"}}, "response_format.type"),
    ({"n": 9}, "n"),
    ({"n": 0}, "n"),
    ({"n": True}, "n"),
    ({"best_of": 3}, "best_of"),
    ({"prompt": ["x"] * 9}, "prompt"),
    ({"prompt": 5}, "prompt"),
    ({"prompt": [True]}, "prompt.0"),
    ({"prompt": [[-1]]}, "prompt.0.0"),
    ({"prompt": None}, "prompt"),
    ({"max_tokens": 10**9}, "max_tokens"),
    ({"temperature": 3}, "temperature"),
    ({"stop": ["a"] * 5}, "stop"),
    ({"logprobs": 99}, "logprobs"),
    ({"shiny": 1}, "shiny"),
]


@pytest.mark.parametrize(("fields", "param"), BAD, ids=lambda value: str(value)[:50])
async def test_what_may_not_pass_is_a_400_that_names_it(fields, param):
    async with ponder(settings=Settings(limits=Limits(n=8))) as served:
        reply = await served.client.post("/v1/completions", json=ASK | fields)
        assert not [r for r in served.engine.requests if r.path == "/v1/completions"]
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == param


@pytest.mark.parametrize("path", ["/tokenize", "/detokenize"])
@pytest.mark.parametrize("field", ["chat_template", "mm_processor_kwargs", "shiny", "reasoning_strategy"])
async def test_neither_may_it_on_the_way_to_the_tokenizer(path, field):
    async with ponder() as served:
        asked = {"prompt": "x"} if path == "/tokenize" else {"tokens": [1]}
        reply = await served.client.post(path, json={"model": "simulated", field: "x", **asked})
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == field


async def test_unknown_models_and_long_bodies_are_refused_as_for_chat():
    async with ponder(settings=Settings(limits=Limits(body_bytes=1000))) as served:
        other = await served.client.post("/v1/completions", json=ASK | {"model": "other"})
        long = await served.client.post("/v1/completions", json=ASK | {"prompt": "x" * 2000})
    assert (other.status_code, other.json()["error"]["code"]) == (404, "model_not_found")
    assert (long.status_code, long.json()["error"]["code"]) == (413, "body_too_large")


async def test_a_prompt_that_is_too_long_names_the_prompt():
    async with ponder(max_model_len=32) as served:
        reply = await served.client.post("/v1/completions", json=ASK | {"prompt": "word " * 100})
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", "prompt")


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_hangs_up_aborts_the_engines_work(stream):
    async with ponder(lambda ask: Reply("word ", ends=False), delay=0.01) as served:
        request = ASK | {"stream": stream, "max_tokens": 5000}
        await hung_up(served, "/v1/completions", request)


@pytest.mark.parametrize("stream", [True, False])
async def test_an_early_failure_of_the_engine_is_a_true_status(stream):
    async with ponder(lambda ask: Reply("a b c", fault="status")) as served:
        reply = await served.client.post("/v1/completions", json=ASK | {"stream": stream})
    assert reply.status_code == 502
    assert reply.json()["error"]["code"] == "engine_error"


async def test_a_late_failure_is_told_in_the_stream():
    async with ponder(lambda ask: Reply("word " * 60, fault="reset"), delay=0.002) as served:
        reply = await served.client.post("/v1/completions", json=ASK | {"stream": True, "max_tokens": 60})
    events = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line.strip()]
    assert events[-1] == "[DONE]"
    assert json.loads(events[-2])["error"]["code"] == "engine_unavailable"
    assert all("choices" in json.loads(event) for event in events[:-2])


async def test_tokens_of_texts_and_of_conversations_and_back():
    async with ponder() as served:
        text = (await served.client.post("/tokenize", json=ASK)).json()
        talk = {"model": "simulated", "messages": [{"role": "user", "content": "hi"}]}
        rendered = (await served.client.post("/tokenize", json=talk)).json()
        back = await served.client.post("/detokenize", json={"model": "simulated", "tokens": text["tokens"]})
    assert text["tokens"] == list(encode(ASK["prompt"]))
    assert text["max_model_len"] == 8192
    assert rendered["count"] > 4
    assert back.json() == {"prompt": ASK["prompt"]}


async def test_an_engine_without_these_routes_is_told_as_such():
    async with ponder() as served:
        original = served.engine._respond
        served.engine._respond = lambda connection, method, path, data: original(
            connection, method, "/none" if path == "/tokenize" else path, data
        )
        reply = await served.client.post("/tokenize", json=ASK)
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


async def test_the_openai_client_completes_texts():
    async with (
        ponder(lambda ask: "it is five") as served,
        AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none") as client,
    ):
        whole = await client.completions.create(**ASK, max_tokens=9)
        stream = await client.completions.create(**ASK, max_tokens=9, stream=True)
        text = "".join([chunk.choices[0].text async for chunk in stream])
        with pytest.raises(BadRequestError) as refused:
            await client.completions.create(**ASK, extra_body={"cache_salt": "x"})
    assert whole.choices[0].text == text == "it is five"
    assert refused.value.param == "cache_salt"
    assert refused.value.request_id.startswith("req-")


async def test_each_model_is_listed_with_an_alias_for_every_strategy():
    async with ponder() as served:
        listed = (await served.client.get("/v1/models")).json()["data"]
        one = (await served.client.get("/v1/models/simulated:best_of_n")).json()
        names = [strategy["name"] for strategy in (await served.client.get("/v1/strategies")).json()["data"]]
        none = await served.client.get("/v1/models/simulated:magic")
    assert [card["id"] for card in listed] == ["simulated", *(f"simulated:{name}" for name in names)]
    assert one in listed
    assert (one["parent"], one["max_model_len"]) == ("simulated", 8192)
    assert (listed[0]["parent"], listed[0]["max_model_len"]) == (None, 8192)
    assert none.status_code == 404


async def test_the_document_knows_no_422():
    async with ponder() as served:
        text = (await served.client.get("/openapi.json")).text
    assert "422" not in text
    assert "ValidationError" not in text
    assert not [name for name in json.loads(text)["components"]["schemas"] if "__" in name], "two shapes of one name"


async def test_the_published_shapes_hold():
    async with ponder() as served:
        document = (await served.client.get("/openapi.json")).json()
        answers = {
            "TextCompletion": (await served.client.post("/v1/completions", json=ASK)).json(),
            "Tokenized": (await served.client.post("/tokenize", json=ASK)).json(),
            "Detokenized": (await served.client.post("/detokenize", json={"model": "simulated", "tokens": [9]})).json(),
            "ModelList": (await served.client.get("/v1/models")).json(),
        }
    for name, answer in answers.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.validate(answer, schema)
    schema = {"$ref": "#/components/schemas/CompletionRequest", "components": document["components"]}
    for prompt in ("x", ["x"], [1], [[1]]):
        jsonschema.validate(ASK | {"prompt": prompt}, schema)
