"""Verifiers of the settings over HTTP: reward models that judge, and what callers never see of them."""

import logging

import pytest

from benchmarks.engine_pooling import simulated_rewards
from benchmarks.engine_text import encode
from server.app import create_app
from server.settings import Settings
from tests.serving import ponder, until

pytestmark = pytest.mark.anyio
SECRET = "s3cret"
[TAG] = encode("\n\n")


@pytest.fixture
def anyio_backend():
    return "asyncio"


def settings(rewards, **verifiers):
    return Settings(
        verifiers={
            name: {"url": rewards.url, "model": "reward", "api_key": SECRET, **fields}
            for name, fields in verifiers.items()
        }
    )


def steps(ask):
    return "The answer is \\boxed{5}" if ask.said else f"First {ask.seed or 0}\n\n"


async def judged(served, verifier, name="beam_search", **fields):
    strategy = {"name": name, "verifier": verifier, **fields}
    reply = await served.chat(reasoning_strategy=strategy, return_trace="full", seed=1)
    assert reply.status_code == 200, reply.text
    return reply.json()["ponder"]


async def test_a_process_reward_guides_a_beam_search_in_few_requests():
    async with simulated_rewards(step_tag=TAG) as rewards:
        prm = settings(rewards, prm={"kind": "process_reward", "step_tag": "\n\n", "aggregation": "min"})
        async with ponder(steps, settings=prm) as served:
            trace = await judged(served, "prm", beams=2, width=2)
    finished = [one for one in trace["candidates"] if one["finish"] == "stop"]
    assert finished
    for one in trace["candidates"]:
        assert one["score"] == pytest.approx(min(step["score"] for step in one["steps"]))
        assert all(0 <= step["score"] <= 1 for step in one["steps"])
    assert trace["notes"]
    assert len(rewards.asked("/pooling")) == 2, "one request a wave"
    assert trace["tokens"]["verifier"] == 0


async def test_what_arrives_about_the_same_time_is_judged_in_one_request():
    async with simulated_rewards() as rewards:
        orm = settings(rewards, orm={"kind": "outcome_reward"})
        async with ponder(steps, settings=orm) as served:
            trace = await judged(served, "orm", name="best_of_n", n=16)
    asked = rewards.asked("/classify")
    assert sum(len(one["input"]) for one in asked) == 16 == len(trace["candidates"])
    assert len(asked) <= 4
    best = max(trace["candidates"], key=lambda one: one["score"])
    assert trace["choices"][0]["chosen"] == best["id"]


async def test_a_reward_model_that_is_down_leaves_an_answer_and_a_note():
    async with simulated_rewards() as rewards:
        orm = settings(rewards, orm={"kind": "outcome_reward"})
        async with ponder(steps, settings=orm) as served:
            rewards.broken = True
            trace = await judged(served, "orm", name="best_of_n", n=3)
    assert any("the verifier failed" in note for note in trace["notes"])
    assert trace["choices"][0]["answer"] == "5" or trace["choices"][0]["chosen"]


async def test_an_ensemble_of_named_verifiers_judges():
    async with simulated_rewards() as rewards:
        both = settings(rewards, orm={"kind": "outcome_reward"})
        named = {"kind": "ensemble", "members": ["orm", {"name": "arithmetic"}, "logprob"], "combine": "min"}
        both = Settings(verifiers={**both.model_dump()["verifiers"], "both": named})
        async with ponder(steps, settings=both) as served:
            trace = await judged(served, "both", name="best_of_n", n=3)
            mine = await judged(served, {"name": "ensemble", "members": ["orm"]}, name="best_of_n", n=3)
    assert trace["plan"]["verifier"]["members"] == [
        {"name": "outcome_reward"},
        {"name": "arithmetic"},
        {"name": "logprob"},
    ]
    assert all(0 <= one["score"] <= 0.5 for one in trace["candidates"])
    assert mine["plan"]["verifier"] == {"name": "ensemble", "members": [{"name": "outcome_reward"}]}


async def test_ensembles_inside_each_other_have_an_end():
    spec = {"name": "ensemble", "members": ["logprob"]}
    for _ in range(3):
        spec = {"name": "ensemble", "members": [spec]}
    async with ponder() as served:
        refused = await served.chat(reasoning_strategy={"name": "best_of_n", "verifier": spec})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"].startswith("reasoning_strategy.verifier.members")
    with pytest.raises(ValueError, match="inside of each other"):
        create_app(Settings(verifiers={"me": {"kind": "ensemble", "members": ["me"]}}))


