"""Headers and errors of every route: ids, times, whether to try again, and one shape for all that fails."""

import re
from contextlib import asynccontextmanager
from typing import Literal

import httpx
import pytest

from benchmarks.engine import simulated
from benchmarks.engine_replies import Reply
from server.app import create_app
from server.backends.http import said
from server.errors import ApiError, Asked
from server.settings import Engine, Settings
from strategies.base import Strategy
from strategies.protocols import BackendError
from strategies.registry import STRATEGIES, Registry
from tests.serving import body, ponder, serving

pytestmark = pytest.mark.anyio
KEYS = {"message", "type", "param", "code"}
SC = {"name": "self_consistency", "n": 2}


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Broken(Strategy):
    """Fails for a reason of ours, after it has cost something, or before."""

    name: Literal["broken"] = "broken"
    early: bool = False

    async def explore(self, root, run):
        if not self.early:
            await run.extend(root, n=1)
        raise RuntimeError("the secret of the house")


@asynccontextmanager
async def broken():
    """A client of an app that has a strategy with a mistake in it."""
    async with simulated() as engine:
        app = create_app(Settings(engines=(Engine(url=engine.url),)), Registry((*STRATEGIES, Broken)))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://x") as http,
        ):
            yield http


ROUTES = [
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/none"),
    ("GET", "/v1/strategies"),
    ("GET", "/nothing"),
    ("DELETE", "/v1/models"),
    ("HEAD", "/v1/models"),
    ("OPTIONS", "/v1/chat/completions"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/responses"),
    ("POST", "/v1/completions"),
    ("POST", "/tokenize"),
    ("POST", "/detokenize"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_response_has_an_id_and_a_time(method, path):
    async with ponder() as served:
        theirs = await served.client.request(method, path, headers={"x-request-id": "a.b-C_9"})
        ours = await served.client.request(method, path)
    assert theirs.headers.get_list("x-request-id") == ["a.b-C_9"]
    assert re.fullmatch(r"req-[0-9a-f]{16}", ours.headers["x-request-id"])
    assert int(ours.headers["openai-processing-ms"]) >= 0
    if ours.is_error and method != "HEAD":
        assert set(ours.json()["error"]) == KEYS
    assert "x-should-retry" not in ours.headers


@pytest.mark.parametrize("stream", [True, False])
async def test_replies_that_are_good_have_them_too(stream):
    async with ponder() as served:
        request = body(served, "hi", stream=stream)
        reply = await served.client.post("/v1/chat/completions", json=request, headers={"x-request-id": "mine"})
    assert reply.headers.get_list("x-request-id") == ["mine"]
    assert len(reply.headers.get_list("openai-processing-ms")) == 1


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "é".encode(), "a/b", "a;b"])
async def test_an_id_that_is_unfit_for_a_log_is_replaced(given):
    async with ponder() as served:
        reply = await served.client.get("/health", headers={"x-request-id": given})
    assert reply.headers["x-request-id"].startswith("req-")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
@pytest.mark.parametrize("strategy", ["single", SC], ids=str)
async def test_a_failure_that_has_cost_something_is_not_to_be_tried_again(path, strategy):
    async with ponder(lambda ask: Reply("a b c", fault="status")) as served:
        asked = {"input": "hi"} if path.endswith("responses") else {"messages": [{"role": "user", "content": "hi"}]}
        request = {"model": "simulated", "reasoning_strategy": strategy, **asked}
        replies = [await served.client.post(path, json=request | {"stream": stream}) for stream in (False, True)]
    assert [reply.status_code for reply in replies] == [502, 502]
    assert [reply.headers.get("x-should-retry") for reply in replies] == ["false", "false"]


@pytest.mark.parametrize("early", [True, False])
async def test_a_mistake_of_ours_is_a_500_without_its_details(early):
    async with broken() as client:
        request = {"model": "simulated", "messages": [{"role": "user", "content": "hi"}]}
        request |= {"reasoning_strategy": {"name": "broken", "early": early}}
        reply = await client.post("/v1/chat/completions", json=request, headers={"x-request-id": "mine"})
    assert reply.status_code == 500
    assert "secret" not in reply.text
    assert "Traceback" not in reply.text
    assert set(reply.json()["error"]) == KEYS
    assert reply.headers["x-request-id"] == "mine"
    assert reply.headers.get("x-should-retry") == (None if early else "false")


async def test_an_engine_that_is_down_may_be_tried_again():
    async with serving(Settings(engines=(Engine(url="http://127.0.0.1:9"),))) as served:
        replies = [
            await served.chat(),
            await served.client.post("/v1/responses", json={"model": "m", "input": "hi"}),
            await served.client.post("/v1/completions", json={"model": "m", "prompt": "hi"}),
            await served.client.post("/tokenize", json={"model": "m", "prompt": "hi"}),
            await served.client.get("/v1/models"),
        ]
    for reply in replies:
        assert reply.status_code == 503
        assert int(reply.headers["retry-after"]) > 0
        assert "x-should-retry" not in reply.headers
        assert set(reply.json()["error"]) == KEYS


async def test_the_wrong_method_is_told_the_right_one():
    async with ponder() as served:
        reply = await served.client.get("/v1/responses")
    assert reply.status_code == 405
    assert reply.headers["allow"] == "POST"
    assert reply.json()["error"]["code"] == "method_not_allowed"


async def test_a_refusal_of_the_engines_names_the_callers_parameter():
    async with ponder() as served:
        chat = await served.chat(stop="")
        greedy = {"model": "simulated", "prompt": "x", "n": 2, "temperature": 0.0}
        many = await served.client.post("/v1/completions", json=greedy)
        empty = await served.client.post("/v1/completions", json={"model": "simulated", "prompt": ""})
    assert chat.status_code == 200
    assert many.status_code == empty.status_code == 400
    assert empty.json()["error"]["param"] == "prompt"
    assert empty.json()["error"]["code"] == "engine_refused"


@pytest.mark.parametrize(
    ("error", "param"),
    [
        (BackendError("no", 400, "stop"), "stop"),
        (BackendError("no", 400, "stop.0"), "stop.0"),
        (BackendError("no", 400, "max_tokens"), "max_output_tokens"),
        (BackendError("no", 400, "stream_interval"), None),
        (BackendError("no", 400), None),
        (BackendError("longer than the model's maximum context length", 400, "input_tokens"), "input"),
        (BackendError("no", 500, "stop"), None),
        (ApiError(400, "no", param="messages.0.role"), "input"),
        (ApiError(400, "no", param="other"), "other"),
    ],
    ids=str,
)
def test_errors_have_the_callers_names_and_never_one_of_our_own(error, param):
    asked = Asked({"stop": "stop", "max_tokens": "max_output_tokens", "messages": "input"})
    assert asked.told(error).param == param


@pytest.mark.parametrize(
    ("data", "message", "param"),
    [
        (b'{"error": {"message": "no", "param": "body.stop", "code": 400}}', "no", "stop"),
        (b'{"error": {"message": "no", "param": "stop"}}', "no", "stop"),
        (b'{"error": {"message": "no", "param": "body"}}', "no", None),
        (b'{"error": {"message": "no", "param": null}}', "no", None),
        (b'{"error": "Unauthorized"}', "Unauthorized", None),
        (b'{"detail": "Not Found"}', "Not Found", None),
        (b"<html>", "<html>", None),
        (b"[1]", "[1]", None),
    ],
)
def test_what_an_engine_says_of_an_error_is_understood_in_every_shape(data, message, param):
    assert said(data) == (message, param)
