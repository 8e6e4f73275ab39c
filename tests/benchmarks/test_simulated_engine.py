"""The simulated engine beyond what it shares with a real one: its tokenizer, its replies, its clock and its faults."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.engine import simulated
from benchmarks.engine_replies import Ask, Limits, Reply, arithmetic, filler, scripted, unroll
from benchmarks.engine_text import ASSISTANT, EOS, decode, encode, render, spell

ROOT = Path(__file__).parents[2]
CHAT = {"messages": [{"role": "user", "content": "Add them up."}]}


@pytest.fixture
def anyio_backend():
    return "asyncio"


def ask(text="", seed=0, **body):
    return Ask(text, 0, seed, Random(seed), body)


def endless(_):
    return Reply("on and on ", ends=False)


def running(client):
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:num_requests_running{"))


# Tokens


@given(st.text())
def test_any_text_survives_tokens(text):
    assert decode(encode(text)) == text
    if not any(token < 3 for token in encode(text)):
        assert "".join(spell(encode(text))) == text


def test_a_token_can_hold_a_stop_string_and_more():
    assert len(encode("\n\n   ")) == 1
    assert encode("= 7\n\n   7 +")[3] == encode("\n\n   ")[0]


def test_a_character_can_span_tokens():
    ids = encode("🜁")
    assert len(ids) == 4
    assert spell(ids) == ["", "", "", "🜁"]


def test_ids_do_not_depend_on_what_was_encoded_before():
    code = "from benchmarks.engine_text import encode; print(list(encode('The answer is 42\\n\\n   ok ü<|im_end|>')))"
    other = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(other.stdout) == list(encode("The answer is 42\n\n   ok ü<|im_end|>"))


def test_a_chat_is_rendered_between_special_tokens():
    messages = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, {"role": "assistant", "content": "Yo"}]
    assert render(messages[:1]) == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert render(messages, open_reply=False, continue_last=True).endswith("<|im_start|>assistant\nYo")


# Replies


def test_arithmetic_writes_steps_and_then_its_answer():
    *steps, answer = arithmetic(ask("What?")).split("\n\n")
    assert 3 <= len(steps) <= 5
    assert answer.strip() == f"<answer>{steps[-1].split(' = ')[1]}</answer>"


def test_arithmetic_is_sometimes_wrong_and_mostly_right():
    answers = [arithmetic(ask("What?", seed)).rpartition("<answer>")[2] for seed in range(100)]
    assert len(set(answers)) > 1
    assert max(map(answers.count, answers)) > 40


def test_arithmetic_goes_on_from_the_steps_it_is_given():
    question = f"What?{ASSISTANT}"
    whole = arithmetic(ask(question, 1))
    first = whole[: whole.index("\n\n") + 2]
    rest = arithmetic(ask(question + first, 2))
    count = whole.count(" = ")
    assert rest.startswith(first.split(" = ")[1].strip() + " + ")
    assert rest.count(" = ") == count - 1
    assert rest.endswith("</answer>")
    assert arithmetic(ask(question + whole, 3)) == ""


def test_a_scripted_reply_is_chosen_by_seed_and_continued():
    reply = scripted(["first and last", "second"])
    assert reply(ask(seed=1)) == "second"
    assert reply(ask(ASSISTANT + "first ", seed=2)) == "and last"


def test_filler_is_as_many_tokens_as_words():
    assert len(encode(filler(50)(ask()))) == 50


@given(st.text(min_size=1, max_size=30), st.lists(st.text(min_size=1, max_size=3), max_size=3), st.booleans())
def test_pieces_add_up_to_the_text_before_the_first_stop(text, stops, included):
    if any(token <= EOS for token in encode(text)):
        return
    sample = unroll(Reply(text), Limits(1000, stop=tuple(stops), include_stop=included))
    said = "".join(sample.pieces)
    assert len(sample.pieces) == len(sample.ids)
    if sample.stop_reason is None:
        assert said == text
    else:
        at = text.index(sample.stop_reason)
        assert said == text[: at + len(sample.stop_reason) * included]
        assert decode(sample.ids).startswith(said)


def test_a_stop_waits_for_min_tokens():
    sample = unroll(Reply("yes no yes no yes no"), Limits(100, min_tokens=3, stop=(" no",)))
    assert "".join(sample.pieces) == "yes no yes"


def test_a_stop_token_ends_the_sample_and_is_named():
    sample = unroll(Reply("yes no yes"), Limits(100, stop_ids=frozenset(encode(" no"))))
    assert ("".join(sample.pieces), sample.finish, sample.stop_reason) == ("yes", "stop", encode(" no")[0])


# The engine in a test's own loop


@pytest.mark.anyio
async def test_a_test_can_say_what_is_replied_and_read_what_was_asked():
    async with simulated(lambda asked: f"{asked.seed}") as engine, httpx.AsyncClient(base_url=engine.url) as client:
        body = CHAT | {"seed": 7, "n": 3}
        reply = (await client.post("/v1/chat/completions", json=body)).json()
        assert [choice["message"]["content"] for choice in reply["choices"]] == ["7", "8", "9"]
        assert engine.requests == [("/v1/chat/completions", body, "")]
        assert engine.generated == reply["usage"]["completion_tokens"] == 6
        assert engine.running == engine.aborted == 0


@pytest.mark.anyio
async def test_the_replier_sees_the_prompt_and_what_was_said():
    seen = []

    def reply(asked):
        seen.append((asked.question, asked.said))
        return "ok"

    async with simulated(reply) as engine, httpx.AsyncClient(base_url=engine.url) as client:
        prompt = [*encode(f"Hi{ASSISTANT}"), *encode("so far")]
        await client.post("/v1/completions", json={"prompt": prompt})
    assert seen == [(f"Hi{ASSISTANT}", "so far")]


@pytest.mark.anyio
async def test_a_client_that_leaves_aborts_its_sequences():
    async with simulated(endless, delay=0.002) as engine, httpx.AsyncClient(base_url=engine.url) as client:
        body = {"prompt": "go", "n": 4, "max_tokens": 5000, "stream": True}
        async with client.stream("POST", "/v1/completions", json=body) as reply:
            await anext(reply.aiter_lines())
            assert engine.running == 4
        for _ in range(100):
            if not engine.running:
                break
            await client.get("/health")
        assert (engine.running, engine.aborted) == (0, 4)
        assert engine.generated < 4 * 5000


@pytest.mark.anyio
async def test_sequences_advance_together_one_token_a_step():
    async with simulated(endless, delay=0.01, ttft=0.03) as engine, httpx.AsyncClient(base_url=engine.url) as client:
        start = time.monotonic()
        body = {"prompt": "go", "n": 8, "max_tokens": 6}
        await client.post("/v1/completions", json=body)
        assert 0.03 + 5 * 0.01 <= time.monotonic() - start < 0.5
        assert engine.generated == 48


@pytest.mark.anyio
async def test_a_client_that_reads_slowly_gets_every_token():
    async with simulated(endless) as engine, httpx.AsyncClient(base_url=engine.url) as client:
        body = {"prompt": "go", "n": 16, "max_tokens": 4000, "stream": True, "return_token_ids": True}
        async with client.stream("POST", "/v1/completions", json=body) as reply:
            while engine.generated < 16 * 4000:
                await client.get("/health")
            ids = 0
            async for line in reply.aiter_lines():
                if line.startswith("data: {"):
                    ids += len(json.loads(line[6:])["choices"][0]["token_ids"])
        assert ids == 16 * 4000


@pytest.mark.anyio
async def test_more_than_the_room_that_is_left_is_clamped():
    async with simulated(endless, max_model_len=50) as engine, httpx.AsyncClient(base_url=engine.url) as client:
        reply = await client.post("/v1/completions", json={"prompt": [13] * 47, "max_tokens": 10})
        assert reply.json()["usage"]["completion_tokens"] == 3
        assert reply.json()["choices"][0]["finish_reason"] == "length"


@pytest.mark.anyio
async def test_a_reply_gives_the_probabilities_of_its_first_token_and_of_choices():
    async with (
        simulated(lambda _: Reply("Yes", chances={"Yes": 0.8, "No": 0.2})) as engine,
        httpx.AsyncClient(base_url=engine.url) as client,
    ):
        for limits in ({}, {"structured_outputs": {"choice": ["Yes", "No"]}}):
            reply = await client.post(
                "/v1/completions", json={"prompt": "ok?", "max_tokens": 1, "logprobs": 5} | limits
            )
            top = reply.json()["choices"][0]["logprobs"]["top_logprobs"][0]
            assert top == {"Yes": pytest.approx(-0.2231, abs=1e-3), "No": pytest.approx(-1.6094, abs=1e-3)}


@pytest.mark.anyio
async def test_what_the_engine_does_not_know_is_refused_not_ignored():
    async with simulated() as engine, httpx.AsyncClient(base_url=engine.url) as client:
        reply = await client.post("/v1/completions", json={"prompt": "x", "structured_outputs": {"regex": "a"}})
        assert reply.status_code == 400
        reply = await client.post("/v1/completions", content=b"{broken")
        assert reply.json()["error"]["type"] == "Bad Request"


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [True, False])
async def test_the_connection_closes_when_the_client_wants_it_to(stream):
    async with simulated() as engine:
        host, port = engine.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        body = json.dumps({"prompt": "x", "stream": stream}).encode()
        head = f"POST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        reply = await asyncio.wait_for(reader.read(), 5)
        assert b"connection: close" in reply
        writer.close()
        await writer.wait_closed()


# Faults


async def streamed(client):
    """The events of one stream, to its end or to where it breaks."""
    events = []
    body = CHAT | {"stream": True}
    with contextlib.suppress(httpx.ReadError, httpx.RemoteProtocolError):
        async with client.stream("POST", "/v1/chat/completions", json=body) as reply:
            events.extend([line async for line in reply.aiter_lines() if line])
    return events


@pytest.mark.anyio
async def test_every_second_request_can_be_a_500():
    async with simulated(fail_every=2) as engine, httpx.AsyncClient(base_url=engine.url) as client:
        codes = [(await client.post("/v1/chat/completions", json=CHAT)).status_code for _ in range(4)]
    assert codes == [200, 500, 200, 500]


@pytest.mark.anyio
async def test_a_stream_can_break_with_an_error_in_it():
    async with simulated(fail_every=1, fault="frame") as engine, httpx.AsyncClient(base_url=engine.url) as client:
        *chunks, error, done = await streamed(client)
    assert chunks
    assert json.loads(error.removeprefix("data: "))["error"]["code"] == 500
    assert done == "data: [DONE]"


@pytest.mark.anyio
async def test_a_stream_can_break_off():
    async with simulated(fail_every=1, fault="reset") as engine, httpx.AsyncClient(base_url=engine.url) as client:
        events = await streamed(client)
    assert "data: [DONE]" not in events


@pytest.mark.anyio
async def test_one_reply_can_break_its_request():
    def reply(asked):
        return Reply("broken", fault="frame") if asked.seed == 3 else "fine"

    async with simulated(reply) as engine, httpx.AsyncClient(base_url=engine.url) as client:
        codes = [(await client.post("/v1/chat/completions", json=CHAT | {"seed": s})).status_code for s in (2, 3, 4)]
    assert codes == [200, 500, 200]


# The process


def test_the_process_says_where_it_listens_and_ends_on_sigterm(tmp_path):
    (tmp_path / "replies.json").write_text('["one", "two"]')
    options = ["--port", "0", "--model", "toy", "--reply", tmp_path / "replies.json"]
    command = [sys.executable, "-m", "benchmarks.engine", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:")
        reply = httpx.post(f"{line.split()[-1]}/v1/completions", json={"model": "toy", "prompt": "x", "seed": 1})
        assert reply.json()["choices"][0]["text"] == "two"
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(5) == 0


# Metrics


async def metrics(client):
    """A function that gives the sum of a metric's samples under some labels."""
    families = list(text_string_to_metric_families((await client.get("/metrics")).text))

    def metric(name, **labels):
        found = [one for family in families for one in family.samples if one.name == f"vllm:{name}"]
        assert found, name
        return sum(one.value for one in found if labels.items() <= one.labels.items())

    return metric


