"""Requests that mean harm: whatever a body holds, it is refused by name, in little time, and never by a 500."""

import json
import time

import pytest

from server.engine_schema import CompletionRequest, DetokenizeRequest
from server.errors import ApiError
from server.incoming import parse
from server.resolve import resolve
from server.responses.schema import ResponsesRequest
from server.schema import ChatRequest
from server.settings import Settings
from strategies.registry import Registry

MANY = 300_000
ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def judged(**verifier):
    return {**ASKED, "reasoning_strategy": {"name": "best_of_n", "verifier": verifier}}


def refusal(body, kind=ChatRequest):
    """What a body is refused with."""
    with pytest.raises(ApiError) as refused:
        planned(json.dumps(body).encode(), kind)
    return refused.value


def planned(body, kind):
    return resolve(parse(body, kind), Settings(limits={"run_code": True}), Registry(), {"m": 1})


@pytest.mark.parametrize(
    ("body", "kind", "param"),
    [
        ({"model": "m", "messages": [1] * MANY}, ChatRequest, "messages.0"),
        ({**ASKED, "stop_token_ids": ["a"] * MANY}, ChatRequest, "stop_token_ids.0"),
        ({"model": "m", "messages": [{"role": "user", "content": [1] * MANY}]}, ChatRequest, "messages.0.content.0"),
        ({"model": "m", "prompt": [-1] * MANY}, CompletionRequest, "prompt.0"),
        ({"model": "m", "tokens": ["a"] * MANY}, DetokenizeRequest, "tokens.0"),
        ({"model": "m", "input": [1] * MANY}, ResponsesRequest, "input.0"),
        ({**ASKED, "logit_bias": {str(at): 1000 for at in range(MANY)}}, ChatRequest, None),
        (judged(name="code", tests=[1] * MANY), ChatRequest, "reasoning_strategy.verifier.tests"),
        (
            judged(name="expression", numbers=[1], target=1, operators=["p"] * MANY),
            ChatRequest,
            "reasoning_strategy.verifier.operators",
        ),
        (judged(name="logprob", **{f"x{at}": 1 for at in range(MANY)}), ChatRequest, "reasoning_strategy.verifier"),
    ],
)
def test_many_mistakes_cost_little_more_than_one(body, kind, param):
    start = time.process_time()
    assert refusal(body, kind).param == param
    assert time.process_time() - start < 2.5


def test_tests_are_no_longer_than_they_may_be():
    assert refusal(judged(name="code", tests=["x" * 600_000] * 2)).param == "reasoning_strategy.verifier"
    assert refusal(judged(name="code", cases=[{"stdout": "x" * 100_000}] * 11)).param == "reasoning_strategy.verifier"


@pytest.mark.parametrize("pattern", ["[[a]", "[a||b]", "(((a{1000}){1000}){1000})"])
def test_a_pattern_that_python_warns_of_or_that_is_huge_once_compiled_is_taken(pattern):
    start = time.process_time()
    assert planned(json.dumps(judged(name="regex", pattern=pattern)).encode(), ChatRequest).verifier.pattern == pattern
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": "x" * 100_000}, "model"),
        ({"reasoning_strategy": "x" * 100_000}, "reasoning_strategy"),
        (judged(name="x" * 100_000), "reasoning_strategy.verifier"),
        ({"reasoning_strategy": {"name": "single", "x" * 100_000: 1}}, None),
    ],
)
def test_an_error_does_not_say_a_long_text_again(fields, param):
    refused = refusal({**ASKED, **fields})
    assert param is None or refused.param == param
    assert len(json.dumps(refused.body())) < 2500
