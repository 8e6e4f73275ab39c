"""The steward of the workers: forks them, hands out calls, kills what takes too long. Runs no call itself.

It has loaded what is slow to load, so that a worker that was killed is replaced by a fork, in milliseconds. It reads
calls on its standard input and writes outcomes to its standard output; when the input ends, so do all its workers.
"""

import contextlib
import gc
import os
import selectors
import signal
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field

from server.worker import EXPIRED, HEAD, LARGEST, RESULT, become

CANCEL = 1
"""The outcome in a request that calls a call off."""
READ = 1 << 18
PATIENCE_SECONDS = 0.2
CALLS = 1000
"""Calls of a worker before a new one takes its place: caches grow."""


@dataclass
class Worker:
    """A worker process; `number` is the call that it works on, until `deadline`."""

    pid: int
    channel: socket.socket
    number: int | None = None
    deadline: float = 0.0
    calls: int = 0
    heard: bytearray = field(default_factory=bytearray)


class Steward:
    """Its workers, and the calls that wait for one."""

    def __init__(self, processes: int, seconds: float, memory_mb: int) -> None:
        self.processes, self.seconds, self.memory_mb = processes, seconds, memory_mb
        self.selector = selectors.DefaultSelector()
        self.selector.register(0, selectors.EVENT_READ)
        self.waiting: deque[tuple[int, bytes]] = deque()
        self.workers: list[Worker] = []
        self.heard = bytearray()

    def serve(self) -> None:
        """Work until the standard input ends."""
        while True:
            self.assign()
            for key, _ in self.selector.select(self.patience()):
                if key.fd == 0:
                    if not self.listen():
                        return
                elif key.data in self.workers:
                    self.hear(key.data)
            for worker in [w for w in self.workers if w.number is not None and w.deadline <= time.monotonic()]:
                self.dismiss(worker, b"it took too long")

    def patience(self) -> float | None:
        """Seconds until the next deadline."""
        deadlines = [worker.deadline for worker in self.workers if worker.number is not None]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def assign(self) -> None:
        """Keep as many workers as there should be, and give idle ones what waits."""
        while len(self.workers) < self.processes:
            self.hire()
        for worker in [w for w in self.workers if w.number is None]:
            if not self.waiting:
                return
            worker.number, body = self.waiting.popleft()
            worker.deadline = time.monotonic() + self.seconds
            try:
                worker.channel.sendall(HEAD.pack(worker.number, 0, len(body)) + body)
            except OSError:
                self.dismiss(worker, b"the worker is gone")

    def hire(self) -> None:
        """Fork a worker."""
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if not pid:
            self.selector.close()
            for other in self.workers:
                other.channel.close()
            ours.close()
            become(theirs, self.memory_mb)
        theirs.close()
        ours.settimeout(self.seconds)  # a worker that no longer reads is not waited for
        worker = Worker(pid, ours)
        self.workers.append(worker)
        self.selector.register(ours, selectors.EVENT_READ, worker)

    def dismiss(self, worker: Worker, why: bytes) -> None:
        """Kill a worker; the call that it worked on has expired."""
        self.selector.unregister(worker.channel)
        self.workers.remove(worker)
        worker.channel.close()
        for kill in (os.killpg, os.kill):  # the group may not be there yet
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(worker.pid, signal.SIGKILL)
        os.waitpid(worker.pid, 0)
        if worker.number is not None:
            tell(worker.number, EXPIRED, why)

    def hear(self, worker: Worker) -> None:
        """Read from a worker, and pass on an outcome that is whole."""
        try:
            part = worker.channel.recv(READ)
        except OSError:
            part = b""
        worker.heard += part
        if not part or len(worker.heard) > HEAD.size + LARGEST or worker.number is None:
            if not worker.calls and worker.number is None:
                time.sleep(PATIENCE_SECONDS)  # it could not even start: nor may the next one
            self.dismiss(worker, b"the worker died")
            return
        if message := cut(worker.heard):
            number, worker.number = worker.number, None
            worker.calls += 1
            if message[1] != RESULT or worker.calls == CALLS:  # what ran out of memory may have left anything behind
                self.dismiss(worker, b"")
            tell(number, message[1], message[2])

    def listen(self) -> bool:
        """Read what is asked for; False when nobody is left to ask."""
        part = os.read(0, READ)
        self.heard += part
        while message := cut(self.heard):
            number, kind, body = message
            if kind == CANCEL:
                self.cancel(number)
            else:
                self.waiting.append((number, body))
        return bool(part)

    def cancel(self, number: int) -> None:
        """Forget a call; nobody hears of it any more."""
        self.waiting = deque(call for call in self.waiting if call[0] != number)
        for worker in [w for w in self.workers if w.number == number]:
            worker.number = None
            self.dismiss(worker, b"")

    def close(self) -> None:
        """End all workers."""
        for worker in list(self.workers):
            worker.number = None
            self.dismiss(worker, b"")


def cut(heard: bytearray) -> tuple[int, int, bytes] | None:
    """Take the first message off what was heard, once it is whole."""
    if len(heard) < HEAD.size:
        return None
    number, kind, length = HEAD.unpack_from(heard)
    if len(heard) < HEAD.size + length:
        return None
    body = bytes(heard[HEAD.size : HEAD.size + length])
    del heard[: HEAD.size + length]
    return number, kind, body


def tell(number: int, outcome: int, body: bytes) -> None:
    """Write an outcome to the standard output."""
    message = memoryview(HEAD.pack(number, outcome, len(body)) + body)
    while message:
        message = message[os.write(1, message) :]


def load() -> None:
    """Load what calls need and what takes long to load, before there is a worker."""
    import jsonschema  # noqa: F401

    import strategies.registry  # noqa: F401
    from strategies.formulas import first_equal

    first_equal(["\\frac{\\sqrt{2}x}{2}+1", "(1,2)", "\\{1,2\\}", "y=5", "x^2-1"], "(x+1)(x-1)")
    gc.collect()
    gc.freeze()


def main(processes: str, seconds: str, memory_mb: str, loaded: str) -> None:
    """Serve until the standard input ends."""
    if loaded:
        load()
    steward = Steward(int(processes), float(seconds), int(memory_mb))
    try:
        steward.serve()
    except BrokenPipeError:
        sys.stdout = None  # nobody listens
    finally:
        steward.close()
