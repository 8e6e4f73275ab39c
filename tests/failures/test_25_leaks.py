"""Leaks: what requests, answers, engines and keys say stands in no log, no metric, and nobody else's reply.

Canaries are planted wherever a stranger's text comes from, every error path is walked, and all that a server says to
others is searched for them.
"""

import ast
import json
import logging
import os
import re
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Literal

import anyio
import httpx
import pytest
from aiohttp import web

from server.app import create_app
from server.failures import where
from server.keys import digest
from server.settings import Engine, Settings
from strategies.base import Strategy
from strategies.registry import STRATEGIES, Registry
from tests.receiver import receiver, traced
from tests.tenants import ALICE, BOB, bearing, settings

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
CANARY = re.compile(r"canary[a-z]+")
SC = {"name": "self_consistency", "n": 3}
JUDGED = {"name": "best_of_n", "n": 2, "verifier": "judge"}


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Broken(Strategy):
    """Fails for a reason of ours, with words of the request."""

    name: Literal["broken"] = "broken"

    async def explore(self, root, run):
        raise RuntimeError(root.prompt.messages[0]["content"])


def failing(status):
    """An engine's refusal that quotes its request."""

    async def answer(request):
        asked = await request.text()
        words = {"error": {"message": f"canaryengine cannot do with {asked}", "type": "x", "code": status}}
        return web.json_response(words, status=status)

    return answer


async def in_stream(request):
    """An error inside of a stream, quoting again."""
    asked = json.dumps(await request.text())
    return web.Response(
        text=f'data: {{"error": {{"message": {asked}}}}}\n\ndata: [DONE]\n\n', content_type="text/event-stream"
    )


async def garbage(request):
    return web.Response(text=f"data: canaryengine {await request.text()}\n\n", content_type="text/event-stream")


async def saying(request):
    """An answer that is a canary."""
    chunk = {"choices": [{"index": 0, "text": "canaryanswer", "finish_reason": "stop", "token_ids": [1, 2]}]}
    usage = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}
    text = "".join(f"data: {json.dumps(one)}\n\n" for one in (chunk, usage)) + "data: [DONE]\n\n"
    return web.Response(text=text, content_type="text/event-stream")


async def dying(request):
    request.transport.abort()


WAYS = {
    "400": failing(400),
    "404": failing(404),
    "422": failing(422),
    "429": failing(429),
    "500": failing(500),
    "503": failing(503),
    "stream": in_stream,
    "garbage": garbage,
    "reset": dying,
    "fine": saying,
}


@asynccontextmanager
async def engine():
    """An engine that misbehaves as its current `way` says; its URL, and what sets the way."""
    way = {"now": "fine"}

    async def generate(request):
        return await WAYS[way["now"]](request)

    async def models(request):
        return web.json_response({"data": [{"id": "m", "created": 1, "max_model_len": 4096}]})

    async def tokenize(request):
        return web.json_response({"tokens": [1, 2, 3], "count": 3, "max_model_len": 4096})

    async def detokenize(request):
        return web.json_response({"prompt": "canaryanswer"})

    app = web.Application(client_max_size=1 << 24)
    app.add_routes([web.get("/v1/models", models), web.get("/health", models), web.post("/tokenize", tokenize)])
    app.add_routes([web.post("/detokenize", detokenize)])
    app.add_routes([web.post(path, generate) for path in ("/v1/completions", "/v1/chat/completions")])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", way
    finally:
        await runner.cleanup()