@pytest.mark.anyio
async def test_metrics_count_each_sample_as_a_request():
    async with simulated(filler(4), block_size=2) as engine, httpx.AsyncClient(base_url=engine.url) as client:
        told = await client.post("/v1/completions", json={"prompt": "Add them.", "n": 3, "max_tokens": 2})
        metric = await metrics(client)
    prompt = told.json()["usage"]["prompt_tokens"]
    assert metric("request_success_total", finished_reason="length") == 3
    assert metric("request_success_total") == metric("e2e_request_latency_seconds_count") == 3
    assert metric("prompt_tokens_total") == metric("prefix_cache_queries_total") == 3 * prompt
    assert 0 < metric("prefix_cache_hits_total") < 3 * prompt
    assert metric("generation_tokens_total") == 6
    assert metric("time_to_first_token_seconds_count") == metric("request_queue_time_seconds_count") == 3
    assert metric("inter_token_latency_seconds_count") == 3


@pytest.mark.anyio
async def test_metrics_tell_what_was_aborted_and_what_broke():
    broken = simulated(filler(50), delay=0.01, fail_every=2, fault="frame")
    async with broken as engine, httpx.AsyncClient(base_url=engine.url) as client:
        with contextlib.suppress(httpx.ReadTimeout):
            await client.post("/v1/completions", json={"prompt": "Add.", "n": 2, "max_tokens": 40}, timeout=0.1)
        await client.post("/v1/completions", json={"prompt": "Add.", "max_tokens": 4})
        metric = await metrics(client)
    assert metric("request_success_total", finished_reason="abort") == 2
    assert metric("request_success_total", finished_reason="error") == 1
    assert metric("e2e_request_latency_seconds_count") == 0


@pytest.mark.anyio
async def test_metrics_tell_what_is_running_and_what_it_holds():
    async with simulated(filler(50), delay=0.01) as engine, httpx.AsyncClient(base_url=engine.url) as client:
        request = {"prompt": "Add.", "max_tokens": 40, "stream": True}
        async with client.stream("POST", "/v1/completions", json=request) as stream:
            await anext(stream.aiter_lines())
            metric = await metrics(client)
    assert metric("num_requests_running") == 1
    assert metric("kv_cache_usage_perc") > 0
