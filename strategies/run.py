"""What a strategy may do: grow candidates, judge them, answer. The only file of a search with tasks."""

import math
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from strategies.events import Closed, Lost, Note, Opened, Scored, Token
from strategies.growth import Growth, call_for, seed_of
from strategies.meter import Meter, Metered, Shares
from strategies.protocols import (
    Ask,
    Backend,
    BackendError,
    Compute,
    Observer,
    Reward,
    Scorer,
    Verifier,
    inline,
    no_scorers,
)
from strategies.tasks import unwrapped
from strategies.types import Candidate, Finish, Sampling, Score

GROUP = 8
"""Sequences that share one upstream request at most: a group can only be aborted, and lost, whole."""
ROOM = 4096
"""Tokens that a path may take where neither the caller nor the engine sets a limit."""


@dataclass
class _Wave:
    """Where the sequences of one race go when they are done."""

    send: MemoryObjectSendStream[Candidate]
    tasks: TaskGroup
    judge: bool


class _Arrivals:
    """The children of a race as they finish. Raises the last error where all of them were lost."""

    def __init__(self, receive: MemoryObjectReceiveStream[Candidate], lost: list[BackendError]) -> None:
        self._receive, self._lost = receive, lost
        self._arrived, self._lost_before = 0, len(lost)

    def __aiter__(self) -> "_Arrivals":
        return self

    async def __anext__(self) -> Candidate:
        try:
            child = await self._receive.receive()
        except anyio.EndOfStream:
            if not self._arrived and len(self._lost) > self._lost_before:
                raise self._lost[-1] from None
            raise StopAsyncIteration from None
        self._arrived += 1
        return child


