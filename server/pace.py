"""What a client is yet to be told, and back-pressure: engines are read no faster than a client takes what comes of it.

Events are told without waiting, so it is the readers of the engines that wait: their sockets fill, and TCP slows the
engines down. Strategies know nothing of it.
"""

import asyncio
from collections.abc import Sequence

from strategies.events import Event
from strategies.protocols import Backend, Take
from strategies.types import Call, Chunk, Prompt


class Outbox:
    """What has happened and is not told yet; one waits for it, whoever adds to it does not.

    From `most` events on, those included that are being sent, engines wait for the client.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._events: list[Event] = []
        self._leaving = 0
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._closed = False

    @property
    def pending(self) -> int:
        """How many events the client has yet to take."""
        return self._leaving + len(self._events)

    def put(self, event: Event) -> None:
        self._events.append(event)
        self.nudge()

    def close(self) -> None:
        """Nothing more will happen."""
        self._closed = True
        self.nudge()

    def nudge(self) -> None:
        """Wake whoever waits for events."""
        self._news.set()

    async def take(self) -> list[Event] | None:
        """All there is, once there is something, or after a nudge; None when all is taken and no more will come.

        What was taken before has been sent by now.
        """
        self._leaving = 0
        self._room.set()
        if not (self._events or self._closed):
            self._news.clear()
            await self._news.wait()
        events, self._events = self._events, []
        self._leaving = len(events)
        return None if self._closed and not events else events

    async def room(self) -> None:
        """Wait for the client."""
        while self.pending >= self.most:
            self._room.clear()
            await self._room.wait()


class Paced:
    """A backend whose streams wait for a client."""

    def __init__(self, backend: Backend, outbox: Outbox) -> None:
        self.backend, self.outbox = backend, outbox

    async def render(self, prompt: Prompt) -> Prompt:
        return await self.backend.render(prompt)

    async def stream(self, call: Call, take: Take) -> None:
        async def paced(chunks: Sequence[Chunk]) -> None:
            await take(chunks)
            await self.outbox.room()

        await self.backend.stream(call, paced)
