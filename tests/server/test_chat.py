"""Chat completions over HTTP, on a simulated engine: replies, formats, usage, traces, budgets, hang-ups."""

import json
import socket
import time
from functools import partial

import anyio
import httpx
import jsonschema
import pytest

from benchmarks.engine import simulated
from benchmarks.engine_replies import Reply
from benchmarks.engine_text import decode
from server.settings import Engine, Limits, PoolSettings, Settings
from tests.metrics import total
from tests.serving import body, content_of, ponder, serving, until

pytestmark = pytest.mark.anyio
SC = {"name": "self_consistency", "n": 4}
STRATEGIES = ["single", SC, {"name": "best_of_n", "n": 4}, {"name": "beam_search", "beams": 2, "width": 2}]


@pytest.fixture
def anyio_backend():
    return "asyncio"


def two_steps(ask):
    return "x " * 20 + "<answer>5</answer>" if ask.said else "word " * 20 + "\n\n"


def boxed(ask):
    return f"I think it is \\boxed{{{ask.seed % 2 if ask.seed else 5}}}"


async def test_without_a_strategy_it_is_a_plain_completion():
    async with ponder(lambda ask: "It is five.") as served:
        reply = (await served.chat()).json()
        [request] = [r.body for r in served.engine.requests if r.path == "/v1/completions"]
    assert reply["object"] == "chat.completion"
    assert reply["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "It is five.", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert "ponder" not in reply
    assert "seed" not in request
    assert "temperature" not in request
    assert reply["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
async def test_streamed_and_whole_replies_are_equal(strategy):
    settings = {"early_stop": "none"} if strategy is SC else {}
    wish = strategy if isinstance(strategy, str) else {**strategy, **settings}
    async with ponder() as served:
        whole = (await served.chat(reasoning_strategy=wish, seed=4)).json()
        chunks = await served.stream(reasoning_strategy=wish, seed=4, stream_options={"include_usage": True})
    assert content_of(chunks) == whole["choices"][0]["message"]["content"]
    assert chunks[-1] == "[DONE]"
    assert chunks[-2]["choices"] == []
    assert chunks[-2]["usage"] == whole["usage"]
    assert {chunk["id"] for chunk in chunks[:-1]} == {chunks[0]["id"]}
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"


async def test_a_strategy_thinks_in_one_think_block_and_then_answers():
    async with ponder(lambda ask: "<think>is it</think> so \\boxed{5}") as served:
        chunks = await served.stream(reasoning_strategy=SC)
    text = content_of(chunks)
    assert text.count("<think>") == 1
    assert text.count("</think>") == 1
    assert text.startswith("<think>\n[0.0] is it so")
    assert text.endswith("</think>\n\nso \\boxed{5}")


async def test_fields_carry_the_reasoning_twice_and_none_leaves_it_out():
    async with ponder(boxed) as served:
        fields = (await served.chat(reasoning_strategy=SC, reasoning_format="fields")).json()["choices"][0]["message"]
        none = (await served.chat(reasoning_strategy=SC, reasoning_format="none")).json()["choices"][0]["message"]
        chunks = await served.stream(reasoning_strategy=SC, reasoning_format="fields")
    assert fields["reasoning"] == fields["reasoning_content"]
    assert "[0.0] I think" in fields["reasoning"]
    assert "<think>" not in fields["content"] + none["content"] + content_of(chunks)
    assert "reasoning" not in none
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    answered = [at for at, delta in enumerate(deltas) if delta.get("content")]
    assert not any("reasoning" in delta for delta in deltas[answered[0] :])


async def test_usage_counts_every_token_of_every_sample():
    async with ponder(lambda ask: "a \\boxed{5}") as served:
        reply = (await served.chat(reasoning_strategy={**SC, "early_stop": "none"}, return_trace=True)).json()
        generated = served.engine.generated
    usage, tokens = reply["usage"], reply["ponder"]["tokens"]
    assert usage["completion_tokens"] == generated
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == generated - tokens["answer"] == tokens["reasoning"]
    assert tokens["samples"] == 4


async def test_judges_tokens_are_counted_apart():
    async with ponder() as served:
        reply = (
            await served.chat(reasoning_strategy={"name": "best_of_n", "n": 3, "verifier": "judge"}, return_trace=True)
        ).json()
        assert reply["usage"]["completion_tokens"] == served.engine.generated
    assert reply["ponder"]["tokens"]["verifier"] >= 3


@pytest.mark.parametrize("trace", [True, "full"])
@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
async def test_traces_and_live_events_keep_the_published_schema(strategy, trace):
    async with ponder() as served:
        document = (await served.client.get("/openapi.json")).json()
        whole = (await served.chat(reasoning_strategy=strategy, return_trace=trace)).json()
        chunks = await served.stream(reasoning_strategy=strategy, return_trace=trace)
    validate(document, "ChatCompletion", whole)
    live = [chunk["ponder"] for chunk in chunks[:-1] if chunk.get("ponder")]
    for event in live[:-1]:
        validate(document, "TraceEvent", event)
    validate(document, "Trace", live[-1])
    assert (live[0]["event"], live[-2]["event"]) == ("started", "answered")
    grown = {event["id"] for event in live[:-1] if event["event"] == "closed"}
    assert {candidate["id"] for candidate in live[-1]["candidates"]} == grown
    texts = {id: "".join(e["text"] for e in live[:-1] if e["event"] == "token" and e["id"] == id) for id in grown}
    assert all(candidate["text"].endswith(texts[candidate["id"]]) for candidate in live[-1]["candidates"])
    assert all(
        ("steps" in candidate and bool(candidate["steps"])) == (trace == "full") for candidate in live[-1]["candidates"]
    )


def validate(document, name, value):
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema.validate(value, schema)


async def test_the_trace_tells_plan_votes_and_agreement():
    answers = iter([1, 1, 1, 2] * 9)
    async with ponder(lambda ask: f"\\boxed{{{next(answers)}}}") as served:
        reply = (await served.chat(reasoning_strategy={**SC, "early_stop": "none"}, return_trace=True)).json()
    ponder_ = reply["ponder"]
    assert ponder_["choices"][0]["votes"] == {"1": 3, "2": 1}
    assert ponder_["choices"][0]["agreement"] == 0.75
    assert ponder_["plan"]["strategy"]["n"] == 4
    assert ponder_["plan"]["sampling"]["temperature"] == 0.8
    assert ponder_["cut"] is None


async def test_the_default_verifier_is_told_in_the_plan():
    async with ponder() as served:
        reply = (await served.chat(reasoning_strategy={"name": "best_of_n", "n": 2}, return_trace=True)).json()
    assert reply["ponder"]["plan"]["verifier"] == {"name": "p_true"}


async def test_n_choices_are_independent_runs_on_one_budget():
    async with ponder() as served:
        reply = (await served.chat(reasoning_strategy=SC, n=2, seed=1, return_trace=True)).json()
        chunks = await served.stream(reasoning_strategy=SC, n=2, seed=1)
        assert (
            reply["usage"]["completion_tokens"]
            == reply["ponder"]["tokens"]["answer"] + reply["ponder"]["tokens"]["reasoning"]
        )
    assert [choice["index"] for choice in reply["choices"]] == [0, 1]
    assert {candidate["id"].split(".")[0] for candidate in reply["ponder"]["candidates"]} == {"0", "1"}
    assert {choice["index"] for chunk in chunks[:-1] for choice in chunk["choices"]} == {0, 1}
    texts = [choice["message"]["content"] for choice in reply["choices"]]
    assert texts[0] != texts[1]


async def test_an_alias_and_an_effort_choose_a_strategy():
    async with ponder(boxed) as served:
        alias = (await served.chat(model="simulated:best_of_n", return_trace=True)).json()
        effort = (await served.chat(reasoning_effort="low", return_trace=True)).json()
        both = (await served.chat(model="simulated:best_of_n", reasoning_effort="low", return_trace=True)).json()
        field = (await served.chat(model="simulated:best_of_n", reasoning_strategy="single", return_trace=True)).json()
        router = (await served.chat(reasoning={"effort": "medium", "exclude": True}, return_trace=True)).json()
    assert alias["model"] == "simulated:best_of_n"
    assert alias["ponder"]["plan"]["strategy"]["name"] == "best_of_n"
    assert effort["ponder"]["plan"]["strategy"]["n"] == 4
    assert both["ponder"]["plan"]["strategy"]["name"] == "best_of_n"
    assert both["ponder"]["plan"]["budget"]["tokens"] == effort["ponder"]["plan"]["budget"]["tokens"] == 16384
    assert field["ponder"]["plan"]["strategy"]["name"] == "single"
    assert router["ponder"]["plan"]["strategy"]["n"] == 8
    assert "<think>" not in router["choices"][0]["message"]["content"]


async def test_the_same_seed_gives_the_same_reply():
    async with ponder() as served:
        replies = [await served.chat(reasoning_strategy={**SC, "early_stop": "none"}, seed=11) for _ in range(2)]
    assert replies[0].json()["choices"] == replies[1].json()["choices"]


async def test_an_earlier_answer_loses_its_thinking():
    talk = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "<think>\nlots\n</think>\n\nhello"},
        {"role": "user", "content": "again"},
    ]
    async with ponder(lambda ask: "ok") as served:
        await served.chat(talk)
        [rendered] = [r.body["messages"] for r in served.engine.requests if r.path == "/tokenize"]
    assert rendered[1]["content"] == "hello"


