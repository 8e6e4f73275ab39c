"""What the simulated engine says: the reply to one sample, and how it unrolls into tokens under stops and limits."""

import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, cycle, islice, pairwise
from random import Random
from typing import Any, Literal

from benchmarks.engine_text import ASSISTANT, EOS, WORDS, encode, spell

Fault = Literal["status", "frame", "reset"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One sample that is wanted: `text` is all of it so far, the rendered prompt and what was already generated."""

    text: str
    index: int
    seed: int | None
    rng: Random
    body: Mapping[str, Any]

    @property
    def question(self) -> str:
        """The text up to the head of the assistant's last turn; all of it when there is none."""
        head, mark, _ = self.text.rpartition(ASSISTANT)
        return head + mark or self.text

    @property
    def said(self) -> str:
        """What the assistant's last turn says already."""
        return self.text[len(self.question) :]


@dataclass(frozen=True, slots=True)
class Reply:
    """What to say. Without `ends` the text repeats until a limit; `ids` gives exact tokens instead of the text's own.

    `chances` are the probabilities of the first token, by text, or of whole choices; `fault` breaks the whole request.
    `calls` are tools to call, by name and JSON arguments; chat tells them with the last token.
    """

    text: str = ""
    ends: bool = True
    ids: tuple[int, ...] | None = None
    chances: Mapping[str, float] = field(default_factory=dict)
    fault: Fault | None = None
    calls: tuple[tuple[str, str], ...] = ()


Replier = Callable[[Ask], Reply | str]


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a sample has to stop; lengths in tokens."""

    max_tokens: int
    min_tokens: int = 0
    ignore_eos: bool = False
    stop: tuple[str, ...] = ()
    stop_ids: frozenset[int] = frozenset()
    include_stop: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample written in advance. `pieces[i]` is the text released by token i; `spelled[i]` is what it stands for."""

    ids: Sequence[int]
    pieces: Sequence[str]
    spelled: Sequence[str]
    finish: Literal["stop", "length"]
    stop_reason: str | int | None
    chances: Mapping[str, float]
    calls: tuple[tuple[str, str], ...] = ()


def arithmetic(ask: Ask) -> str:
    """Add numbers up in a few steps, sometimes wrongly, then give the answer; go on from whatever was said already."""
    problem = Random(ask.question)
    value = problem.randint(2, 9)
    addends = [problem.randint(2, 9) for _ in range(problem.randint(3, 5))]
    done = list(re.finditer(r"\d+ \+ \d+ = (\d+)\n\s*", ask.said))
    rest = ask.said[done[-1].end() :] if done else ask.said
    if done:
        value = int(done[-1][1])
    if "</answer>" in rest:
        return ""
    steps = []
    for addend in addends[len(done) :]:
        total = value + addend + (ask.rng.choice((-1, 1)) if ask.rng.random() < 0.15 else 0)
        steps.append(f"{value} + {addend} = {total}" + ask.rng.choice(("\n\n", "\n\n", "\n\n   ")))
        value = total
    text = "".join(steps) + f"<answer>{value}</answer>"
    return text.removeprefix(rest) if text.startswith(rest) else f"\n\n{text}"


def scripted(replies: Sequence[str]) -> Replier:
    """Make a replier that takes its reply by seed, at random without one, and continues it from what was said."""

    def reply(ask: Ask) -> str:
        text = replies[(ask.rng.randrange(len(replies)) if ask.seed is None else ask.seed) % len(replies)]
        return text.removeprefix(ask.said)

    return reply


def filler(words: int) -> Replier:
    """Make a replier that says that many random words, one token each: a load of known size."""
    spaced = [f" {word}" for word in WORDS]
    return lambda ask: "".join(ask.rng.choices(spaced, k=words))


def choose(reply: Reply, choices: Sequence[str], text: str, rng: Random | None) -> Reply:
    """Limit a reply to choices: its own text if it is one, else a draw by its chances, or by made-up ones.

    Without `rng` the likeliest is taken, as at temperature 0.
    """
    made_up = Random(text)
    chances = reply.chances or {choice: made_up.random() for choice in choices}
    weights = [chances.get(choice, 0.0) for choice in choices]
    said = rng.choices(choices, weights)[0] if rng else choices[weights.index(max(weights))]
    return Reply(reply.text if reply.text in choices else said, chances=chances, fault=reply.fault)


def unroll(reply: Reply, limits: Limits) -> Sample:
    """Write a reply out as tokens, cut as vLLM cuts: text at a stop string, ids after the token that completes it."""
    stop_reason: str | int | None
    ids, stop_reason = _tokens(reply, limits)
    ended = (ids[-1] == EOS and not limits.ignore_eos) or stop_reason is not None
    spelled = spell(ids)
    text, hold = "".join(spelled), 0
    if stop_reason is not None and not limits.include_stop:
        text = text[: len(text) - len(spelled[-1])]
    ends = list(accumulate(map(len, spelled)))
    if limits.stop:
        if found := _first_stop(text, limits, ends):
            end, stop = found
            del ids[bisect_left(ends, end) + 1 :]
            ended, stop_reason, text = True, stop, text[: end if limits.include_stop else end - len(stop)]
        hold = 0 if limits.include_stop else max(map(len, limits.stop)) - 1
    marks = [0, *(min(len(text), max(0, end - hold)) for end in ends[: len(ids) - 1]), len(text)]
    pieces = [text[start:end] for start, end in pairwise(marks)]
    return Sample(ids, pieces, spelled, "stop" if ended else "length", stop_reason, reply.chances, reply.calls)


def _tokens(reply: Reply, limits: Limits) -> tuple[list[int], int | None]:
    """The ids up to max_tokens, and which stop id ended them; the reply repeats where it may not end yet."""
    said = encode(reply.text) if reply.ids is None else reply.ids
    loop: Sequence[int] = ((*said, EOS) if limits.ignore_eos else said) or encode("\n")
    if reply.ends and not limits.ignore_eos:
        body = said if len(said) >= limits.min_tokens else tuple(islice(cycle(loop), limits.min_tokens))
        ids = list(islice(chain(body, (EOS,)), limits.max_tokens))
    else:
        ids = list(islice(cycle(loop), limits.max_tokens))
    for place in range(limits.min_tokens, len(ids)) if limits.stop_ids else ():
        if ids[place] in limits.stop_ids:
            return ids[: place + 1], ids[place]
    return ids, None


def _first_stop(text: str, limits: Limits, ends: Sequence[int]) -> tuple[int, str] | None:
    """Where the first stop string ends, and which: the one that completes earliest, then the first listed."""
    floor = ends[min(limits.min_tokens, len(ends)) - 1] if limits.min_tokens else 0
    hits = ((text.find(stop, max(0, floor + 1 - len(stop))), stop) for stop in limits.stop)
    return min(((at + len(stop), stop) for at, stop in hits if at >= 0), key=lambda hit: hit[0], default=None)
