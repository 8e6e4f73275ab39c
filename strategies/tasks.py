"""Many awaits at once, a bell for those who wait, and errors that leave a task group as themselves."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import anyio

T = TypeVar("T")
R = TypeVar("R")


class Bell:
    """Wakes all who wait for it, again and again. What they wait for they look up themselves, before and after."""

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def ring(self) -> None:
        if self._event:  # most of the time nobody waits, and an event costs as much as all the rest
            self._event.set()
            self._event = None

    async def wait(self) -> None:
        """Until it rings the next time."""
        self._event = self._event or anyio.Event()
        await self._event.wait()


async def together(act: Callable[[T], Awaitable[R]], items: Sequence[T]) -> list[R]:
    """`act` on all items at once; the results in the items' order. The first failure cancels the others."""
    if len(items) <= 1:  # a task group costs as much as a call to an engine
        return [await act(item) for item in items]
    results: dict[int, R] = {}

    async def one(at: int, item: T) -> None:
        results[at] = await act(item)

    with unwrapped():
        async with anyio.create_task_group() as tasks:
            for at, item in enumerate(items):
                tasks.start_soon(one, at, item)
    return [results[at] for at in range(len(items))]


@contextmanager
def unwrapped() -> Iterator[None]:
    """Let the first error leave a task group as itself."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from error.__cause__
