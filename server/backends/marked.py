"""An engine on behalf of one tenant: every request to generate carries the tenant's marks, those of judges too."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from strategies.protocols import Backend, Take
from strategies.types import Call, Prompt


class Marked:
    """A backend that adds fields to each call, over whatever else may be there under their names."""

    def __init__(self, inner: Backend, marks: Mapping[str, Any]) -> None:
        self._inner, self._marks = inner, marks

    async def render(self, prompt: Prompt) -> Prompt:
        return await self._inner.render(prompt)

    async def stream(self, call: Call, take: Take) -> None:
        sampling = replace(call.sampling, extra={**call.sampling.extra, **self._marks})
        await self._inner.stream(replace(call, sampling=sampling), take)
