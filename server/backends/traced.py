"""An engine that is told whose trace each request to generate belongs to."""

from collections.abc import Callable

from server.traceparent import calling
from strategies.protocols import Backend, Take
from strategies.types import Call, Prompt


class Traced:
    """A backend whose calls carry the `traceparent` that `header` gives them."""

    def __init__(self, inner: Backend, header: Callable[[Call], str]) -> None:
        self._inner, self._header = inner, header

    async def render(self, prompt: Prompt) -> Prompt:
        return await self._inner.render(prompt)

    async def stream(self, call: Call, take: Take) -> None:
        before = calling.set(self._header(call))
        try:
            await self._inner.stream(call, take)
        finally:
            calling.reset(before)
