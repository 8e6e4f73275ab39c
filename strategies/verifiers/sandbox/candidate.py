"""The code under test, in a process of its own that knows no test and that nobody believes.

A template process holds the code and forks a new candidate for each test. A candidate answers questions (call this,
what is that attribute) or, as a program, reads its input and writes its output. All it can spoil is its own answers.
"""

import os
import resource
import signal
import socket
import sys
import types
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from strategies.verifiers.sandbox import lockdown
from strategies.verifiers.sandbox.wire import packed, receive, send, unpacked

PROGRAM, FUNCTIONS = b"p", b"f"


def template(control: socket.socket, readable: Sequence[str]) -> None:
    """Take the code, then fork a candidate for each socket that arrives, and kill the one before."""
    lockdown.die_with_parent()
    source: str = receive(control)
    pid = 0
    while True:
        how, sockets, _, _ = socket.recv_fds(control, 1, 1)
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        if not how:
            return
        pid = os.fork()
        if not pid:
            become(socket.socket(fileno=sockets[0]), how, source, readable)
        os.close(sockets[0])


def become(channel: socket.socket, how: bytes, source: str, readable: Sequence[str]) -> None:
    """Turn this freshly forked process into a candidate, to its end."""
    try:
        own = channel.fileno()
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(own if how == PROGRAM and stream < 2 else null, stream)
        os.closerange(3, own)
        os.closerange(own + 1, 1024)
        lockdown.limit({resource.RLIMIT_NPROC: 0})
        lockdown.confine(readable, with_parent=True)
        if how == PROGRAM:
            channel.close()
            run(source)
        else:
            Answering(channel).serve(source)
    except BaseException:  # whatever it is, it ends here
        os._exit(1)
    os._exit(0)


def run(source: str) -> None:
    """Run the code as a program."""
    try:  # site, which makes exit and quit, is left out
        exec(compile(source, "<candidate>", "exec"), {"__name__": "__main__", "exit": sys.exit, "quit": sys.exit})
    except SystemExit:
        pass
    finally:
        sys.stdout.flush()


class Answering:
    """Answers a test's questions about the code. Objects that are no plain data go by number."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.objects: list[Any] = []

    def serve(self, source: str) -> None:
        """Tell what names there are, then answer for as long as there are questions."""
        namespace: dict[str, Any] = {"__name__": "candidate"}
        exec(compile(source, "<candidate>", "exec"), namespace)
        send(self.channel, {name: self.told(value) for name, value in namespace.items() if name[:2] != "__"})
        while True:
            operation, *arguments = receive(self.channel)
            with suppress(ValueError, RecursionError):
                send(self.channel, self.answer(operation, arguments))
                continue
            send(self.channel, {"raised": ["ValueError", "the result is too large"]})

    def told(self, value: Any) -> Any:
        if isinstance(value, types.ModuleType):
            return {"module": value.__name__}
        return {"value": packed(value, self.refer)}

    def refer(self, value: Any) -> int:
        self.objects.append(value)
        return len(self.objects) - 1

    def answer(self, operation: str, arguments: list[Any]) -> Any:
        try:
            value = OPERATIONS[operation](*unpacked(arguments, self.objects.__getitem__))
        except Exception as error:
            return {"raised": [type(error).__name__, str(error)[:1000]]}
        return {"value": packed(value, self.refer)}


OPERATIONS: dict[str, Any] = {
    "call": lambda function, args, keywords: function(*args, **keywords),
    "getattr": getattr,
    "getitem": lambda of, at: of[at],
    "contains": lambda of, item: item in of,
    "len": len,
    "bool": bool,
    "str": str,
    "iter": iter,
    "next": next,
}
