"""One worker process: runs functions, one at a time, until it is killed. Knows nothing of the server."""

import importlib
import json
import os
import resource
import socket
import struct
import sys
from functools import reduce
from typing import Any

from strategies.verifiers.sandbox import lockdown

RESULT, EXPIRED, FAILED = range(3)
"""What became of a call."""
HEAD = struct.Struct(">QBI")
"""Before each message: the call's number, an outcome (0 in a request), and how many bytes follow."""
LARGEST = 1 << 20
"""Bytes of a call's arguments, or of its result, as JSON: a few milliseconds of the event loop's time."""


def work(channel: socket.socket, memory_mb: int) -> None:
    """Serve the calls that arrive on `channel`."""
    confine(memory_mb)
    while head := received(channel, HEAD.size):
        number, _, length = HEAD.unpack(head)
        outcome, body = ran(received(channel, length) or b"")
        channel.sendall(HEAD.pack(number, outcome, len(body)) + body)


def confine(memory_mb: int) -> None:
    """Give up what no computation needs: more memory, files to write, other processes, the network."""
    lockdown.limit({resource.RLIMIT_AS: memory_mb << 20, resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0})
    if lockdown.machine():
        lockdown.close_doors()


def received(channel: socket.socket, length: int) -> bytes | None:
    """The next `length` bytes; None where the other side is gone."""
    parts = []
    while length:
        part = channel.recv(min(length, 1 << 16))
        if not part:
            return None
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def ran(request: bytes) -> tuple[int, bytes]:
    """The outcome of one call: its result as JSON, or what went wrong."""
    try:
        module, name, arguments = json.loads(request)
        body = json.dumps(function(module, name)(*arguments)).encode()
    except (MemoryError, RecursionError) as error:
        return EXPIRED, type(error).__name__.encode()
    except Exception as error:  # the edge: whoever called is to hear of it
        return FAILED, f"{type(error).__name__}: {error}".encode(errors="replace")[:1000]
    return (RESULT, body) if len(body) <= LARGEST else (EXPIRED, b"the result is too large")


def function(module: str, name: str) -> Any:
    """The function of that qualified name."""
    return reduce(getattr, name.split("."), importlib.import_module(module))


def become(channel: socket.socket, memory_mb: int) -> None:
    """Turn this freshly forked process into a worker, to its end."""
    try:
        os.setpgid(0, 0)
        lockdown.die_with_parent()
        for stream in (0, 1):
            os.dup2(os.open(os.devnull, os.O_RDWR), stream)
        work(channel, memory_mb)
    finally:
        sys.stderr.flush()
        os._exit(0)
