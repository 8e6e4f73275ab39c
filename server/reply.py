"""Pieces and events as OpenAI writes them: chunks of a stream, or one whole reply."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import anyio
import msgspec

from server.errors import ApiError
from server.render import Piece, Renderer
from server.resolve import Plan
from server.trace import Recorder, told
from strategies.events import Answered, Closed, Event, Judged, Judging, Note, Pruned, Scored, Token
from strategies.growth import joined
from strategies.meter import Meter
from strategies.types import Logprob, ToolCall

DONE = b"data: [DONE]\n\n"
TEXT = "\0"
"""Stands for the text of a chunk while what is around it is encoded; no model has this name."""
ENCODED = msgspec.json.encode(TEXT)


class Around(NamedTuple):
    """What is around the text, wherever it stands, in the chunks of one choice that add nothing but text.

    Most are such, so it is encoded once.
    """

    content: list[bytes]
    reasoning: list[bytes]


def frame(body: Mapping[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: " + msgspec.json.encode(body) + b"\n\n"


def run_of(event: Event) -> str:
    """The id of the root that an event belongs to: the index of a choice."""
    match event:
        case Token(id):  # most events
            pass
        case Closed(candidate) | Scored(candidate):
            id = candidate.id
        case Judging(root) | Judged(root) | Note(root) | Pruned(root):
            id = root
        case _:
            id = event.id
    return id.partition(".")[0]


class Reply:
    """The reply to one request, while it comes about."""

    def __init__(self, plan: Plan, id: str, meter: Meter) -> None:
        self.plan, self.id, self.meter = plan, id, meter
        self.created = int(time.time())
        self.prompt_tokens = 0
        self._started = anyio.current_time()
        self._recorder = Recorder(plan.full_trace)
        self._renderers = {root.id: Renderer(plan.format) for root in plan.roots}
        self._around: dict[int, Around] = {}
        self._early: list[bytes] | None = []

    def pieces(self, event: Event) -> list[tuple[int, Piece]]:
        """What an event adds to the reply, by choice."""
        self._recorder(event)
        run = run_of(event)
        return [(int(run), piece) for piece in self._renderers[run](event)]

    def chunks(self, event: Event) -> bytes:
        """What an event adds to the stream."""
        data = b"".join([self._chunk(index, piece) for index, piece in self.pieces(event)])
        if self.plan.trace and not (isinstance(event, Token) and not event.tokens):
            data += frame(self._head("chat.completion.chunk") | {"choices": [], "ponder": told(event)})
        if self._early is not None:  # until something grows, the request may yet fail as a whole
            self._early.append(data)
            if not isinstance(event, Token | Answered):
                return b""
            data, self._early = b"".join(self._early), None
        return data

    def end(self) -> bytes:
        """The end of a stream in which all went well."""
        out = []
        if self.plan.include_usage:
            out.append(frame(self._head("chat.completion.chunk") | {"choices": [], "usage": self._usage()}))
        if self.plan.trace:
            out.append(frame(self._head("chat.completion.chunk") | {"choices": [], "ponder": self._trace()}))
        return b"".join(out) + DONE

    def failure(self, error: ApiError) -> bytes:
        """The end of a stream in which something failed."""
        return frame(error.body()) + DONE

    def whole(self, pieces: list[tuple[int, Piece]]) -> dict[str, Any]:
        """The reply as one body: the fold of its pieces."""
        indices = range(len(self.plan.roots))
        choices = [self._folded(index, [piece for at, piece in pieces if at == index]) for index in indices]
        body = self._head("chat.completion") | {"choices": choices, "usage": self._usage()}
        return body | {"ponder": self._trace()} if self.plan.trace else body | self._flags()

    def _folded(self, index: int, pieces: list[Piece]) -> dict[str, Any]:
        """One choice of a whole reply."""
        tokens = [token for piece in pieces for token in piece.logprobs]
        logprobs = self._logprobs(tokens)
        finish = next((piece.finish for piece in pieces if piece.finish), "length")
        return {"index": index, "message": message_of(pieces), "logprobs": logprobs, "finish_reason": finish}

    def _logprobs(self, tokens: Sequence[Logprob]) -> dict[str, Any] | None:
        return None if self.plan.logprobs is None else told_logprobs(tokens, self.plan.logprobs)

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.plan.model}

    def _chunk(self, index: int, piece: Piece) -> bytes:
        """A piece as a chunk of the stream."""
        around = self._around.get(index)
        if around is None:
            plain = [Piece(content=TEXT), Piece(reasoning=TEXT)]
            self._around[index] = Around(*(frame(self._chunk_of(index, one)).split(ENCODED) for one in plain))
            return frame(self._chunk_of(index, piece, role="assistant", content=""))
        if not piece.plain:
            return frame(self._chunk_of(index, piece))
        if piece.content:
            return msgspec.json.encode(piece.content).join(around.content)
        return msgspec.json.encode(piece.reasoning).join(around.reasoning)

    def _chunk_of(self, index: int, piece: Piece, **delta: Any) -> dict[str, Any]:
        if piece.content:
            delta["content"] = piece.content
        if piece.reasoning:
            delta |= {"reasoning": piece.reasoning, "reasoning_content": piece.reasoning}
        if piece.calls:
            delta["tool_calls"] = [call_delta(call) for call in piece.calls]
        logprobs = self._logprobs(piece.logprobs) if piece.logprobs else None
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": piece.finish}
        flags = self._flags() if piece.finish and not self.plan.trace else {}
        return self._head("chat.completion.chunk") | {"choices": [choice]} | flags

    def _usage(self) -> dict[str, Any]:
        completion = self.meter.spent.tokens
        prompt = self.prompt_tokens or self.meter.first_prompt  # of an engine that does not render for us
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "completion_tokens_details": {"reasoning_tokens": completion - self._recorder.answer_tokens},
        }

    def _flags(self) -> dict[str, Any]:
        """What the caller is told without asking, where there is something."""
        return {"ponder": self._recorder.flags.model_dump()} if self._recorder.flagged else {}

    def _trace(self) -> dict[str, Any]:
        seconds = anyio.current_time() - self._started
        trace = self._recorder.trace(self.plan.described, self.meter.spent, self.meter.cut, seconds)
        return trace.model_dump(exclude_none=False)


def message_of(pieces: list[Piece]) -> dict[str, Any]:
    """The message that pieces add up to."""
    content = "".join(piece.content for piece in pieces)
    calls: dict[int, ToolCall] = {}
    for part in (part for piece in pieces for part in piece.calls):
        calls[part.index] = joined(calls.get(part.index), part)
    message: dict[str, Any] = {"role": "assistant", "content": content or (None if calls else ""), "refusal": None}
    if reasoning := "".join(piece.reasoning for piece in pieces):
        message |= {"reasoning": reasoning, "reasoning_content": reasoning}
    if calls:
        message["tool_calls"] = [call_of(calls[index]) for index in sorted(calls)]
    return message


def call_of(call: ToolCall) -> dict[str, Any]:
    """A tool call as a whole reply has it."""
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def call_delta(part: ToolCall) -> dict[str, Any]:
    """A tool call, or a part of it, as a stream has it: id, type and name come with its first part."""
    function = {"name": part.name, "arguments": part.arguments} if part.name else {"arguments": part.arguments}
    first = {"id": part.id, "type": "function"} if part.id else {}
    return {"index": part.index, **first, "function": function}


def told_logprobs(tokens: Sequence[Logprob], most: int) -> dict[str, Any]:
    """Log-probabilities as OpenAI writes them, `most` alternatives a token."""
    return {"content": [scored(token, most) for token in tokens], "refusal": None}


def scored(token: Logprob, most: int) -> dict[str, Any]:
    """One token with its likeliest alternatives."""
    likeliest = sorted(token.top.items(), key=lambda one: -one[1])[:most]
    return entry(token.token, token.logprob) | {"top_logprobs": [entry(text, p) for text, p in likeliest]}


def entry(token: str, logprob: float) -> dict[str, Any]:
    """One token and its log-probability; OpenAI's floor is -9999."""
    return {"token": token, "logprob": max(logprob, -9999.0), "bytes": list(token.encode())}