async def test_sampling_parameters_reach_the_engine():
    wishes = {"top_p": 0.5, "presence_penalty": 1.5, "logit_bias": {"5": 2.0}, "top_k": 7, "min_p": 0.25, "seed": 3}
    async with ponder(lambda ask: "ok") as served:
        await served.chat(temperature=0.25, stop=["x", "y"], max_completion_tokens=9, user="u", metadata={}, **wishes)
        [request] = [r.body for r in served.engine.requests if r.path == "/v1/completions"]
    assert {name: request[name] for name in wishes if name != "seed"} == {
        n: v for n, v in wishes.items() if n != "seed"
    }
    assert request["temperature"] == 0.25
    assert request["stop"] == ["x", "y"]
    assert request["max_tokens"] == 9
    assert isinstance(request["seed"], int)


async def test_min_tokens_are_those_of_a_path_not_of_a_step():
    strategy = {"name": "beam_search", "beams": 1, "width": 1, "step_tokens": 4, "depth": 3, "verifier": "judge"}
    async with ponder(lambda ask: Reply("word ", ends=False)) as served:
        await served.chat(reasoning_strategy=strategy, min_tokens=10, max_tokens=12)
        asked = [r.body for r in served.engine.requests if "min_tokens" in r.body]
    assert [(request["min_tokens"], request["max_tokens"]) for request in asked] == [(4, 4), (4, 4), (2, 4)]


