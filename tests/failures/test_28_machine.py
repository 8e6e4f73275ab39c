"""What a machine may do to a server: few descriptors, clocks that jump."""

import ast
import logging
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from server import descriptors
from server.settings import Door, Settings

ROOT = Path(__file__).parent.parent.parent
CALENDAR = {
    "server/logs.py": 1,  # when a line was written
    "server/reply.py": 1,  # when a reply was made, which it tells
    "server/responses/reply.py": 1,  # likewise
    "server/spans.py": 1,  # when a request came; all else of its trace is told by how much later it was
}
"""How often a file may ask what time it is; for how long something takes, none may: that clock can jump."""
CLOCKS = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today")}


def asked(path):
    """How often a file asks for the time of day."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name)]
    return sum((call.value.id, call.attr) in CLOCKS for call in named)


def test_durations_are_measured_by_a_clock_that_does_not_jump():
    files = [path for package in ("server", "strategies") for path in (ROOT / package).rglob("*.py")]
    found = {path.relative_to(ROOT).as_posix(): asked(path) for path in files}
    assert {name: count for name, count in found.items() if count} == CALENDAR


RAISE = """
import resource
from server.descriptors import raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
print(raise_limit(1) == resource.getrlimit(resource.RLIMIT_NOFILE)[0] == resource.getrlimit(resource.RLIMIT_NOFILE)[1])
"""


def test_a_server_takes_as_many_descriptors_as_it_may():
    done = subprocess.run([sys.executable, "-c", RAISE], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "True\n"


@pytest.mark.parametrize(("connections", "words"), [(8, 0), (1 << 40, 1)])
def test_limits_that_do_not_fit_the_descriptors_are_told_at_the_start(connections, words, caplog, monkeypatch):
    monkeypatch.setattr(descriptors, "raise_limit", lambda needed: resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    with caplog.at_level(logging.WARNING):
        descriptors.check(Settings(door=Door(connections=connections)))
    assert len(caplog.records) == words
