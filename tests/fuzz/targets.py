"""What a fuzzer may give any bytes to; each fails where these are not read as they should be."""

import json
from itertools import repeat

from server.engine_schema import CompletionRequest, DetokenizeRequest, TokenizeRequest
from server.responses.schema import ResponsesRequest
from server.schema import ChatRequest
from strategies.answers import answer_of, canonical, final_answer
from strategies.types import Candidate, Prompt, Step
from tests.fuzz.reading import pieces, read, refused, split

KINDS = (ChatRequest, ResponsesRequest, CompletionRequest, TokenizeRequest, DetokenizeRequest)
INSIDE = (None, True, False)


def drawn(data):
    """A number below 256, and the rest."""
    return (data[0], data[1:]) if data else (0, b"")


def stream(data):
    """An engine's stream says the same in pieces of any size."""
    size, rest = drawn(data)
    assert read(rest, repeat(size + 1)) == read(rest, [])


def request(data):
    """A body is a request, or refused by a 400 or 404 that is JSON."""
    kind, rest = drawn(data)
    refusal = refused(KINDS[kind % len(KINDS)], rest)
    assert refusal is None or (refusal.status in (400, 404) and json.dumps(refusal.body()))


def answer(data):
    """A reply has an answer or none, in every form; a form is its own form."""
    whole, rest = drawn(data)
    said = rest.decode("utf-8", "replace")
    found = final_answer(said, whole=whole % 2 == 0)
    if found is not None:
        json.dumps(canonical(found))
    for form in ("text", "json", "whole"):
        answer_of(Candidate(Prompt(({"role": "user", "content": "?"},), form=form), "0", (Step(said),), finish="stop"))


def thinking(data):
    """Thinking and answer are the same however the text is cut."""
    choice, rest = drawn(data)
    said, inside = rest.decode("utf-8", "replace"), INSIDE[choice % len(INSIDE)]
    assert split(pieces(said, repeat(choice // len(INSIDE) + 1)), inside) == split([said], inside)


TARGETS = {target.__name__: target for target in (stream, request, answer, thinking)}
