"""Chunks of a stream: those of text alone, whose surroundings are encoded once, are as all others."""

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.reply import TEXT, Reply
from strategies.events import Opened, Started, Token
from strategies.types import Logprob


@pytest.fixture(autouse=True)
def no_loop(monkeypatch):
    monkeypatch.setattr("anyio.current_time", lambda: 0.0)


def reply(model="m", logprobs=None):
    plan = SimpleNamespace(
        full_trace=False,
        roots=[SimpleNamespace(id=id) for id in ("0", "1")],
        format="fields",
        trace=False,
        logprobs=logprobs,
        model=model,
    )
    made = Reply(plan, "chatcmpl-1", None)
    for id in ("0", "1"):
        assert made.chunks(Started(id, "single")) + made.chunks(Opened(f"{id}.0", id, None)) == b""
    return made


def chunk(data):
    assert data.startswith(b"data: ")
    assert data.endswith(b"\n\n")
    return json.loads(data[6:])


@given(texts=st.lists(st.text(min_size=1), min_size=2), model=st.text(min_size=1).filter(lambda name: name != TEXT))
def test_a_chunk_says_its_text_and_nothing_else_whatever_text_and_model_are(texts, model):
    told = reply(model)
    told.chunks(Token("0.0", "first", answer=True))
    for text in ("\0", '"', "\u2028", *texts):
        one = chunk(told.chunks(Token("0.0", text, answer=True)))
        assert one.pop("created") == told.created
        choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
        assert one == {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": model, "choices": [choice]}


def test_reasoning_is_said_in_both_fields_by_each_of_its_chunks():
    told = reply()
    [head] = chunk(told.chunks(Token("0.0", "<think>one", answer=True)))["choices"]
    [more] = chunk(told.chunks(Token("0.0", "two", answer=True)))["choices"]
    assert head["delta"] == {"role": "assistant", "content": "", "reasoning": "one", "reasoning_content": "one"}
    assert more["delta"] == {"reasoning": "two", "reasoning_content": "two"}


def test_each_choice_begins_by_itself_and_keeps_its_index():
    told = reply()
    said = [chunk(told.chunks(Token(f"{at}.0", "a", answer=True)))["choices"][0] for at in (0, 1, 0, 1)]
    assert [choice["index"] for choice in said] == [0, 1, 0, 1]
    assert ["role" in choice["delta"] for choice in said] == [True, True, False, False]


def test_a_chunk_with_log_probabilities_has_them():
    told = reply(logprobs=0)
    for text in ("a", "b"):
        one = chunk(told.chunks(Token("0.0", text, answer=True, logprobs=(Logprob(-0.5, token=text),))))
        assert one["choices"][0]["logprobs"]["content"][0]["token"] == text
