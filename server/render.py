"""Events in, pieces of a reply out. No I/O: the whole reply is the fold of the pieces, so it equals the stream.

The reasoning is told in the order of its birth: the oldest unfinished path live, the others as blocks when it is their
turn, each with its answer and score; notes stand where they were made. After the first piece of the answer there is
no more reasoning.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from server.settings import Format
from strategies.answers import answer_of, spoken
from strategies.events import Answered, Closed, Event, Lost, Note, Opened, Scored, Started, Token
from strategies.types import Candidate, Logprob, ToolCall

TAGS = ("<think>", "</think>")


@dataclass(frozen=True, slots=True)
class Piece:
    """What one chunk adds: to the reasoning, to the content, or the finish."""

    reasoning: str = ""
    content: str = ""
    finish: Literal["stop", "length", "tool_calls"] | None = None
    calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[Logprob, ...] = ()


@dataclass(slots=True)
class Block:
    """One path on its way into the trace; the text of one that is not shown yet waits here."""

    id: str
    waiting: list[str] = field(default_factory=list)
    begun: bool = False
    judged: bool = False
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
        self._judging = self._opened = self._answering = False
        self._before = ""
        self._queue: deque[Block | str] = deque()
        self._blocks: dict[str, Block] = {}
        self._tags = WithoutTags()
        self._thinking, self._behind = Thinking(opened=False), Behind(opened=False)
        self._thinks = False

    def __call__(self, event: Event) -> Iterator[Piece]:
        match event:
            case Started(judged=judging, thinks=thinks):
                self._judging, self._thinks = judging, thinks
                self._thinking, self._behind = Thinking(thinks), Behind(thinks)
            case Opened(id):
                self._blocks[id] = Block(id)
                self._queue.append(self._blocks[id])
            case Token(answer=True):
                yield from self._answer(event)
            case Token(id, text) if self._telling:
                self._blocks[id].waiting.append(text)
            case Closed(candidate):
                self._blocks[candidate.id].candidate = candidate
            case Scored(candidate):
                self._blocks[candidate.id].candidate = candidate
                self._blocks[candidate.id].judged = True
            case Lost(id, error):
                self._blocks[id].error = error
            case Note(_, text, ids):
                self._note(text, ids)
            case Answered(_, candidate):
                yield from self._finish(candidate)
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
            self._queue.remove(self._blocks[token.id])
            yield from self._close_reasoning()
            if self.format == "think" and self._thinks:
                yield Piece(content="<think>\n")
        thought, text = ("", token.text) if self.format == "think" else self._thinking(token.text)
        if thought and self.format == "fields":
            yield Piece(reasoning=thought)
        logprobs = token.logprobs if self.format == "think" else self._behind(token.logprobs)
        if text or token.calls or logprobs:
            yield Piece(content=text, calls=token.calls, logprobs=logprobs)

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


def answering(candidate: Candidate) -> tuple[Logprob, ...]:
    """The log-probabilities of the tokens that answer: those after the model's own thinking."""
    return Behind(candidate.prompt.thinks)([token for step in candidate.steps for token in step.logprobs])


class Thinking:
    """Tells a model's own thinking from its answer, in a stream of text that may begin inside a `<think>`."""

    def __init__(self, opened: bool) -> None:
        self._inside: bool | None = True if opened else None
        self._held = ""
        self._fresh = False

    def __call__(self, text: str) -> tuple[str, str]:
        """What of the text so far belongs to the thinking, and what to the answer."""
        text, self._held = self._held + text, ""
        if self._inside is None:
            begun = text.lstrip()
            if "<think>".startswith(begun):
                self._held = text
                return "", ""
            self._inside = begun.startswith("<think>")
            text = begun.removeprefix("<think>") if self._inside else text
        if not self._inside:
            return "", self._answer(text)
        thought, closed, answer = text.partition("</think>")
        if closed:
            self._inside, self._fresh = False, True
            return thought, self._answer(answer)
        held = max((len(part) for part in beginnings("</think>") if text.endswith(part)), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held], ""

    def _answer(self, text: str) -> str:
        """Text of the answer, without the blank that sets it off from the thinking."""
        text = text.lstrip() if self._fresh else text
        self._fresh = self._fresh and not text
        return text

    def rest(self) -> tuple[str, str]:
        """What was held back, in case it was the beginning of a tag."""
        return (self._held, "") if self._inside else ("", self._held)


class Behind:
    """Keeps those of a stream of tokens that come behind the model's own thinking."""

    def __init__(self, opened: bool) -> None:
        self._inside: bool | None = True if opened else None
        self._text = ""
        self._held: list[Logprob] = []

    def __call__(self, tokens: Sequence[Logprob]) -> tuple[Logprob, ...]:
        return tuple(kept for token in tokens for kept in self._one(token))

    def _one(self, token: Logprob) -> Sequence[Logprob]:
        if self._inside is False:
            return (token,)
        self._text += token.token
        if self._inside is None:
            self._held.append(token)
            begun = self._text.lstrip()
            if "<think>".startswith(begun):
                return ()
            self._inside = begun.startswith("<think>")
            if not self._inside:
                return self._held
        self._inside = "</think>" not in self._text
        return ()


class WithoutTags:
    """Drops think tags from a stream of text, also those that arrive in parts or that a dropped one leaves behind."""

    def __init__(self) -> None:
        self._held = self._sent = ""

    def __call__(self, text: str) -> str:
        text = dropped(self._held + text)
        held = max((len(part) for tag in TAGS for part in beginnings(tag) if text.endswith(part)), default=0)
        self._held = text[len(text) - held :]
        return self._apart(text[: len(text) - held])

    def rest(self) -> str:
        """What was held back because it might have become a tag."""
        rest, self._held = self._held, ""
        return self._apart(rest)

    def _apart(self, text: str) -> str:
        """The text, kept from making up a tag with what went before it."""
        if any(tag in self._sent + text for tag in TAGS):
            text = f" {text}"
        self._sent = (self._sent + text)[-max(map(len, TAGS)) :]
        return text


def beginnings(tag: str) -> list[str]:
    """All that a tag may begin with, short of itself."""
    return [tag[:length] for length in range(1, len(tag))]


def dropped(text: str) -> str:
    """A text without think tags."""
    while any(tag in text for tag in TAGS):
        for tag in TAGS:
            text = text.replace(tag, "")
    return text


def outcome(candidate: Candidate | None) -> str:
    """How a path ended: its answer, its score, why it stopped."""
    if candidate is None:
        return "cut off"
    answer = answer_of(candidate)
    parts = [f"answer {answer}"] if answer is not None else []
    parts += [f"score {candidate.score.value:.2f}"] if candidate.score else []
    parts += {"cut": ["cut off"], "length": ["out of tokens"]}.get(candidate.finish or "", [])
    return ", ".join(parts) or ("a step" if candidate.finish == "step" else "no answer found")
