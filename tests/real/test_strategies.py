"""Strategies and verifiers on a real vLLM, through the official client."""

import json
import re
import time

import anyio
import httpx
import pytest
from openai import AsyncOpenAI

from strategies.registry import Registry

pytestmark = [pytest.mark.anyio, pytest.mark.real]
QUESTION = "Tom has 13 apples and buys 29 more. He gives 7 away. How many apples has he now?"
BUDGET = 3000
ALIKE = [
    {"name": "single", "prompt": "zero_shot"},
    {"name": "self_consistency", "n": 8},
    {"name": "best_of_n", "n": 4, "verifier": "arithmetic", "selection": "weighted_vote"},
    {"name": "beam_search", "beams": 2, "width": 2, "verifier": "arithmetic", "step_tokens": 48},
    {"name": "budget_forcing", "min_thinking": 32, "max_thinking": 64, "answer_tokens": 64},
]
EXAMPLE = {"question": "Ann has 3 pens and buys 4. How many has she?", "answer": "3 + 4 = 7\n\n<answer>7</answer>"}
SCHEMA = {"type": "object", "required": ["apples"]}
STREAMED = [
    {"name": "single", "prompt": "long"},
    {"name": "self_consistency", "n": 2, "prompt": {"name": "few_shot", "examples": [EXAMPLE]}},
    {"name": "self_consistency", "n": 4, "prompt": "supervised", "early_stop": "none"},
    {"name": "self_consistency", "n": 8, "early_stop": "beta", "weights": "logprob"},
    {"name": "self_consistency", "n": 6, "early_stop": "esc", "window": 3, "weights": "self_certainty"},
    {"name": "self_consistency", "n": 4, "weights": "verifier", "verifier": "arithmetic"},
    {"name": "short_m", "n": 4, "m": 2, "min_tokens": 8},
    {"name": "deepconf", "n": 6, "warmup": 3, "keep": 0.5},
    {"name": "deepconf", "n": 4, "mode": "offline"},
    {"name": "coverage", "n": 8},
    {"name": "coverage", "n": 4, "verifier": {"name": "math_equal", "reference": "35"}},
    {"name": "best_of_n", "n": 3, "verifier": "p_true"},
    {"name": "best_of_n", "n": 3, "verifier": "judge"},
    {"name": "best_of_n", "n": 3, "verifier": {"name": "judge", "mode": "pairwise"}},
    {"name": "best_of_n", "n": 2, "verifier": {"name": "regex", "pattern": "[0-9]+"}},
    {"name": "best_of_n", "n": 2, "verifier": {"name": "json_schema", "schema": SCHEMA}},
    {"name": "best_of_n", "n": 2, "verifier": {"name": "expression", "numbers": [13, 29, 7], "target": 35}},
    {"name": "best_of_n", "n": 2, "verifier": {"name": "code", "tests": ["assert True"]}},
    {"name": "best_of_n", "n": 2, "verifier": "logprob"},
    {"name": "best_of_n", "n": 2, "verifier": "self_certainty"},
    {"name": "best_of_n", "n": 2, "verifier": {"name": "ensemble", "members": ["arithmetic", "p_true"]}},
    {"name": "knockout", "n": 4},
    {"name": "gen_select", "n": 4, "only_when_split": False, "think_tokens": 16},
    {"name": "beam_search", "beams": 2, "width": 2, "verifier": "p_true", "min_score": 0.1},
    {"name": "beam_search", "beams": 1, "width": 2, "lookahead": 1, "verifier": "arithmetic", "step_tokens": 48},
    {"name": "dvts", "trees": 2, "width": 2, "verifier": "arithmetic", "step_tokens": 48},
    {"name": "rebase", "width": 4, "verifier": "arithmetic", "step_tokens": 48},
    {"name": "particle_filter", "particles": 4, "verifier": "arithmetic", "step_tokens": 48},
    {"name": "mcts", "iterations": 4, "width": 2, "parallel": 2, "verifier": "arithmetic", "step_tokens": 48},
    {"name": "a_star", "width": 2, "parallel": 2, "expansions": 4, "verifier": "arithmetic", "step_tokens": 48},
    {"name": "early_exit", "every": 16, "stable": 2, "answer_tokens": 64},
    {"name": "revise", "rounds": 2},
    {"name": "parallel_then_revise", "n": 3, "k": 2, "verifier": "arithmetic"},
    {"name": "rsa", "n": 3, "rounds": 2, "k": 2},
    {"name": "auto", "n": 5, "verifier": "arithmetic"},
]
ASKED_OF_MODEL = {"p_true", "judge", "ensemble"}


