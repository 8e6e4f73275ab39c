"""One model of one or several engines, as a backend: chooses who gets a call, and makes again what nobody answered."""

import hashlib
import random
from array import array
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import anyio
import msgspec

from server.backends.calls import Calls
from server.backends.connection import Answer
from server.backends.health import Health
from server.backends.http import Upstream
from server.backends.placement import choose
from server.backends.retries import Retries, transient
from server.backends.vllm import Vllm
from server.metrics import Metrics
from strategies.protocols import BackendError, Take
from strategies.types import Call, Chunk, Prompt

JITTER = 0.1
"""Seconds that a retry waits at most, a random part of it, so that not all come at once."""


@dataclass
class Host:
    """One engine: its name, its calls, how it is, and the sequences that it has in flight for us."""

    name: str
    upstream: Upstream
    health: Health
    calls: Calls
    load: int = 0

    def carrying(self, n: int) -> "Carried":
        """A call of `n` sequences, whose failure counts against the engine where it is the engine's."""
        return Carried(self, n)

    def blamed(self, error: BackendError, trying: bool) -> bool:
        """Whether a failed call counts against the engine, as it does now."""
        fault = transient(error) and error.status != 429
        if fault:
            self.health.failed(trying)
        return fault


class Carried:
    """A call of `n` sequences to an engine, for as long as the block lasts; `begun` once something has come of it."""

    def __init__(self, host: Host, n: int) -> None:
        self._host, self._n = host, n
        self._trying = self.begun = False

    def __enter__(self) -> Self:
        self._host.load += self._n
        self._trying = self._host.health.begin()
        self._host.calls.began()
        return self

    def begin(self) -> None:
        """Something has come."""
        self.begun = True
        self._host.health.answered(self._trying)

    def telling(self, take: Take) -> Take:
        """What takes as `take` does, and has it begun."""

        async def telling(chunks: Sequence[Chunk]) -> None:
            if not self.begun:
                self.begin()
            await take(chunks)

        return telling

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *_: object) -> None:
        self._host.load -= self._n
        self._host.calls.ended(error)
        if isinstance(error, BackendError) and not self._host.blamed(error, self._trying):
            self._host.health.answered(self._trying)
        self._host.health.end(self._trying)


@dataclass(frozen=True)
class Member:
    """A model at one engine."""

    host: Host
    vllm: Vllm

    @property
    def name(self) -> str:
        return self.host.name

    @property
    def load(self) -> int:
        return self.host.load


class Fleet:
    """The engines that serve one model, as a `Backend`. They are taken to tokenise alike: it is the same model.

    A call that fails before its first piece came is made once more, on another engine where there is one, while the
    retry budget lasts. Where all engines are out, calls go to them all the same: they may be better than they look.
    """

    def __init__(self, members: Sequence[Member], retries: Retries, factor: float, metrics: Metrics) -> None:
        self._members, self._retries, self._factor, self._metrics = members, retries, factor, metrics

    async def render(self, prompt: Prompt) -> Prompt:
        failed, again = "", False
        while True:
            member = self._place(prompt, 0, failed)
            try:
                return await member.vllm.render(prompt)  # that goes well in engines that cannot sample any more
            except BackendError as error:
                member.host.blamed(error, member.host.health.out)
                await self._again(error, member, last=again)
                failed, again = member.name, True

    async def stream(self, call: Call, take: Take) -> None:
        failed, again = call.avoid, False
        home = call.steps[-1].engine if call.steps else ""
        while True:
            member = self._place(call.prompt, call.n, failed, home)
            carried = member.host.carrying(call.n)
            try:
                with carried:
                    await member.vllm.stream(call, carried.telling(take))
                self._retries.earn()
                return
            except BackendError as error:
                if carried.begun:
                    error.broke_at = member.name if transient(error) and self._other(member) else ""
                    raise
                await self._again(error, member, last=again)
                failed, again = member.name, True

    @asynccontextmanager
    async def relay(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[Answer]:
        """An answer of one of the engines as it comes, a good one; asked for once. Raises BackendError."""
        member = self._place(body.get("prompt") or body.get("messages"), 1)
        with member.host.carrying(1) as carried:
            async with member.vllm.upstream.relay(path, dict(body)) as response:
                carried.begin()
                yield response

    def _place(self, prompt: Any, n: int, failed: str = "", home: str = "") -> Member:
        """Who gets a call: another than the one that failed it, among those that are well, while there are such.

        One whose time out is over gets the first call that comes, wherever its prompt is cached.
        """
        if len(self._members) == 1:
            return self._members[0]
        well = [member for member in self._members if member.host.health.admits] or self._members
        others = [member for member in well if member.name != failed] or well
        tried = [member for member in others if n and not failed and member.host.health.out]
        return choose(tried or others, key_of(prompt), n, self._factor, home)

    def _other(self, member: Member) -> bool:
        """Whether another engine is in."""
        return any(other is not member and not other.host.health.out for other in self._members)

    async def _again(self, error: BackendError, member: Member, *, last: bool) -> None:
        """Wait until the call may be made again. Raises the error where it may not: within the deadline, or at all."""
        if last or not transient(error):
            raise error
        wait = random.uniform(0, JITTER)
        if error.retry_after and not self._other(member):
            wait += error.retry_after
        if anyio.current_time() + wait >= anyio.current_effective_deadline() or not self._retries.spend():
            raise error
        self._metrics.retries.at().inc()
        await anyio.sleep(wait)


def key_of(prompt: Any) -> bytes:
    """What stands for a prompt, ours or an engine's own: all calls of a search that continue it share it."""
    match prompt:
        case Prompt(ids=tuple(ids)):
            said = array("q", ids).tobytes()
        case Prompt(messages=messages):
            said = msgspec.json.encode(messages)
        case _:
            said = msgspec.json.encode(prompt)
    return hashlib.blake2b(said, digest_size=16).digest()
