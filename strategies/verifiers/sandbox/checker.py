"""Tests code that nobody trusts: `main` reads a job and writes a verdict, "1" or "0", for each test as it ends.

The tests run here, in a process of their own; the code under test runs in another, and only plain values come back from
it. So it cannot see a test, patch what a test uses, return an object that claims to equal a value, or end a test: a
verdict depends on nothing but what it answers. (Objects of classes of its own do answer for themselves when they are
called, indexed, iterated or asked for their length.)
"""

import fcntl
import json
import os
import resource
import select
import signal
import socket
import sys
import sysconfig
import time
from collections.abc import Mapping

from strategies.verifiers.sandbox import lockdown
from strategies.verifiers.sandbox.candidate import FUNCTIONS, PROGRAM, template
from strategies.verifiers.sandbox.remote import Session
from strategies.verifiers.sandbox.wire import send

OUTPUT = 1 << 20
"""Bytes of a program's output that are read."""
LIMITS = {
    resource.RLIMIT_AS: 512 << 20,
    resource.RLIMIT_CPU: 60,
    resource.RLIMIT_FSIZE: 0,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_NOFILE: 64,
}
"""Of each process; a candidate may not start any either. Bytes, seconds, files."""
REFUSED = b"!"


class Late(BaseException):
    """A test took too long."""


class Checker:
    """Runs tests and programs against candidates that a template process forks."""

    def __init__(self, control: socket.socket, seconds: float) -> None:
        self.control, self.seconds = control, seconds

    def candidate(self, how: bytes) -> socket.socket:
        """A socket to a new candidate."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self.control, [how], [theirs.fileno()])
        return ours

    def passes(self, test: str) -> bool:
        """Whether a test, which sees the names of the code under test, runs to its end."""
        with self.candidate(FUNCTIONS) as channel:
            signal.setitimer(signal.ITIMER_REAL, self.seconds)
            try:
                exec(compile(test, "<test>", "exec"), {"__name__": "test", **Session(channel).names()})
            except BaseException:  # a test that raises anything has failed
                return False
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        return True

    def writes(self, case: Mapping[str, str]) -> bool:
        """Whether the code, run as a program, writes what it should; white space at line ends does not count."""
        with self.candidate(PROGRAM) as channel:
            try:
                said = self.conversation(channel, case["stdin"].encode(errors="replace"))
            except OSError:
                return False
        return lines(said) == lines(case["stdout"].encode(errors="replace"))

    def conversation(self, channel: socket.socket, given: bytes) -> bytes:
        """Give a program its input, and take its output until it ends, its time is up or it says too much."""
        deadline = time.monotonic() + self.seconds
        channel.setblocking(False)
        said = b""
        if not given:
            channel.shutdown(socket.SHUT_WR)
        while len(said) <= OUTPUT and (left := deadline - time.monotonic()) > 0:
            readable, writable, _ = select.select([channel], [channel] if given else [], [], left)
            if writable:
                given = given[channel.send(given[:65536]) :]
                if not given:
                    channel.shutdown(socket.SHUT_WR)
            if readable:
                part = channel.recv(65536)
                if not part:
                    return said
                said += part
        raise TimeoutError


def lines(text: bytes) -> list[bytes]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


def readable() -> list[str]:
    """What has to be readable for modules of the standard library to load."""
    library = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), os.path.join(sys.base_prefix, "lib")]
    return [*library, "/lib", "/lib64", "/usr/lib", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/dev/null", os.getcwd()]


def late(number: int, frame: object) -> None:
    raise Late


def end_with_input() -> None:
    """Let the kernel end us (SIGIO) when whoever holds the other end of our standard input is gone."""
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)


def main() -> None:
    """Read a job from the standard input, which then stays open, and write the verdicts to the standard output."""
    kept = readable()
    lockdown.limit(LIMITS)
    control, theirs = socket.socketpair()
    pid = os.fork()
    if not pid:  # before the tests are read: they must not be in its memory
        control.close()
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(0, 1)
        template(theirs, kept)
        os._exit(0)
    theirs.close()
    job = json.loads(sys.stdin.buffer.readline())
    end_with_input()
    send(control, job["source"])
    verdicts = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    signal.signal(signal.SIGALRM, late)
    try:
        lockdown.confine(kept, with_parent=False)
    except lockdown.Unsafe as error:
        os.write(verdicts, REFUSED + str(error).encode())
        return
    checker = Checker(control, job["seconds"])
    for test in job["tests"]:
        os.write(verdicts, b"1" if checker.passes(test) else b"0")
    for case in job["cases"]:
        os.write(verdicts, b"1" if checker.writes(case) else b"0")
    control.close()
    os.waitpid(pid, 0)
