"""Traces, as a receiver on a socket gets them: every run, sequence and verifier call under its request."""

import ast
import json
import re
import signal
import socket
from collections import Counter
from pathlib import Path

import anyio
import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv.attributes import error_attributes, http_attributes, server_attributes
from opentelemetry.trace import INVALID_SPAN

from benchmarks.engine_pooling import simulated_rewards
from server.settings import Settings
from strategies.registry import Registry
from tests.processes import served as process
from tests.receiver import receiver, traced
from tests.serving import ponder, until

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
CONVENTIONS = (gen_ai_attributes, error_attributes, http_attributes, server_attributes)
SERVER, CLIENT, INTERNAL = 2, 3, 1
BEAMS = {"name": "beam_search", "beams": 2, "width": 2, "verifier": "logprob"}
SOON = {"ON": "true", "FLUSH_SECONDS": "0.05", "SECONDS": "0.5"}
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def telling(got):
    """Variables that have a server tell that receiver."""
    return {f"PONDER_TRACING__{name}": value for name, value in (SOON | {"ENDPOINT": got.url}).items()}


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def test_every_sample_and_verifier_call_of_a_search_is_under_its_request():
    async with receiver() as got, ponder(settings=traced(got.url)) as served:
        chunks = await served.stream("2 + 3 - 1 + 7 - 4", reasoning_strategy=BEAMS, return_trace=True)
        request = await got.request()
    told = [chunk["ponder"] for chunk in chunks if chunk != "[DONE]" and "ponder" in chunk]
    whole, events = told[-1], [one for one in told if "event" in one]
    [run] = got.below(request)
    samples, calls = ([one for one in got.below(run) if one.name.startswith(name)] for name in ("chat", "evaluate"))
    assert len(got.spans) == 2 + len(samples) + len(calls)
    assert {span.trace for span in got.spans} == {request.trace}
    assert len(samples) == whole["tokens"]["samples"] > 4
    assert len(calls) == sum(event["event"] == "judged" for event in events) > 1
    by_id = {span.attributes["ponder.sample"]: span.attributes for span in samples}
    for candidate in whole["candidates"]:
        span = by_id.pop(candidate["id"])
        assert span["ponder.parent"] == candidate["parent"]
        assert span["gen_ai.response.finish_reasons"] == [candidate["finish"]]
        assert span.get("ponder.score") == candidate["score"]
        assert span.get("ponder.pruned", False) == candidate["pruned"]
    assert not by_id
    judged = Counter(id for call in calls for id in call.attributes["ponder.candidates"])
    assert judged == Counter(id for event in events if event["event"] == "judged" for id in event["ids"])
    assert run.attributes["ponder.chosen"] == whole["choices"][0]["chosen"]
    spent = whole["tokens"]
    assert (
        sum(span.attributes["gen_ai.usage.output_tokens"] for span in samples) == spent["answer"] + spent["reasoning"]
    )
    assert request.attributes["gen_ai.usage.output_tokens"] == spent["answer"] + spent["reasoning"] + spent["verifier"]


async def test_a_span_says_what_it_is_and_when_it_was():
    async with receiver() as got, ponder(settings=traced(got.url)) as served:
        reply = await served.chat("2 + 3 - 1", reasoning_strategy=BEAMS)
        request = await got.request()
        host, port = served.engine.url.removeprefix("http://").split(":")
    [run] = got.below(request)
    assert (request.kind, run.kind) == (SERVER, INTERNAL)
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["ponder.request_id"] == reply.headers["x-request-id"]
    assert request.attributes["ponder.outcome"] == "ok"
    assert run.name == "invoke_workflow beam_search"
    for sample in got.named("chat"):
        assert sample.kind == CLIENT
        assert (sample.attributes["server.address"], sample.attributes["server.port"]) == (host, int(port))
        assert 0 <= sample.attributes["gen_ai.response.time_to_first_chunk"] < 60
    for span in got.spans:
        assert span.service == "ponder"
        assert not span.failed
        assert request.began <= span.began <= span.ended <= request.ended


