"""Reward models really served by vLLM guide searches on a real vLLM: their values arrive as the models give them."""

import httpx
import pytest

from server.settings import Engine, Settings
from tests.rewards import TAG
from tests.serving import serving

pytestmark = [pytest.mark.anyio, pytest.mark.real]
QUESTION = "Tom has 13 apples.\n\nHe buys 29 more. How many has he? Think in a few short paragraphs."
BEST = {"name": "best_of_n", "n": 4, "prompt": "none"}
BEAM = {"name": "beam_search", "beams": 2, "width": 2, "depth": 3, "step_tokens": 24, "prompt": "none"}


@pytest.fixture
async def served(real_engine, real_rewards):
    step = {"kind": "process_reward", "url": real_rewards.step, "model": "step", "step_tag": "\n\n"}
    outcome = {"url": real_rewards.outcome, "model": "outcome"}
    verifiers = {
        "steps": step,
        "weakest": {**step, "step_tag": TAG, "aggregation": "min"},
        "prefix": {**outcome, "kind": "process_reward", "mode": "prefix"},
        "outcome": {**outcome, "kind": "outcome_reward"},
        "raw": {**outcome, "kind": "outcome_reward", "endpoint": "score", "activation": False},
        "all": {"kind": "ensemble", "members": ["steps", "prefix", "logprob"]},
    }
    async with serving(Settings(engines=(Engine(url=real_engine.url),), verifiers=verifiers)) as ponder:
        yield ponder


async def judged(served, strategy, verifier):
    """The candidates of a search, every one judged, with the score of each of their steps."""
    asked = {"reasoning_strategy": {**strategy, "verifier": verifier}, "return_trace": "full", "max_tokens": 72}
    reply = await served.chat(QUESTION, seed=3, **asked)
    assert reply.status_code == 200, reply.text
    trace = reply.json()["ponder"]
    assert not [note for note in trace["notes"] if "fail" in note or "could not" in note]
    assert len(trace["candidates"]) >= 4
    return trace["candidates"]


class Direct:
    """A reward model, asked without Ponder."""

    def __init__(self, url, model):
        self.url, self.model = url, model

    async def post(self, path, **body):
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as client:
            return (await client.post(path, json={"model": self.model, **body})).json()

    async def ids(self, text):
        return (await self.post("/tokenize", prompt=text, add_special_tokens=False))["tokens"]

    async def prompt(self):
        messages = [{"role": "user", "content": QUESTION}]
        return (await self.post("/tokenize", messages=messages, add_generation_prompt=True))["tokens"]

    async def steps(self, texts):
        """The values at the tags behind the steps. The prompt holds tags as well, and a step may."""
        ids, rows = await self.prompt(), []
        for text in texts:
            ids = [*ids, *await self.ids(text.rstrip()), TAG]
            rows.append(ids.count(TAG) - 1)
        [told] = (await self.post("/pooling", input=[ids]))["data"]
        return [told["data"][row][1] for row in rows]

    async def prefix(self, texts):
        """The value of the prompt and all of these steps."""
        ids = await self.prompt()
        for text in texts:
            ids = [*ids, *await self.ids(text)]
        [told] = (await self.post("/classify", input=[ids]))["data"]
        return told["probs"][0]

    async def outcome(self, text):
        """The value of the whole conversation."""
        messages = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": text}]
        [told] = (await self.post("/classify", messages=messages))["data"]
        return told["probs"][0]


def near(value):
    return pytest.approx(value, abs=2e-3)


def texts_of(candidate):
    return [step["text"] for step in candidate["steps"]]


@pytest.mark.parametrize("strategy", [BEST, BEAM], ids=lambda one: one["name"])
@pytest.mark.parametrize("verifier", ["steps", "weakest"])
async def test_each_step_has_the_value_at_its_tag(served, real_rewards, strategy, verifier):
    direct = Direct(real_rewards.step, "step")
    for candidate in await judged(served, strategy, verifier):
        values = await direct.steps(texts_of(candidate))
        assert [step["score"] for step in candidate["steps"]] == near(values)
        assert candidate["score"] == near(values[-1] if verifier == "steps" else min(values))


@pytest.mark.parametrize("strategy", [BEST, BEAM], ids=lambda one: one["name"])
async def test_each_step_has_the_value_of_the_path_up_to_it(served, real_rewards, strategy):
    direct = Direct(real_rewards.outcome, "outcome")
    for candidate in await judged(served, strategy, "prefix"):
        texts = texts_of(candidate)
        values = [await direct.prefix(texts[: at + 1]) for at in range(len(texts))]
        assert [step["score"] for step in candidate["steps"]] == near(values)
        assert candidate["score"] == near(values[-1])


async def test_an_outcome_has_the_value_of_its_conversation(served, real_rewards):
    direct = Direct(real_rewards.outcome, "outcome")
    for candidate in await judged(served, BEST, "outcome"):
        assert candidate["score"] == near(await direct.outcome(candidate["text"]))


async def test_a_pair_has_its_raw_score(served, real_rewards):
    direct = Direct(real_rewards.outcome, "outcome")
    for candidate in await judged(served, BEST, "raw"):
        pair = {"queries": QUESTION, "documents": candidate["text"], "use_activation": False}
        [told] = (await direct.post("/score", **pair))["data"]
        assert candidate["score"] == pytest.approx(told["score"], rel=1e-2)


async def test_an_ensemble_of_reward_models_and_likelihood_judges_steps(served):
    for candidate in await judged(served, BEAM, "all"):
        assert all(0 <= step["score"] <= 1 for step in candidate["steps"])


async def test_how_sure_the_engine_was_is_read_from_its_log_probabilities(served):
    for candidate in await judged(served, BEAM, "self_certainty"):
        assert all(1 < step["score"] < 50 for step in candidate["steps"])


async def test_the_best_by_the_reward_model_answers(served):
    strategy = {**BEST, "verifier": "outcome"}
    reply = (await served.chat(QUESTION, seed=3, max_tokens=48, reasoning_strategy=strategy, return_trace=True)).json()
    candidates = reply["ponder"]["candidates"]
    best = max(candidates, key=lambda one: (one["finish"] == "stop", one["score"]))
    assert len({one["score"] for one in candidates}) > 1
    assert reply["ponder"]["choices"][0]["chosen"] == best["id"]
