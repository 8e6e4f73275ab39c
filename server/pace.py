"""Back-pressure: engines are read no faster than a client takes what comes of it.

Events are told without waiting, so it is the readers of the engines that wait: their sockets fill, and TCP slows the
engines down. Strategies know nothing of it.
"""

from collections.abc import Sequence

from strategies.protocols import Backend, Take
from strategies.tasks import Bell
from strategies.types import Call, Chunk, Prompt


class Pace:
    """How many events one client has yet to take; from `most` on, engines wait for it."""

    def __init__(self, most: int) -> None:
        self.most, self.pending = most, 0
        self._free = Bell()

    def told(self) -> None:
        """One more event is there."""
        self.pending += 1

    def taken(self, pending: int) -> None:
        """The client took what it was sent; so many events came meanwhile."""
        self.pending = pending
        self._free.ring()

    async def wait(self) -> None:
        """Wait for the client."""
        while self.pending >= self.most:
            await self._free.wait()


class Paced:
    """A backend whose streams wait for a client."""

    def __init__(self, backend: Backend, pace: Pace) -> None:
        self.backend, self.pace = backend, pace

    async def render(self, prompt: Prompt) -> Prompt:
        return await self.backend.render(prompt)

    async def stream(self, call: Call, take: Take) -> None:
        async def paced(chunks: Sequence[Chunk]) -> None:
            await take(chunks)
            await self.pace.wait()

        await self.backend.stream(call, paced)
