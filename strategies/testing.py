"""Fakes, and the contract that every strategy keeps at every budget. Authors of plugins import these too."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import anyio
import anyio.lowlevel

from strategies.answers import answer_of, spoken
from strategies.base import Strategy, execute
from strategies.events import Answered, Closed, Event, Lost, Opened, Token
from strategies.meter import Meter
from strategies.protocols import Ask, BackendError, Take, Verifier, collected
from strategies.run import GROUP
from strategies.types import Budget, Call, Candidate, Chunk, Finish, Logprob, Prompt, Sampling, Score, Usage

Reply = Callable[[Call, int], str | Exception]
"""What a fake model says to a call as the continuation of a seed; an exception is raised."""


@dataclass
class FakeBackend:
    """Streams what `reply(call, seed)` says, one word a token, `interval` tokens a chunk. Keeps its own accounts.

    `jitter` is the seed of delays that change the order in which calls finish.
    """

    reply: Reply
    pause: float = 0.0
    interval: int = 1
    jitter: int | None = None
    room: int = 4096
    calls: list[Call] = field(default_factory=list)
    rendered: list[Prompt] = field(default_factory=list)
    open: int = 0
    streamed: int = 0

    async def render(self, prompt: Prompt) -> Prompt:
        await anyio.lowlevel.checkpoint()
        self.rendered.append(prompt)
        return replace(prompt, ids=tuple(range(len(prompt.messages))), room=self.room)

    async def stream(self, call: Call, take: Take) -> None:
        self.calls.append(call)
        texts = [self.reply(call, (call.sampling.seed or 0) + at) for at in range(call.n)]
        for text in texts:
            if isinstance(text, Exception):
                raise text
        self.open += 1
        try:
            await self._say(call, [str(text) for text in texts], take)
        finally:
            self.open -= 1

    async def _say(self, call: Call, texts: Sequence[str], take: Take) -> None:
        tokens = {at: words(text, call) for at, text in enumerate(texts)}
        interval = 1 if call.live else self.interval
        rng = random.Random(f"{self.jitter}/{len(self.calls)}")
        for start in range(0, max(map(len, tokens.values()), default=0), interval):
            await anyio.sleep(self.pause)
            for _ in range(rng.randrange(8) if self.jitter is not None else 0):
                await anyio.lowlevel.checkpoint()
            for at, all_words in tokens.items():
                if piece := all_words[start : start + interval]:
                    last = start + interval >= len(all_words)
                    finish = ended(texts[at], all_words, call) if last else None
                    self.streamed += len(piece)
                    chunk = Chunk("".join(piece), at, tuple(map(len, piece)), len(piece), finish, logprobs(piece))
                    await take([chunk])
        await take([Chunk(usage=Usage(prompt=10))])


def words(text: str, call: Call) -> list[str]:
    """The tokens of a reply that a call gets to see."""
    pieces = text.split(" ")
    return [f"{piece} " for piece in pieces[:-1]][: call.max_tokens] + [pieces[-1]][: call.max_tokens - len(pieces) + 1]


def ended(text: str, seen: Sequence[str], call: Call) -> Finish:
    """Why a fake continuation ended."""
    if len(seen) < len(text.split(" ")):
        return "length"
    return "step" if call.sampling.step and text.endswith(call.sampling.step) else "stop"


def logprobs(piece: Sequence[str]) -> tuple[Logprob, ...]:
    """The longer a word, the less likely."""
    return tuple(Logprob(-len(word) / 10, {word: -len(word) / 10}) for word in piece)


@dataclass
class FakeVerifier:
    """Scores by `judge`; asks the model as well, one token a candidate, where `asks` is set."""

    logprobs: ClassVar[int | None] = None
    compares: ClassVar[bool] = False
    judge: Callable[[Candidate], float]
    asks: bool = False

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> Sequence[Score]:
        await anyio.lowlevel.checkpoint()
        for candidate in candidates if self.asks else ():
            await collected(ask.model, Call(candidate.prompt, 1))
        return [Score(self.judge(candidate)) for candidate in candidates]


ROOT = Candidate(Prompt(({"role": "user", "content": "What is 6 x 7?"},)))


def chatter(seed: int) -> Reply:
    """A model script: some words, sometimes a step, in the end a boxed number; one of them where it has a choice."""

    def reply(call: Call, sample: int) -> str:
        rng = random.Random(f"{seed}/{sample}/{len(call.steps)}")
        if choices := call.sampling.extra.get("structured_outputs", {}).get("choice"):
            return str(rng.choice(choices))
        said = " ".join("hm" for _ in range(rng.randint(1, 5)))
        if call.sampling.step and rng.random() < 0.6:
            return f"{said}{call.sampling.step}"
        return f"{said} \\boxed{{{rng.choice([41, 42, 42])}}}"

    return reply


@dataclass(frozen=True)
class Played:
    """What came of one run."""

    answer: Candidate
    events: list[Event]
    backend: FakeBackend
    meter: Meter


async def play(
    strategy: Strategy,
    backend: FakeBackend,
    *,
    budget: Budget | None = None,
    verifier: Verifier | None = None,
    sampling: Sampling | None = None,
    watched: bool = False,
    group: int = GROUP,
) -> Played:
    """Run a strategy on a fake model."""
    events: list[Event] = []
    meter = Meter(budget or Budget(seconds=5))
    sampling = strategy.sampling(sampling or Sampling(seed=0))
    settings = {"verifier": verifier or FakeVerifier(lambda c: len(c.text) / 100), "watched": watched, "group": group}
    answer = await execute(
        strategy,
        ROOT,
        backend,
        meter,
        sampling=sampling,
        observe=events.append,
        **settings,  # type: ignore[arg-type]
    )
    return Played(answer, events, backend, meter)


async def check_strategy(strategy: Strategy, budget: Budget, *, seed: int = 0, watched: bool = False) -> None:
    """What must hold of any strategy, wherever its budget cuts it. Raises AssertionError."""
    backend = FakeBackend(chatter(seed), interval=4)
    verifier = FakeVerifier(lambda c: len(c.text) / 100, asks=True)
    played = await play(strategy, backend, budget=budget, verifier=verifier, watched=watched)
    check_events(played.events)
    check_ledger(played, budget)
    check_answer(played)
    assert backend.open == 0, "a stream was left open"
    again = await play(strategy, FakeBackend(chatter(seed), jitter=seed), budget=budget, verifier=verifier, group=1)
    if not played.meter.cut and not again.meter.cut:
        told = "the answer depends on how samples are grouped, or on the order in which they finish"
        assert answer_of(again.answer) == answer_of(played.answer), told


def check_events(events: Sequence[Event]) -> None:
    """Every sequence that opened closed or was lost, once; the answer came last, once."""
    opened = [event.id for event in events if isinstance(event, Opened)]
    ended = [event.candidate.id for event in events if isinstance(event, Closed)]
    ended += [event.id for event in events if isinstance(event, Lost)]
    assert sorted(opened) == sorted(ended), "a sequence opened and never ended, or ended twice"
    assert len(set(opened)) == len(opened), "two sequences share an id"
    assert [type(event) for event in events].count(Answered) == 1, "not exactly one answer"
    assert isinstance(events[-1], Answered), "something happened after the answer"


def check_ledger(played: Played, budget: Budget) -> None:
    """No budget is overspent, and what was billed is what was streamed: the fake counts for itself."""
    spent = played.meter.spent
    assert played.backend.streamed <= budget.tokens, "more tokens than the budget"
    assert spent.samples <= budget.samples, "more samples than the budget"
    assert spent.tokens == played.backend.streamed, "what was billed is not what was streamed"


def check_answer(played: Played) -> None:
    """The answer is one of those found, and what was streamed of it is what it says."""
    grown = {event.candidate.id: event.candidate for event in played.events if isinstance(event, Closed)}
    found = any(candidate.tokens for candidate in grown.values())
    if found:
        assert played.answer.id in grown, "the answer was not one of those found"
        assert grown[played.answer.id].text == played.answer.text, "the answer is not what was found"
    shown = "".join(event.text for event in played.events if isinstance(event, Token) and event.answer)
    told = spoken(played.answer) if played.answer.steps[1:] else played.answer.text
    assert not shown or shown == told, "what was streamed is not what was answered"


def failing(reply: Reply, which: Callable[[Call, int], bool]) -> Reply:
    """A model script that fails where `which` says so."""
    return lambda call, seed: BackendError("503", 503) if which(call, seed) else reply(call, seed)
