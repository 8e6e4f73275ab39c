"""The one place where spending is counted and stopped.

A sequence takes an allowance of tokens before it grows and gives back what it did not use, so a budget is never
overspent, however coarsely an engine reports. While tokens are scarce, a wave's sequences get equal shares at first;
whoever finds nothing left waits for what others give back.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import anyio
import anyio.lowlevel

from strategies.protocols import Backend, Take
from strategies.tasks import Bell
from strategies.types import Budget, Call, Chunk, Limit, Prompt, Spent

LEAST = 16
"""Tokens that an allowance holds at least, unless fewer are wanted or left in all: each one costs a request."""


@dataclass
class Shares:
    """What each sequence of a wave may take at first, and how many have not taken it yet."""

    each: int
    left: int


class Meter:
    """The ledger of one request: what is spent, what is held by sequences in flight, and which limit cut it."""

    def __init__(self, budget: Budget, clock: Callable[[], float] = anyio.current_time) -> None:
        self.budget = budget
        self.deadline = clock() + budget.seconds
        self._clock = clock
        self.cut: Limit | None = None
        self._spent = dict.fromkeys(("sampled", "verifier", "samples", "calls", "prompt", "cached"), 0)
        self.first_prompt = 0
        self._held = self._idle = 0
        self._stopped = False
        self._scopes: list[anyio.CancelScope] = []
        self._fresh: set[anyio.CancelScope] = set()
        self._freed = Bell()

    @property
    def spent(self) -> Spent:
        """What is spent so far."""
        return Spent(**self._spent)

    @property
    def tokens(self) -> int:
        """Tokens spent so far."""
        return self._spent["sampled"] + self._spent["verifier"]

    @property
    def samples(self) -> int:
        """Sequences started so far."""
        return self._spent["samples"]

    def called(self) -> None:
        """An engine is asked for something."""
        self._spent["calls"] += 1

    @contextmanager
    def cutting(self) -> Iterator[anyio.CancelScope]:
        """Work that ends when the budget does."""
        with anyio.CancelScope(deadline=self.deadline) as scope:
            self._scopes.append(scope)
            self._fresh.add(scope)
            self._idle += 1
            try:
                if self._stopped:
                    scope.cancel()
                yield scope
            finally:
                self._idle -= 1
                self._scopes.remove(scope)
                self._fresh.discard(scope)
        if scope.cancelled_caught:
            self.reached("seconds")

    def reached(self, limit: Limit) -> None:
        """Something was not done, or not to its end, for `limit` was reached; the first one is remembered."""
        self.cut = self.cut or limit

    def stop(self, limit: Limit) -> None:
        """End all work of this request: `limit` is reached."""
        self.reached(limit)
        self._stopped = True
        for scope in self._scopes:
            scope.cancel()

    def admit(self, n: int, scope: anyio.CancelScope) -> int:
        """How many of `n` sequences the run of that scope may start; it leaves some to those that have started none."""
        left = self.budget.samples - self.samples
        free = max(1, left // len(self._fresh)) if scope in self._fresh else left - len(self._fresh)
        self._fresh.discard(scope)
        admitted = max(0, min(n, free, left))
        self._spent["samples"] += admitted
        if admitted < n:
            self.reached("samples")
        return admitted

    @property
    def spent_up(self) -> bool:
        """Whether no further sequence may start."""
        return self.samples >= self.budget.samples

    @property
    def left(self) -> float:
        """Seconds up to the deadline."""
        return max(0.0, self.deadline - self._clock())

    @property
    def late(self) -> bool:
        """Whether the last quarter of the time has begun."""
        return self._clock() > self.deadline - self.budget.seconds / 4

    @property
    def last(self) -> bool:
        """Whether no more sequences may start than there are runs."""
        return self.budget.samples - self.samples <= len(self._scopes)

    def ending(self, starting: int) -> bool:
        """Whether so many sequences are the last to start, or the last quarter of the time or the tokens has begun."""
        over = self.samples + starting >= self.budget.samples
        return over or self.late or self.tokens > self.budget.tokens * 3 // 4

    @contextmanager
    def wave(self, wanted: Sequence[int]) -> Iterator[Shares]:
        """Sequences that want so many tokens begin: yields equal shares of what is free, held until they take them.

        No share is more than the most that one of them wants: others may begin while these grow.
        """
        n = len(wanted)
        shares = Shares(min(self.share // max(1, n), max(wanted, default=0)), n)
        self._idle -= 1
        self._held += shares.each * n
        try:
            yield shares
        finally:
            self._idle += 1
            self.give_back(shares.each * shares.left)

    @property
    def free(self) -> int:
        """Tokens neither spent nor held."""
        return max(0, self.budget.tokens - self.tokens - self._held)

    @property
    def share(self) -> int:
        """What of the free tokens falls to each run that holds none."""
        return self.free // max(1, self._idle)

    async def take(self, want: int, n: int, shares: Shares | None = None) -> int:
        """An allowance for each of `n` sequences that want `want` tokens: their wave's shares, or of what is free.

        Waits while there is too little and somebody may still give back; stops the request when nobody can.
        """
        most = want
        if shares:
            shares.left -= n
            self.give_back(shares.each * n)
            most = min(want, max(LEAST, shares.each))
        while True:
            grant = min(most, self.free // n)
            if grant >= min(want, LEAST) or (grant and not self._held):
                self._held += grant * n
                return grant
            if not self._held:
                self.stop("tokens")
            await self._freed.wait()

    def give_back(self, unused: int) -> None:
        """Somebody leaves `unused` tokens of an allowance."""
        self._held -= unused
        self._freed.ring()

    def charge(self, chunks: Sequence[Chunk], purpose: Literal["sampled", "verifier"]) -> None:
        """Chunks arrived: their tokens are spent."""
        tokens = sum([chunk.tokens for chunk in chunks])
        self._held -= tokens
        self._spent[purpose] += tokens
        for usage in [chunk.usage for chunk in chunks if chunk.usage]:
            self._spent[purpose] += usage.uncounted
            self.first_prompt = self.first_prompt or usage.prompt
            self._spent["prompt"] += usage.prompt
            self._spent["cached"] += usage.cached


class Metered:
    """A backend that takes an allowance for each call and charges a meter for all that arrives.

    A continuation that its allowance ended, not its own limit, finishes as "cut": it may go on if there is more.
    """

    def __init__(self, inner: Backend, meter: Meter, purpose: Literal["sampled", "verifier"] = "sampled") -> None:
        self.inner, self.meter, self.purpose = inner, meter, purpose

    async def render(self, prompt: Prompt) -> Prompt:
        return await self.inner.render(prompt)

    async def stream(self, call: Call, take: Take, shares: Shares | None = None) -> None:
        granted = await self.meter.take(call.max_tokens, call.n, shares)
        self.meter.called()
        scarce = granted < call.max_tokens
        held = [granted] * call.n

        async def charged(chunks: Sequence[Chunk]) -> None:
            self._charge(chunks, held)
            if scarce:  # what ended so has no length of its own
                chunks = [chunk._replace(finish="cut") if chunk.finish == "length" else chunk for chunk in chunks]
            await take(chunks)

        try:
            await self.inner.stream(replace(call, max_tokens=granted) if scarce else call, charged)
        finally:
            self.meter.give_back(sum(held))

    def _charge(self, chunks: Sequence[Chunk], held: list[int]) -> None:
        """Pay for what has arrived out of what is held for each continuation; what one leaves that ended is free."""
        self.meter.charge(chunks, self.purpose)
        for chunk in chunks:
            held[chunk.index] -= chunk.tokens
            if chunk.finish:
                self.meter.give_back(held[chunk.index])
                held[chunk.index] = 0
