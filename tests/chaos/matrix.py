"""Fault x strategy x {streamed, not} x {one call, every call}: what a caller sees, beside what is documented."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import httpx

from benchmarks.engine import simulated
from server.settings import Engine, PoolSettings, Settings
from strategies.registry import Registry
from tests.chaos.outcomes import OUTCOMES
from tests.faults.faults import FAULTS
from tests.faults.proxy import Proxy, faulty
from tests.serving import Served, serving

SECONDS = 20.0
"""The budget of a request, which no fault should need."""
SLACK = 5.0
BRIEF, PATIENT = 0.5, 10.0
"""Seconds that servers wait for a silent engine: for one that is to be silent, and for all others, however busy."""
SIZES: dict[str, dict[str, Any]] = {
    "self_consistency": {"n": 4, "early_stop": "none"},
    "short_m": {"n": 4, "m": 2, "min_tokens": 1},
    "deepconf": {"n": 4, "mode": "offline"},
    "coverage": {"n": 4},
    "best_of_n": {"n": 4},
    "knockout": {"n": 4},
    "gen_select": {"n": 4, "only_when_split": False},
    "beam_search": {"beams": 2, "width": 2},
    "dvts": {"trees": 2, "width": 2},
    "rebase": {"width": 4},
    "particle_filter": {"particles": 4},
    "mcts": {"iterations": 4, "width": 2, "parallel": 2},
    "a_star": {"width": 2, "parallel": 2, "expansions": 4},
    "early_exit": {"every": 16, "stable": 2},
    "revise": {"rounds": 2},
    "parallel_then_revise": {"n": 3, "k": 2},
    "rsa": {"n": 3, "rounds": 2, "k": 2},
    "auto": {"n": 4},
}
"""Settings that keep the strategies small."""


@dataclass(frozen=True)
class Case:
    """One request, and what goes wrong for it."""

    fault: str
    strategy: str
    stream: bool
    always: bool

    def __str__(self) -> str:
        return f"{self.fault}, {'every' if self.always else 'one'} call, {self.strategy}" + ", streamed" * self.stream


@dataclass(frozen=True)
class Seen:
    """What a caller saw: an HTTP status (that of an error in a stream, too), and the reply."""

    status: int
    content: str = ""
    ponder: dict[str, Any] | None = None
    problem: str | None = None


def cases(faults: Sequence[str] = tuple(FAULTS), strategies: Sequence[str] | None = None) -> Iterator[Case]:
    """The matrix, fault by fault."""
    for fault in faults:
        for strategy in strategies or Registry.installed().strategies:
            for stream in (False, True):
                for always in (False, True):
                    yield Case(fault, strategy, stream, always)


class Bench:
    """Servers, of little and of much patience, over an engine whose answers go wrong as the case tried wants it."""

    def __init__(self, brief: Served, patient: Served, proxy: Proxy) -> None:
        self.brief, self.patient, self.proxy = brief, patient, proxy

    async def tried(self, case: Case) -> str | None:
        """What is wrong with what a caller sees; None where it is as documented."""
        first = self.proxy.asked
        self.proxy.script = lambda request: (
            case.fault if request.number is not None and (case.always or request.number == first) else None
        )
        try:
            with anyio.fail_after(SECONDS + SLACK):
                seen = await self._asked(case)
        except TimeoutError:
            return "it hung"
        self.proxy.script = lambda request: None
        return seen.problem or judged(case, seen)

    async def _asked(self, case: Case) -> Seen:
        strategy = {"name": case.strategy, **SIZES.get(case.strategy, {})}
        if Registry.installed().strategies[case.strategy](**strategy).judges:
            strategy["verifier"] = "arithmetic"
        body = {
            "model": "simulated",
            "messages": [{"role": "user", "content": "What is 2 + 3?"}],
            "reasoning_strategy": strategy,
            "reasoning_budget": {"seconds": SECONDS},
            "stream": case.stream,
        }
        served = self.brief if OUTCOMES[case.fault].silent else self.patient
        reply = await served.client.post("/v1/chat/completions", json=body)
        return streamed(reply) if case.stream and reply.status_code == 200 else whole(reply)


def whole(reply: httpx.Response) -> Seen:
    """A reply in one body."""
    try:
        told = reply.json()
        if reply.status_code == 200:
            return Seen(200, told["choices"][0]["message"]["content"], told.get("ponder"))
        return Seen(reply.status_code, told["error"]["message"])
    except (ValueError, KeyError) as error:
        return Seen(reply.status_code, problem=f"no reply in OpenAI's form: {error!r}")


STATUS = {"engine_timeout": 504, "engine_error": 502, "engine_unavailable": 503, "engine_refused": 400}


def streamed(reply: httpx.Response) -> Seen:
    """A stream, read to its end."""
    lines = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line.startswith("data: ")]
    if not lines or lines[-1] != "[DONE]":
        return Seen(200, problem="the stream ended without [DONE]")
    content, ponder = "", None
    for chunk in map(json.loads, lines[:-1]):
        if "error" in chunk:
            return Seen(STATUS.get(chunk["error"]["code"], 500), chunk["error"]["message"])
        content += "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])
        ponder = chunk.get("ponder", ponder)
    return Seen(200, content, ponder)


def judged(case: Case, seen: Seen) -> str | None:
    """Whether what was seen is what is documented."""
    outcome = OUTCOMES[case.fault]
    if seen.status == 200 and not seen.content:
        return "an empty answer"
    if seen.status == 200 and not case.always:
        lost = (seen.ponder or {}).get("samples", {}).get("lost")
        return f"{lost} lost, though a retry was to be made" if lost and outcome.once == "answered" else None
    allowed = outcome.always if case.always or outcome.once == "survived" else (200,)
    return None if seen.status in allowed else f"{seen.status} instead of {allowed}: {seen.content[:200]}"


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """All that the matrix needs."""
    async with (
        simulated() as engine,
        faulty(engine.url, lambda request: None) as proxy,
        server(proxy.url, BRIEF) as brief,
        server(proxy.url, PATIENT) as patient,
    ):
        yield Bench(brief, patient, proxy)


def server(url: str, patience: float) -> AbstractAsyncContextManager[Served]:
    """A server whose engine is never taken out: each case is to meet it anew."""
    pool = PoolSettings(eject_failures=1 << 20, eject_share=1.0, retry_reserve=1 << 20)
    engine = Engine(url=url, first_seconds=patience, idle_seconds=patience)
    return serving(Settings(engines=(engine,), pool=pool))
