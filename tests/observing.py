"""Real tools for tests of what is observed: where they are missing, the tests say how to get them."""

import os
import shutil
import socket
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import httpx
import pytest

from benchmarks.load.__main__ import load
from benchmarks.load.counts import Counts
from deploy.grafana.queries import Query, queries
from deploy.observe import Watched, prometheus
from server.keys import digest
from tests.processes import started
from tests.tenants import ALICE, BOB

WINDOW, SETTLED = "6s", 4.0
"""What a rate is taken over, and the seconds after the load until all of it is scraped, once a second."""
KEYS = {
    "PONDER_KEYS__ALICE__SHA256": digest(ALICE),
    "PONDER_KEYS__ALICE__REQUESTS_PER_MINUTE": "30",
    "PONDER_KEYS__BOB__SHA256": digest(BOB),
    "PONDER_KEYS__BOB__METRICS": "true",
}


def needs(tool):
    """The path of a tool of Prometheus. Skips without it; fails in CI."""
    if found := shutil.which(tool):
        return found
    words = f"{tool} is not installed: `apt-get install prometheus` on Debian, else https://prometheus.io/download"
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(words)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


class Asked:
    """A running Prometheus, to be asked. Values that are no numbers (0 in 0) are no data."""

    def __init__(self, url):
        self.client = httpx.Client(base_url=url, timeout=30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def get(self, path, **params):
        told = self.client.get(f"/api/v1/{path}", params=params).json()
        assert told["status"] == "success", told
        return told["data"]

    def now(self, expr):
        """The values of a query at this moment, by series."""
        return [float(one["value"][1]) for one in self.get("query", query=expr)["result"]]

    def between(self, expr, start, end, step=1.0):
        """All values of a query over some time."""
        found = self.get("query_range", query=expr, start=start, end=end, step=step)["result"]
        return [float(value) for one in found for _, value in one["values"]]


@dataclass
class Observed:
    """A load that is over, as the one who made it and as Prometheus saw it. Times are seconds since the epoch."""

    counts: Counts
    asked: Asked
    start: float
    end: float

    def values(self, query: Query, **chosen):
        """The numbers that a panel shows of the load."""
        expr = query.expr(WINDOW, f"{int(self.end - self.start) + 1}s", **chosen)
        values = self.asked.now(expr) if query.instant else self.asked.between(expr, self.start, self.end)
        return [value for value in values if value == value]

    def total(self, panel, **chosen):
        """The one number of a panel of totals."""
        [query] = [query for query in queries() if query.panel == panel]
        [value] = self.values(query, **chosen)
        return value


@asynccontextmanager
async def observed(engine, folder, seconds, rate):
    """A Ponder with keys over this engine, Prometheus beside both, and a load that has just ended."""
    key, port = folder / "key", free_port()
    key.write_text(BOB)
    async with started("--engine-url", engine, **KEYS) as served:
        with (
            prometheus(Watched(served.url, [engine], "1s", key), folder, port),
            Asked(f"http://127.0.0.1:{port}") as asked,
        ):
            start = time.time()
            counts = await load(served.url, seconds, rate, [BOB, ALICE])
            await anyio.sleep(SETTLED)
            yield Observed(counts, asked, start, time.time())


def without_data(seen):
    """Queries of which Prometheus has nothing to tell."""
    return [(query.dashboard, query.panel, query.legend) for query in queries() if not seen.values(query)]


def check_totals(seen):
    """The five totals are exact, but for strategies of requests without an answer: what these cost nobody is told."""
    counts, told = seen.counts, "|".join(seen.counts.told)
    assert seen.total("Requests in all") == counts.requests.total()
    assert seen.total("Completion tokens in all", strategy=told) == sum(counts.completion[name] for name in counts.told)
    assert seen.total("Samples in all", strategy=told) == sum(counts.samples[name] for name in counts.told)
    assert seen.total("Refusals in all") == counts.refusals.total()
    assert seen.total("Errors and hang-ups in all") == counts.outcome("error") + counts.outcome("gone")
