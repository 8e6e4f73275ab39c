"""The client of a connection, as long as it is there: whoever works for it is stopped when it goes.

Told by the connection itself (protocol.py): a task a request that waits for `http.disconnect` costs more than all else
that a plain request needs, and its end leaves a cycle of objects that only the collector takes away.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from starlette.types import Scope


class ClientGone(Exception):
    """Nobody waits for this reply any more."""


class Caller:
    """Who waits for a reply."""

    def __init__(self) -> None:
        self.gone = False
        self._works: set[anyio.CancelScope] = set()

    @contextmanager
    def served(self) -> Iterator[anyio.CancelScope]:
        """Work for it, which is cancelled when it goes."""
        with anyio.CancelScope() as work:
            self._works.add(work)
            try:
                if self.gone:
                    work.cancel()
                yield work
            finally:
                self._works.discard(work)

    def leave(self) -> None:
        """It waits no more."""
        self.gone = True
        for work in self._works:
            work.cancel()


def caller_of(scope: Scope) -> Caller:
    """Who made a request; one that never goes where the ASGI server is not ours."""
    caller: Caller = scope.get("state", {}).get("caller") or Caller()
    return caller


def for_caller(scope: Scope, caller: Caller) -> Scope:
    """The same request, made by another."""
    return {**scope, "state": {**scope.get("state", {}), "caller": caller}}
