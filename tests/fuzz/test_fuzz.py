"""Generated input for whatever reads what others wrote: 20,000 cases here, any number by `make fuzz CASES=…`.

Hypothesis keeps what fails in `.hypothesis`, and an `@example` keeps what failed once.
"""

import json
import os

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from server.engine_schema import CompletionRequest, DetokenizeRequest, TokenizeRequest
from server.responses.schema import ResponsesRequest
from server.schema import ChatRequest
from strategies.answers import canonical, final_answer
from strategies.verifiers.equations import equations
from tests.fuzz.reading import pieces, read, refused, split

CASES = int(os.environ.get("PONDER_FUZZ_CASES", "20000"))
MARKS = [
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "\\boxed{",
    "}",
    "data:",
    "[DONE]",
    "\n\n",
    "=",
    "1/0",
    "{",
    '"',
    "\x00",
]
text = st.lists(st.sampled_from(MARKS) | st.text(max_size=8), max_size=24).map("".join)
cut = st.lists(st.integers(1, 9), max_size=30)


def cases(share):
    """This share of all cases."""
    return settings(max_examples=max(1, int(CASES * share)), deadline=None, suppress_health_check=list(HealthCheck))


@given(
    st.lists(st.sampled_from([b"data: ", b'{"choices":[]}', b"\n\n", b"\r\n", b"[DONE]"]) | st.binary(max_size=6)), cut
)
@example([b"data: [DONE]", b"\n"], [1] * 20)
@cases(0.2)
def test_a_stream_means_the_same_however_it_is_cut_into_pieces(parts, sizes):
    data = b"".join(parts)
    assert read(data, sizes) == read(data, [])


@given(text, st.booleans())
@cases(0.2)
def test_any_reply_has_an_answer_or_none_and_equal_ones_stay_equal(said, whole):
    answer = final_answer(said, whole=whole)
    if answer is not None:
        assert canonical(canonical(answer)) == canonical(answer) or "%" in answer or "\\" in answer


@given(text, cut, st.sampled_from([None, True, False]))
@cases(0.2)
def test_thinking_is_told_from_the_answer_however_the_text_is_cut_into_pieces(said, sizes, inside):
    assert split(pieces(said, sizes), inside) == split([said], inside)


@given(text)
@cases(0.1)
def test_any_text_has_equations_or_none(said):
    assert all(0 < one.end <= len(said) for one in equations(said))


BODIES = {
    ChatRequest: {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "n": 2,
        "reasoning_strategy": "best_of_n",
    },
    ResponsesRequest: {"model": "m", "input": "hi", "reasoning_budget": {"tokens": 9}},
    CompletionRequest: {"model": "m", "prompt": ["hi"], "max_tokens": 3},
    TokenizeRequest: {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    DetokenizeRequest: {"model": "m", "tokens": [1, 2]},
}
SEEDS = {kind: json.dumps(body).encode() for kind, body in BODIES.items()}
change = st.tuples(
    st.integers(0, 200),
    st.integers(0, 12),
    st.sampled_from([b'"', b"{", b"]", b"1e999", b"null", b"\\ud800", b"[[[["]) | st.binary(max_size=4),
)


@given(st.sampled_from(list(BODIES)), st.lists(change, max_size=4))
@cases(0.3)
def test_a_request_that_was_changed_somewhere_is_understood_or_refused(kind, changes):
    body = SEEDS[kind]
    for at, length, put in changes:
        body = body[:at] + put + body[at + length :]
    refusal = refused(kind, body)
    assert refusal is None or (refusal.status in (400, 404) and json.dumps(refusal.body()))


def test_the_cases_are_as_many_as_are_promised():
    assert CASES >= 20_000 or "PONDER_FUZZ_CASES" in os.environ