async def test_choices_are_runs_of_one_request():
    async with receiver() as got, ponder(settings=traced(got.url)) as served:
        await served.chat(n=3, temperature=1.0)
        request = await got.request()
    runs = got.below(request)
    assert sorted(run.attributes["ponder.run"] for run in runs) == ["0", "1", "2"]
    assert [len(got.below(run)) for run in runs] == [1, 1, 1]


async def test_the_callers_span_is_the_parent_and_the_engines_are_told_of_the_samples():
    async with receiver() as got, ponder(settings=traced(got.url)) as served:
        body = {"model": "simulated", "messages": [{"role": "user", "content": "2 + 3"}], "reasoning_strategy": BEAMS}
        await served.client.post("/v1/chat/completions", json=body, headers={"traceparent": CALLER})
        request = await got.request()
        asked = [one for one in served.engine.requests if "completions" in one.path]
        told = [one.traceparent for one in served.engine.requests]
    assert (request.trace, request.parent) == tuple(CALLER.split("-")[1:3])
    [run] = got.below(request)
    samples = got.named("chat")
    for one in asked:
        assert any(span.told(one.traceparent) for span in (samples if one.body.get("n", 1) == 1 else [run]))
    assert all(any(span.told(one) for span in got.spans) for one in told)


@pytest.mark.parametrize(
    ("path", "asked"), [("/v1/responses", {"input": "2 + 3"}), ("/v1/completions", {"prompt": "2 + 3"})]
)
async def test_other_routes_have_spans_too_and_tell_the_engines(path, asked):
    async with receiver() as got, ponder(settings=traced(got.url)) as served:
        assert (await served.client.post(path, json={"model": "simulated", **asked})).status_code == 200
        request = await got.request()
        told = [one.traceparent for one in served.engine.requests]
    assert request.name == f"POST {path}"
    assert len(got.below(request)) == (path == "/v1/responses")
    assert told
    assert all(any(span.told(one) for span in got.spans) for one in told)


async def test_the_span_of_a_request_for_one_model_does_not_have_the_callers_word_for_it():
    async with receiver() as got, ponder(settings=traced(got.url)) as served:
        assert (await served.client.get("/v1/models/simulated")).status_code == 200
        await until(lambda: got.spans)
    assert [span.name for span in got.spans] == ["GET /v1/models/{id}"]


async def test_a_sequence_that_grows_alone_is_told_as_itself():
    async with receiver() as got, ponder(settings=traced(got.url)) as served:
        await served.chat("2 + 3")
        await got.request()
        [asked] = [one for one in served.engine.requests if "completions" in one.path]
    [sample] = got.named("chat")
    assert sample.told(asked.traceparent)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/tokenize"])
async def test_without_tracing_the_callers_span_still_reaches_the_engines(path):
    async with ponder() as served:
        asked = {"model": "simulated"} | (
            {"messages": [{"role": "user", "content": "hi"}]} if "chat" in path else {"prompt": "hi"}
        )
        reply = await served.client.post(path, json=asked, headers={"traceparent": CALLER, "tracestate": "a=canary"})
        assert reply.status_code == 200
        assert {one.traceparent for one in served.engine.requests} == {CALLER}
        served.engine.requests.clear()
        await served.client.post(path, json=asked)
        assert {one.traceparent for one in served.engine.requests} == {""}, "it is forgotten with its request"


WRONG = [
    "canary",
    CALLER + "-canary",
    CALLER.upper(),
    CALLER.replace("00-", "ff-", 1),
    "00-" + "0" * 32 + "-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
    CALLER[:-1],
    CALLER + "\tx",
    CALLER + ", " + CALLER,
]


@pytest.mark.parametrize("on", [False, True])
@pytest.mark.parametrize("header", WRONG)
async def test_a_header_that_is_no_valid_parent_goes_nowhere(header, on):
    async with receiver() as got, ponder(settings=traced(got.url) if on else Settings()) as served:
        body = {"model": "simulated", "messages": [{"role": "user", "content": "hi"}]}
        reply = await served.client.post("/v1/chat/completions", json=body, headers={"traceparent": header})
        assert reply.status_code == 200
        sent = " ".join(one.traceparent for one in served.engine.requests)
    assert "0af7651916cd43dd8448eb211c80319c" not in sent.lower()
    assert "canary" not in sent


