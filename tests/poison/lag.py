"""How long an event loop was kept from its other work."""

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

TICK = 0.002


@dataclass
class Lag:
    """The longest a tick came late, in seconds; the loop's own CPU time in it, for others may have had the machine."""

    longest: float = 0.0

    async def watch(self):
        while True:
            busy = time.thread_time()
            await anyio.sleep(TICK)
            self.longest = max(self.longest, time.thread_time() - busy)


@asynccontextmanager
async def lagging():
    """The lag of this event loop while the block runs: CPU time of its thread between two ticks."""
    lag = Lag()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lag.watch)
        yield lag
        tasks.cancel_scope.cancel()


async def lags(ticks):
    """How late the event loop is, again and again."""
    while True:
        start = time.perf_counter()
        await anyio.sleep(0.002)
        ticks.append(time.perf_counter() - start - 0.002)


@asynccontextmanager
async def on_time():
    """Fails where this block makes the event loop late by more than 20 ms, and more than the machine does by itself."""
    idle, late = [], []
    with anyio.move_on_after(0.3):
        await lags(idle)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lags, late)
        yield
        tasks.cancel_scope.cancel()
    assert sorted(late)[len(late) // 2] <= max(0.02, 3 * sorted(idle)[len(idle) // 2])
    assert sorted(late)[len(late) * 95 // 100] <= max(0.02, 3 * max(idle))
