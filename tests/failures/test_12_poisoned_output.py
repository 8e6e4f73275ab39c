"""A model that says poison: all that reads it takes time in proportion to its length, and what goes out is UTF-8."""

import asyncio
import json
import time

import pytest

from server.backends.http import LONGEST_FRAME, frames
from server.backends.vllm import Vllm
from server.backends.wire import decoded
from server.render import Renderer
from server.thinking import TAGS, Behind, Thinking, WithoutTags, dropped
from strategies.answers import answer_of, final_answer, spoken, valid
from strategies.events import Closed, Opened, Started, Token
from strategies.meter import Meter, Metered
from strategies.protocols import BackendError
from strategies.types import Budget, Call, Candidate, Logprob, Prompt, Step, ToolCall
from strategies.verifiers.code import blocks, source_of
from tests.fuzz.reading import Dripping
from tests.poison.corpus import corpus, huge
from tests.poison.growth import check_linear
from tests.serving import ponder

ASKED = ({"role": "user", "content": "What is 3 + 4?"},)
PIECE = 4
"""Characters of a token."""
MOST = 3000
"""Characters of a text that are read in pieces, again and again."""


@pytest.fixture
def anyio_backend():
    return "asyncio"


def response(text, form="text", thinks=False, calls=()):
    return Candidate(Prompt(ASKED, form=form, thinks=thinks), "0", (Step(text, calls=calls),), finish="stop")


def in_pieces(text):
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]


def split(text, inside=None):
    """The thinking and the answer in a text that arrives in pieces."""
    splitter = Thinking(inside)
    told = [splitter(piece) for piece in in_pieces(text)] + [splitter.rest()]
    return "".join(thought for thought, _ in told), "".join(answer for _, answer in told)


def behind(text, inside=None):
    keeper = Behind(inside)
    return [keeper((Logprob(0.0, token=piece),)) for piece in in_pieces(text)]


def untagged(text):
    drop = WithoutTags()
    return "".join([*map(drop, in_pieces(text)), drop.rest()])


def rendered(text):
    """What a reader sees of a sample that waited until its turn, and of the same text as the answer."""
    renderer, candidate = Renderer("think"), response(text)
    events = [Started("0", "self_consistency"), Opened("0.0", "0", False), Opened("0.1", "0", False)]
    events += [Token("0.1", piece, 1) for piece in in_pieces(text)]
    events += [Closed(Candidate(candidate.prompt, f"0.{at}", candidate.steps, "stop")) for at in range(2)]
    return "".join(piece.content for event in events for piece in renderer(event))


def framed(data, size=512):
    """The events of an answer; None where it ends before its time."""

    found = []
    parts = (data[at : at + size] for at in range(0, len(data), size))

    async def take(some):
        found.extend(some)

    try:
        asyncio.run(frames(Dripping(parts), take))
    except BackendError:
        return None
    return found


