"""What is left of the service when ten times as much is asked for as it can give.

    python -m benchmarks.overload

runs a Ponder over a simulated engine, each a process of its own, which can work for SLOTS requests at a time, and sends
requests at random moments (an open loop: nobody waits for an answer before the next one comes). It prints goodput at
what the server can do and at ten times that, how soon those hear of it who are sent away, and how a tenant who asks
little fares beside one who floods.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import anyio

from benchmarks.overhead import gateways
from benchmarks.overhead.engine import DELAY, MODEL, prompt
from benchmarks.overhead.processes import memory
from benchmarks.overhead.running import Running, running, scratch, simulated_engine
from benchmarks.soak import steady
from server import keys

SLOTS = 16
TOKENS = 200
"""Tokens of a reply: TOKENS * DELAY seconds of work."""
CAPACITY = SLOTS / (TOKENS * DELAY)
"""Requests a second that the server can answer."""
TIMES = 10
LIGHT = 1.0
"""Requests a second of the tenant who asks little."""
QUEUE = 32
PER_MINUTE = 60
"""Requests a minute that the third tenant may ask for; it asks for as many a second as the flood."""
WARM_UP, SECONDS = 2.0, 30.0
OUT = Path("docs/results/overload")
TENANTS = ("light", "heavy", "capped")


@dataclass
class Seen:
    """What one tenant saw: seconds of each answer and of each refusal.

    Answers are in time that come before the phase is over. Refusals are unhelpful that have no `retry-after`.
    """

    answered: list[float] = field(default_factory=list)
    in_time: int = 0
    refused: list[float] = field(default_factory=list)
    unhelpful: int = 0
    failed: int = 0


@dataclass
class Load:
    """Requests of several tenants at one server, each with its own rate."""

    session: aiohttp.ClientSession
    url: str
    keys: dict[str, str]
    seconds: float

    async def run(self, **rates: float) -> dict[str, Seen]:
        """What each tenant saw, at so many requests a second."""
        seen = {name: Seen() for name in rates}
        async with anyio.create_task_group() as tasks:
            for name, rate in rates.items():
                tasks.start_soon(self._tenant, name, rate, seen[name])
        return seen

    async def _tenant(self, name: str, rate: float, seen: Seen) -> None:
        """Moments are drawn beforehand, so a late one does not put off those that follow."""
        random, start, due = Random(name), anyio.current_time(), 0.0
        async with anyio.create_task_group() as tasks:
            while (due := due + random.expovariate(rate)) < self.seconds:
                await anyio.sleep_until(start + due)
                tasks.start_soon(self._ask, name, seen, start + self.seconds)

    async def _ask(self, name: str, seen: Seen, until: float) -> None:
        asked = {"model": MODEL, "messages": [{"role": "user", "content": prompt(TOKENS)}], "max_tokens": TOKENS}
        headers, start = {"authorization": f"Bearer {self.keys[name]}"}, time.perf_counter()
        async with self.session.post(self.url + "/v1/chat/completions", json=asked, headers=headers) as reply:
            await reply.read()
        took = time.perf_counter() - start
        if reply.status == 200:
            seen.answered.append(took)
            seen.in_time += anyio.current_time() < until
        elif reply.status in (429, 503):
            seen.refused.append(took)
            seen.unhelpful += "retry-after" not in reply.headers
        else:
            seen.failed += 1


def quantile(values: Sequence[float], share: float) -> float | None:
    """None of nothing."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else None


def told(seen: Seen, seconds: float) -> dict[str, Any]:
    """One tenant's figures; latencies in milliseconds."""
    figures: dict[str, Any] = {"goodput": round(seen.in_time / seconds, 2), "refused": len(seen.refused)}
    for what, values in (("answer", seen.answered), ("refusal", seen.refused)):
        for share in (0.5, 0.99):
            value = quantile(values, share)
            figures[f"{what} p{share * 100:.0f}"] = None if value is None else round(value * 1000, 1)
    return {**figures, "without retry-after": seen.unhelpful, "failed": seen.failed}


