"""The one place where spending is counted and stopped.

A sequence takes an allowance of tokens before it grows and gives back what it did not use, so a budget is never
overspent, however coarsely an engine reports. While tokens are scarce, those of a wave get equal shares at first.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import anyio
import anyio.lowlevel

from strategies.protocols import Backend
from strategies.types import Budget, Call, Chunk, Limit, Prompt, Spent


class Meter:
    """The ledger of one request: what is spent, what is held by sequences in flight, and which limit cut it."""

    def __init__(self, budget: Budget, clock: Callable[[], float] = anyio.current_time) -> None:
        self.budget = budget
        self.deadline = clock() + budget.seconds
        self.cut: Limit | None = None
        self.spent = Spent()
        self._held = self._idle = 0
        self._stopped = False
        self._scopes: list[anyio.CancelScope] = []

    @contextmanager
    def cutting(self) -> Iterator[anyio.CancelScope]:
        """Work that ends when the budget does."""
        with anyio.CancelScope(deadline=self.deadline) as scope:
            self._scopes.append(scope)
            self._idle += 1
            try:
                if self._stopped:
                    scope.cancel()
                yield scope
            finally:
                self._idle -= 1
                self._scopes.remove(scope)
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

    def admit(self, n: int) -> int:
        """How many of `n` sequences may start; none left stops the request."""
        admitted = min(n, self.budget.samples - self.spent.samples)
        self.spent = replace(self.spent, samples=self.spent.samples + admitted)
        if not admitted:
            self.stop("samples")
        elif admitted < n:
            self.reached("samples")
        return admitted

    @contextmanager
    def wave(self, n: int) -> Iterator["Shares"]:
        """A wave of `n` sequences begins: yields equal shares of what is free, held for them until they take them."""
        shares = Shares(self.free // (max(1, n) * max(1, self._idle)), n)
        self._idle -= 1
        self._held += shares.each * n
        try:
            yield shares
        finally:
            self._idle += 1
            self._held -= shares.each * shares.left

    @property
    def free(self) -> int:
        """Tokens neither spent nor held."""
        return max(0, self.budget.tokens - self.spent.tokens - self._held)

    def take(self, want: int, n: int, shares: "Shares | None" = None) -> int:
        """An allowance for each of `n` sequences that want `want` tokens: their wave's shares, or of what is free."""
        if shares:
            self._held -= shares.each * n
            shares.left -= n
        grant = min(want, self.free // n, shares.each if shares else want)
        self._held += grant * n
        return grant

    def give_back(self, unused: int) -> None:
        """A call is over and leaves `unused` tokens of its allowances."""
        self._held -= unused

    @property
    def exhausted(self) -> bool:
        """Whether nobody in flight could still give anything back."""
        return self._held == 0

    def charge(self, chunk: Chunk, purpose: Literal["sampled", "verifier"]) -> None:
        """A chunk arrived: its tokens are spent."""
        self._held -= chunk.tokens
        changes: dict[str, int] = {purpose: getattr(self.spent, purpose) + chunk.tokens}
        if chunk.usage:
            changes["prompt"] = self.spent.prompt + chunk.usage.prompt
            changes["cached"] = self.spent.cached + chunk.usage.cached
        self.spent = replace(self.spent, **changes)


@dataclass
class Shares:
    """What each sequence of a wave may take at first, and how many have not taken it yet."""

    each: int
    left: int


class Metered:
    """A backend that takes an allowance for each call and charges a meter for all that arrives.

    A continuation that its allowance ended, not its own limit, finishes as "cut": it may go on if there is more.
    """

    def __init__(self, inner: Backend, meter: Meter, purpose: Literal["sampled", "verifier"] = "sampled") -> None:
        self.inner, self.meter, self.purpose = inner, meter, purpose

    async def render(self, prompt: Prompt) -> Prompt:
        return await self.inner.render(prompt)

    @asynccontextmanager
    async def stream(self, call: Call, shares: Shares | None = None) -> AsyncIterator[AsyncIterator[Chunk]]:
        granted = self.meter.take(call.max_tokens, call.n, shares)
        if not granted:
            self.meter.reached("tokens")
            if self.meter.exhausted:
                self.meter.stop("tokens")
            await anyio.lowlevel.checkpoint()
            yield nothing()
            return
        self.meter.spent = replace(self.meter.spent, calls=self.meter.spent.calls + 1)
        held = _Held(granted * call.n)
        try:
            async with self.inner.stream(replace(call, max_tokens=granted)) as chunks:
                yield self._charging(chunks, held, scarce=granted < call.max_tokens)
        finally:
            self.meter.give_back(held.tokens)

    async def _charging(self, chunks: AsyncIterator[Chunk], held: "_Held", scarce: bool) -> AsyncIterator[Chunk]:
        async for chunk in chunks:
            held.tokens -= chunk.tokens
            self.meter.charge(chunk, self.purpose)
            yield replace(chunk, finish="cut") if scarce and chunk.finish == "length" else chunk


class _Held:
    """Tokens that one call still holds."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens


async def nothing() -> AsyncIterator[Chunk]:
    """A stream without chunks."""
    return
    yield
