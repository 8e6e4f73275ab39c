"""The values that every part passes around: frozen, and none does I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeVar

Message = Mapping[str, Any]
"""One chat message as OpenAI writes it: `role`, `content`, and what else it carries. Read only."""

Finish = Literal["step", "stop", "length", "cut"]
"""Why a path stopped growing: a step ended, the model ended, its tokens ran out, or we cut it off."""

Limit = Literal["tokens", "seconds", "samples"]


Cause = Literal["connect", "timeout", "reset", "status", "overloaded", "refused", "garbage", "error_in_stream", "other"]
"""Why a call failed: no connection; silence for too long; a connection that ended before its time; a 5xx; a 429 or 503;
another 4xx, the caller's mistake; an answer that cannot be read; an error told inside of a good answer."""

Form = Literal["text", "json", "whole"]


NONE: Mapping[str, float] = MappingProxyType({})


class Logprob(NamedTuple):
    """One sampled token: its log-probability, and those of the likeliest tokens at its place, by text.

    There are as many of these as tokens, so they are made the cheapest way there is.
    """

    logprob: float
    top: Mapping[str, float] = NONE
    token: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model makes, or, while it arrives, a part of the one at `index`; `arguments` is JSON text."""

    index: int = 0
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation and, once an engine has rendered its chat template, the token ids of it.

    `room` is how many tokens the model can still write after the prompt. `form` tells how a reply is to be read: as
    text with an answer in it, as one JSON document, or as an answer from end to end. `thinks`: the template has opened
    a `<think>` that the reply goes on with. `template` are arguments of the chat template. `once`: nothing goes on from
    what it is answered, so that nobody has to know its ids.
    """

    messages: tuple[Message, ...]
    ids: tuple[int, ...] | None = None
    room: int | None = None
    form: Form = "text"
    tools: tuple[Mapping[str, Any], ...] = ()
    template: Mapping[str, Any] = field(default_factory=dict)
    thinks: bool = False
    once: bool = False


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample: the caller's wishes and the strategy's.

    `max_tokens` bounds one path, all its steps together. `step` is the text that ends a step and stays in it;
    `step_tokens` ends one that grows too long. `logprobs` asks for so many alternatives a token (0: only the
    sampled one). `extra` goes to the engine as it is.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    step: str | None = None
    step_tokens: int | None = None
    logprobs: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """A piece of a path: text, and the token ids it came as (none from an engine that does not tell them).

    `thought` is how many of its tokens are the model's own thinking, up to its `</think>`. `engine` names the one that
    wrote it, whose cache has it.
    """

    text: str
    ids: tuple[int, ...] = ()
    tokens: int = 0
    logprobs: tuple[Logprob, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    thought: int = 0
    engine: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Score:
    """A verifier's verdict, higher is better; `steps` holds one value a step where it judged steps."""

    value: float
    steps: tuple[float, ...] = ()

    @property
    def newest(self) -> float:
        """The value of the last step, or of the whole where steps were not judged."""
        return self.steps[-1] if self.steps else self.value


T = TypeVar("T")


def once_each(act: "Callable[[Candidate], T]") -> "Callable[[Candidate], T]":
    """A function of a candidate and nothing else: it is worked out once for each, though many ask."""

    @wraps(act)
    def known(candidate: "Candidate") -> T:
        if act in candidate.known:
            told: T = candidate.known[act]
            return told
        told = candidate.known[act] = act(candidate)
        return told

    return known


@dataclass(frozen=True)
class Candidate:
    """A response, whole or partial: the path of steps that led to it.

    The root of a search is the empty candidate. Ids are paths, "0.2.1" is the second child of "0.2": traces read as
    trees and seeds derive from them. `votes_for` is the answer that its own was found equal to, where that takes more
    than a look at their forms.
    """

    prompt: Prompt
    id: str = "0"
    steps: tuple[Step, ...] = ()
    finish: Finish | None = None
    score: Score | None = None
    votes_for: str | None = None
    known: dict[Callable[..., Any], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def text(self) -> str:
        return "".join([step.text for step in self.steps])

    @cached_property
    def tokens(self) -> int:
        return sum([step.tokens for step in self.steps])

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tools it calls."""
        return self.steps[-1].calls if self.steps else ()

    @property
    def thought(self) -> int:
        """How many of its tokens are the model's own thinking."""
        return sum(step.thought for step in self.steps)

    @property
    def finished(self) -> bool:
        """Whether it will not grow any more: the model ended it, or its tokens ran out."""
        return self.finish in ("stop", "length")

    @cached_property
    def mean_logprob(self) -> float | None:
        """The mean log-probability of its tokens, where the engine told them."""
        told = [token.logprob for step in self.steps for token in step.logprobs]
        return sum(told) / len(told) if told else None

    @property
    def logprobs(self) -> tuple[Logprob, ...]:
        """Those of its tokens, where the engine told them."""
        return tuple(token for step in self.steps for token in step.logprobs)

    def judged(self, score: Score) -> "Candidate":
        return replace(self, score=score)

    def saying(self, text: str) -> "Candidate":
        """The path with words put into the model's mouth: nobody sampled them, so they have no tokens."""
        return replace(self, steps=(*self.steps, Step(text)), finish=None, score=None)

    def told(self, said: str, words: str) -> "Candidate":
        """The conversation gone on with: the model has answered `said`, and now the user says `words`."""
        turns = ({"role": "assistant", "content": said}, {"role": "user", "content": words})
        return self.asked((*self.prompt.messages, *turns))

    def asked(self, messages: tuple[Message, ...]) -> "Candidate":
        """An empty path under another conversation; what grows from it are still this one's children."""
        prompt = replace(self.prompt, messages=messages, ids=None, room=None, thinks=False)
        return Candidate(prompt, self.id)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to an engine: `n` continuations of `prompt` + `steps`, each of at most `max_tokens`.

    Somebody watches a `live` call token by token; others may arrive in coarse pieces. `avoid` names an engine that it
    should not go to, if there is another. `id` is that of the candidate it grows, the first of several.
    """

    prompt: Prompt
    max_tokens: int
    steps: tuple[Step, ...] = ()
    n: int = 1
    sampling: Sampling = field(default_factory=Sampling)
    live: bool = False
    avoid: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one call made the engine read: prompt tokens, and how many of them came from its cache.

    `uncounted` tokens were sampled, by the engine's account, beyond those that its chunks told of.
    """

    prompt: int = 0
    cached: int = 0
    uncounted: int = 0


class Chunk(NamedTuple):
    """What arrived for continuation `index` of a call. The last one of each continuation has a `finish`."""

    text: str = ""
    index: int = 0  # type: ignore[assignment]  # tuples have a method of this name, which nobody asks of a chunk
    ids: tuple[int, ...] = ()
    tokens: int = 0
    finish: Finish | None = None
    logprobs: tuple[Logprob, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None
    engine: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that one request may spend: tokens sampled (verifiers' too), sequences started, wall time."""

    tokens: int = 1 << 20
    samples: int = 1 << 10
    seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Spent:
    """What a request has spent so far, in tokens by purpose, sequences started and calls made."""

    sampled: int = 0
    verifier: int = 0
    samples: int = 0
    calls: int = 0
    prompt: int = 0
    cached: int = 0

    @property
    def tokens(self) -> int:
        return self.sampled + self.verifier
