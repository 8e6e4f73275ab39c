"""One sequence while it grows: what has arrived of it, and what it may still become."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

from strategies.answers import thinking
from strategies.types import Call, Candidate, Chunk, Finish, Logprob, Sampling, Step, ToolCall

SPAN = 16
"""Chunks in which a think tag may lie; it has 8 characters."""


class Growth:
    """A child of some path: at most `room` tokens, in steps of at most `sampling.step_tokens`.

    Somebody may watch it grow (`watched`), perhaps as the answer itself (`answer`). It is `hungry` while only its
    allowance has ended it. `tokens` and `logprobs` are what has arrived so far.
    """

    def __init__(self, child: Candidate, sampling: Sampling, room: int, answer: bool = False) -> None:
        self.child, self.sampling, self.room = child, sampling, room
        self.answer = answer
        self.tokens = 0
        self.open = True
        self.watched = self.hungry = self._resumed = False
        self._texts: list[str] = []
        self._ids: list[int] = []
        self.logprobs: list[Logprob] = []
        self._calls: dict[int, ToolCall] = {}
        self._engine = self.avoid = ""
        self._thought = 0
        self._thinks = thinking(child)

    @property
    def wanted(self) -> int:
        """How many tokens it would still take."""
        return min(self.room, self.sampling.step_tokens or self.room) - self.tokens

    def add(self, chunk: Chunk) -> None:
        self._texts.append(chunk.text)
        self._ids.extend(chunk.ids)
        self.logprobs.extend(chunk.logprobs)
        self.tokens += chunk.tokens
        self._engine = chunk.engine
        self._think(chunk)
        for part in chunk.calls:
            self._calls[part.index] = joined(self._calls.get(part.index), part)
        if chunk.finish:  # what the engine parses for calls cannot be gone on with
            self.hungry = chunk.finish == "cut" and not self.child.prompt.tools

    def resume(self, broke_at: str) -> bool:
        """Let it go on by a request of its own at another engine than the one that failed, if it can; it can once.

        It goes on from its text, whose end an engine may hold back while it tells the ids already. What is parsed, or
        bound by a grammar, cannot be gone on with.
        """
        prompt, extra = self.child.prompt, self.sampling.extra
        if self._resumed or prompt.tools or prompt.form == "json" or "structured_outputs" in extra:
            return False
        self._resumed = self.hungry = True
        self.avoid = broke_at
        return True

    def _think(self, chunk: Chunk) -> None:
        """Count the tokens of the model's own thinking; of the chunk that ends it, the share that its text has."""
        if self._thinks is False:
            return
        said = "".join(self._texts[-SPAN:])
        if self._thinks is None:
            begun = said.lstrip()
            if "<think>".startswith(begun):
                return
            self._thinks = begun.startswith("<think>")
            self._thought = self.tokens - chunk.tokens if self._thinks else 0
        if not self._thinks:
            return
        _, closed, answer = said.partition("</think>")
        inside = max(0, len(chunk.text) - len(answer)) / len(chunk.text) if closed and chunk.text else 1.0
        self._thought += round(chunk.tokens * inside)
        self._thinks = not closed

    def path(self) -> tuple[Step, ...]:
        """The parent's steps and, once there is something of it, this one."""
        if not self.tokens:
            return self.child.steps
        calls = tuple(self._calls[index] for index in sorted(self._calls))
        ids, logprobs = () if self._resumed else tuple(self._ids), tuple(self.logprobs)
        text = "".join(self._texts)
        return (*self.child.steps, Step(text, ids, self.tokens, logprobs, calls, self._thought, self._engine))

    def close(self, finish: Finish) -> Candidate:
        """The grown candidate. What its tokens end is a step where the path has room for another, else the path."""
        self.open = False
        if finish in ("step", "length"):
            full = self.tokens >= self.room or (finish == "length" and self.sampling.step_tokens is None)
            finish = "length" if full else "step"
        return Candidate(self.child.prompt, self.child.id, self.path(), finish)


def joined(call: ToolCall | None, part: ToolCall) -> ToolCall:
    """A tool call and a further part of it."""
    if call is None:
        return part
    return replace(call, name=call.name + part.name, arguments=call.arguments + part.arguments)


def call_for(growths: Sequence[Growth]) -> Call:
    """The request that grows siblings, which have nothing yet, or one sequence further.

    The engine gives continuation j the seed `seed + j`, so siblings need consecutive seeds.
    """
    first = growths[0]
    sampling = first.sampling
    if first.tokens and sampling.seed is not None:
        sampling = replace(sampling, seed=seed_of(sampling.seed, f"{first.child.id}+{first.tokens}"))
    prompt, id = first.child.prompt, first.child.id
    live, avoid = first.watched, first.avoid
    return Call(prompt, first.wanted, first.path(), len(growths), sampling, live=live, avoid=avoid, id=id)


def seed_of(seed: int, id: str) -> int:
    """The seed of the first child of the path `id`: the same in every process.

    It is the caller's own for the first root, so that n samples are those that an engine draws for `n` and `seed`.
    """
    if id == "0":
        return seed
    return int.from_bytes(blake2b(f"{seed}/{id}".encode(), digest_size=6).digest())
