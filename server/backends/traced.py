"""An engine that is told whose trace each request to generate belongs to."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from server.traceparent import calling
from strategies.protocols import Backend
from strategies.types import Call, Chunk, Prompt


class Traced:
    """A backend whose calls carry the `traceparent` that `header` gives them."""

    def __init__(self, inner: Backend, header: Callable[[Call], str]) -> None:
        self._inner, self._header = inner, header

    async def render(self, prompt: Prompt) -> Prompt:
        return await self._inner.render(prompt)

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[AsyncIterator[Chunk]]:
        before = calling.set(self._header(call))
        try:
            async with self._inner.stream(call) as chunks:
                yield chunks
        finally:
            calling.reset(before)
