"""Who may begin, and when: quotas by token buckets, and one bounded fair queue. Exact, synchronous, without I/O.

Requests that do not fit wait in start-time fair queueing (Goyal, Vin, Cheng 1996): among the tenants that have any
waiting, the one goes first whose share, by weight, is furthest behind. A tenant's own requests keep their order. Where
the queue overflows, the newest of the tenant with the most in it goes (McKenney 1990): a flood ousts only itself.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

import msgspec

from server.buckets import Bucket
from server.settings import Admission, Quotas

AGAIN = 1.0
"""Seconds after which a tenant that has too much at work may try again."""
OVERLOADED = 5.0
"""Seconds after which anybody may try again where the queue is full."""


class Size(msgspec.Struct, frozen=True):
    """What a request reserves: sequences in flight at once, and the tokens that they may take."""

    samples: int = 0
    tokens: int = 0


class Granted(msgspec.Struct, frozen=True, tag=True):
    """The request may begin. `rates` are headers about its tenant's quotas."""

    rates: dict[str, str] = {}


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The request may not begin, nor wait. `wait`: seconds after which another try has a chance."""

    status: int
    code: str
    message: str
    wait: float
    rates: dict[str, str] = {}


Verdict = Granted | Refused
Tell = Callable[[Verdict], None]


@dataclass(slots=True, eq=False)
class Flow:
    """One tenant's requests: what they have used, what they hold, and those that wait. `finish` is its share so far."""

    quotas: Quotas
    requests: Bucket | None
    tokens: Bucket | None
    samples: int = 0
    start: float = 0.0
    finish: float = 0.0
    queue: dict[Hashable, "Asked"] = field(default_factory=dict)

    def rates(self) -> dict[str, str]:
        """OpenAI's `x-ratelimit-*` headers."""
        buckets = {"requests": self.requests, "tokens": self.tokens}
        return {
            f"x-ratelimit-{what}-{name}": value
            for name, bucket in buckets.items()
            if bucket
            for what, value in bucket.told().items()
        }


@dataclass(slots=True)
class Asked:
    """A request that waits or is at work. `reserved` tokens are taken from its tenant's bucket."""

    flow: Flow
    size: Size
    reserved: float
    tell: Tell


class Desk:
    """Admits requests, each known by an id that is its own. `tell` hears one verdict, at once or later."""

    def __init__(self, limits: Admission, quotas: Mapping[str, Quotas], clock: Callable[[], float]) -> None:
        self._limits, self._quotas, self._clock = limits, quotas, clock
        self._flows: dict[str, Flow] = {}
        self._backlog: dict[Flow, None] = {}
        self._waiting: dict[Hashable, Asked] = {}
        self._working: dict[Hashable, Asked] = {}
        self._virtual = 0.0
        self.held = Size()

    def enter(self, id: Hashable, tenant: str, size: Size, tell: Tell) -> None:
        """A request comes. Whatever it is told, `leave` ends it; what was refused holds nothing."""
        flow = self._flow(tenant)
        if refused := self._beyond(flow, size):
            tell(refused)
            return
        if flow.requests:
            flow.requests.take(1)
        reserved = flow.tokens.reserve(size.tokens) if flow.tokens else 0.0
        flow.samples += size.samples
        self._queue(id, Asked(flow, size, reserved, tell))
        self._advance()
        if len(self._waiting) > self._limits.queue:
            self._oust()

    def leave(self, id: Hashable, spent: int) -> None:
        """A request ends, or waits no more: it has spent so many tokens, and gives back what it held."""
        if asked := self._working.pop(id, None):
            samples, tokens = self.held.samples - asked.size.samples, self.held.tokens - asked.size.tokens
            self.held = Size(samples, tokens)
            self._settle(asked, spent)
        elif id in self._waiting:
            self._settle(self._unqueue(id), 0)
        self._advance()

    def _flow(self, tenant: str) -> Flow:
        now = self._clock()
        if tenant not in self._flows:
            quotas = self._quotas.get(tenant, Quotas())
            requests, tokens = bucket(quotas.requests_per_minute, now), bucket(quotas.tokens_per_minute, now)
            self._flows[tenant] = Flow(quotas, requests, tokens)
        flow = self._flows[tenant]
        for one in (flow.requests, flow.tokens):
            if one:
                one.refill(now)
        return flow

    def _beyond(self, flow: Flow, size: Size) -> Refused | None:
        """What the tenant's quotas have against one more request of that size."""
        most = flow.quotas.samples
        if flow.requests and (wait := flow.requests.wait(1)):
            what = f"requests a minute (limit {flow.quotas.requests_per_minute})"
        elif flow.tokens and (wait := flow.tokens.wait(size.tokens)):
            what = f"tokens a minute (limit {flow.quotas.tokens_per_minute}; this request reserves {size.tokens})"
        elif most and size.samples and flow.samples + size.samples > most:
            what, wait = f"samples at once (limit {most}; {flow.samples} are at work, {size.samples} asked for)", AGAIN
        else:
            return None
        return Refused(429, "rate_limit_exceeded", f"too many {what}", wait, flow.rates())

    def _queue(self, id: Hashable, asked: Asked) -> None:
        flow = asked.flow
        if not flow.queue:
            flow.start = max(self._virtual, flow.finish)
            self._backlog[flow] = None
        flow.queue[id] = self._waiting[id] = asked

    def _unqueue(self, id: Hashable) -> Asked:
        asked = self._waiting.pop(id)
        del asked.flow.queue[id]
        if not asked.flow.queue:
            del self._backlog[asked.flow]
        return asked

    def _advance(self) -> None:
        """Let in, in fair order, what fits. The first that does not fit holds up the rest, so that it will."""
        while self._backlog:
            flow = min(self._backlog, key=lambda one: one.start)
            id, asked = next(iter(flow.queue.items()))
            if not self._fits(asked.size):
                return
            self._virtual = flow.start
            flow.start = flow.finish = flow.start + max(1, asked.size.tokens) / flow.quotas.weight
            self._working[id] = self._unqueue(id)
            samples, tokens = self.held.samples + asked.size.samples, self.held.tokens + asked.size.tokens
            self.held = Size(samples, tokens)
            asked.tell(Granted(flow.rates()))

    def _fits(self, size: Size) -> bool:
        """Whether there is room for it. What is larger than all the room there is goes alone."""
        if not size.samples or not self.held.samples:
            return True
        samples, tokens = self.held.samples + size.samples, self.held.tokens + size.tokens
        return samples <= self._limits.samples and tokens <= self._limits.tokens

    def _oust(self) -> None:
        """Send away the newest request of the tenant with the most in the queue, for its weight."""
        fullest = max(self._backlog, key=lambda one: len(one.queue) / one.quotas.weight)
        asked = self._unqueue(next(reversed(fullest.queue)))
        self._settle(asked, 0)
        message = f"too many requests wait (limit {self._limits.queue})"
        asked.tell(Refused(503, "overloaded", message, OVERLOADED, asked.flow.rates()))

    @staticmethod
    def _settle(asked: Asked, spent: int) -> None:
        asked.flow.samples -= asked.size.samples
        if asked.flow.tokens:
            asked.flow.tokens.settle(asked.reserved, spent)


def bucket(per_minute: int | None, now: float) -> Bucket | None:
    """A bucket for a quota; none where there is no quota."""
    return Bucket(per_minute, now) if per_minute else None