async def test_temperature_0_with_many_samples_gets_one_at_which_they_differ():
    async with ponder(boxed) as served:
        reply = await served.chat(reasoning_strategy=SC, temperature=0, return_trace=True)
    assert reply.json()["ponder"]["plan"]["sampling"]["temperature"] == 0.8


@pytest.mark.parametrize(
    ("limit", "budget"), [("tokens", {"tokens": 40}), ("samples", {"samples": 2}), ("seconds", {"seconds": 0.3})]
)
@pytest.mark.parametrize("strategy", STRATEGIES[1:], ids=str)
async def test_every_budget_cuts_every_strategy_and_still_answers(strategy, limit, budget):
    slow = {"delay": 0.05} if limit == "seconds" else {}
    async with ponder(
        lambda ask: "word " * 20 + "\n\n" if not ask.said else "x " * 20 + "<answer>5</answer>", **slow
    ) as served:
        reply = (await served.chat(reasoning_strategy=strategy, reasoning_budget=budget, return_trace=True)).json()
        await until(lambda: served.engine.running == 0)
        if limit == "tokens":
            assert served.engine.generated <= 40
    assert reply["ponder"]["cut"] == limit
    assert reply["choices"][0]["message"]["content"]


async def test_length_is_told_only_of_an_answer_that_is_cut():
    async with ponder(lambda ask: "word " * 50 if ask.index else "\\boxed{5}") as served:
        voted = (await served.chat(reasoning_strategy={**SC, "early_stop": "none"}, max_tokens=20)).json()
        single = (await served.chat(max_tokens=1)).json()
    assert voted["choices"][0]["finish_reason"] == "stop"
    assert single["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
async def test_a_client_that_hangs_up_stops_the_work(strategy, streamed):
    async with ponder(lambda ask: Reply("word ", ends=False), delay=0.01) as served:
        request = body(served, "hi", reasoning_strategy=strategy, stream=streamed, return_trace=True)

        async def ask():
            async with served.client.stream("POST", "/v1/chat/completions", json=request) as response:
                await response.aread()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await until(lambda: served.engine.running > 0, seconds=10)
            await anyio.sleep(0.05)
            tasks.cancel_scope.cancel()
        await until(lambda: served.engine.running == 0, seconds=5)
        assert served.engine.aborted > 0
        with anyio.fail_after(5):
            while 'outcome="gone",strategy' not in (await served.client.get("/metrics")).text:
                await anyio.sleep(0.01)


async def test_one_failing_group_is_lost_samples_not_a_failed_request():
    calls = iter(range(100))
    reply = lambda ask: Reply(fault="frame") if next(calls) == 0 else "\\boxed{5}"  # noqa: E731
    async with ponder(reply, settings=Settings(pool=PoolSettings(retry_reserve=0))) as served:
        answer = (await served.chat(reasoning_strategy={"name": "self_consistency", "n": 8}, return_trace=True)).json()
    assert answer["choices"][0]["message"]["content"].endswith("\\boxed{5}")
    assert [lost["id"] for lost in answer["ponder"]["lost"]]
    assert all(lost["error"] for lost in answer["ponder"]["lost"])


@pytest.mark.parametrize(("fault", "status"), [("status", 502), ("frame", 502), ("reset", 503)])
async def test_when_every_sample_fails_so_does_the_request(fault, status):
    async with ponder(lambda ask: Reply("a b c", fault=fault)) as served:
        reply = await served.chat(reasoning_strategy=SC)
    assert reply.status_code == status
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}


