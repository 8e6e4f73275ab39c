"""What a strategy may do: grow candidates, judge them, drop them, answer."""

import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio

from strategies import equality, select
from strategies.answers import answer_of, spoken
from strategies.events import Token
from strategies.found import Found
from strategies.growth import Growth, seed_of
from strategies.meter import Meter, Metered
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
from strategies.race import Race, Until
from strategies.tasks import together
from strategies.types import Candidate, Sampling, Score

GROUP = 8
"""Sequences that share one upstream request at most: a group can only be aborted, and lost, whole."""
EQUATING = 4.0
"""Seconds that comparing formulas may take, all of a run together."""
PATIENCE = 0.3
"""The share of the time left that a verifier may take at a time; what is left after it has to do for an answer."""
ROOM = 4096
"""Tokens that a path may take where neither the caller nor the engine sets a limit."""


class Run:
    """The search for one answer, from one root. Private to one request.

    `ask` is what verifiers are given; a strategy that lets the model choose asks it there too, so that its words count
    as a judge's.
    """

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
        quorum: float = 0.0,
    ) -> None:
        self._backend = Metered(backend, meter)
        self.ask = Ask(Metered(backend, meter, "verifier"), compute, scorers)
        self._meter, self._scope, self.verifier = meter, scope, verifier
        self._sampling = sampling or Sampling()
        self._watched, self._group, self._quorum = watched, group, quorum
        self._found = Found(root, observe)
        self._answer: str | None = None
        self._too_slow = False

    @property
    def found(self) -> tuple[Candidate, ...]:
        """Every candidate that has grown, in the order of its birth, as last scored; not those that were pruned."""
        return self._found.candidates

    @property
    def answered(self) -> Candidate | None:
        """What `answer` grew, or the one that was chosen."""
        return self._found[self._answer] if self._answer and self._answer in self._found else None

    async def extend(
        self,
        *parents: Candidate,
        n: int | Sequence[int] = 1,
        group: int | None = None,
        until: Until | None = None,
        **sampling: Any,
    ) -> list[Candidate]:
        """Grow every parent `n` times at once; the children, in the order of their birth. Keywords are as in `race`."""
        groups = await self._sown(parents, n, group or self._group, sampling)
        children = await Race(self._backend, self._found, until=until).all(groups)
        return sorted(children, key=self._found.place)

    @asynccontextmanager
    async def race(
        self,
        *parents: Candidate,
        n: int | Sequence[int] = 1,
        judge: bool = False,
        group: int | None = None,
        until: Until | None = None,
        **sampling: Any,
    ) -> AsyncIterator[AsyncIterator[Candidate]]:
        """As `extend`, children coming as they finish (judged, if asked for); leaving the block stops the rest.

        `n` is one number for all parents, or one for each. `until` stops a child while it grows, and only that one
        where `group`, the most sequences that share a request, is 1. Further keywords are fields of `Sampling`, in the
        place of the run's. Raises BackendError where all are lost.
        """
        groups = await self._sown(parents, n, group or self._group, sampling)
        together_later = judge and self.verifier is not None and self.verifier.compares
        each = self._judged if judge and not together_later else None
        async with Race(self._backend, self._found, each, until).running(groups) as arriving:
            if not together_later:
                yield arriving
                return
            async with aclosing(self._judged_together(arriving)) as judged:
                yield judged

    async def answer(self, parent: Candidate, **sampling: Any) -> None:
        """Grow `parent` once as the answer itself: its tokens reach the caller as they come.

        Raises BackendError where too few of the sequences so far are left.
        """
        self.check()
        self._answer = f"{parent.id}.{self._found.next_child(parent.id)}"
        await self.extend(parent, **sampling)

    async def rendered(self, path: Candidate) -> Candidate:
        """The path with its prompt rendered: it tells whether it `thinks`, and its `room`. Raises BackendError."""
        if path.prompt.ids is not None:
            return path
        return replace(path, prompt=await self._backend.render(path.prompt))

    def room(self, path: Candidate) -> int:
        """How many tokens a rendered path may still take: of its own limit, of the model's context, of the budget.

        Words put into the model's mouth take part of the context: a token a character at most.
        """
        said = sum(len(step.text) for step in path.steps if not step.tokens)
        own, context = self._sampling.max_tokens, path.prompt.room
        limits = [limit for limit in (own, None if context is None else context - said) if limit is not None]
        return max(0, min(min(limits, default=ROOM) - path.tokens, self._meter.share))

    @property
    def late(self) -> bool:
        """Whether it is time to answer: the last quarter of it has begun."""
        return self._meter.late

    @property
    def last(self) -> bool:
        """Whether so few sequences may still start that the next one should be the answer."""
        return self._meter.last

    def ending(self, starting: int) -> bool:
        """Whether a wave of so many sequences should end what it grows, for little of the budget is left after it."""
        return self._meter.ending(starting)

    async def score(self, candidates: Iterable[Candidate], ahead: Iterable[Candidate] | None = None) -> list[Candidate]:
        """The same candidates, judged: by what became of them, where that is told as `ahead`, one each.

        As they were, with a note, where the verifier's engine fails, or takes more than its share of the time left:
        then it is not asked again.
        """
        candidates = list(candidates)
        if self.verifier is None:
            raise LookupError("this strategy needs a verifier")
        if not candidates:
            return []
        try:
            scores = await self._asked(self.verifier, candidates, candidates if ahead is None else list(ahead))
        except BackendError as error:
            self._found.note(f"the verifier failed: {error}", candidates, degraded=True)
            return candidates
        return [self._found.judge(candidate, score) for candidate, score in zip(candidates, scores, strict=True)]

    async def _asked(
        self, verifier: Verifier, candidates: Sequence[Candidate], seen: Sequence[Candidate]
    ) -> Sequence[Score | None]:
        """The verifier's scores for candidates by what it is shown of each, in its share of the time.

        Raises BackendError.
        """
        if self._too_slow:
            raise BackendError("it was too slow before", cause="timeout")
        with self._found.judging(candidates):
            with anyio.move_on_after(PATIENCE * self._meter.left):
                return await verifier.score(seen, self.ask)
            self._too_slow = True
            raise BackendError("it took more than its share of the time", cause="timeout")

    def prune(self, candidates: Iterable[Candidate], why: str) -> None:
        """Drop candidates from the search: they neither answer nor vote unless there is nothing else."""
        self._found.prune(candidates, why)

    def check(self) -> None:
        """Raise BackendError where too many sequences were lost, or the answer was after the caller had seen of it."""
        self._found.check(self._quorum)
        if self._answer in self._found.broken:
            raise self._found.lost[-1]

    def choose(self, candidate: Candidate) -> None:
        """This one answers, whatever `select` would say."""
        self._answer = candidate.id

    async def equate(self) -> None:
        """Let candidates vote for one answer where theirs are equal as mathematics, though they look different.

        Formulas only, and only what can be compared within `EQUATING` seconds, and before the deadline.
        """
        if len(self.found) < 2:
            return
        votes = select.tally([c for c in self.found if c.prompt.form == "text" and not c.calls])
        if sum(map(equality.formula, votes)) < 2:
            return
        same: dict[str, str] = {}
        with anyio.CancelScope(deadline=min(self._meter.deadline, anyio.current_time() + EQUATING)):
            same = await equality.classes(list(votes), self.ask.compute)
        if moved := {answer: one for answer, one in same.items() if answer != one}:
            told = ", ".join(f"{answer} = {one}" for answer, one in moved.items())
            self._found.vote_as({c.id: moved[a] for c in self.found if (a := answer_of(c)) in moved})
            self.note(f"equal answers: {told}", equal=moved)

    def degrade(self, text: str) -> None:
        """Say that the search goes on, or ends, with less than it should have."""
        self._found.note(text, degraded=True)

    def note(self, text: str, *candidates: Candidate, **facts: Any) -> None:
        """Say something in the trace, perhaps about some candidates, perhaps with figures."""
        self._found.note(text, candidates, facts)

    async def _judged_together(self, arriving: AsyncIterator[Candidate]) -> AsyncGenerator[Candidate]:
        wave = sorted([child async for child in arriving], key=self._found.place)
        for child in await self.score(wave):
            yield child

    async def _judged(self, candidate: Candidate) -> Candidate:
        [judged] = await self.score([candidate])
        return judged

    async def _sown(
        self, parents: Sequence[Candidate], n: int | Sequence[int], group: int, sampling: dict[str, Any]
    ) -> list[Sequence[Growth]]:
        """Children of the parents that are to grow, by upstream request."""
        counts = [n] * len(parents) if isinstance(n, int) else n
        rendered = await together(self.rendered, parents)
        broods = [self._bear(parent, count, sampling) for parent, count in zip(rendered, counts, strict=True)]
        if not any(broods) and self._meter.spent_up:
            self._scope.cancel()
        return list(self._groups(broods, group))

    def _bear(self, parent: Candidate, n: int, sampling: dict[str, Any]) -> list[Growth]:
        """As many children of `parent` as may start, up to `n`, announced but not grown yet."""
        needs = self.verifier.logprobs if self.verifier else None
        asked = [k for k in (sampling.get("logprobs"), self._sampling.logprobs, needs) if k is not None]
        wishes = replace(self._sampling, **{**sampling, "logprobs": max(asked, default=None)})
        limits = [limit for limit in (wishes.max_tokens, parent.prompt.room) if limit is not None]
        room = min(limits, default=ROOM) - parent.tokens
        n = self._meter.admit(n, self._scope) if room > 0 else 0
        return [self._born(parent, wishes, room) for _ in range(n)]

    def _born(self, parent: Candidate, wishes: Sampling, room: int) -> Growth:
        at = self._found.next_child(parent.id)
        child = self._found.bear(parent)
        if wishes.seed is not None:
            wishes = replace(wishes, seed=seed_of(wishes.seed, parent.id) + at)
        answers = child.id == self._answer
        if answers and parent.steps and (said := spoken(parent)):
            self._found.observe(Token(child.id, said, 0, answer=True))
        return Growth(child, wishes, room, answer=answers)

    def _groups(self, broods: Sequence[Sequence[Growth]], most: int) -> Iterator[Sequence[Growth]]:
        """Sequences by upstream request: the watched one alone, the others of a parent in even groups."""
        watched = self._watched
        for brood in broods:
            if watched and brood:
                brood[0].watched, watched = True, False
                yield brood[:1]
                brood = brood[1:]
            least = 2 if len(broods) == 1 else 1  # one failing request never takes a whole wave with it
            parts = max(min(least, len(brood)), math.ceil(len(brood) / most))
            for part in range(parts):
                yield brood[len(brood) * part // parts : len(brood) * (part + 1) // parts]
