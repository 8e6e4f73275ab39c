"""Runs one command, and ends it and all it started when the process that asked for it is gone, even by `kill -9`.

    guard.py [--grace SECONDS] -- COMMAND…      standard input: a pipe whose other end the asking process holds open

Exits with the command's status (128 + the signal that ended it). Needs the standard library only.
"""

import argparse
import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
STRAGGLER_SECONDS = 1.0
GIVE_UP_SECONDS = 10.0


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process; does nothing where the kernel is not Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def start(command: list[str]) -> int:
    """Start `command` in a process group of its own and return its process id."""
    pid = os.fork()
    if pid:
        return pid
    os.setpgid(0, 0)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(127)


class Family:
    """A command and everything it started: its process group, and orphans, which the kernel hands to us."""

    def __init__(self, command: list[str]) -> None:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.pid = start(command)
        self.status: int | None = None

    def reap(self) -> bool:
        """Collect the dead, and say whether nobody is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self.pid:
                code = os.waitstatus_to_exitcode(status)
                self.status = code if code >= 0 else 128 - code

    def end(self, grace: float) -> None:
        """End everyone: ask, wait up to `grace` seconds for the command and a second more for the rest, then kill."""
        send_quietly(os.killpg, self.pid, signal.SIGTERM)
        asked = {self.pid}
        last = time.monotonic() + grace
        while not self.reap() and time.monotonic() < last + GIVE_UP_SECONDS:
            orphans = set(children()) - {self.pid}
            for orphan in orphans - asked:
                send_quietly(os.kill, orphan, signal.SIGTERM)
            asked |= orphans
            if self.status is not None:
                last = min(last, time.monotonic() + STRAGGLER_SECONDS)
            if time.monotonic() > last:
                self.kill(orphans)
            time.sleep(0.02)

    def kill(self, orphans: set[int]) -> None:
        """Kill the group, and the orphans that left it for one of their own."""
        send_quietly(os.killpg, self.pid, signal.SIGKILL)
        for orphan in orphans:
            send_quietly(os.kill, orphan, signal.SIGKILL)


def children() -> list[int]:
    """Return our direct children, which include orphaned descendants."""
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(pid) for pid in listing.read_text().split()] if listing.exists() else []


def send_quietly(kill: Callable[[int, int], None], target: int, number: signal.Signals) -> None:
    """Send a signal to a process or group that may just have ended."""
    try:
        kill(target, number)
    except ProcessLookupError:
        return


def wait(family: Family, wake: int) -> None:
    """Block until the command has exited, the asking process has gone, or a signal tells us to end."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(wake, select.POLLIN)
    while True:
        family.reap()
        if family.status is not None:
            return
        for descriptor, _ in poll.poll():
            received = os.read(descriptor, 64)
            if descriptor == wake and not ENDING.isdisjoint(received):
                return
            if descriptor == 0 and not received:
                return


def note(number: int, frame: FrameType | None) -> None:
    """Let a signal interrupt `poll`; its number arrives through the wake-up pipe."""


def main(arguments: list[str]) -> int:
    """Run the command line's command under guard and return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grace", type=float, default=5.0, metavar="SECONDS")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    wake, bell = os.pipe()
    os.set_blocking(bell, False)
    signal.set_wakeup_fd(bell)
    for number in (*ENDING, signal.SIGCHLD):
        signal.signal(number, note)
    family = Family(options.command)
    wait(family, wake)
    family.end(options.grace)
    return 1 if family.status is None else family.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
