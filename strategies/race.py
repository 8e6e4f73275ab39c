"""Sequences that grow at once, by requests to an engine, and arrive as they finish. The only file with tasks."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup

from strategies.events import Token
from strategies.found import Found, loss
from strategies.growth import Growth, call_for
from strategies.meter import Metered, Shares
from strategies.protocols import BackendError
from strategies.tasks import Bell, together, unwrapped
from strategies.types import Candidate, Chunk, Finish

Until = Callable[[Growth], bool]
"""Whether a sequence that is growing shall stop here: it is looked at with each piece that arrives of it."""


class Enough(Exception):
    """No more is wanted of a request."""


class Race:
    """One wave of sequences: an iterator over the children as they finish, judged where `judge` is given.

    Iterating raises BackendError where all of them were lost.
    """

    def __init__(
        self,
        backend: Metered,
        found: Found,
        judge: Callable[[Candidate], Awaitable[Candidate]] | None = None,
        until: Until | None = None,
    ) -> None:
        self._backend, self._found, self._judge, self._until = backend, found, judge, until
        self._arrivals: deque[Candidate] = deque()
        self._arrived, self._lost_before = 0, len(found.lost)
        self._tasks: TaskGroup | None = None
        self._working = 0
        self._news = Bell()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Candidate:
        while not self._arrivals:
            if not self._working:
                self._check()
                raise StopAsyncIteration
            await self._news.wait()
        return self._arrivals.popleft()

    def _check(self) -> None:
        """Raise BackendError where nothing arrived, for all was lost."""
        lost = self._found.lost[self._lost_before :]
        if lost and not self._arrived:
            raise loss(lost, len(lost))

    @asynccontextmanager
    async def running(self, groups: Sequence[Sequence[Growth]]) -> AsyncIterator[Self]:
        """Grow all of the groups, a request each; leaving the block stops those that still grow."""
        growths = [growth for group in groups for growth in group]
        with unwrapped(), self._backend.meter.wave([growth.wanted for growth in growths]) as shares:
            left = False
            try:
                async with anyio.create_task_group() as self._tasks:
                    for group in groups:
                        self._start(self._grow, group, shares)
                    yield self
                    left = True
                    self._tasks.cancel_scope.cancel()
            finally:
                self._stop(growths, early=left)

    async def all(self, groups: Sequence[Sequence[Growth]]) -> list[Candidate]:
        """Grow all of the groups to their end. Raises BackendError where all were lost."""
        if len(groups) > 1 or self._judge:
            async with self.running(groups):
                return [child async for child in self]
        for group in groups:  # a request of its own is work enough: it needs no task
            with self._backend.meter.wave([growth.wanted for growth in group]) as shares:
                try:
                    await self._grow(group, shares)
                finally:
                    self._stop(group)
        self._check()
        return list(self._arrivals)

    def _start(self, act: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        """Do something beside the others; nothing more arrives when all of it is done."""
        assert self._tasks
        self._working += 1
        self._tasks.start_soon(self._work, act, *arguments)

    async def _work(self, act: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        try:
            await act(*arguments)
        finally:
            self._working -= 1
            self._news.ring()

    def _stop(self, growths: Sequence[Growth], early: bool = False) -> None:
        for growth in growths:
            if growth.open:
                self._close(growth, "cut", early)

    async def _grow(self, growths: Sequence[Growth], shares: Shares) -> None:
        """Grow siblings by one request; those that only their allowance ended go on alone."""
        for growth in growths:
            growth.hungry = False

        async def take(chunks: Sequence[Chunk]) -> None:
            for chunk in chunks:
                self._take(growths[chunk.index], chunk)
            if self._until and not any(growth.open for growth in growths):
                raise Enough

        try:
            await self._backend.stream(call_for(growths), take, shares)
        except Enough:
            return
        except BackendError as error:
            self._fail([growth for growth in growths if growth.open and not growth.hungry], error)
        untold = BackendError("the engine told no end", cause="garbage")
        self._lose([growth for growth in growths if growth.open and not growth.hungry], untold)
        if hungry := [growth for growth in growths if growth.open]:
            await self._go_on(hungry)

    async def _go_on(self, growths: Sequence[Growth]) -> None:
        """Grow sequences further, each by a request of its own, on equal shares of what is free by now."""
        with self._backend.meter.wave([growth.wanted for growth in growths]) as shares:
            await together(lambda growth: self._grow([growth], shares), growths)

    def _take(self, growth: Growth, chunk: Chunk) -> None:
        """A piece arrived. One for a sequence that was stopped, while others of its group go on, is only paid for."""
        if not growth.open:
            return
        growth.add(chunk)
        id, answer = growth.child.id, growth.answer
        self._found.observe(Token(id, chunk.text, chunk.tokens, answer, chunk.calls, chunk.logprobs))
        if chunk.finish == "cut" and not growth.hungry:
            self._backend.meter.reached("tokens")
        if chunk.finish and not growth.hungry:
            self._arrive(self._close(growth, chunk.finish))
        elif self._until and self._until(growth):
            self._arrive(self._close(growth, "cut", early=True))

    def _close(self, growth: Growth, finish: Finish, early: bool = False) -> Candidate:
        return self._found.close(growth.close(finish), early)

    def _fail(self, growths: Sequence[Growth], error: BackendError) -> None:
        """Their request broke off: those that can go on where another engine is, once each; the others are lost."""
        going = [growth for growth in growths if error.broke_at and growth.resume(error.broke_at)]
        if going:
            self._found.note(f"another engine goes on, for one failed: {error}", [growth.child for growth in going])
        self._lose([growth for growth in growths if growth not in going], error)

    def _lose(self, growths: Sequence[Growth], error: BackendError) -> None:
        for growth in growths:
            growth.open = False
            self._found.lose(growth.child, error, growth.tokens)

    def _arrive(self, child: Candidate) -> None:
        if self._judge and child.tokens:
            self._start(self._judged, self._judge, child)
        else:
            self._give(child)

    async def _judged(self, judge: Callable[[Candidate], Awaitable[Candidate]], child: Candidate) -> None:
        self._give(await judge(child))

    def _give(self, child: Candidate) -> None:
        self._arrivals.append(child)
        self._arrived += 1
        self._news.ring()