async def test_two_parents_are_none():
    async with ponder() as served:
        body = {"model": "simulated", "messages": [{"role": "user", "content": "hi"}]}
        headers = [("traceparent", CALLER), ("traceparent", CALLER)]
        await served.client.post("/v1/chat/completions", json=body, headers=headers)
        assert {one.traceparent for one in served.engine.requests} == {""}


async def test_a_caller_that_does_not_record_is_not_recorded_but_passed_on():
    quiet = CALLER[:-1] + "0"
    async with receiver() as got, ponder(settings=traced(got.url)) as served:
        body = {"model": "simulated", "messages": [{"role": "user", "content": "hi"}]}
        await served.client.post("/v1/chat/completions", json=body, headers={"traceparent": quiet})
        await served.chat("2 + 3")
        await got.request()
        told = {one.traceparent for one in served.engine.requests}
    assert len({one for one in told if one.startswith(CALLER[:35]) and one.endswith("-00")}) == 1


async def test_of_share_zero_nothing_is_recorded():
    async with receiver() as got, ponder(settings=traced(got.url, share=0.0)) as served:
        assert (await served.chat("2 + 3")).status_code == 200
        body = {"model": "simulated", "messages": [{"role": "user", "content": "hi"}]}
        await served.client.post("/v1/chat/completions", json=body, headers={"traceparent": CALLER})
        request = await got.request()
    assert request.trace == CALLER.split("-")[1], "but for a caller that records"


async def test_a_lost_sample_and_a_failed_request_are_marked():
    async with receiver() as got, ponder(settings=traced(got.url), fail_every=1, fault="status") as served:
        assert (await served.chat("2 + 3")).status_code == 502
        request = await got.request()
    [sample] = got.named("chat")
    [run] = got.below(request)
    assert request.failed
    assert run.failed
    assert sample.failed
    assert sample.attributes["error.type"] == "status"
    assert run.attributes["error.type"] == "BackendError"
    assert request.attributes["ponder.outcome"] == "error"
    assert request.attributes["http.response.status_code"] == 502


async def test_a_mistake_of_the_callers_is_no_failure_of_the_servers():
    async with receiver() as got, ponder(settings=traced(got.url)) as served:
        assert (await served.chat("2 + 3", reasoning_strategy="unknown")).status_code == 400
        request = await got.request()
    assert request.attributes["ponder.outcome"] == "error"
    assert not request.failed


async def test_a_stream_that_fails_late_is_a_failure():
    async with receiver() as got, ponder(settings=traced(got.url), fail_every=1, fault="reset") as served:
        chunks = await served.stream("2 + 3 - 1")
        request = await got.request()
    assert any("error" in chunk for chunk in chunks if chunk != "[DONE]")
    assert request.attributes["http.response.status_code"] == 200
    assert request.failed


async def test_a_request_whose_client_leaves_is_told_with_all_its_samples():
    async with receiver() as got, ponder(settings=traced(got.url), delay=0.01) as served:
        body = {"model": "simulated", "messages": [{"role": "user", "content": "2 + 3"}], "stream": True}
        async with served.client.stream("POST", "/v1/chat/completions", json=body) as reply:
            await anext(reply.aiter_bytes())
        request = await got.request()
    assert request.attributes["ponder.outcome"] == "gone"
    [run] = got.below(request)
    assert run.attributes["error.type"] == "cancelled"
    [sample] = got.below(run)
    assert sample.attributes["gen_ai.response.finish_reasons"] == ["cut"]


async def test_a_budget_that_cuts_is_told():
    async with receiver() as got, ponder(settings=traced(got.url)) as served:
        await served.chat("2 + 3 - 1 + 7", reasoning_budget={"tokens": 20})
        request = await got.request()
    assert request.attributes["ponder.cut"] == "tokens"
    assert request.attributes["ponder.outcome"] == "cut"
    assert request.attributes["ponder.budget.tokens"] == 20


