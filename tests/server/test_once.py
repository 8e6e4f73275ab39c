"""A chat that asks the model once goes to the engine as it is: no call to render it, and nothing else is different."""

import pytest

from benchmarks.engine_replies import Reply
from tests.serving import content_of, ponder

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


def paths(served):
    return [request.path for request in served.engine.requests if request.path != "/v1/models"]


def calls(served):
    return [request for request in served.engine.requests if request.path.endswith("/completions")]


async def known(served):
    """A first chat, after which the template is known."""
    await served.chat()
    served.engine.requests.clear()


async def test_a_plain_chat_is_one_request_to_the_engine_once_the_template_is_known():
    async with ponder(lambda ask: "the answer is 5") as served:
        first = (await served.chat()).json()
        assert "/tokenize" in paths(served)
        served.engine.requests.clear()
        second = (await served.chat()).json()
        assert paths(served) == ["/v1/chat/completions"]
    assert second["choices"] == first["choices"]
    assert second["usage"] == first["usage"]


async def test_what_goes_on_from_a_response_is_rendered_all_the_same():
    async with ponder(lambda ask: "the answer is 5") as served:
        await known(served)
        await served.chat(reasoning_strategy={"name": "self_consistency", "n": 2})
        assert paths(served) == ["/tokenize", "/v1/completions", "/v1/completions"]


@pytest.mark.parametrize(("wish", "asked"), [({}, None), ({"max_tokens": 8192}, None), ({"max_tokens": 7}, 7)])
async def test_the_engine_is_asked_for_what_the_caller_wants_or_all_that_is_left(wish, asked):
    async with ponder(lambda ask: "ok") as served:
        await known(served)
        assert (await served.chat(**wish)).status_code == 200
        [request] = calls(served)
    assert request.body.get("max_tokens") == asked


async def test_a_wish_that_may_not_fit_is_rendered_and_cut_to_what_does():
    async with ponder(lambda ask: Reply("word ", ends=False), max_model_len=700) as served:
        await known(served)
        reply = (await served.chat(max_tokens=690)).json()
        assert paths(served) == ["/tokenize", "/v1/completions"]
        [request] = calls(served)
    assert request.body["max_tokens"] + len(request.body["prompt"]) == 700
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["completion_tokens"] == request.body["max_tokens"]


async def test_a_reply_that_fills_the_context_ends_for_its_length():
    async with ponder(lambda ask: Reply("word ", ends=False), max_model_len=128) as served:
        await known(served)
        reply = (await served.chat()).json()
        assert paths(served) == ["/v1/chat/completions"]
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["total_tokens"] == 128


async def test_a_prompt_that_is_too_long_is_refused_in_the_engines_words():
    async with ponder(max_model_len=64) as served:
        await known(served)
        reply = await served.chat("word " * 100)
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "context_length_exceeded"


async def test_a_budget_below_the_context_bounds_the_reply():
    async with ponder(lambda ask: Reply("word ", ends=False)) as served:
        await known(served)
        reply = (await served.chat(reasoning_budget={"tokens": 40})).json()
    assert reply["usage"]["completion_tokens"] == 40


async def test_a_template_that_opens_a_thinking_is_known_by_its_arguments():
    async with ponder(lambda ask: "<think>well</think>5") as served:
        await known(served)
        await served.chat(chat_template_kwargs={"enable_thinking": False})
        assert paths(served)[0] == "/tokenize", "another argument may open another reply"
        chunks = await served.stream(reasoning_format="fields")
        assert paths(served)[-1] == "/v1/chat/completions"
    assert content_of(chunks) == "5"
