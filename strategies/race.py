"""Sequences that grow at once, by requests to an engine, and arrive as they finish. The only file with tasks."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Self

import anyio
from anyio.abc import TaskGroup

from strategies.events import Token
from strategies.found import Found, loss
from strategies.growth import Growth, call_for
from strategies.meter import Metered, Shares
from strategies.protocols import BackendError
from strategies.tasks import unwrapped
from strategies.types import Candidate, Chunk, Finish

Until = Callable[[Growth], bool]
"""Whether a sequence that is growing shall stop here: it is looked at with each piece that arrives of it."""


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
        self._send, self._receive = anyio.create_memory_object_stream[Candidate](math.inf)
        self._arrived, self._lost_before = 0, len(found.lost)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Candidate:
        try:
            child = await self._receive.receive()
        except anyio.EndOfStream:
            if not self._arrived and len(self._found.lost) > self._lost_before:
                lost = self._found.lost[self._lost_before :]
                raise loss(lost, len(lost)) from None
            raise StopAsyncIteration from None
        self._arrived += 1
        return child

    @asynccontextmanager
    async def running(self, groups: Sequence[Sequence[Growth]]) -> AsyncIterator[Self]:
        """Grow all of the groups, a request each; leaving the block stops those that still grow."""
        growths = [growth for group in groups for growth in group]
        with unwrapped(), self._receive, self._backend.meter.wave([growth.wanted for growth in growths]) as shares:
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._grow_all, groups, shares)
                    yield self
                    tasks.cancel_scope.cancel()
            finally:
                self._send.close()
                for growth in growths:
                    if growth.open:
                        self._close(growth, "cut")

    async def _grow_all(self, groups: Sequence[Sequence[Growth]], shares: Shares) -> None:
        with self._send:
            async with anyio.create_task_group() as tasks:
                for group in groups:
                    tasks.start_soon(self._grow, group, shares, tasks)

    async def _grow(self, growths: Sequence[Growth], shares: Shares, tasks: TaskGroup) -> None:
        """Grow siblings by one request; those that only their allowance ended go on alone."""
        for growth in growths:
            growth.hungry = False
        try:
            async with self._backend.stream(call_for(growths), shares) as chunks:
                async for chunk in chunks:
                    self._take(growths[chunk.index], chunk, tasks)
                    if self._until and not any(growth.open for growth in growths):
                        break
        except BackendError as error:
            self._fail([growth for growth in growths if growth.open and not growth.hungry], error)
        untold = BackendError("the engine told no end", cause="garbage")
        self._lose([growth for growth in growths if growth.open and not growth.hungry], untold)
        if hungry := [growth for growth in growths if growth.open]:
            await self._go_on(hungry, tasks)

    async def _go_on(self, growths: Sequence[Growth], tasks: TaskGroup) -> None:
        """Grow sequences further, each by a request of its own, on equal shares of what is free by now."""
        with self._backend.meter.wave([growth.wanted for growth in growths]) as shares:
            async with anyio.create_task_group() as further:
                for growth in growths:
                    further.start_soon(self._grow, [growth], shares, tasks)

    def _take(self, growth: Growth, chunk: Chunk, tasks: TaskGroup) -> None:
        """A piece arrived. One for a sequence that was stopped, while others of its group go on, is only paid for."""
        if not growth.open:
            return
        growth.add(chunk)
        id, answer = growth.child.id, growth.answer
        self._found.observe(Token(id, chunk.text, chunk.tokens, answer, chunk.calls, chunk.logprobs))
        if chunk.finish == "cut" and not growth.hungry:
            self._backend.meter.reached("tokens")
        if chunk.finish and not growth.hungry:
            self._arrive(self._close(growth, chunk.finish), tasks)
        elif self._until and self._until(growth):
            self._arrive(self._close(growth, "cut"), tasks)

    def _close(self, growth: Growth, finish: Finish) -> Candidate:
        return self._found.close(growth.close(finish))

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

    def _arrive(self, child: Candidate, tasks: TaskGroup) -> None:
        if self._judge and child.tokens:
            tasks.start_soon(self._judged, self._judge, child)
        else:
            self._send.send_nowait(child)

    async def _judged(self, judge: Callable[[Candidate], Awaitable[Candidate]], child: Candidate) -> None:
        self._send.send_nowait(await judge(child))