class Run:
    """The search for one answer, from one root. Private to one request."""

    def __init__(
        self,
        backend: Backend,
        meter: Meter,
        scope: anyio.CancelScope,
        *,
        root: str = "0",
        verifier: Verifier | None = None,
        sampling: Sampling | None = None,
        observe: Observer = lambda event: None,
        watched: bool = False,
        group: int = GROUP,
        compute: Compute = inline,
        scorers: Callable[[Reward], Scorer] = no_scorers,
    ) -> None:
        self._backend = Metered(backend, meter)
        self.ask = Ask(Metered(backend, meter, "verifier"), compute, scorers)
        self._meter, self._scope, self._verifier, self._observe = meter, scope, verifier, observe
        self._sampling = sampling or Sampling()
        self._root, self._watched, self._group = root, watched, group
        self._found: dict[str, Candidate] = {}
        self._born: dict[str, int] = {}
        self._answer: str | None = None
        self.lost: list[BackendError] = []

    @property
    def found(self) -> tuple[Candidate, ...]:
        """Every candidate that has grown, in the order of its birth, as last scored."""
        return tuple(c for c in self._found.values() if c.tokens)

    @property
    def answered(self) -> Candidate | None:
        """What `answer` grew."""
        return self._found.get(self._answer) if self._answer else None

    async def extend(self, *parents: Candidate, n: int = 1, **sampling: Any) -> list[Candidate]:
        """Grow every parent `n` times at once; the children, in the order of their birth."""
        async with self.race(*parents, n=n, **sampling) as arriving:
            children = [child async for child in arriving]
        order = {id: at for at, id in enumerate(self._found)}
        return sorted(children, key=lambda child: order[child.id])

    @asynccontextmanager
    async def race(
        self, *parents: Candidate, n: int = 1, judge: bool = False, **sampling: Any
    ) -> AsyncIterator[AsyncIterator[Candidate]]:
        """As `extend`, children coming as they finish (judged, if asked for); leaving the block stops the rest.

        Further keywords are fields of `Sampling`, in the place of the run's. Raises BackendError where all are lost.
        """
        broods = [self._bear(await self._rendered(parent), n, sampling) for parent in parents]
        growths = [growth for brood in broods for growth in brood]
        if not growths and self._meter.spent_up:
            self._scope.cancel()
        send, receive = anyio.create_memory_object_stream[Candidate](math.inf)
        with unwrapped(), receive, self._meter.wave(len(growths)) as shares:
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._grow_all, self._groups(broods), shares, send, judge)
                    yield _Arrivals(receive, self.lost)
                    tasks.cancel_scope.cancel()
            finally:
                send.close()
                for growth in growths:
                    if growth.open:
                        self._close(growth, "cut")

    async def answer(self, parent: Candidate, **sampling: Any) -> None:
        """Grow `parent` once as the answer itself: its tokens reach the caller as they come."""
        self._answer = f"{parent.id}.{self._born.get(parent.id, 0)}"
        await self.extend(parent, **sampling)

    async def score(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """The same candidates, judged; as they were, with a note, where the verifier's engine fails."""
        candidates = list(candidates)
        if self._verifier is None:
            raise LookupError("this strategy needs a verifier")
        try:
            scores = await self._verifier.score(candidates, self.ask)
        except BackendError as error:
            self.note(f"the verifier failed: {error}", *candidates)
            return candidates
        return [self._judged(candidate, score) for candidate, score in zip(candidates, scores, strict=True)]

    def note(self, text: str, *candidates: Candidate) -> None:
        """Say something in the trace, perhaps about some candidates."""
        self._observe(Note(self._root, text, tuple(c.id for c in candidates)))

    def _judged(self, candidate: Candidate, score: Score | None) -> Candidate:
        if score is None:
            self.note(f"{candidate.id} could not be judged", candidate)
            return candidate
        self._found[candidate.id] = candidate.judged(score)
        self._observe(Scored(self._found[candidate.id]))
        return self._found[candidate.id]

    async def _rendered(self, parent: Candidate) -> Candidate:
        if parent.prompt.ids is not None:
            return parent
        return replace(parent, prompt=await self._backend.render(parent.prompt))

    def _bear(self, parent: Candidate, n: int, sampling: dict[str, Any]) -> list[Growth]:
        """As many children of `parent` as may start, up to `n`, announced but not grown yet."""
        wishes = replace(self._sampling, **sampling)
        asked = [k for k in (wishes.logprobs, self._sampling.logprobs) if k is not None]
        wishes = replace(wishes, logprobs=max(asked, default=None))
        limits = [limit for limit in (wishes.max_tokens, parent.prompt.room) if limit is not None]
        room = min(limits, default=ROOM) - parent.tokens
        n = self._meter.admit(n) if room > 0 else 0
        first = self._born.get(parent.id, 0)
        self._born[parent.id] = first + n
        return [self._born_at(parent, at, wishes, room) for at in range(first, first + n)]

    def _born_at(self, parent: Candidate, at: int, wishes: Sampling, room: int) -> Growth:
        child = replace(parent, id=f"{parent.id}.{at}", finish=None, score=None)
        seed = None if wishes.seed is None else seed_of(wishes.seed, parent.id) + at
        self._found[child.id] = child
        self._observe(Opened(child.id, parent.id))
        return Growth(child, replace(wishes, seed=seed), room, answer=child.id == self._answer)

    def _groups(self, broods: Sequence[Sequence[Growth]]) -> Iterator[Sequence[Growth]]:
        """Sequences by upstream request: the watched one alone, the others of a parent in even groups."""
        watched = self._watched
        for brood in broods:
            if watched and brood:
                brood[0].watched, watched = True, False
                yield brood[:1]
                brood = brood[1:]
            least = 2 if len(broods) == 1 else 1  # one failing request never takes a whole wave with it
            parts = max(min(least, len(brood)), math.ceil(len(brood) / self._group))
            for part in range(parts):
                yield brood[len(brood) * part // parts : len(brood) * (part + 1) // parts]

    async def _grow_all(
        self, groups: Iterable[Sequence[Growth]], shares: Shares, send: MemoryObjectSendStream[Candidate], judge: bool
    ) -> None:
        with send:
            async with anyio.create_task_group() as tasks:
                wave = _Wave(send, tasks, judge)
                for group in groups:
                    tasks.start_soon(self._grow, group, shares, wave)

    async def _grow(self, growths: Sequence[Growth], shares: Shares, wave: _Wave) -> None:
        """Grow siblings by one request; those that only their allowance ended go on alone."""
        for growth in growths:
            growth.hungry = False
        try:
            async with self._backend.stream(call_for(growths), shares) as chunks:
                async for chunk in chunks:
                    growth = growths[chunk.index]
                    growth.add(chunk)
                    self._observe(
                        Token(growth.child.id, chunk.text, chunk.tokens, growth.answer, chunk.calls, chunk.logprobs)
                    )
                    if chunk.finish == "cut" and not growth.hungry:
                        self._meter.reached("tokens")
                    if chunk.finish and not growth.hungry:
                        self._arrive(self._close(growth, chunk.finish), wave)
        except BackendError as error:
            self._lose([growth for growth in growths if growth.open], error)
        self._lose([g for g in growths if g.open and not g.hungry], BackendError("the engine told no end"))
        if hungry := [growth for growth in growths if growth.open]:
            await self._go_on(hungry, wave)

    async def _go_on(self, growths: Sequence[Growth], wave: _Wave) -> None:
        """Grow sequences further, each by a request of its own, on equal shares of what is free by now."""
        with self._meter.wave(len(growths)) as shares:
            async with anyio.create_task_group() as tasks:
                for growth in growths:
                    tasks.start_soon(self._grow, [growth], shares, wave)

    def _close(self, growth: Growth, finish: Finish) -> Candidate:
        child = growth.close(finish)
        self._found[child.id] = child
        self._observe(Closed(child))
        return child

    def _lose(self, growths: Sequence[Growth], error: BackendError) -> None:
        """A lost sample makes n smaller; it does not end the run."""
        for growth in growths:
            growth.open = False
            self.lost.append(error)
            del self._found[growth.child.id]
            self._observe(Lost(growth.child.id, str(error), growth.tokens))

    def _arrive(self, child: Candidate, wave: _Wave) -> None:
        if wave.judge and child.tokens:
            wave.tasks.start_soon(self._judge, child, wave)
        else:
            wave.send.send_nowait(child)

    async def _judge(self, child: Candidate, wave: _Wave) -> None:
        [judged] = await self.score([child])
        wave.send.send_nowait(judged)
