"""Verifiers that ask reward models, and several verifiers as one."""

import pytest
from pydantic import ValidationError

from strategies.protocols import Ask, BackendError
from strategies.registry import Registry
from strategies.testing import FakeBackend
from strategies.types import Candidate, Prompt, Score, Step
from strategies.verifiers.ensemble import Ensemble
from strategies.verifiers.outcome_reward import OutcomeReward
from strategies.verifiers.process_reward import ProcessReward

pytestmark = pytest.mark.anyio
SERVED = {"url": "http://rewards", "model": "m"}


def path(*texts, id="0.0"):
    return Candidate(Prompt(()), id, tuple(Step(text) for text in texts))


class FakeScorer:
    """The value of a text is its number; that of a path, its steps' numbers. It refuses "?"."""

    def __init__(self):
        self.calls = []

    async def outcomes(self, candidates, *, endpoint="classify", activation=True):
        self.calls.append((endpoint, activation))
        return [None if one.text == "?" else float(one.text) for one in candidates]

    async def prefixes(self, candidates, *, activation=True):
        self.calls.append(("prefixes", activation))
        return self.values(candidates)

    async def steps(self, candidates, tag, *, activation=True):
        self.calls.append((tag, activation))
        return self.values(candidates)

    def values(self, candidates):
        return [None if one.text == "?" else tuple(float(step.text) for step in one.steps) for one in candidates]


def asking(scorer, rewards=None):
    def scorers(reward):
        if rewards is not None:
            rewards.append(reward)
        return scorer

    return Ask(FakeBackend(lambda call, seed: ""), scorers=scorers)


async def test_an_outcome_reward_gives_one_value_a_response():
    scorer, rewards = FakeScorer(), []
    verifier = OutcomeReward(**SERVED, api_key="s3cret", endpoint="score", activation=False)
    scores = await verifier.score([path("0.5"), path("?"), path("-2")], asking(scorer, rewards))
    assert scores == [Score(0.5), None, Score(-2.0)]
    assert scorer.calls == [("score", False)]
    assert [(one.url, one.model, one.api_key) for one in rewards] == [("http://rewards", "m", "s3cret")]
    assert "s3cret" not in repr(verifier) + str(verifier.model_dump()) + verifier.model_dump_json()


@pytest.mark.parametrize(("aggregation", "value"), [("last", 0.4), ("min", 0.2), ("product", 0.04), ("mean", 1.1 / 3)])
async def test_a_process_reward_aggregates_the_values_of_steps(aggregation, value):
    scorer = FakeScorer()
    verifier = ProcessReward(**SERVED, step_tag="<s>", aggregation=aggregation)
    [score, refused, empty] = await verifier.score([path("0.5", "0.2", "0.4"), path("?"), path()], asking(scorer))
    assert score.value == pytest.approx(value)
    assert score.steps == (0.5, 0.2, 0.4)
    assert (refused, empty) == (None, None)
    assert scorer.calls == [("<s>", True)]


async def test_prefixes_are_asked_for_without_a_tag():
    scorer = FakeScorer()
    [score] = await ProcessReward(**SERVED, mode="prefix").score([path("0.1", "0.9")], asking(scorer))
    assert score == Score(0.9, (0.1, 0.9))
    assert scorer.calls == [("prefixes", True)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "steps"},
        {"mode": "prefix", "step_tag": 5},
        {"step_tag": 5, "aggregation": "product", "activation": False},
        {"step_tag": 5, "url": "file:///etc/passwd"},
        {"step_tag": 5, "model": ""},
    ],
)
def test_settings_that_cannot_work_are_refused_without_showing_them(wrong):
    with pytest.raises(ValidationError) as refused:
        ProcessReward(**{**SERVED, "api_key": "s3cret", **wrong})
    assert "s3cret" not in str(refused.value)


def test_the_address_of_a_reward_model_may_end_in_v1():
    assert OutcomeReward(url="http://a:1/v1/", model="m").url == "http://a:1"


class Fixed:
    """A verifier that gives what it was given, or fails."""

    def __init__(self, *scores, logprobs=None):
        self.scores, self.logprobs = scores, logprobs

    async def score(self, candidates, ask):
        if not self.scores:
            raise BackendError("down")
        return [Score(one) if isinstance(one, float) else one for one in self.scores]


async def ensemble(*members, **settings):
    candidates = [path(str(at)) for at in range(2)]
    return await Ensemble(members=list(members), **settings).score(candidates, asking(FakeScorer()))


@pytest.mark.parametrize(("combine", "values"), [("mean", (0.5, 0.6)), ("min", (0.25, 0.5))])
async def test_an_ensemble_combines_its_members_scores(combine, values):
    scores = await ensemble(Fixed(0.75, 0.5), Fixed(0.25, 0.7), combine=combine)
    assert [score.value for score in scores] == pytest.approx(values)


async def test_a_member_that_cannot_judge_is_left_out():
    assert await ensemble(Fixed(0.75, None), Fixed(0.25, None)) == [Score(0.5), None]
    assert await ensemble(Fixed(0.75, 0.5), Fixed(None, None), Fixed()) == [Score(0.75), Score(0.5)]
    with pytest.raises(BackendError, match="down"):
        await ensemble(Fixed(), Fixed())


async def test_steps_are_combined_where_all_have_equally_many():
    two, three = Score(0.5, (0.25, 0.75)), Score(0.5, (0.5, 0.5, 0.5))
    scores = await ensemble(Fixed(two, two), Fixed(Score(1.0, (0.75, 0.25)), three))
    assert scores == [Score(0.75, (0.5, 0.5)), Score(0.5)]


def test_an_ensemble_needs_the_log_probabilities_that_its_members_need():
    assert Ensemble(members=[Fixed(), Fixed()]).logprobs is None
    assert Ensemble(members=[Fixed(logprobs=0), Fixed(), Fixed(logprobs=20)]).logprobs == 20


def test_members_are_made_of_names_and_objects():
    made = Registry().verifier(
        {"name": "ensemble", "members": ["arithmetic", {"name": "ensemble", "members": ["logprob"]}]}
    )
    assert [member.name for member in made.members] == ["arithmetic", "ensemble"]
    assert made.logprobs == 0
    with pytest.raises(ValidationError):
        Registry().verifier({"name": "ensemble", "members": []})
    with pytest.raises(ValidationError):
        Ensemble(members=["arithmetic"])
