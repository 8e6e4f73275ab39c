"""The engines of one model as one `Backend`: each call goes to one of them, and to a second if it never began."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from random import uniform
from typing import TypeVar

import anyio
import msgspec

from server.backends.health import Health
from server.backends.http import Upstream
from server.backends.placement import placed
from server.backends.retries import RetryBudget
from server.backends.vllm import Vllm
from strategies.protocols import BackendError
from strategies.types import Call, Chunk, Prompt

T = TypeVar("T")

PREFIX = 256
"""Token ids at a prompt's beginning that say which engine it goes to."""
JITTER = (0.05, 0.15)
"""Seconds before a call is tried again, at least and at most: those of one failure should not come back together."""
LONGEST_WAIT = 5.0
"""Seconds of a `Retry-After` that are waited for at most."""


@dataclass(frozen=True)
class Member:
    """One engine of a fleet."""

    name: str
    vllm: Vllm
    health: Health

    @property
    def flying(self) -> int:
        return self.health.flying


class Fleet:
    """Engines that serve the same model with the same tokenizer: token ids of one are good for the others."""

    def __init__(
        self, members: Sequence[Member], retries: RetryBudget, spread: int, retried: Callable[[], None] = lambda: None
    ) -> None:
        self.members, self._retries, self._spread, self._retried = members, retries, spread, retried

    async def render(self, prompt: Prompt) -> Prompt:
        """The prompt with the token ids of the chat template. Raises BackendError."""
        key = msgspec.json.encode(prompt.messages[:1])

        async def ask(member: Member) -> Prompt:
            return await member.vllm.render(prompt)

        return await self._first(key, ask)

    @property
    def upstream(self) -> Upstream:
        """The engine that a question without a search behind it goes to."""
        return self._order(b"", 1)[0].vllm.upstream

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[AsyncIterator[Chunk]]:
        """Generate `call.n` continuations; leaving the block aborts them all. Raises BackendError."""
        async with aclosing(self._chunks(call)) as chunks:
            yield chunks

    async def _chunks(self, call: Call) -> AsyncGenerator[Chunk]:
        begun = False
        self._retries.called()
        for member, last in self._attempts(key_of(call.prompt), call.n):
            try:
                with member.health.call(call.n):
                    async with member.vllm.stream(call) as chunks:
                        async for chunk in chunks:
                            begun = True
                            yield chunk
                return
            except BackendError as error:
                if begun or last or not self._again(error):
                    raise
                pause = pause_for(error)
            await anyio.sleep(pause)

    async def _first(self, key: bytes, ask: Callable[[Member], Awaitable[T]]) -> T:
        """The first good answer to a short question."""
        self._retries.called()
        for member, last in self._attempts(key, 1):
            try:
                with member.health.call(1):
                    return await ask(member)
            except BackendError as error:
                if last or not self._again(error):
                    raise
                pause = pause_for(error)
            await anyio.sleep(pause)
        raise AssertionError("an attempt is the last one")

    def _attempts(self, key: bytes, sequences: int) -> list[tuple[Member, bool]]:
        """Two engines to try, the second only if the first one fails; one and the same where there is no other."""
        order = self._order(key, sequences)
        return [(order[0], False), (order[1 % len(order)], True)]

    def _order(self, key: bytes, sequences: int) -> list[Member]:
        """The engines that are well, in the order of trying; all of them where none is: better a try than a refusal."""
        well = [member for member in self.members if member.health.available] or list(self.members)
        return [well[at] for at in placed(well, key, sequences, self._spread)]

    def _again(self, error: BackendError) -> bool:
        """Whether to try once more: not what the engine refuses, and only while there are not too many retries."""
        refused = error.status is not None and error.status < 500 and error.cause != "busy"
        if refused or (error.retry_after or 0) > LONGEST_WAIT or not self._retries.take():
            return False
        self._retried()
        return True


def pause_for(error: BackendError) -> float:
    """Seconds to wait before the next try."""
    return (error.retry_after or 0.0) + uniform(*JITTER)


def key_of(prompt: Prompt) -> bytes:
    """What tells prompts apart whose beginnings an engine may have in its cache."""
    return repr(prompt.ids[:PREFIX]).encode() if prompt.ids else msgspec.json.encode(prompt.messages)