async def test_a_search_that_its_client_leaves_leaves_nothing_at_the_reward_model():
    async with simulated_rewards(pause=10) as rewards:
        orm = settings(rewards, orm={"kind": "outcome_reward"})
        async with ponder(steps, settings=orm) as served:
            budget = {"seconds": 0.3}
            strategy = {"name": "best_of_n", "n": 2, "verifier": "orm"}
            await served.chat(reasoning_strategy=strategy, reasoning_budget=budget)
            assert len(rewards.asked("/classify")) == 1
            await until(lambda: rewards.running == 0)
    assert rewards.aborted == 1


async def test_the_address_and_the_key_of_a_reward_model_are_never_shown(caplog):
    caplog.set_level(logging.DEBUG)
    async with simulated_rewards() as rewards:
        orm = settings(rewards, orm={"kind": "outcome_reward"}, mix={"kind": "outcome_reward", "endpoint": "score"})
        async with ponder(steps, settings=orm) as served:
            strategy = {"name": "best_of_n", "n": 2, "verifier": {"name": "ensemble", "members": ["orm", "mix"]}}
            fields = {"reasoning_strategy": strategy, "return_trace": "full"}
            shown = [(await served.chat(**fields)).text, str(await served.stream(**fields))]
            rewards.broken = True
            shown.append((await served.chat(**fields)).text)
            shown += [(await served.client.get(path)).text for path in ("/v1/verifiers", "/metrics", "/openapi.json")]
            shown += [repr(orm), str(orm.model_dump()), caplog.text]
    for text in shown:
        assert SECRET not in text
    for text in shown[:6]:
        assert rewards.url not in text


@pytest.mark.parametrize("endpoint", ["classify", "score"])
async def test_the_words_of_a_failing_reward_model_are_for_nobody_but_its_status_is_in_the_log(endpoint, caplog):
    async with simulated_rewards() as rewards:
        orm = settings(rewards, orm={"kind": "outcome_reward", "endpoint": endpoint, "model": "in-house-7b"})
        async with ponder(steps, settings=orm) as served:
            strategy = {"name": "best_of_n", "n": 2, "verifier": "orm"}
            reply = (await served.chat(reasoning_strategy=strategy, return_trace="full")).text
    assert "the verifier failed: the reward model answered 404" in reply
    assert "in-house-7b" not in reply
    assert "in-house-7b" not in caplog.text
    assert "a reward model answered" in caplog.text


@pytest.mark.parametrize("wrong", [{"url": "rewards:80"}, {"model": ""}, {"activation": "no"}, {"api_keys": "x"}])
def test_a_reward_model_that_could_not_work_is_refused_at_the_start(wrong):
    mine = {"kind": "outcome_reward", "url": "http://a", "model": "m", "api_key": SECRET, **wrong}
    with pytest.raises(ValueError, match=r"verifiers\.mine") as refused:
        create_app(Settings(verifiers={"mine": mine}))
    assert SECRET not in str(refused.value)


async def test_a_request_cannot_say_where_a_reward_model_is():
    async with simulated_rewards() as rewards:
        orm = settings(rewards, orm={"kind": "outcome_reward"})
        async with ponder(steps, settings=orm) as served:
            for name in ("outcome_reward", "orm"):
                verifier = {"name": "ensemble", "members": [{"name": name, "url": rewards.url}]}
                refused = await served.chat(reasoning_strategy={"name": "best_of_n", "verifier": verifier})
                assert refused.status_code == 400
                assert refused.json()["error"]["param"] == "reasoning_strategy.verifier.members.url"
    assert rewards.requests == []


async def test_a_request_for_a_reward_model_without_a_name_hears_what_it_needs():
    async with ponder() as served:
        for name in ("outcome_reward", "process_reward"):
            refused = await served.chat(reasoning_strategy={"name": "best_of_n", "verifier": name})
            assert refused.status_code == 400
            assert refused.json()["error"]["param"] == "reasoning_strategy.verifier"
            assert "[verifiers.NAME]" in refused.json()["error"]["message"]


@pytest.mark.parametrize(("verifier", "least"), [("logprob", 0), ("self_certainty", 1)])
async def test_what_sampling_tells_is_asked_for_and_judges(verifier, least):
    async with ponder(lambda ask: f"{ask.rng.random()} \\boxed{{5}}") as served:
        trace = await judged(served, {"name": "ensemble", "members": [verifier]}, name="best_of_n", n=4)
        [body] = {one.body["logprobs"] for one in served.engine.requests if one.path == "/v1/completions"}
    assert body == {"logprob": 0, "self_certainty": 20}[verifier]
    assert all(one["score"] > least for one in trace["candidates"])
