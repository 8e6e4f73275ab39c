"""Events in, pieces of a reply out. No I/O: the whole reply is the fold of the pieces, so it equals the stream.

The reasoning is told in the order of its birth: the oldest unfinished path live, the others as blocks when it is their
turn, each with its answer and score; notes stand where they were made. After the first piece of the answer there is
no more reasoning.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from server.settings import Format
from strategies.answers import answer_of
from strategies.events import Answered, Closed, Event, Lost, Note, Opened, Scored, Started, Token
from strategies.types import Candidate

TAGS = ("<think>", "</think>")


@dataclass(frozen=True, slots=True)
class Piece:
    """What one chunk adds: to the reasoning, to the content, or the finish."""

    reasoning: str = ""
    content: str = ""
    finish: Literal["stop", "length"] | None = None


@dataclass(slots=True)
class Block:
    """One path on its way into the trace; the text of one that is not shown yet waits here."""

    id: str
    waiting: list[str] = field(default_factory=list)
    begun: bool = False
    candidate: Candidate | None = None
    error: str | None = None

    def done(self, judged: bool) -> bool:
        """Whether all that will be told of it is known."""
        if self.error is not None:
            return True
        return self.candidate is not None and (not judged or self.candidate.score is not None)


class Renderer:
    """The pieces of one choice: the reasoning, then the answer."""

    def __init__(self, format: Format) -> None:
        self.format = format
        self._judged = self._opened = self._answering = False
        self._queue: deque[Block | str] = deque()
        self._blocks: dict[str, Block] = {}
        self._tags = WithoutTags()

    def __call__(self, event: Event) -> Iterator[Piece]:
        match event:
            case Started(judged=judged):
                self._judged = judged
            case Opened(id):
                self._blocks[id] = Block(id)
                self._queue.append(self._blocks[id])
            case Token(id, text, answer=True):
                yield from self._answer(text, id)
            case Token(id, text):
                self._blocks[id].waiting.append(text)
            case Closed(candidate) | Scored(candidate):
                self._blocks[candidate.id].candidate = candidate
            case Lost(id, error):
                self._blocks[id].error = error
            case Note(_, text):
                self._queue.append(text)
            case Answered(_, candidate):
                yield from self._finish(candidate)
        yield from self._told()

    def _told(self, over: bool = False) -> Iterator[Piece]:
        """The reasoning that may be told by now; all of it when the search is `over`."""
        if self.format == "none" or self._answering:
            return
        while self._queue:
            head = self._queue[0]
            if isinstance(head, str):
                yield from self._reason(f"{head}\n\n")
            else:
                yield from self._live(head)
                if not over and not head.done(self._judged):
                    return
                yield from self._end(head)
            self._queue.popleft()

    def _live(self, block: Block) -> Iterator[Piece]:
        """What has arrived of the path whose turn it is."""
        text = self._tags("".join(block.waiting))
        block.waiting.clear()
        if text:
            yield from self._reason(text if block.begun else f"[{block.id}] {text.lstrip()}")
            block.begun = True

    def _end(self, block: Block) -> Iterator[Piece]:
        text = self._tags.rest()
        told = f"lost: {block.error}" if block.error is not None else outcome(block.candidate)
        if block.begun:
            yield from self._reason(f"{text}\n→ {told}\n\n")
        elif block.error is not None:
            yield from self._reason(f"[{block.id}] {told}\n\n")

    def _reason(self, text: str) -> Iterator[Piece]:
        if self.format == "fields":
            yield Piece(reasoning=text)
            return
        yield Piece(content=text if self._opened else f"<think>\n{text}")
        self._opened = True

    def _close_reasoning(self) -> Iterator[Piece]:
        yield from self._told(over=True)
        if self._opened:
            yield Piece(content="</think>\n\n")
        self._answering = True

    def _answer(self, text: str, id: str) -> Iterator[Piece]:
        """The answer while it grows."""
        if not self._answering:
            self._queue.remove(self._blocks[id])
            yield from self._close_reasoning()
        if text:
            yield Piece(content=text)

    def _finish(self, candidate: Candidate) -> Iterator[Piece]:
        if not self._answering:
            yield from self._close_reasoning()
            if text := said(candidate.text) if self._blocks.get(candidate.id) else candidate.text:
                yield Piece(content=text)
        yield Piece(finish="stop" if candidate.finish == "stop" else "length")


class WithoutTags:
    """Drops think tags from a stream of text, also those that arrive in parts or that a dropped one leaves behind."""

    def __init__(self) -> None:
        self._held = ""

    def __call__(self, text: str) -> str:
        text = dropped(self._held + text)
        held = max((len(part) for tag in TAGS for part in beginnings(tag) if text.endswith(part)), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def rest(self) -> str:
        """What was held back because it might have become a tag."""
        rest, self._held = self._held, ""
        return rest


def beginnings(tag: str) -> list[str]:
    """All that a tag may begin with, short of itself."""
    return [tag[:length] for length in range(1, len(tag))]


def dropped(text: str) -> str:
    """A text without think tags."""
    while any(tag in text for tag in TAGS):
        for tag in TAGS:
            text = text.replace(tag, "")
    return text


def said(text: str) -> str:
    """What a response says after the model's own thinking."""
    return dropped(text.rpartition("</think>")[2]).lstrip()


def outcome(candidate: Candidate | None) -> str:
    """How a path ended: its answer, its score, why it stopped."""
    if candidate is None:
        return "cut off"
    answer = answer_of(candidate)
    parts = [f"answer {answer}"] if answer is not None else []
    parts += [f"score {candidate.score.value:.2f}"] if candidate.score else []
    parts += {"cut": ["cut off"], "length": ["out of tokens"]}.get(candidate.finish or "", [])
    return ", ".join(parts) or ("a step" if candidate.finish == "step" else "no answer found")
