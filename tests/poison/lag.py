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