async def test_words_are_told_only_where_the_operator_wants_them():
    def said(got):
        return json.dumps([[span.name, span.attributes] for span in got.spans])

    for content in (False, True):
        async with (
            receiver() as got,
            ponder(lambda ask: "canaryanswer 5", settings=traced(got.url, content=content)) as served,
        ):
            await served.chat("canaryprompt", user="canaryuser", metadata={"canarykey": "x"})
            await got.request()
        assert ("canaryprompt" in said(got)) == content
        assert ("canaryanswer" in said(got)) == content
        assert "canaryuser" not in said(got)
        assert "canarykey" not in said(got)


async def test_a_text_is_told_up_to_its_limit():
    async with (
        receiver() as got,
        ponder(lambda ask: "ab" * 50, settings=traced(got.url, content=True, characters=10)) as served,
    ):
        await served.chat("x" * 100)
        request = await got.request()
    [sample] = got.named("chat")
    [prompt], [reply] = (
        json.loads(span.attributes[f"gen_ai.{name}.messages"])
        for span, name in ((request, "input"), (sample, "output"))
    )
    assert prompt == {"role": "user", "parts": [{"type": "text", "content": "x" * 10}]}
    assert reply == {"role": "assistant", "parts": [{"type": "text", "content": "ab" * 5}]}


async def test_the_receivers_key_is_sent_and_shown_nowhere():
    settings = traced("http://unused", headers={"authorization": "Bearer canary"})
    assert "canary" not in repr(settings) + settings.model_dump_json()
    async with (
        receiver() as got,
        ponder(settings=traced(got.url, headers={"authorization": "Bearer canary"})) as served,
    ):
        await served.chat("2 + 3")
        await got.request()
    assert got.headers[0]["authorization"] == "Bearer canary"


async def test_the_standard_variables_name_receiver_and_service_where_settings_do_not(monkeypatch):
    async with receiver() as got:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", got.url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "thinker")
        async with ponder(settings=traced("")) as served:
            await served.chat("2 + 3")
            assert (await got.request()).service == "thinker"


async def test_what_a_verifier_asks_is_told_as_its_call():
    async with receiver() as got, ponder(settings=traced(got.url)) as served:
        asked = {"name": "best_of_n", "n": 2, "verifier": "p_true"}
        assert (await served.chat(n=2, temperature=1.0, reasoning_strategy=asked)).status_code == 200
        request = await got.request()
        bodies = [(one.body, one.traceparent) for one in served.engine.requests]
    told = [header for body, header in bodies if "structured_outputs" in body or body.get("max_tokens") == 1]
    runs = got.below(request)
    calls = [one for run in runs for one in got.below(run) if one.name == "evaluate p_true"]
    assert len(runs) == 2
    assert len(told) == len(calls) == 4
    assert all(sum(call.told(header) for header in told) == 1 for call in calls)


def test_a_batch_that_no_queue_could_hold_is_refused():
    with pytest.raises(ValueError, match="batch cannot be more than queue"):
        Settings(tracing={"queue": 4, "batch": 8})


async def test_a_path_of_a_strangers_is_no_span():
    async with receiver() as got, ponder(settings=traced(got.url)) as served:
        await served.client.get("/canary")
        await served.client.get("/health")
        await served.chat("2 + 3")
        await got.request()
    assert not [span for span in got.spans if "canary" in str(span) or "health" in str(span)]


async def test_several_workers_tell_one_receiver():
    async with receiver() as got, process("--workers", "2", environment=telling(got)) as served:
        for _ in range(8):
            reply = await served.client.post(
                "/v1/chat/completions",
                json={
                    "model": "simulated",
                    "messages": [{"role": "user", "content": "2 + 3"}],
                    "reasoning_strategy": BEAMS,
                },
                headers={"connection": "close"},
            )
            assert reply.status_code == 200
        await until(lambda: len(got.named("POST ")) == 8, 10)
    requests = got.named("POST ")
    assert len({span.trace for span in requests}) == 8
    for request in requests:
        [run] = got.below(request)
        assert len(got.below(run)) > 4


@pytest.mark.parametrize("name", Registry().strategies)
async def test_a_request_of_every_strategy_is_told_whole(name):
    async with receiver() as got, ponder(settings=traced(got.url)) as served:
        reply = await served.chat("2 + 3 - 1", reasoning_strategy=name, return_trace=True)
        assert reply.status_code == 200
        request = await got.request()
        [run] = got.below(request)
    assert run.name == f"invoke_workflow {name}"
    trace = reply.json()["ponder"]
    assert len([span for span in got.below(run) if span.name.startswith("chat")]) == trace["tokens"]["samples"]