async def test_a_late_failure_is_told_in_the_stream():
    async with ponder(lambda ask: Reply("word " * 60, fault="reset"), delay=0.002) as served:
        chunks = await served.stream()
    assert chunks[-1] == "[DONE]"
    assert chunks[-2]["error"]["code"] == "engine_unavailable"


async def test_an_engine_that_is_down_is_a_503_with_retry_after():
    async with serving(Settings(engines=(Engine(url="http://127.0.0.1:9"),))) as served:
        reply = await served.chat()
        ready = await served.client.get("/ready")
        alive = await served.client.get("/health")
    assert reply.status_code == ready.status_code == 503
    assert int(reply.headers["retry-after"]) > 0
    assert alive.status_code == 200


async def test_a_prompt_that_is_too_long_is_the_callers_mistake():
    async with ponder(max_model_len=64) as served:
        reply = await served.chat("word " * 500, stream=True)
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "context_length_exceeded"


async def test_a_step_is_what_its_ids_decode_to_even_where_its_end_is_inside_a_token():
    async with ponder(lambda ask: "one\n\n   two" if not ask.said else "three \\boxed{5}") as served:
        strategy = {"name": "beam_search", "beams": 1, "width": 1, "verifier": "judge"}
        reply = (await served.chat(reasoning_strategy=strategy, return_trace="full")).json()
    steps = [step for candidate in reply["ponder"]["candidates"] for step in candidate["steps"]]
    assert steps[0]["text"] == "one\n\n   "
    assert all(decode(step["token_ids"]) in (step["text"], f"{step['text']}<|im_end|>") for step in steps)


async def test_a_continuation_sends_the_ids_it_was_sampled_as():
    async with ponder(lambda ask: "one\n\n   two" if not ask.said else "three \\boxed{5}") as served:
        await served.chat(reasoning_strategy={"name": "beam_search", "beams": 1, "width": 1, "verifier": "judge"})
        prompts = [
            r.body["prompt"] for r in served.engine.requests if r.path == "/v1/completions" and r.body["max_tokens"] > 8
        ]
        rendered = [r for r in served.engine.requests if r.path == "/tokenize"]
    assert prompts[1][: len(prompts[0])] == prompts[0]
    assert decode(prompts[1][len(prompts[0]) :]) == "one\n\n   "
    assert sum("Proposed response" not in str(r.body) for r in rendered) == 1


async def test_our_step_end_yields_to_the_callers_four_stop_strings():
    async with ponder() as served:
        await served.chat(reasoning_strategy=STRATEGIES[3], stop=["1", "2", "3", "4"])
        stops = {tuple(r.body.get("stop", ())) for r in served.engine.requests if r.path == "/v1/completions"}
    assert ("1", "2", "3", "4") in stops
    assert not any("\n\n" in stop for stop in stops)


