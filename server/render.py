"""Events in, pieces of a reply out. No I/O: the whole reply is the fold of the pieces, so it equals the stream.

The reasoning is told in the order of its birth: the oldest unfinished path live, the others as blocks when it is their
turn, each with its answer and score; notes stand where they were made. After the first piece of the answer there is
no more reasoning.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from server.settings import Format
from server.thinking import Behind, Thinking, WithoutTags, answering, dropped
from strategies.answers import answer_of, spoken
from strategies.events import Answered, Closed, Event, Lost, Note, Opened, Pruned, Scored, Started, Token
from strategies.types import Candidate, Logprob, ToolCall


class Piece(NamedTuple):
    """What one chunk adds: to the reasoning, to the content, or the finish."""

    reasoning: str = ""
    content: str = ""
    finish: Literal["stop", "length", "tool_calls"] | None = None
    calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[Logprob, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether it is text alone, all of one kind."""
        return not (self.finish or self.calls or self.logprobs) and bool(self.content) != bool(self.reasoning)


@dataclass(slots=True)
class Block:
    """One path on its way into the trace; the text of one that is not shown yet waits here."""

    id: str
    waiting: list[str] = field(default_factory=list)
    begun: bool = False
    judged: bool = False
    thinks: bool | None = None
    candidate: Candidate | None = None
    error: str | None = None

    def done(self, judging: bool) -> bool:
        """Whether all that will be told of it is known."""
        if self.error is not None:
            return True
        return self.candidate is not None and (not judging or self.judged or not self.candidate.steps)


class Renderer:
    """The pieces of one choice: the reasoning, then the answer."""

    def __init__(self, format: Format) -> None:
        self.format = format
        self._judging = self._opened = self._answering = self._raw = False
        self._before = ""
        self._queue: deque[Block | str] = deque()
        self._blocks: dict[str, Block] = {}
        self._tags = WithoutTags()
        self._thinking, self._behind = Thinking(None), Behind(None)

    def __call__(self, event: Event) -> Iterable[Piece]:
        return self._answer(event) if isinstance(event, Token) and event.answer else self._reasoning(event)

    def _reasoning(self, event: Event) -> Iterator[Piece]:
        """What else happens, as far as it can be told by now; the end of the answer."""
        block: Block | None = None
        match event:
            case Started(judged=judging):
                self._judging = judging
            case Opened(id, thinks=thinks):
                block = self._blocks[id] = Block(id, thinks=thinks)
                self._queue.append(block)
            case Token(id, text):
                if not self._telling:
                    return
                block = self._blocks[id]
                block.waiting.append(text)
            case Closed(candidate):
                block = self._blocks[candidate.id]
                block.candidate = candidate
            case Scored(candidate):
                block = self._blocks[candidate.id]
                block.candidate, block.judged = candidate, True
            case Lost(id, error):
                block = self._blocks[id]
                block.error = error
            case Note(_, text, ids) | Pruned(_, text, ids):
                self._note(text, ids)
            case Answered(_, candidate):
                yield from self._finish(candidate)
        if self._queue and (block is None or self._queue[0] is block):  # others wait for their turn
            yield from self._told()

    @property
    def _telling(self) -> bool:
        return self.format != "none" and not self._answering

    def _note(self, text: str, ids: Sequence[str]) -> None:
        """Keep a note for its turn; one about paths comes after any judgement of them."""
        self._queue.append(text)
        for id in ids:
            self._blocks[id].judged = True

    def _told(self, over: bool = False) -> Iterator[Piece]:
        """The reasoning that may be told by now; all of it when the search is `over`."""
        if not self._telling:
            return
        while self._queue:
            head = self._queue[0]
            if isinstance(head, str):
                yield from self._reason(f"{head}\n\n")
            else:
                yield from self._live(head)
                if not over and not head.done(self._judging):
                    return
                yield from self._end(head)
            self._queue.popleft()

    def _live(self, block: Block) -> Iterator[Piece]:
        """What has arrived of the path whose turn it is."""
        text = self._tags("".join(block.waiting))
        block.waiting.clear()
        if not block.begun:
            text = text.lstrip()
        if text:
            yield from self._reason(text if block.begun else f"[{block.id}] {text}")
            block.begun = True

    def _end(self, block: Block) -> Iterator[Piece]:
        text = self._tags.rest()
        told = f"lost: {block.error}" if block.error is not None else outcome(block.candidate)
        if block.begun:
            yield from self._reason(f"{text}\n→ {told}\n\n")
        elif block.error is not None and self._opened:
            yield from self._reason(f"[{block.id}] {told}\n\n")
        elif block.error is not None:  # if nothing lives, this is no thinking but a failed request
            self._before += f"[{block.id}] {told}\n\n"

    def _reason(self, text: str) -> Iterator[Piece]:
        text, self._before = self._before + text, ""
        if self.format == "fields":
            yield Piece(reasoning=text)
        else:
            yield Piece(content=text if self._opened else f"<think>\n{text}")
        self._opened = True

    def _close_reasoning(self) -> Iterator[Piece]:
        yield from self._told(over=True)
        if self._before and self.format != "none":
            yield from self._reason("")
        if self._opened and self.format == "think":
            yield Piece(content="</think>\n\n")
        self._answering = True
        self._blocks = {id: Block(id) for id in self._blocks}

    def _answer(self, token: Token) -> Iterator[Piece]:
        """The answer while it grows; the model's own thinking before it goes where reasoning goes."""
        if not self._answering:
            yield from self._begin(self._blocks[token.id])
        thought, text = ("", token.text) if self._raw else self._thinking(token.text)
        if thought and self.format == "fields":
            yield Piece(reasoning=thought)
        logprobs = token.logprobs if self._raw else self._behind(token.logprobs)
        if text or token.calls or logprobs:
            yield Piece(content=text, calls=token.calls, logprobs=logprobs)

    def _begin(self, block: Block) -> Iterator[Piece]:
        """The end of the reasoning, as the answer's first token has come."""
        before = self._blocks.get(block.id.rpartition(".")[0])
        thought = before is not None and before.candidate is not None and not spoken(before.candidate)
        self._thinking = Thinking(block.thinks, behind=thought and block.thinks is False)
        self._behind = Behind(block.thinks)
        self._raw = self.format == "think" and block.thinks is not False
        self._queue.remove(block)
        yield from self._close_reasoning()
        if self._raw and block.thinks:
            yield Piece(content="<think>\n")

    def _finish(self, candidate: Candidate) -> Iterator[Piece]:
        if self._answering:
            thought, rest = self._thinking.rest()
            if thought and self.format == "fields":
                yield Piece(reasoning=thought)
            if rest:
                yield Piece(content=rest)
        else:
            yield from self._close_reasoning()
            text = dropped(spoken(candidate)) if candidate.steps else ""
            if text or candidate.calls:
                yield Piece(content=text, calls=candidate.calls, logprobs=answering(candidate))
        if candidate.finish != "stop":
            yield Piece(finish="length")
        else:
            yield Piece(finish="tool_calls" if candidate.calls else "stop")


def outcome(candidate: Candidate | None) -> str:
    """How a path ended: its answer, its score, why it stopped."""
    if candidate is None:
        return "cut off"
    answer = answer_of(candidate)
    parts = [f"answer {answer}"] if answer is not None else []
    parts += [f"score {candidate.score.value:.2f}"] if candidate.score else []
    parts += {"cut": ["cut off"], "length": ["out of tokens"]}.get(candidate.finish or "", [])
    return ", ".join(parts) or ("a step" if candidate.finish == "step" else "no answer found")