MESSAGES = [{"role": "user", "content": "canaryprompt"}]
TOOL = {"type": "function", "function": {"name": "canarytool", "parameters": {"type": "object"}}}
IMAGE = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,canaryimage"}}]
URL = [{"type": "image_url", "image_url": {"url": "https://canaryimage.example/x.png"}}]
CHATS = [
    {"messages": MESSAGES},
    {"messages": MESSAGES, "stream": True},
    {"messages": MESSAGES, "reasoning_strategy": SC, "return_trace": "full"},
    {"messages": MESSAGES, "reasoning_strategy": SC, "stream": True, "return_trace": True},
    {"messages": MESSAGES, "reasoning_strategy": JUDGED},
    {"messages": MESSAGES, "reasoning_strategy": "broken"},
    {"messages": MESSAGES, "reasoning_strategy": "broken", "stream": True},
    {"messages": MESSAGES, "tools": [TOOL]},
    {"messages": [{"role": "user", "content": IMAGE}]},
    {"messages": [{"role": "user", "content": URL}]},
    {"messages": MESSAGES, "user": "canaryuser", "metadata": {"canarykey": "canaryvalue"}},
]
WRONG = [
    {"messages": "canaryprompt"},
    {"messages": [{"role": "canaryrole", "content": "canaryprompt"}]},
    {"messages": MESSAGES, "model": "canarymodel"},
    {"messages": MESSAGES, "canaryfield": 1},
    {"messages": MESSAGES, "reasoning_strategy": "canarystrategy"},
    {
        "messages": MESSAGES,
        "reasoning_strategy": {"name": "best_of_n", "verifier": {"name": "regex", "pattern": "(canary"}},
    },
    {"messages": MESSAGES, "temperature": "canaryvalue"},
]


async def walk(client, way, key):
    """Take every way to an error; whoever asks has this key, and marks its requests."""
    headers = bearing(key)

    async def ask(path, **given):
        with anyio.move_on_after(10):
            try:
                return await client.post(path, headers={**headers, **given.pop("also", {})}, **given)
            except httpx.HTTPError:
                return None

    for name in WAYS:
        way["now"] = name
        for body in CHATS:
            await ask("/v1/chat/completions", json={"model": "m", **body})
        await ask("/v1/completions", json={"model": "m", "prompt": "canaryprompt"})
        await ask("/v1/completions", json={"model": "m", "prompt": "canaryprompt", "stream": True})
        await ask("/v1/responses", json={"model": "m", "input": "canaryprompt"})
    for body in WRONG:
        await ask("/v1/chat/completions", json={"model": "m", **body})
    await ask("/v1/chat/completions", content=b'{"canaryprompt')
    await ask(
        "/v1/chat/completions", json={}, also={"authorization": "Bearer canarykey", "x-request-id": "canaryid\x7f"}
    )
    await ask("/canarypath?canaryquery=1", json={})
    await ask("/tokenize", json={"model": "m", "prompt": "canaryprompt"})
    with anyio.move_on_after(0.01):  # hangs up
        await client.post("/v1/chat/completions", headers=headers, json={"model": "m", **CHATS[2]})


async def others(client):
    """All that another tenant, and an operator, can read."""
    paths = ("/health", "/ready", "/v1/models", "/v1/strategies", "/v1/verifiers", "/metrics", "/openapi.json")
    said = [(await client.get(path, headers=bearing(BOB))).text for path in paths]
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "return_trace": "full"}
    told = await client.post("/v1/chat/completions", json=asked, headers=bearing(BOB))
    said += [told.text.replace("canaryanswer", ""), str(told.headers)]
    return said


async def test_no_canary_is_in_any_log_metric_trace_or_reply_of_others(caplog, capsys):
    for name in ("server", "strategies", "ponder", "uvicorn"):
        caplog.set_level(logging.DEBUG, logger=name)
    async with engine() as (url, way), receiver() as got:
        changes = {"engines": (Engine(url=url),), "tracing": traced(got.url).tracing}
        rules = settings(bob={"metrics": True}).model_copy(update=changes)
        app = create_app(rules, Registry((*STRATEGIES, Broken)))
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://x") as client,
        ):
            await walk(client, way, ALICE)
            way["now"] = "fine"
            said = await others(client)
    assert "RuntimeError" in caplog.text, "an error of ours is logged by its kind"
    assert "explore" in caplog.text, "and by its place"
    lines, spans = capsys.readouterr().err, str(got.spans)
    assert "outcome=error" in lines
    assert "evaluate judge" in spans
    for text in [caplog.text, lines, spans, *said]:
        assert not CANARY.findall(text), CANARY.findall(text)
        assert ALICE not in text
    assert ALICE not in repr(rules)