async def test_a_callers_stop_string_is_not_part_of_a_searched_answer():
    async with ponder(lambda ask: "one END two") as served:
        reply = (await served.chat(reasoning_strategy=STRATEGIES[3], stop="END", reasoning_format="none")).json()
    assert reply["choices"][0]["message"]["content"] == "one "
    assert reply["choices"][0]["finish_reason"] == "stop"


async def test_an_engine_without_tokenize_gets_chat_that_continues_the_last_message(caplog):
    async with ponder(lambda ask: "one\n\n" if not ask.said else "two \\boxed{5}") as served:
        await without_tokenize(served)
        for _ in range(2):
            reply = (await served.chat(reasoning_strategy={"name": "beam_search", "beams": 1, "width": 1})).json()
        continued = [r.body for r in served.engine.requests if r.path == "/v1/chat/completions"]
    assert reply["choices"][0]["message"]["content"].endswith("one\n\ntwo \\boxed{5}")
    assert any(r.get("continue_final_message") and r["messages"][-1]["content"] == "one\n\n" for r in continued)
    assert sum("no /tokenize" in record.message for record in caplog.records) == 1


async def test_a_silent_search_keeps_the_connection_alive():
    settings = Settings(server={"keep_alive": 0.05})
    async with ponder(lambda ask: "\\boxed{5}", settings=settings, ttft=0.4) as served:
        request = body(served, "hi", reasoning_strategy=SC, stream=True)
        text = (await served.client.post("/v1/chat/completions", json=request)).text
    assert text.count(": thinking\n\n") >= 3


async def test_models_are_listed_and_found():
    async with ponder() as served:
        listed = (await served.client.get("/v1/models")).json()
        one = (await served.client.get("/v1/models/simulated")).json()
        other = await served.client.get("/v1/models/other/name")
    assert listed["data"][0] == one
    assert one["max_model_len"] == 8192
    assert other.status_code == 404
    assert other.json()["error"]["param"] == "model"


@pytest.mark.parametrize("kind", ["strategies", "verifiers"])
async def test_strategies_and_verifiers_tell_their_settings(kind):
    async with ponder() as served:
        listed = (await served.client.get(f"/v1/{kind}")).json()["data"]
    for one in listed:
        jsonschema.Draft202012Validator.check_schema(one["settings_schema"])
        assert one["description"]
    names = {"strategies": {"single", "self_consistency", "best_of_n", "beam_search"}, "verifiers": {"p_true", "judge"}}
    assert names[kind] <= {one["name"] for one in listed}


async def test_metrics_count_requests_samples_and_tokens():
    async with ponder(lambda ask: "a \\boxed{5}") as served:
        await served.chat(reasoning_strategy={**SC, "early_stop": "none"})
        generated = served.engine.generated
        text = (await served.client.get("/metrics")).text
    assert 'ponder_requests_total{model="simulated",outcome="ok",strategy="self_consistency"} 1.0' in text
    assert 'ponder_samples_total{model="simulated",outcome="used",strategy="self_consistency"} 4.0' in text
    assert total(text, "ponder_tokens_total", strategy="self_consistency", model="simulated") == generated


