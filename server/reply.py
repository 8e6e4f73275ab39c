"""Pieces and events as OpenAI writes them: chunks of a stream, or one whole reply."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import anyio
import msgspec

from server.errors import ApiError
from server.render import Piece, Renderer
from server.resolve import Plan
from server.trace import Recorder, told
from strategies.events import Answered, Closed, Event, Note, Scored, Token
from strategies.meter import Meter

DONE = b"data: [DONE]\n\n"


def frame(body: Mapping[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: " + msgspec.json.encode(body) + b"\n\n"


def run_of(event: Event) -> str:
    """The id of the root that an event belongs to: the index of a choice."""
    match event:
        case Closed(candidate) | Scored(candidate):
            id = candidate.id
        case Note(root):
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
        self._begun: set[int] = set()
        self._early: list[bytes] | None = []

    def pieces(self, event: Event) -> Iterator[tuple[int, Piece]]:
        """What an event adds to the reply, by choice."""
        self._recorder(event)
        index = run_of(event)
        for piece in self._renderers[index](event):
            yield int(index), piece

    def chunks(self, event: Event) -> bytes:
        """What an event adds to the stream."""
        out = [frame(self._chunk(index, piece)) for index, piece in self.pieces(event)]
        if self.plan.trace and not (isinstance(event, Token) and not event.tokens):
            live = told(event).model_dump(exclude_none=True)
            out.append(frame(self._head("chat.completion.chunk") | {"choices": [], "ponder": live}))
        if self._early is not None:  # until something grows, the request may yet fail as a whole
            self._early += out
            if not isinstance(event, Token | Answered):
                return b""
            out, self._early = self._early, None
        return b"".join(out)

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
        choices = [
            folded(index, [piece for at, piece in pieces if at == index]) for index in range(len(self.plan.roots))
        ]
        body = self._head("chat.completion") | {"choices": choices, "usage": self._usage()}
        return body | {"ponder": self._trace()} if self.plan.trace else body

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.plan.model}

    def _chunk(self, index: int, piece: Piece) -> dict[str, Any]:
        delta: dict[str, Any] = {}
        if index not in self._begun:
            self._begun.add(index)
            delta = {"role": "assistant", "content": ""}
        if piece.content:
            delta["content"] = piece.content
        if piece.reasoning:
            delta |= {"reasoning": piece.reasoning, "reasoning_content": piece.reasoning}
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": piece.finish}
        return self._head("chat.completion.chunk") | {"choices": [choice]}

    def _usage(self) -> dict[str, Any]:
        completion, calls = self.meter.spent.tokens, max(1, self.meter.spent.calls)
        prompt = self.prompt_tokens or self.meter.spent.prompt // calls  # an engine that does not render for us
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "completion_tokens_details": {"reasoning_tokens": completion - self._recorder.answer_tokens},
        }

    def _trace(self) -> dict[str, Any]:
        seconds = anyio.current_time() - self._started
        trace = self._recorder.trace(self.plan.described, self.meter.spent, self.meter.cut, seconds)
        return trace.model_dump(exclude_none=False)


def folded(index: int, pieces: list[Piece]) -> dict[str, Any]:
    """One choice of a whole reply."""
    message: dict[str, Any] = {"role": "assistant", "content": "".join(p.content for p in pieces), "refusal": None}
    if reasoning := "".join(p.reasoning for p in pieces):
        message |= {"reasoning": reasoning, "reasoning_content": reasoning}
    finish = next((p.finish for p in pieces if p.finish), "length")
    return {"index": index, "message": message, "logprobs": None, "finish_reason": finish}
