"""Real tools for tests of what is observed: where they are missing, the tests say how to get them."""

import os
import shutil
import socket

import httpx
import pytest


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