VERIFIER = "reasoning_strategy.verifier"
FETCHED = {"type": "image_url", "image_url": {"url": "http://x/y.png"}}
IMAGE = "messages.0.content.0.image_url.image_url.url"
BAD = [
    ({"reasoning_strategy": "magic"}, "reasoning_strategy"),
    ({"reasoning_strategy": {"name": "best_of_n", "m": 3}}, "reasoning_strategy.m"),
    ({"reasoning_strategy": {"n": 3}}, "reasoning_strategy"),
    ({"reasoning_strategy": {"name": "best_of_n", "n": 0}}, "reasoning_strategy.n"),
    ({"reasoning_strategy": {"name": "best_of_n", "n": 10**9}}, "reasoning_strategy"),
    ({"reasoning_strategy": {"name": "best_of_n", "n": "8"}}, "reasoning_strategy.n"),
    ({"reasoning_strategy": {"name": "best_of_n", "n": True}}, "reasoning_strategy.n"),
    ({"reasoning_strategy": {"name": "best_of_n", "verifier": "magic"}}, VERIFIER),
    (
        {"reasoning_strategy": {"name": "best_of_n", "verifier": {"name": "judge", "x": 1}}},
        "reasoning_strategy.verifier.x",
    ),
    ({"reasoning_strategy": {"name": "self_consistency", "verifier": "judge"}}, "reasoning_strategy"),
    ({"reasoning_strategy": {}}, "reasoning_strategy"),
    ({"reasoning_strategy": ""}, "reasoning_strategy"),
    ({"reasoning_strategy": {"name": []}}, "reasoning_strategy"),
    ({"reasoning_strategy": {"name": "best_of_n", "verifier": {"name": {}}}}, VERIFIER),
    ({"reasoning_budget": {"tokens": -1}}, "reasoning_budget.tokens"),
    ({"reasoning_budget": {"tokens": 10**12}}, "reasoning_budget.tokens"),
    ({"reasoning_budget": {"seconds": 0}}, "reasoning_budget.seconds"),
    ({"reasoning_budget": {"minutes": 1}}, "reasoning_budget.minutes"),
    ({"reasoning_format": "xml"}, "reasoning_format"),
    ({"reasoning_effort": "huge"}, "reasoning_effort"),
    ({"n": 0}, "n"),
    ({"n": 10**9}, "n"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "wizard", "content": "x"}]}, "messages.0.role"),
    ({"temperature": "hot"}, "temperature"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": True}, "max_tokens"),
    ({"max_tokens": "8"}, "max_tokens"),
    ({"stop": ["a"] * 5}, "stop"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"tools": [{"type": "function"}]}, "tools.0.function"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"response_format": {"type": "yaml"}}, "response_format"),
    ({"response_format": {"type": "json_object"}, "reasoning_format": "think"}, "reasoning_format"),
    ({"response_format": {"type": "json_object"}, "reasoning_strategy": "beam_search"}, "response_format"),
    ({"structured_outputs": {"regex": "(a+)+$"}}, "structured_outputs.regex"),
    ({"chat_template_kwargs": {"tools_in_user_message": True}}, "chat_template_kwargs.tools_in_user_message"),
    ({"chat_template": "{{ x }}"}, "chat_template"),
    ({"cache_salt": "x"}, "cache_salt"),
    ({"top_logprobs": 3}, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}]}]},
        IMAGE,
    ),
    ({"functions": [{"name": "f"}]}, "functions"),
    ({"structured_outputs": {"choice": ["a"]}, "response_format": {"type": "json_object"}}, "structured_outputs"),
    ({"structured_outputs": {}}, "structured_outputs"),
    ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.type"),
    ({"service_tier": "priority"}, "service_tier"),
    ({"store": True}, "store"),
    ({"logit_bias": {"5": 101}}, "logit_bias.5"),
    ({"presence_penalty": -2.5}, "presence_penalty"),
    ({"shiny": 1}, "shiny"),
    ({"reasoning_strategy": {"name": "self_consistency", "n": 2.0}}, "reasoning_strategy.n"),
    ({"reasoning_strategy": {"name": "a_star", "depth": 10**400}}, "reasoning_strategy.depth"),
]


@pytest.mark.parametrize(("fields", "param"), BAD, ids=lambda value: str(value)[:60])
async def test_bad_input_is_a_400_that_names_the_parameter(fields, param):
    async with ponder() as served:
        reply = await served.client.post("/v1/chat/completions", json=body(served, "hi") | fields)
        assert served.engine.generated == 0
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b'{"model": "\xff"}', b"[" * 100_000, b'{"temperature": NaN}']
)
async def test_a_body_that_is_no_request_is_a_400(data):
    async with ponder() as served:
        reply = await served.client.post("/v1/chat/completions", content=data)
    assert reply.status_code == 400
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}


async def test_nan_is_refused_by_name():
    async with ponder() as served:
        data = json.dumps(body(served, "hi", temperature=float("nan")))
        reply = await served.client.post("/v1/chat/completions", content=data)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "temperature"


