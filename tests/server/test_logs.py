"""The log: a line a request, every line in one form, the id of its request on it, nobody's words."""

import asyncio
import errno
import json
import logging
import os
import re
import subprocess
import sys

import anyio
import pytest
from anyio import to_thread

from server.failures import where
from server.logs import Careful, asking, handler, lines, unheard
from server.paths import ROOT
from server.serve import serve
from server.settings import Server, Settings
from tests.serving import ponder, until
from tests.tenants import ALICE, bearing
from tests.tenants import settings as keyed

pytestmark = pytest.mark.anyio
JSON = Server(log_format="json")
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def anyio_backend():
    return "asyncio"


def told(capsys):
    """The lines of requests."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]


async def test_a_request_has_one_line_with_its_figures(capsys):
    settings = keyed().model_copy(update={"server": JSON})
    async with ponder(settings=settings) as served:
        vote = {"name": "self_consistency", "n": 4}
        asked = {"model": "simulated", "messages": [{"role": "user", "content": "2 + 3"}], "reasoning_strategy": vote}
        reply = await served.client.post("/v1/chat/completions", json=asked, headers=bearing(ALICE))
    [line] = told(capsys)
    assert line["request_id"] == reply.headers["x-request-id"]
    assert line["tokens"] == reply.json()["usage"]["completion_tokens"]
    expected = {"event": "request", "level": "info", "route": "/v1/chat/completions", "status": 200, "outcome": "ok"}
    expected |= {"key": "alice", "strategy": "self_consistency", "model": "simulated", "samples": 4}
    assert {name: line[name] for name in expected} == expected
    assert 0 < line["seconds"] < 60
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["time"])


async def test_a_streams_line_comes_when_it_is_over(capsys):
    async with ponder(settings=Settings(server=JSON)) as served:
        await served.stream("2 + 3 - 1 + 7", reasoning_budget={"tokens": 20})
    [line] = told(capsys)
    assert (line["outcome"], line["cut"], line["status"]) == ("cut", "tokens", 200)


async def test_the_line_of_a_request_that_is_refused_says_so(capsys):
    async with ponder(settings=Settings(server=JSON)) as served:
        await served.chat("2 + 3", reasoning_strategy="canary")
        await served.client.get("/canary?canary=1")
    assert [(one["status"], one["outcome"], one["route"]) for one in told(capsys)] == [
        (400, "error", "/v1/chat/completions"),
        (404, "error", "other"),
    ]


async def test_the_line_of_a_request_for_one_model_does_not_have_the_callers_word_for_it(capsys):
    async with ponder(settings=Settings(server=JSON)) as served:
        await served.client.get("/v1/models/simulated")
        await served.client.get("/v1/models/some/canary")
    assert [(one["status"], one["route"]) for one in told(capsys)] == [
        (200, "/v1/models/{id}"),
        (404, "/v1/models/{id}"),
    ]


async def test_a_client_that_leaves_is_told_as_gone(capsys):
    seen = []
    async with ponder(settings=Settings(server=JSON), delay=0.01) as served:
        body = {"model": "simulated", "messages": [{"role": "user", "content": "2 + 3"}]}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: served.client.post("/v1/chat/completions", json=body))
            await until(lambda: served.engine.running, 5)
            tasks.cancel_scope.cancel()
        await until(lambda: seen.extend(told(capsys)) or seen, 5)
    assert [(one["outcome"], one["status"]) for one in seen] == [("gone", 0)]


async def test_without_tracing_a_line_has_the_callers_trace(capsys):
    async with ponder(settings=Settings(server=JSON)) as served:
        await served.client.get("/v1/strategies", headers={"traceparent": CALLER})
        await served.client.get("/v1/strategies")
    assert [line.get("trace_id") for line in told(capsys)] == [CALLER.split("-")[1], None]


async def test_probes_have_no_line(capsys):
    async with ponder(settings=Settings(server=JSON)) as served:
        for path in ("/health", "/ready", "/metrics"):
            assert (await served.client.get(path)).status_code == 200
    assert not told(capsys)


@pytest.fixture
def library():
    """A library's logger."""
    made = logging.getLogger("some.library")
    yield made
    made.handlers.clear()
    made.propagate = True