def told(strategy):
    """A strategy's settings as a test's name."""
    verifier = strategy.get("verifier")
    short = {**strategy, "verifier": verifier.get("name")} if isinstance(verifier, dict) else strategy
    return "-".join(str(value) for value in short.values() if not isinstance(value, dict))


def client(served):
    return AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)


async def running(url):
    """Sequences that vLLM works on or has queued."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as engine:
        text = (await engine.get("/metrics")).text
    return sum(float(n) for n in re.findall(r"^vllm:num_requests_(?:running|waiting)\{.*\} (\S+)$", text, re.MULTILINE))


def asking(strategy):
    budget = {"tokens": BUDGET}
    return {
        "model": "smollm2-135m",
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": 160,
        "seed": 5,
        "extra_body": {"reasoning_strategy": strategy, "reasoning_budget": budget, "return_trace": True},
    }


def test_every_strategy_and_every_verifier_that_needs_no_engine_of_its_own_is_here():
    asked = [*ALIKE, *STREAMED]
    assert {strategy["name"] for strategy in asked} == set(Registry().strategies)
    named = [strategy.get("verifier") for strategy in asked]
    verifiers = {one["name"] if isinstance(one, dict) else one for one in named if one}
    assert verifiers == set(Registry().verifiers) - {"outcome_reward", "process_reward"}  # test_rewards.py


@pytest.mark.parametrize("strategy", STREAMED, ids=told)
async def test_the_openai_client_gets_a_stream_inside_its_budget(served, strategy):
    async with client(served) as openai:
        stream = await openai.chat.completions.create(
            stream=True, stream_options={"include_usage": True}, **asking(strategy)
        )
        chunks = [chunk async for chunk in stream]
    check_stream(chunks, strategy)
    trace = [chunk.model_extra["ponder"] for chunk in chunks if chunk.model_extra.get("ponder")][-1]
    check_trace(trace, content(chunks), strategy)


@pytest.mark.parametrize("strategy", ALIKE, ids=told)
async def test_the_openai_client_gets_streamed_and_whole_replies_alike(served, strategy):
    asked = asking(strategy)
    async with client(served) as openai:
        whole = await openai.chat.completions.create(**asked)
        stream = await openai.chat.completions.create(stream=True, stream_options={"include_usage": True}, **asked)
        chunks = [chunk async for chunk in stream]
    check_whole(whole, strategy)
    check_stream(chunks, strategy)
    streamed = [chunk.model_extra["ponder"] for chunk in chunks if chunk.model_extra.get("ponder")][-1]
    if samples(streamed) == samples(whole.ponder):  # a batch of another make-up may round another way
        assert content(chunks) == whole.choices[0].message.content


def samples(trace):
    return {candidate["id"]: candidate["text"] for candidate in trace["candidates"]}


def content(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def check_whole(whole, strategy):
    tokens = whole.ponder["tokens"]
    assert whole.usage.completion_tokens == sum(tokens[name] for name in ("answer", "reasoning", "verifier"))
    check_trace(whole.ponder, whole.choices[0].message.content, strategy)
    check_think(whole.choices[0].message.content, strategy)


def check_trace(trace, text, strategy):
    """The answer is a real candidate; scores are there, whoever gave them; nothing is lost; the budget holds."""
    [choice] = trace["choices"]
    chosen = next(c for c in trace["candidates"] if c["id"] == choice["chosen"])
    assert text.endswith(chosen["text"].rpartition("</think>")[2].lstrip())
    assert trace["lost"] == []
    assert 0 < sum(trace["tokens"][name] for name in ("answer", "reasoning", "verifier")) <= BUDGET
    if verifier := strategy.get("verifier"):
        name = verifier["name"] if isinstance(verifier, dict) else verifier
        assert trace["plan"]["verifier"]["name"] == name
        scores = [c["score"] for c in trace["candidates"] if c["finish"] != "cut"]
        assert all(0 <= score <= 1 for score in scores if score is not None and name != "self_certainty")
        assert None not in scores or "lookahead" in strategy or strategy["name"] == "auto"
        assert any(score is not None for score in scores) or strategy["name"] == "auto"
        assert (trace["tokens"]["verifier"] > 0) == (name in ASKED_OF_MODEL)


def check_stream(chunks, strategy):
    check_think(content(chunks), strategy)
    assert [0 < chunk.usage.completion_tokens <= BUDGET for chunk in chunks if chunk.usage] == [True]
    events = [chunk.model_extra["ponder"] for chunk in chunks if chunk.model_extra.get("ponder")]
    kinds = [event.get("event") for event in events]
    assert kinds[0] == "started"
    assert kinds[-2:] == ["answered", None]
    assert kinds.count("opened") == kinds.count("closed")


def check_think(text, strategy):
    thinks = strategy["name"] != "single"
    assert text.count("<think>") == text.count("</think>") == int(thinks)
    assert text.startswith("<think>") == thinks


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("name", ["single", "self_consistency", "best_of_n", "beam_search"])
async def test_a_client_that_hangs_up_leaves_nothing_running(served, real_engine, name, streamed):
    """What was asked for takes minutes; ten seconds are for a machine that is busy, whose `/metrics` is late too."""
    request = {
        "model": "smollm2-135m",
        "messages": [{"role": "user", "content": "Count up from one, forever."}],
        "reasoning_strategy": {"name": name, "prompt": "none"},
        "stream": streamed,
        "min_tokens": 2000,
    }

    async def ask():
        async with served.client.stream("POST", "/v1/chat/completions", json=request) as response:
            await response.aread()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        with anyio.fail_after(30):
            while not await running(real_engine.url):
                await anyio.sleep(0.05)
        await anyio.sleep(1)
        tasks.cancel_scope.cancel()
    with anyio.fail_after(10):
        while await running(real_engine.url):
            await anyio.sleep(0.02)


async def test_a_beam_continues_ids_from_the_prefix_cache(served):
    strategy = {"name": "beam_search", "beams": 2, "width": 2, "step_tokens": 16, "verifier": "arithmetic"}
    background = "Background that every step shares. " * 40
    going_on = {"min_tokens": 64, "max_tokens": 64}  # no path ends before its 64 tokens: there are four steps
    reply = (
        await served.chat(background + QUESTION, reasoning_strategy=strategy, return_trace=True, **going_on)
    ).json()
    tokens = reply["ponder"]["tokens"]
    assert len(reply["ponder"]["candidates"]) == 16
    assert tokens["cached"] > 0.8 * tokens["prompt"] * (1 - 1 / tokens["calls"])


async def test_a_step_is_what_its_ids_decode_to(served, real_engine):
    strategy = {"name": "beam_search", "beams": 2, "width": 2, "step": " ", "depth": 6, "verifier": "arithmetic"}
    reply = (await served.chat(QUESTION, reasoning_strategy=strategy, return_trace="full", max_tokens=64)).json()
    steps = [step for c in reply["ponder"]["candidates"] if c["finish"] == "step" for step in c["steps"]]
    assert steps
    async with httpx.AsyncClient(base_url=real_engine.url) as engine:
        for step in steps:
            told = await engine.post("/detokenize", json={"model": "smollm2-135m", "tokens": step["token_ids"]})
            assert told.json()["prompt"] == step["text"]


async def test_a_wrong_step_is_seen_pruned(served):
    """SmolLM2 can barely count: among a few questions it writes a false equation, and the search drops that path."""
    strategy = {"name": "beam_search", "beams": 2, "width": 4, "verifier": "arithmetic", "min_score": 0.5}
    for seed in range(8):
        asked = f"Compute {23 + seed} * {17 + seed} step by step, each step as an equation on a line of its own."
        wishes = {"reasoning_strategy": strategy, "return_trace": "full", "max_tokens": 128, "seed": seed}
        trace = (await served.chat(asked, **wishes)).json()["ponder"]
        wrong = {c["id"] for c in trace["candidates"] if c["steps"] and c["steps"][-1]["score"] == 0}
        if any(f"{id} (" in note for id in wrong for note in trace["notes"] if "pruned" in note):
            assert not wrong & {c["parent"] for c in trace["candidates"]}, "a path with a wrong step went on"
            return
    pytest.fail("no wrong step was pruned")


async def test_a_hundred_votes_at_once_half_of_them_seeded_all_answer(served, real_engine):
    """Prompts of 50 to 1,500 tokens. Seeded prefills that are split kill vLLM's CPU engine: ours must not be."""
    replies, started = [], time.monotonic()
    one_words = 9

    async def one(index):
        words = " ".join(["apple"] * (one_words + index * 14))
        fields = {"seed": index} if index % 2 else {}
        strategy = {"name": "self_consistency", "n": 8}
        replies.append(
            await served.chat(f"{words}\nHow many apples?", reasoning_strategy=strategy, max_tokens=64, **fields)
        )

    served.client.timeout = httpx.Timeout(900)
    async with anyio.create_task_group() as tasks:
        for index in range(100):
            tasks.start_soon(one, index)
    lengths = [reply.json()["usage"]["prompt_tokens"] for reply in replies if reply.status_code == 200]
    assert len(lengths) == 100, [reply.text for reply in replies if reply.status_code != 200][:3]
    assert min(lengths) < 80
    assert max(lengths) > 1300
    assert (await served.client.get("/ready")).status_code == 200
    print(json.dumps({"requests": 100, "seconds": round(time.monotonic() - started, 1)}))