async def test_a_huge_body_is_a_413_whether_announced_or_not():
    async def parts():
        for _ in range(100):
            yield b"x" * 1024

    settings = Settings(limits=Limits(body_bytes=10_000))
    async with ponder(settings=settings) as served:
        announced = await served.client.post("/v1/chat/completions", content=b"x" * 100_000)
        unannounced = await served.client.post("/v1/chat/completions", content=parts())
    assert announced.status_code == unannounced.status_code == 413
    assert announced.json()["error"]["code"] == "body_too_large"


async def test_unknown_models_routes_and_methods_are_errors_of_the_same_shape():
    async with ponder() as served:
        replies = [
            await served.chat(model="other"),
            await served.client.get("/v1/nothing"),
            await served.client.get("/v1/chat/completions"),
        ]
    assert [reply.status_code for reply in replies] == [404, 404, 405]
    assert all(set(reply.json()["error"]) == {"message", "type", "param", "code"} for reply in replies)


async def test_a_setting_passes_unknown_fields_on():
    settings = Settings(limits=Limits(unknown_fields="pass_on"))
    async with ponder(lambda ask: "ok", settings=settings) as served:
        await served.chat(shiny=1)
        [request] = [r.body for r in served.engine.requests if r.path == "/v1/completions"]
    assert request["shiny"] == 1


async def test_the_openai_client_streams_a_vote():
    from openai import AsyncOpenAI

    async with ponder() as served, AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none") as client:
        stream = await client.chat.completions.create(
            model="simulated",
            messages=[{"role": "user", "content": "What is 2 + 3?"}],
            stream=True,
            stream_options={"include_usage": True},
            extra_body={"reasoning_strategy": SC, "return_trace": True},
        )
        chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.startswith("<think>")
    assert [chunk.usage.completion_tokens > 0 for chunk in chunks if chunk.usage] == [True]
    assert any("event" in (chunk.model_extra.get("ponder") or {}) for chunk in chunks)


async def test_a_hundred_requests_at_once_all_answer():
    async with ponder(delay=0.001) as served:
        replies = []

        async def one(index):
            replies.append(await served.chat(f"What is {index}?", reasoning_strategy=SC, seed=index))

        async with anyio.create_task_group() as tasks:
            for index in range(100):
                tasks.start_soon(partial(one, index))
    assert [reply.status_code for reply in replies] == [200] * 100


async def test_a_client_that_hangs_up_while_the_engine_is_silent_stops_the_work():
    async with ponder(ttft=30) as served:
        with pytest.raises(httpx.ReadTimeout):
            await served.client.post(
                "/v1/chat/completions", json=body(served, "hi", reasoning_strategy=SC), timeout=0.2
            )
        await until(lambda: served.engine.running == 0)


@pytest.mark.parametrize("strategy", ["single", SC], ids=str)
@pytest.mark.parametrize("trace", [True, False])
async def test_an_early_failure_of_a_stream_is_a_true_http_status(strategy, trace):
    async with ponder(lambda ask: Reply("a b c", fault="status")) as served:
        request = body(served, "hi", reasoning_strategy=strategy, stream=True, return_trace=trace)
        reply = await served.client.post("/v1/chat/completions", json=request)
    assert reply.status_code == 502


@pytest.mark.parametrize("strategy", ["single", SC], ids=str)
async def test_choices_share_a_token_budget_evenly(strategy):
    async with ponder(lambda ask: Reply("word ", ends=False)) as served:
        budget = {"tokens": 800}
        reply = (await served.chat(reasoning_strategy=strategy, n=2, reasoning_budget=budget, return_trace=True)).json()
        assert served.engine.generated == reply["usage"]["completion_tokens"] <= 800
    grown = {"0": 0, "1": 0}
    for candidate in reply["ponder"]["candidates"]:
        grown[candidate["id"][0]] += candidate["tokens"]
    assert grown["0"] == grown["1"] == 400


async def test_a_seed_draws_the_samples_that_the_engine_draws_for_it():
    async with ponder() as served:
        reply = (await served.chat(seed=41)).json()
        request = {"model": "simulated", "messages": body(served, "What is 2 + 3?")["messages"], "seed": 41}
        async with httpx.AsyncClient(base_url=served.engine.url) as engine:
            direct = (await engine.post("/v1/chat/completions", json=request)).json()
    assert reply["choices"][0]["message"]["content"] == direct["choices"][0]["message"]["content"]


