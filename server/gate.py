"""Requests before they begin: what each reserves, the wait for it, and what it has spent in the end."""

import base64
import hashlib
import hmac
import math
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

import anyio
from starlette.datastructures import State

from server.admission import Desk, Refused, Size, Tell, Verdict
from server.errors import ApiError
from server.line import Line
from server.resolve import Plan
from server.settings import Settings
from server.tenants import Tenant
from strategies.meter import Meter
from strategies.protocols import Observer


class Admits(Protocol):
    """A `Desk`, or a way to the one that several processes share."""

    def enter(self, id: int, tenant: str, size: Size, tell: Tell) -> None: ...

    def leave(self, id: int, spent: int) -> None: ...


@dataclass
class Permit:
    """A request at work. `spent` is to tell, when it ends, how many tokens it took."""

    rates: Mapping[str, str]
    spent: int = 0


@dataclass
class Gate:
    """The way in for the requests of one process. `secret` makes the tenants' cache salts."""

    desk: Admits
    settings: Settings
    secret: bytes
    line: Line = field(default_factory=Line)
    _ids: Iterator[int] = field(default_factory=count)

    @asynccontextmanager
    async def admitted(self, tenant: Tenant, size: Size, patience: float = math.inf) -> AsyncIterator[Permit]:
        """Wait until the request may begin. Whoever leaves the block, or the wait, gives back what was reserved.

        Raises ApiError 429 where a quota of the tenant's is used up, 503 where too many wait, or this one waits for
        longer than `patience` seconds or the setting.
        """
        id, told, verdicts = next(self._ids), list[anyio.Event](), list[Verdict]()

        def tell(verdict: Verdict) -> None:
            verdicts.append(verdict)
            for event in told:
                event.set()

        permit = Permit({})
        self.line.comes(id)
        self.desk.enter(id, tenant.name, size, tell)
        try:
            if not verdicts:
                told.append(anyio.Event())
                with anyio.move_on_after(min(patience, self.settings.admission.queue_seconds)):
                    await told[0].wait()
            permit.rates = let_in(verdicts)
            self.line.begins(id, size)
            yield permit
        finally:
            self.line.leaves(id)
            self.desk.leave(id, permit.spent)

    def marks(self, tenant: Tenant) -> dict[str, Any]:
        """What every request to an engine carries for a tenant: a salt that keeps its prefixes apart, its priority."""
        if not self.settings.keys:
            return {}
        priority = {"priority": tenant.quotas.priority} if self.settings.admission.engine_priority else {}
        return {"cache_salt": salt(self.secret, tenant.name)} | priority


def let_in(verdicts: list[Verdict]) -> Mapping[str, str]:
    """The headers of one who was let in. Raises ApiError for all others."""
    if not verdicts:
        raise ApiError(503, "the request has waited for too long", code="overloaded")
    [verdict] = verdicts
    if isinstance(verdict, Refused):
        kind = "rate_limit_error" if verdict.status == 429 else None
        headers = {**verdict.rates, "retry-after": str(math.ceil(verdict.wait))}
        raise ApiError(verdict.status, verdict.message, code=verdict.code, type=kind, headers=headers)
    return verdict.rates


def salt(secret: bytes, tenant: str) -> str:
    """The tenant's `cache_salt` for vLLM: 43 characters that nobody guesses without the secret."""
    mac = hmac.digest(secret, tenant.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def secret_of(settings: Settings) -> bytes:
    """The settings' secret, or a random one."""
    return settings.auth.cache_secret.get_secret_value().encode() or secrets.token_bytes(32)


def size_of(plan: Plan, longest: int | None) -> Size:
    """What a chat reserves: the sequences it has in flight at once, each as long as it may become, or its budget.

    `longest` is the model's limit, in tokens, where the engine tells it.
    """
    samples = min(plan.strategy.widest * len(plan.roots), plan.budget.samples)
    path = plan.sampling.max_tokens or longest or plan.budget.tokens
    return Size(samples, min(plan.budget.tokens, samples * path))


@dataclass
class Admitted:
    """Work that begins when the gate lets it in, and is charged for what its meter has counted."""

    gate: Gate
    tenant: Tenant
    size: Size
    meter: Meter
    work: Callable[[Observer], Awaitable[object]]
    state: State

    async def __call__(self, observe: Observer) -> None:
        patience = self.meter.budget.seconds
        async with self.gate.admitted(self.tenant, self.size, patience) as permit:
            self.state.rates = permit.rates
            try:
                await self.work(observe)
            finally:
                permit.spent = self.meter.spent.tokens


def local_gate(settings: Settings) -> Gate:
    """The gate of a server that is one process."""
    return Gate(Desk(settings.admission, settings.keys, anyio.current_time), settings, secret_of(settings))