async def measure(server: Running, tenants: dict[str, str], seconds: float) -> dict[str, Any]:
    """All phases, one after the other."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        load = Load(session, server.url, tenants, seconds)
        await replace(load, seconds=WARM_UP).run(light=LIGHT)
        await steady(server.pid, 1)
        before = memory(server.pid)[0]
        phases = {
            "alone": await load.run(light=LIGHT),
            "at capacity": await load.run(heavy=CAPACITY),
            "ten times": await load.run(heavy=TIMES * CAPACITY, light=LIGHT),
            "over a quota": await load.run(capped=TIMES * CAPACITY),
        }
        grown = memory(server.pid)[0] - before
    figures = {name: {tenant: told(one, seconds) for tenant, one in phase.items()} for name, phase in phases.items()}
    return {"seconds a phase": seconds, "capacity": CAPACITY, "MB grown": round(grown, 1), "phases": figures}


async def run(seconds: float) -> dict[str, Any]:
    """Everything, from the start of the processes to their end."""
    made = {name: keys.fresh() for name in TENANTS}
    environment = {f"PONDER_KEYS__{name.upper()}__KEY": key for name, key in made.items()} | {
        "PONDER_KEYS__CAPPED__REQUESTS_PER_MINUTE": str(PER_MINUTE),
        "PONDER_ADMISSION__SAMPLES": str(SLOTS),
        "PONDER_ADMISSION__QUEUE": str(QUEUE),
    }
    gateway = gateways.ponder()
    gateway = replace(gateway, environment={**gateway.environment, **environment})
    with scratch() as folder:
        async with (
            simulated_engine(Path(folder)) as engine,
            running(gateway, engine, Path(folder)) as server,
        ):
            return await measure(server, made, seconds)


def goals(figures: dict[str, Any]) -> list[tuple[str, float, str]]:
    """What is to hold under overload: its name, what was measured, the target."""
    phases = figures["phases"]
    flood, light = phases["ten times"]["heavy"], phases["ten times"]["light"]
    peak = max(phases["at capacity"]["heavy"]["goodput"], flood["goodput"] + light["goodput"])
    solo = phases["alone"]["light"]["answer p99"]
    quota = phases["over a quota"]["capped"]
    return [
        ("goodput at ten times the load, of the peak", (flood["goodput"] + light["goodput"]) / peak, "at least 0.95"),
        ("refusals because all is full, p99 in ms", flood["refusal p99"], "at most 10"),
        ("refusals because of a quota, p99 in ms", quota["refusal p99"], "at most 10"),
        ("refusals without retry-after", flood["without retry-after"] + quota["without retry-after"], "0"),
        ("the light tenant's p99, times what it is alone", light["answer p99"] / solo, "at most 2"),
        ("the light tenant's refusals", light["refused"], "0"),
        ("memory that the server grew by, in MB", figures["MB grown"], "no growth with the load"),
    ]


def report(figures: dict[str, Any]) -> str:
    """The page."""
    rows = "\n".join(f"| {name} | {value:.2f} | {target} |" for name, value, target in goals(figures))
    return f"""# Overload

`python -m benchmarks.overload`: the simulated engine, {SLOTS} requests at work, {QUEUE} may wait. A reply takes
{TOKENS * DELAY:.1f} s, so {CAPACITY:.0f} a second can be given. All figures are in [the data](overload.json).

| | measured | target |
|---|---|---|
{rows}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each of the four phases")
    parser.add_argument("--out", type=Path, default=OUT, help="where the page and its data go, without a suffix")
    given = parser.parse_args()
    figures = anyio.run(run, given.seconds)
    print(page := report(figures))
    given.out.with_suffix(".md").write_text(page, encoding="utf-8")
    given.out.with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
