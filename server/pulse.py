"""A beat for as long as the server lives: it tells how late the event loop is, and has gauges read."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from server.line import Line
from server.metrics import Metrics

BEAT = 0.1
"""Seconds between two beats: what blocks the loop for longer is seen."""
WINDOW = 30.0
"""Seconds after which the longest lag is looked for anew; it is told for as long again, so that no scrape misses it."""


class Lag:
    """The longest of the lags of this window and of the one before."""

    def __init__(self, clock: Callable[[], float] = anyio.current_time) -> None:
        self._clock, self._until = clock, clock() + WINDOW
        self._now = self._before = 0.0

    def noticed(self, lag: float) -> None:
        if self._clock() >= self._until:
            self._until = self._clock() + WINDOW
            self._now, self._before = 0.0, self._now
        self._now = max(self._now, lag)

    @property
    def longest(self) -> float:
        """In seconds."""
        return max(self._now, self._before)


@asynccontextmanager
async def pulse(metrics: Metrics, line: Line) -> AsyncIterator[None]:
    """Keep the gauges of the loop and of the line right for as long as the block lasts."""
    lag = Lag()
    line.waited = metrics.waited.at().observe
    metrics.reads(metrics.lag.at(), lambda: lag.longest)
    metrics.reads(metrics.queue.at(), lambda: line.length)
    metrics.reads(metrics.oldest.at(), lambda: line.oldest)
    metrics.reads(metrics.reserved_tokens.at(), lambda: line.tokens)
    metrics.reads(metrics.reserved_samples.at(), lambda: line.samples)

    async def beat() -> None:
        while True:
            due = anyio.current_time() + BEAT
            await anyio.sleep_until(due)
            lag.noticed(max(0.0, anyio.current_time() - due))
            metrics.refresh()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beat)
        yield
        tasks.cancel_scope.cancel()
