"""A `Backend` that answers a strategy's calls from a pool, so that the strategies' own code is what is evaluated.

Time is virtual: one token of every open sequence takes one second, so seconds are sequential tokens, and what is
aborted has cost what it would have. Runs on trio, whose clock can jump.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar, TypeVar

import anyio
import trio.testing

from benchmarks.accuracy.pool import Drawn, Sample
from strategies.answers import answer_of
from strategies.base import Strategy, execute
from strategies.meter import Meter
from strategies.protocols import Ask, Backend, Take
from strategies.types import Budget, Call, Candidate, Chunk, Finish, Logprob, Prompt, Sampling, Score

T = TypeVar("T")

INTERVAL = 16
"""Tokens that arrive together, as from the server's engine."""
PLACES = 1 << 20
"""Token ids of one sample: `sample * PLACES + position`, so that a path tells which sample it is."""
ENDLESS = Budget(tokens=1 << 40, samples=1 << 20, seconds=1e9)


class Exhausted(RuntimeError):
    """A strategy wanted more samples than the pool holds, or what no pool can hold."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a strategy made of one problem: all `tokens` generated, and those of the longest wait (`sequential`)."""

    right: bool
    answered: bool
    tokens: int
    sequential: float
    samples: int


@dataclass(slots=True)
class Lane:
    """One sample on its way through a call: tokens before it, and how many of them this call may take."""

    sample: Sample
    number: int
    start: int
    most: int

    @property
    def length(self) -> int:
        return min(self.most, self.sample.tokens - self.start)

    def chunk(self, index: int, begin: int, end: int, logprobs: bool) -> Chunk:
        """Its tokens from `begin` up to `end`; the text is cut in proportion, for a pool does not keep tokens."""
        begin, end = self.start + begin, self.start + end
        ids = tuple(self.number * PLACES + at for at in range(begin, end))
        text, tokens = self.sample.text, self.sample.tokens
        piece = text[len(text) * begin // tokens : len(text) * end // tokens]
        finish: Finish | None = None
        if end == self.start + self.length:
            finish = self.sample.finish if end == tokens else "length"
        told = (Logprob(self.sample.logprob),) * len(ids) if logprobs else ()
        return Chunk(piece, index, ids, len(ids), finish, told)


class Replay:
    """The samples of one problem in some order; each call takes the next ones. Counts what it generates itself."""

    def __init__(self, drawn: Drawn, order: Sequence[int]) -> None:
        self._drawn, self._order, self._taken = drawn, order, 0
        self.generated = 0

    async def render(self, prompt: Prompt) -> Prompt:
        await anyio.lowlevel.checkpoint()
        return replace(prompt, ids=(0,), room=PLACES)

    async def stream(self, call: Call, take: Take) -> None:
        lanes = [self._lane(call) for _ in range(call.n)]
        began = anyio.current_time()
        try:
            await self._say(lanes, call.sampling.logprobs is not None, take)
        finally:
            ran = round(anyio.current_time() - began)
            self.generated += sum(min(lane.length, ran) for lane in lanes)

    def _lane(self, call: Call) -> Lane:
        if call.steps:
            number, place = divmod(call.steps[-1].ids[-1], PLACES)
            return Lane(self._drawn.samples[number], number, place + 1, call.max_tokens)
        if self._taken == len(self._order):
            raise Exhausted(f"problem {self._drawn.index} has {len(self._order)} samples, and more are wanted")
        number = self._order[self._taken]
        self._taken += 1
        return Lane(self._drawn.samples[number], number, 0, call.max_tokens)

    async def _say(self, lanes: Sequence[Lane], logprobs: bool, take: Take) -> None:
        now, sent = 0, [0] * len(lanes)
        for then in moments(lane.length for lane in lanes):
            await anyio.sleep(then - now)
            now = then
            for index, lane in enumerate(lanes):
                end = min(now, lane.length)
                if end > sent[index] and (end == lane.length or now % INTERVAL == 0):
                    begin, sent[index] = sent[index], end
                    await take([lane.chunk(index, begin, end, logprobs)])


def moments(lengths: Iterator[int]) -> list[int]:
    """When something arrives: at each interval, and at the end of each sequence."""
    ends = set(lengths)
    return sorted(ends | set(range(INTERVAL, max(ends, default=0), INTERVAL)))


@dataclass(frozen=True, slots=True)
class Stored:
    """A verifier that asks no model, by the scores that the pool holds."""

    logprobs: ClassVar[int | None] = None
    compares: ClassVar[bool] = False
    drawn: Drawn
    name: str

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score]:
        await anyio.lowlevel.checkpoint()
        return [Score(sample_of(self.drawn, candidate).scores[self.name]) for candidate in candidates]


def sample_of(drawn: Drawn, candidate: Candidate) -> Sample:
    """The sample that a candidate is, or is the beginning of."""
    return drawn.samples[candidate.steps[-1].ids[-1] // PLACES]


def own_answer(candidate: Candidate) -> str | None:
    """What a candidate says itself, though it may have voted for another that is equal."""
    return answer_of(replace(candidate, votes_for=None))


async def replay(
    strategy: Strategy, drawn: Drawn, order: Sequence[int], verifier: str | None = None, budget: Budget = ENDLESS
) -> Outcome:
    """Run a strategy on the samples of one problem, drawn in this order."""
    backend = Replay(drawn, order)
    asked: Backend = backend
    root = Candidate(Prompt(({"role": "user", "content": drawn.question},), ids=(0,), room=PLACES))
    meter, began = Meter(budget), anyio.current_time()
    sampling = strategy.sampling(Sampling(temperature=0.8))
    stored = Stored(drawn, verifier) if verifier else None
    chosen = await execute(strategy, root, asked, meter, verifier=stored, sampling=sampling)
    answer = own_answer(chosen)
    right = answer is not None and sample_of(drawn, chosen).right and sample_of(drawn, chosen).answer == answer
    waited = anyio.current_time() - began
    return Outcome(right, answer is not None, backend.generated, waited, meter.spent.samples)


def orders(drawn: Drawn, resamples: int, seed: int = 0) -> Iterator[list[int]]:
    """Random orders of a problem's samples: the same for every strategy, so that differences are paired."""
    for resample in range(resamples):
        rng = Random(f"{seed}/{drawn.index}/{resample}")
        yield rng.sample(range(len(drawn.samples)), len(drawn.samples))


def virtually(act: Callable[[], Awaitable[T]]) -> T:
    """Run on a clock that jumps to the next thing that happens."""
    clock = trio.testing.MockClock(autojump_threshold=0)
    return anyio.run(act, backend="trio", backend_options={"clock": clock})
