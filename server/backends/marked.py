"""An engine on behalf of one tenant: every request to generate carries the tenant's marks, those of judges too."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

from strategies.protocols import Backend
from strategies.types import Call, Chunk, Prompt


class Marked:
    """A backend that adds fields to each call, over whatever else may be there under their names."""

    def __init__(self, inner: Backend, marks: Mapping[str, Any]) -> None:
        self._inner, self._marks = inner, marks

    async def render(self, prompt: Prompt) -> Prompt:
        return await self._inner.render(prompt)

    def stream(self, call: Call) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
        sampling = replace(call.sampling, extra={**call.sampling.extra, **self._marks})
        return self._inner.stream(replace(call, sampling=sampling))