READERS = {
    "the answer of a text": lambda text: answer_of(response(text)),
    "the answer of a document": lambda text: answer_of(response(text, form="json")),
    "the answer that is all of it": lambda text: answer_of(response(text, form="whole")),
    "the answer of a call": lambda text: answer_of(response("", calls=(ToolCall(name="f", arguments=text),))),
    "what follows thinking": lambda text: spoken(response(text, thinks=True)),
    "whether it is one": lambda text: valid(response(text)),
    "code": lambda text: source_of(response(text)),
    "thinking": split,
    "thinking that was opened": lambda text: split(text, inside=True),
    "tokens behind thinking": behind,
    "tokens behind thinking that was opened": lambda text: behind(text, inside=True),
    "tags": untagged,
    "tags at once": dropped,
    "a trace": rendered,
    "one long event": lambda text: framed(b"data: " + text.replace("\n", " ").encode("utf-8", "replace")),
    "events": lambda text: framed(text.encode("utf-8", "replace")),
}
MARKS = {
    "blanks": " ",
    "lines": "\n",
    "letters": "a",
    "digits": "7",
    "thousands": "1,111",
    "braces": "{",
    "boxes": "\\boxed{",
    "answers": "<answer>",
    "closing answers": "</answer>",
    "thoughts": "<think>",
    "closing thoughts": "</think>",
    "beginnings": "<",
    "events": "data: x\n",
    "fences": "```\n",
    "quotes": '"',
    "lists": "[",
}
MADE = {name: lambda length, mark=mark: mark * (length // len(mark)) for name, mark in MARKS.items()} | {
    "a fence": lambda length: "```" + "a" * length,
    "tags in tags": lambda length: "<thi" * (length // 7) + "nk>" * (length // 7),
    "braces in braces": lambda length: "\\boxed{" + "{" * (length // 2) + "}" * (length // 2),
}


@pytest.mark.parametrize(
    ("reader", "made"),
    [
        ("thinking", "blanks"),
        ("tokens behind thinking", "blanks"),
        ("tokens behind thinking that was opened", "letters"),
        ("tags at once", "tags in tags"),
        ("code", "a fence"),
        ("the answer of a text", "boxes"),
        ("a trace", "tags in tags"),
        ("the answer of a text", "thousands"),
        ("one long event", "letters"),
    ],
)
def test_what_is_easily_made_to_take_the_square_of_its_length_takes_time_in_proportion(reader, made):
    check_linear(READERS[reader], MADE[made])


@pytest.mark.slow
@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("reader", READERS)
def test_reading_anything_takes_time_in_proportion(reader, made):
    check_linear(READERS[reader], MADE[made])


def test_the_corpus_is_large_and_has_no_name_twice():
    named = [(poison.kind, poison.name) for poison in corpus()]
    assert len(set(named)) == len(named) >= 200


@pytest.mark.parametrize("reader", READERS)
def test_whatever_a_model_says_can_be_read_and_goes_out_as_utf_8(reader):
    for poison in corpus():
        json.dumps(READERS[reader](poison.text[:MOST]), default=str, ensure_ascii=False).encode()


@pytest.mark.slow
@pytest.mark.parametrize("poison", huge(), ids=lambda poison: poison.name)
def test_ten_million_characters_can_be_read(poison):
    for form in ("text", "json", "whole"):
        answer_of(response(poison.text, form))
    assert not any(tag in dropped(poison.text) for tag in TAGS)
    blocks(poison.text)


def test_an_answer_that_is_too_long_abstains():
    assert final_answer("<answer>" + "a" * 5000 + "</answer>") is None
    assert answer_of(response("<answer>" + "a" * 5000 + "</answer>")) is None


@pytest.mark.parametrize("answer", ["+-5", "5%\\%", "5,000%\\", "-+5", "+", "%", "\\%", "-%"])
def test_a_sign_or_a_percent_too_many_is_no_number_and_no_crash(answer):
    assert answer_of(response(f"<answer>{answer}</answer>")) not in (None, "5", "-5", "5%")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a<th<think>ink>b", "ab"),
        ("<</think>think>", ""),
        ("<thi</think>nk>x", "x"),
        ("a>b</think", "a>b</think"),
        ("<think><think></think>>", ">"),
        ("no tags > here <", "no tags > here <"),
    ],
)
def test_tags_that_a_dropped_one_leaves_behind_are_dropped_too(text, kept):
    assert dropped(text) == kept


@pytest.mark.parametrize("blanks", ["", " ", " \n\t " * 9])
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<think>a</think> b", ("a", "b")),
        ("<thi", ("", "<thi")),
        ("a", ("", "a")),
        ("", ("", "")),
        ("<thick", ("", "<thick")),
    ],
)
def test_blanks_before_the_thinking_are_dropped_and_before_an_answer_kept(blanks, text, told):
    thought, answer = told
    assert split(blanks + text) == (thought, answer if thought else blanks + answer)


def test_an_event_in_many_parts_is_one_event_and_too_long_a_one_an_error():
    event = b'{"x": "' + b"a" * 100_000 + b'"}'
    for size in (1, 7, 4096, 1 << 20):
        assert framed(b"data: " + event + b"\n\ndata: 1\n\ndata: [DONE]\n\n", size) == [event, b"1"]
    assert framed(b"data: " + b"a" * (LONGEST_FRAME + 10), 1 << 16) is None


class Together:
    """An engine all of whose events come at once."""

    def __init__(self, *events):
        self.events = events

    async def sse(self, path, body, take):
        await take(self.events)


def test_what_came_before_an_event_that_is_none_is_paid_for_and_told():
    good, meter, told = b'{"choices": [{"text": "two", "token_ids": [1, 2]}]}', Meter(Budget(), time.monotonic), []

    async def take(chunks):
        told.extend(chunks)

    engine = Metered(Vllm(Together(good, b"{", good), "m"), meter)
    with pytest.raises(BackendError, match="cannot be read"):
        asyncio.run(engine.stream(Call(Prompt((), ids=(1,)), 8), take))
    assert [chunk.text for chunk in told] == ["two"]
    assert (meter.tokens, meter.free) == (2, meter.budget.tokens - 2)


@pytest.mark.parametrize("event", [b"\xff", b'{"choices": [{"text": "\\ud800"}]}', b"[" * 10_000, b"{", b"", b"1e999"])
def test_an_event_that_is_none_is_the_engines_failure(event):
    with pytest.raises(BackendError):
        decoded(event)


@pytest.mark.anyio
@pytest.mark.parametrize("text", ['{"x": "\\ud800"}', '{"x": "\\u0000"}', '{"\u202e": "\x00"}'])
async def test_a_document_with_half_a_character_goes_out_as_it_came(text):
    wishes = {"reasoning_strategy": {"name": "self_consistency", "n": 2}, "response_format": {"type": "json_object"}}
    async with ponder(lambda ask: text) as served:
        reply = await served.chat(**wishes, return_trace=True)
        chunks = await served.stream(**wishes, return_trace="full")
    assert reply.json()["choices"][0]["message"]["content"] == text
    assert chunks[-1] == "[DONE]"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "text", ["data: [DONE]\n\n", "<answer>[DONE]</answer>\n\ndata: [DONE]\n\ndata: {}\n\n: \r\n\r\n"]
)
async def test_the_end_of_a_stream_in_a_text_ends_no_stream(text):
    async with ponder(lambda ask: text) as served:
        chunks = await served.stream()
    said = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks[:-1] if chunk["choices"])
    assert (said, chunks.count("[DONE]"), chunks[-1]) == (text, 1, "[DONE]")
