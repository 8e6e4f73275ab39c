"""Verifiers that a request names: who may set what, and that they judge in a running server."""

import time
from typing import ClassVar, Literal

import pytest
from pydantic import SecretStr

from server.app import create_app
from server.errors import ApiError
from server.resolve import made_verifier
from server.settings import Settings
from strategies.registry import VERIFIERS, Registry
from strategies.verifiers.base import Settings as VerifierBase
from tests.serving import ponder

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Served(VerifierBase):
    """A verifier that asks a server of the operator's."""

    operator: ClassVar[frozenset[str]] = frozenset({"url", "api_key"})
    name: Literal["served"] = "served"
    url: str
    api_key: SecretStr = SecretStr("")
    step: int = 1

    async def score(self, candidates, ask):
        return [None for _ in candidates]


REGISTRY = Registry(verifiers=(*VERIFIERS, Served))
SETTINGS = Settings(verifiers={"mine": {"kind": "served", "url": "http://10.0.0.1", "api_key": "secret"}})
CODE = {"name": "code", "tests": ["assert f(3) == 9"]}


def made(spec, settings=SETTINGS):
    return made_verifier(spec, settings, REGISTRY, "reasoning_strategy.verifier")


def test_what_only_the_operator_sets_comes_from_the_settings_and_is_told_to_nobody():
    told, verifier = made({"name": "mine", "step": 2})
    assert (verifier.url, verifier.api_key.get_secret_value(), verifier.step) == ("http://10.0.0.1", "secret", 2)
    assert told == {"name": "served", "step": 2}


@pytest.mark.parametrize("name", ["mine", "served"])
@pytest.mark.parametrize("field", ["url", "api_key"])
def test_a_request_that_sets_it_is_refused_by_name(name, field):
    with pytest.raises(ApiError, match=rf"settings sets {field}") as refused:
        made({"name": name, field: "http://evil"})
    assert (refused.value.status, refused.value.param) == (400, f"reasoning_strategy.verifier.{field}")


def test_code_is_off_until_the_operator_turns_it_on():
    with pytest.raises(ApiError, match=r"limits\.run_code") as refused:
        made(CODE)
    assert (refused.value.status, refused.value.param) == (400, "reasoning_strategy.verifier")
    _, verifier = made(CODE, Settings(limits={"run_code": True}))
    assert verifier.tests == CODE["tests"]


def test_a_name_for_a_verifier_that_is_off_is_refused_at_the_start():
    named = {"tested": {"kind": "code", "tests": ["assert True"]}}
    with pytest.raises(ValueError, match=r"verifiers\.tested.*run_code"):
        create_app(Settings(verifiers=named))
    create_app(Settings(verifiers=named, limits={"run_code": True}))


def replies(*texts):
    """A model whose samples say these, one each."""
    said = list(texts)
    return lambda ask: said.pop(0) if said else texts[-1]


def best(verifier, n=3):
    return {"name": "best_of_n", "n": n, "verifier": verifier}


JUDGED = {
    "math_equal": ({"name": "math_equal", "reference": "2(x+1)"}, ["\\boxed{x+2}", "\\boxed{2x+2}", "\\boxed{x}"]),
    "regex": ({"name": "regex", "pattern": "^b", "where": "text"}, ["a1", "b2", "c3"]),
    "json_schema": ({"name": "json_schema", "schema": {"type": "array"}}, ["{}", "[1]", "so"]),
    "expression": (
        {"name": "expression", "numbers": [3, 5, 7], "target": 38},
        ["\\boxed{3*5+7}", "\\boxed{5*7+3}", "\\boxed{38}"],
    ),
    "arithmetic": ("arithmetic", ["1 + 1 = 3. " * 40, "1 + 1 = 2. " * 40, "1 + 1 = 4. " * 40]),
    "code": (CODE, [f"```python\ndef f(x): return {body}\n```" for body in ("x", "x * x", "9 / 0")]),
}


@pytest.mark.parametrize("name", JUDGED)
async def test_a_verifier_without_a_model_finds_the_right_one(name):
    verifier, texts = JUDGED[name]
    async with ponder(replies(*texts), settings=Settings(limits={"run_code": True})) as served:
        reply = (await served.chat(reasoning_strategy=best(verifier), return_trace=True)).json()
    scores = {c["text"]: c["score"] for c in reply["ponder"]["candidates"]}
    assert {text: score for text, score in scores.items() if score} == {texts[1]: 1.0}
    assert texts[1].strip() in reply["choices"][0]["message"]["content"]


async def test_a_request_for_code_gets_a_400_where_it_is_off():
    async with ponder(lambda ask: "hm") as served:
        refused = await served.chat(reasoning_strategy=best(CODE))
    assert refused.status_code == 400
    assert "limits.run_code" in refused.json()["error"]["message"]


async def test_a_hostile_pattern_costs_a_worker_its_time_and_the_reply_nothing_but_that():
    hostile = {"name": "regex", "pattern": "(a+)+b", "where": "text"}
    async with ponder(lambda ask: "a" * 3000, settings=Settings(workers={"seconds": 0.2})) as served:
        start = time.monotonic()
        reply = await served.chat(reasoning_strategy=best(hostile, n=2))
        assert reply.status_code == 200
        assert time.monotonic() - start < 30
        assert (await served.chat()).status_code == 200


@pytest.mark.parametrize("strategy", ["best_of_n", "beam_search"])
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": "json_schema", "schema": {"type": "strange"}}, "schema"),
        ({"name": "regex", "pattern": "(?<=a*)b", "where": "text"}, "pattern"),
    ],
)
async def test_what_only_a_worker_finds_wrong_is_a_400_that_names_it(strategy, inside, wrong, field):
    verifier = {"name": "ensemble", "members": ["logprob", wrong]} if inside else wrong
    async with ponder(lambda ask: "{}") as served:
        refused = await served.chat(reasoning_strategy={"name": strategy, "verifier": verifier})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == f"reasoning_strategy.verifier.{field}"