def test_what_a_library_logs_has_the_same_form_and_its_requests_id(library, capsys):
    library.addHandler(handler(JSON))
    library.propagate = False
    before = asking.set("req-1")
    library.warning("%s is odd", "this\nline")
    asking.reset(before)
    library.warning("nobody's")
    first, second = told(capsys)
    assert (first["event"], first["level"], first["logger"]) == ("this\nline is odd", "warning", "some.library")
    assert first["request_id"] == "req-1"
    assert "request_id" not in second


@pytest.mark.parametrize("form", ["json", "text"])
def test_an_error_is_logged_by_its_kind_and_place_not_by_its_words(library, capsys, form):
    library.addHandler(handler(Server(log_format=form)))
    library.propagate = False
    words = "".join(("canary", "prompt"))
    try:
        raise ValueError(words)
    except ValueError:
        library.exception("it failed")
    said = capsys.readouterr().err
    assert "ValueError" in said
    assert "test_an_error_is_logged" in said
    assert words not in said


@pytest.mark.parametrize(
    ("form", "said"),
    [("json", ("%d of them", "canary")), ("text", ("%d of them", "canary")), ("json", ("\udcff canary",))],
    ids=["no number, as json", "no number, as text", "no text, as json"],
)
def test_a_line_that_cannot_be_rendered_is_told_without_its_words(library, capsys, form, said):
    library.addHandler(handler(Server(log_format=form)))
    library.propagate = False
    library.warning(*said)
    told = capsys.readouterr().err
    assert "a line cannot be rendered" in told
    assert "canary" not in told


def test_text_is_what_is_said_then_figures(capsys):
    lines(Server()).info("request", status=200, outcome="ok")
    assert capsys.readouterr().err == "request status=200 outcome=ok\n"


def test_a_level_above_info_has_no_line_a_request():
    assert lines(Server(log_level="warning")) is None


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "full"), BrokenPipeError(), ValueError("closed")])
def test_a_log_that_cannot_be_written_harms_nobody(failure):
    class Failing:
        def fileno(self):
            raise OSError("no descriptor")

        def write(self, text):
            raise failure

        def flush(self):
            raise failure

    careful = Careful(Failing())
    careful.write("a line\n")
    careful.flush()


async def test_a_log_that_nobody_reads_makes_nobody_wait():
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as read, os.fdopen(writer, "w", buffering=1) as written:
        careful = Careful(written)

        def many():
            for at in range(10_000):
                careful.write(f"line {at}\n")

        with anyio.fail_after(10):
            await to_thread.run_sync(many, abandon_on_cancel=True)
        lines = read.read1(1 << 20).decode().splitlines()
    assert 1000 < len(lines) < 10_000
    assert lines == [f"line {at}" for at in range(len(lines))], "what is lost is lost whole"


async def test_an_error_that_nobody_waited_for_is_told_without_its_words(capsys):
    log = logging.getLogger("server.logs")
    log.addHandler(handler(JSON))
    loop, words = asyncio.get_running_loop(), "".join(("canary", "prompt"))

    def failing(text):
        raise ValueError(text)

    before = loop.get_exception_handler()
    loop.set_exception_handler(unheard)
    try:
        loop.call_soon(failing, words)
        loop.call_exception_handler({"message": words})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    finally:
        loop.set_exception_handler(before)
        log.handlers.clear()
    said = capsys.readouterr().err
    assert "ValueError" in said
    assert said.count("unheard in the event loop") >= 2
    assert words not in said


def test_json_is_utf_8_in_any_language_of_the_machine():
    said = "from server import logs; from server.settings import Server; import logging;"
    said += " logs.configure(Server(log_format='json')); logging.getLogger('ponder').error('na\\u00efve')"
    plain = os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}
    done = subprocess.run([sys.executable, "-c", said], env=plain, capture_output=True, check=True, cwd=ROOT)
    assert json.loads(done.stderr)["event"] == "naïve"


def test_errors_that_came_from_each_other_are_told_once():
    one, other = ValueError(), KeyError()
    one.__cause__, other.__cause__ = other, one
    assert where(one).split() == ["ValueError", "from", "KeyError"]


async def test_a_server_tells_of_errors_that_nobody_waited_for(monkeypatch):
    def stopped(settings):
        raise LookupError("as far as it has to get")

    monkeypatch.setattr("server.logs.configure", lambda settings: None)
    monkeypatch.setattr("server.serve.create_app", stopped)
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    with pytest.raises(LookupError):
        await serve(Settings(), None, None, ())
    after = loop.get_exception_handler()
    loop.set_exception_handler(before)
    assert after is unheard
