"""Strategies that draw many samples and choose, over HTTP on a simulated engine."""

import time

import pytest

from tests.serving import content_of, ponder

pytestmark = pytest.mark.anyio
VOTES = [
    {"name": "self_consistency", "n": 12, "early_stop": "beta", "weights": "logprob"},
    {"name": "self_consistency", "n": 12, "early_stop": "esc", "window": 3, "weights": "self_certainty"},
    {"name": "self_consistency", "n": 6, "weights": "verifier", "verifier": "arithmetic"},
    {"name": "short_m", "n": 6, "m": 2},
    {"name": "deepconf", "n": 12, "warmup": 4, "keep": 0.5},
    {"name": "deepconf", "n": 6, "mode": "offline"},
    {"name": "coverage", "n": 12},
    {"name": "coverage", "n": 6, "verifier": "arithmetic"},
    {"name": "knockout", "n": 5},
    {"name": "gen_select", "n": 6, "only_when_split": False, "think_tokens": 8},
]


@pytest.fixture
def anyio_backend():
    return "asyncio"


def answering(ask):
    """Some words, more or fewer, and one of four answers."""
    return " word" * ask.rng.randint(15, 40) + f"<answer>{ask.rng.randrange(4)}</answer>"


@pytest.mark.parametrize("tokens", [150, 4000])
@pytest.mark.parametrize("strategy", VOTES, ids=lambda s: "-".join(map(str, s.values())))
async def test_it_streams_inside_its_budget_and_tells_what_happens(strategy, tokens):
    budget = {"tokens": tokens}
    async with ponder(answering) as served:
        chunks = await served.stream(
            reasoning_strategy=strategy, reasoning_budget=budget, return_trace=True, seed=1, max_tokens=200
        )
        assert served.engine.generated <= tokens
        assert served.engine.running == 0
    events = [chunk["ponder"] for chunk in chunks[:-1] if chunk.get("ponder")]
    trace, live = events[-1], events[:-1]
    kinds = [event["event"] for event in live]
    assert (kinds[0], kinds[-1]) == ("started", "answered")
    assert kinds.count("opened") == kinds.count("closed") > 1
    assert trace["cut"] == ("tokens" if tokens == 150 else None)
    [choice] = trace["choices"]
    chosen = next(c for c in trace["candidates"] if c["id"] == choice["chosen"])
    assert content_of(chunks).endswith(chosen["text"].lstrip())
    assert not chosen["pruned"]
    if tokens == 4000:
        assert sum(choice["votes"].values()) > 0
        assert "note" in kinds


async def test_votes_stopped_early_tell_what_they_saved():
    rule = {"name": "self_consistency", "n": 40, "early_stop": "beta"}
    async with ponder(lambda ask: "so <answer>5</answer>") as served:
        reply = (await served.chat(reasoning_strategy=rule, return_trace=True)).json()
    assert reply["ponder"]["choices"][0]["facts"] == {"saved": 36}
    assert reply["ponder"]["choices"][0]["votes"] == {"5": 4}
    assert reply["ponder"]["tokens"]["samples"] == 4


async def test_the_longer_samples_of_a_short_vote_are_aborted():
    def reply(ask):
        return "word " * (30 if ask.seed % 5 < 2 else 3000) + "<answer>5</answer>"

    async with ponder(reply) as served:
        strategy = {"name": "short_m", "n": 5, "m": 2}
        reply = (await served.chat(reasoning_strategy=strategy, seed=5, return_trace=True)).json()
        assert served.engine.running == 0
        assert served.engine.aborted == 3
    candidates = reply["ponder"]["candidates"]
    assert [c["pruned"] for c in candidates] == [False, False, True, True, True]
    assert all(c["tokens"] < 200 for c in candidates)
    assert reply["ponder"]["choices"][0]["votes"] == {"5": 2}


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_thousand_samples_answer_with_every_vote_told(streamed):
    started = time.process_time()
    fields = {"reasoning_strategy": {"name": "coverage", "n": 1024}, "return_trace": True, "seed": 3}
    async with ponder(lambda ask: f"word word <answer>{ask.rng.randrange(200)}</answer>") as served:
        if streamed:
            trace = [chunk["ponder"] for chunk in (await served.stream(**fields))[:-1] if chunk.get("ponder")][-1]
        else:
            trace = (await served.chat(**fields)).json()["ponder"]
    assert time.process_time() - started < 10
    [choice] = trace["choices"]
    assert len(trace["candidates"]) == choice["facts"]["samples"] == sum(choice["votes"].values()) == 1024
    assert choice["facts"]["answers"] == len(choice["votes"]) > 150
    assert choice["votes"][choice["answer"]] == max(choice["votes"].values())
    assert trace["cut"] is None


async def test_without_a_checker_none_is_used_and_with_one_pass_at_k_is_told():
    async with ponder() as served:
        plain = (await served.chat(reasoning_strategy={"name": "coverage", "n": 4}, return_trace=True)).json()["ponder"]
        checked = {"name": "coverage", "n": 4, "verifier": "arithmetic"}
        told = (await served.chat(reasoning_strategy=checked, return_trace=True)).json()["ponder"]
        paths = {request.body.get("structured_outputs") for request in served.engine.requests}
    assert plain["plan"]["verifier"] is None
    assert "pass_at_k" not in plain["choices"][0]["facts"]
    assert told["plan"]["verifier"] == {"name": "arithmetic"}
    assert set(told["choices"][0]["facts"]["pass_at_k"]) == {"1", "2", "4"}
    assert paths == {None}, "no model was asked"


async def test_equal_formulas_are_one_vote_in_reply_and_trace():
    said = ["\\boxed{2(x+1)}", "\\boxed{3x}", "\\boxed{2x+2}"]
    async with ponder(lambda ask: said[ask.index % 3]) as served:
        strategy = {"name": "self_consistency", "n": 3, "early_stop": "none"}
        trace = (await served.chat(reasoning_strategy=strategy, return_trace=True)).json()["ponder"]
    [choice] = trace["choices"]
    assert sorted(choice["votes"].values()) == [1, 2]
    assert choice["agreement"] == pytest.approx(2 / 3)
    assert choice["answer"] in choice["votes"]