async def nobody_listens(got):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1/traces"


async def refuses(got):
    got.status = 503
    return got.url


async def says_nothing(got):
    got.silent = True
    return got.url


@pytest.mark.parametrize("way", [nobody_listens, refuses, says_nothing])
async def test_a_dead_receiver_costs_spans_and_no_request(way, caplog):
    async with receiver() as got:
        settings = traced(await way(got), queue=8, batch=4, seconds=0.5)
        with anyio.fail_after(20):
            async with ponder(settings=settings) as served:
                for _ in range(8):
                    reply = await served.chat("2 + 3", reasoning_strategy={"name": "self_consistency", "n": 4})
                    assert reply.status_code == 200
        assert not got.spans
    assert "opentelemetry" in " ".join(record.name for record in caplog.records), "the operator hears of it"


async def test_a_server_ends_though_its_receiver_is_silent():
    async with receiver() as got:
        got.silent = True
        async with process(environment=telling(got)) as served:
            asked = {"model": "simulated", "messages": [{"role": "user", "content": "2 + 3"}]}
            assert (await served.client.post("/v1/chat/completions", json=asked)).status_code == 200
            served.process.send_signal(signal.SIGINT)
            assert await served.ends(10) == 0


async def test_what_waits_is_sent_when_the_server_ends():
    async with receiver() as got:
        async with ponder(settings=traced(got.url, flush_seconds=60)) as served:
            await served.chat("2 + 3")
            assert not got.spans
        await until(lambda: got.named("POST "), 5)
    assert got.below(got.below(got.named("POST ")[0])[0])


async def test_without_tracing_no_span_is_made():
    async with ponder() as served:
        accounts = []

        class Noting:
            def __init__(self, app):
                self.app = app

            async def __call__(self, scope, receive, send):
                accounts.append(scope["state"]["account"])
                await self.app(scope, receive, send)

        await served.client.get("/health")
        stack = served.app.middleware_stack
        stack.app = Noting(stack.app)
        await served.chat("2 + 3")
    assert [account.span for account in accounts] == [INVALID_SPAN]
    assert served.app.state.tracing is None


async def test_what_many_requests_share_carries_nobodys_trace():
    async with simulated_rewards() as rewards, receiver() as got:
        settings = traced(got.url, verifiers={"orm": {"kind": "outcome_reward", "url": rewards.url, "model": "reward"}})
        async with ponder(settings=settings) as served:
            asked = {"name": "best_of_n", "n": 2, "verifier": "orm"}
            assert (await served.chat("2 + 3", reasoning_strategy=asked)).status_code == 200
            await got.request()
        shared = {one.traceparent for one in rewards.requests if one.path == "/classify"}
    assert shared == {""}
    assert {call.attributes["gen_ai.evaluation.name"] for call in got.named("evaluate")} == {"outcome_reward"}


NAMES = re.compile(r"(?:http|gen_ai|server|error|ponder)(?:\.[a-z_]+)+")


def test_the_page_on_tracing_has_every_attribute_and_no_other():
    rows = re.findall(r"^\| `([\w.]+)` \|", (ROOT / "docs/tracing.md").read_text(), re.MULTILINE)
    assert len(rows) == len(set(rows))
    code = [ast.parse((ROOT / "server" / name).read_text()) for name in ("spans.py", "tracing.py", "observed.py")]
    texts = [node.value for tree in code for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    named = {text for text in texts if isinstance(text, str) and NAMES.fullmatch(text)}
    assert set(rows) == named - {"http.response.start", "http.response.body"}, "these are messages of ASGI"


def test_names_of_the_conventions_are_theirs():
    theirs = {getattr(module, name) for module in CONVENTIONS for name in dir(module) if name.isupper()}
    rows = re.findall(r"^\| `([\w.]+)` \|", (ROOT / "docs/tracing.md").read_text(), re.MULTILINE)
    assert [name for name in rows if not name.startswith("ponder.")]
    assert {name for name in rows if not name.startswith("ponder.")} <= theirs
