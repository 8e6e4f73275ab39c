"""What tests give workers to do. Imports next to nothing: a worker imports it within a call."""

import os
import socket
import time
from pathlib import Path


def busy(seconds):
    """Compute for so long; no Python code can interrupt it in between."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return os.getpid()


def hold(megabytes):
    return len(bytearray(megabytes << 20))


def fail():
    raise KeyError("x")


def nest():
    return nest()


def attempt(what):
    """What the operating system says to a deed that no computation needs."""
    deeds = {
        "a socket": socket.socket,
        "a process": lambda: os.fork() or os._exit(0),
        "a program": lambda: os.execv("/bin/true", ["true"]),
        "a file": Path("/tmp/ponder-test").touch,
        "a signal": lambda: os.kill(os.getppid(), 0),
    }
    try:
        deeds[what]()
    except OSError as error:
        return error.errno
    return 0


def environment():
    return sorted(os.environ)


def children(pid):
    """The living children of a process."""
    listing = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listing.read_text().split()] if listing.exists() else []
