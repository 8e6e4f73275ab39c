"""The code under test as a test sees it: its functions can be called, its objects handled, and none of it believed."""

import builtins
import importlib
import socket
import sys
from collections.abc import Iterator
from typing import Any

from strategies.verifiers.sandbox.wire import packed, receive, send, unpacked


class Remote:
    """An object of the code under test. It equals nothing but itself, for who could believe its own `__eq__`?"""

    def __init__(self, session: "Session", number: int) -> None:
        self.__dict__.update(_session=session, _number=number)

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self._session.ask("call", self, args, keywords)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._session.ask("getattr", self, name)

    def __getitem__(self, at: Any) -> Any:
        return self._session.ask("getitem", self, at)

    def __contains__(self, item: Any) -> bool:
        return bool(self._session.ask("contains", self, item))

    def __len__(self) -> int:
        length: int = self._session.ask("len", self)
        return length

    def __bool__(self) -> bool:
        return bool(self._session.ask("bool", self))

    def __str__(self) -> str:
        return str(self._session.ask("str", self))

    def __iter__(self) -> Iterator[Any]:
        iterator = self._session.ask("iter", self)
        while True:
            try:
                yield self._session.ask("next", iterator)
            except StopIteration:
                return


class Session:
    """One test's talk with a candidate."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel

    def names(self) -> dict[str, Any]:
        """What the code under test defines, but nothing that would change what a test's own words mean.

        A module that it has imported under its own name is imported here, for tests that rely on that.
        """
        found = {}
        for name, told in receive(self.channel).items():
            if name.startswith("__") or hasattr(builtins, name):
                continue
            if "value" in told:
                found[name] = unpacked(told["value"], self._remote)
            elif name == told["module"] and name in sys.stdlib_module_names:
                found[name] = importlib.import_module(name)
        return found

    def ask(self, operation: str, *arguments: Any) -> Any:
        """What the candidate answers. Raises what it raised, where that is an exception of Python's own."""
        send(self.channel, [operation, *(packed(argument, number_of) for argument in arguments)])
        told = receive(self.channel)
        if "raised" in told:
            name, text = told["raised"]
            kind = getattr(builtins, name, None)
            known = isinstance(kind, type) and issubclass(kind, Exception)
            raise kind(text) if known else RuntimeError(f"{name}: {text}")  # type: ignore[misc]
        return unpacked(told["value"], self._remote)

    def _remote(self, number: int) -> Remote:
        return Remote(self, number)


def number_of(value: Any) -> int:
    """What stands for an argument that is no plain data: only objects that came from there can go back."""
    if type(value) is Remote:
        number: int = value.__dict__["_number"]
        return number
    raise TypeError(f"a test can pass plain data only, not {type(value).__name__}")