async def without_tokenize(served):
    original = served.engine._respond

    def respond(connection, method, path, data):
        original(connection, method, "/none" if path == "/tokenize" else path, data)

    served.engine._respond = respond


async def test_without_tokenize_tokens_are_still_counted_and_bounded():
    async with ponder(lambda ask: Reply("word ", ends=False), max_model_len=512) as served:
        await without_tokenize(served)
        reply = (await served.chat(reasoning_strategy={**SC, "early_stop": "none"}, max_tokens=100)).json()
        assert reply["usage"]["completion_tokens"] == served.engine.generated == 400
        assert reply["usage"]["prompt_tokens"] > 0
        free = await served.chat()
        budgeted = await served.chat(reasoning_strategy=SC, reasoning_budget={"tokens": 100})
    assert free.status_code == 200
    assert free.json()["choices"][0]["finish_reason"] == "length"
    assert budgeted.json()["usage"]["completion_tokens"] <= 100


async def test_a_step_that_holds_its_own_delimiter_is_told_once():
    async with ponder(
        lambda ask: "one two\n\nthree four five six seven\n\n   " if not ask.said else "\\boxed{5}"
    ) as served:
        strategy = {"name": "beam_search", "beams": 1, "width": 1, "verifier": "judge"}
        reply = (await served.chat(reasoning_strategy=strategy, return_trace="full", min_tokens=8)).json()
    for step in (step for candidate in reply["ponder"]["candidates"] for step in candidate["steps"]):
        assert decode(step["token_ids"]).removesuffix("<|im_end|>") == step["text"]


async def test_a_callers_stop_string_that_equals_the_step_ends_the_answer():
    async with ponder(lambda ask: "one\n\ntwo") as served:
        reply = (await served.chat(reasoning_strategy=STRATEGIES[3], stop="\n\n", reasoning_format="none")).json()
    assert reply["choices"][0]["message"]["content"] == "one"


async def test_the_full_trace_has_log_probabilities_and_the_scores_of_steps():
    async with ponder() as served:
        traces = [
            (await served.chat(reasoning_strategy=strategy, return_trace="full")).json()["ponder"]
            for strategy in ("single", {"name": "beam_search", "beams": 2, "width": 2})
        ]
    for trace in traces:
        for step in (step for candidate in trace["candidates"] for step in candidate["steps"]):
            assert len(step["logprobs"]) == len(step["token_ids"])
    by_id = {candidate["id"]: candidate for candidate in traces[1]["candidates"]}
    assert all(by_id[id]["steps"][-1]["score"] == by_id[id]["score"] for id in by_id)
    deep = max(by_id, key=len)
    assert by_id[deep]["steps"][0]["score"] == by_id[deep[:3]]["score"]


async def test_the_deadline_covers_the_rendering_of_the_prompt():
    async with ponder() as served:
        original = served.engine._respond

        def respond(connection, method, path, data):
            if path != "/tokenize":
                original(connection, method, path, data)

        served.engine._respond = respond
        with anyio.fail_after(2):
            reply = await served.chat(reasoning_budget={"seconds": 0.2})
    assert reply.json()["choices"][0]["finish_reason"] == "length"


async def test_a_hung_engine_does_not_hold_up_requests_for_another():
    with socket.create_server(("127.0.0.1", 0)) as hung:
        async with simulated() as engine:
            port = hung.getsockname()[1]
            both = (Engine(url=f"http://127.0.0.1:{port}", connect_seconds=0.3), Engine(url=engine.url))
            async with serving(Settings(engines=both)) as served:
                served.engine = engine
                first = await served.chat()
                started = time.monotonic()
                replies = [await served.chat() for _ in range(3)]
                assert time.monotonic() - started < 0.3
    assert [reply.status_code for reply in (first, *replies)] == [200] * 4


async def test_verifiers_of_the_settings_are_listed():
    settings = Settings(verifiers={"strict": {"kind": "judge"}})
    async with ponder(settings=settings) as served:
        listed = (await served.client.get("/v1/verifiers")).json()["data"]
        reply = await served.chat(
            reasoning_strategy={"name": "best_of_n", "n": 2, "verifier": "strict"}, return_trace=True
        )
    assert "strict" in {one["name"] for one in listed}
    assert reply.json()["ponder"]["plan"]["verifier"] == {"name": "judge"}