@contextmanager
def program(folder, url, form):
    """A server as users start it; its URL, and the file of all that it writes."""
    (folder / "ponder.toml").write_text(
        f'[server]\nlog_level = "debug"\nlog_format = "{form}"\n'
        f'[[engines]]\nurl = "{url}"\n[keys.alice]\nsha256 = "{digest(ALICE)}"\n'
        f'[keys.bob]\nsha256 = "{digest(BOB)}"\nmetrics = true\n'
    )
    log = folder / "log"
    with log.open("wb") as out:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "server", "serve", "--port", "0"]
        ran = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, env=environment)
        try:
            yield log
        finally:
            ran.send_signal(signal.SIGTERM)
            ran.wait(20)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["text", "json"])
async def test_no_canary_is_in_what_a_server_writes(tmp_path, form):
    async with engine() as (url, way):
        with program(tmp_path, url, form) as log:
            with anyio.fail_after(60):
                while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text().replace(url, ""))):
                    await anyio.sleep(0.05)
            async with httpx.AsyncClient(base_url=found[0], timeout=20) as client:
                await walk(client, way, ALICE)
                way["now"] = "fine"
                said = await others(client)
        written = log.read_text()
    assert "ponder is ready" in written
    assert written.count("request_id") > len(WAYS) * len(CHATS)
    assert form == "text" or all(json.loads(line)["event"] for line in written.splitlines())
    for text in [written, *said]:
        assert not CANARY.findall(text), CANARY.findall(text)
        assert ALICE not in text
        assert BOB not in text


def test_what_is_logged_of_an_error_has_its_way_and_none_of_its_words():
    words = "".join(("canary", "prompt"))

    def inner():
        raise ValueError(words)

    def outer():
        try:
            inner()
        except ValueError as error:
            raise ExceptionGroup(words, [KeyError(words)]) from error

    with pytest.raises(ExceptionGroup) as caught:
        outer()
    told = where(caught.value)
    assert all(word in told for word in ("ExceptionGroup", "ValueError", "KeyError", "in inner"))
    assert words not in told


LOGGED = {"debug", "info", "warning", "error", "exception", "critical", "log", "print"}
FORBIDDEN = {"request", "body", "wanted", "messages", "prompt", "text", "key", "headers", "chunk", "call", "candidate"}


def spoken(path):
    """Every call of a file that writes a log or prints."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            of = getattr(getattr(node.func, "value", None), "id", "log")
            if name in LOGGED and of in ("log", "logging", "print"):
                yield name, node


@pytest.mark.parametrize("package", ["server", "strategies"])
def test_no_line_of_ours_logs_a_request_an_answer_or_an_errors_traceback(package):
    for path in (ROOT / package).rglob("*.py"):
        if path.name in ("ask.py", "__main__.py", "fields.py", "serve.py"):  # commands, which know no request of others
            continue
        for name, call in spoken(path):
            assert name != "exception", f"{path}:{call.lineno} logs an error's words"
            assert not any(isinstance(arg, ast.JoinedStr) for arg in call.args) or name == "print", (
                f"{path}:{call.lineno}"
            )
            names = {node.id for arg in call.args for node in ast.walk(arg) if isinstance(node, ast.Name)}
            assert not names & FORBIDDEN, f"{path}:{call.lineno} logs {names & FORBIDDEN}"


def test_settings_do_not_show_keys():
    shown = Settings(keys={"a": {"key": ALICE}}, auth={"cache_secret": BOB})
    assert ALICE not in repr(shown) + str(shown) + shown.model_dump_json()
    assert BOB not in repr(shown) + str(shown) + shown.model_dump_json()
