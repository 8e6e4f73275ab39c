"""The connections to one engine: made when there is none free, kept for a while after an answer."""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Any
from urllib.parse import SplitResult

import anyio
from aiohappyeyeballs import AddrInfoType, start_connection

from server.backends.connection import Answer, Connection
from strategies.protocols import BackendError

KEPT = 4.0
"""Seconds that a free connection is kept: vLLM ends it after 5 (VLLM_HTTP_TIMEOUT_KEEP_ALIVE)."""
KNOWN = 10.0
"""Seconds that a host's addresses are taken to be the same."""
EYEBALLS = 0.25
"""Seconds before the next address of a host is tried beside the first (RFC 8305, section 5)."""


class Connections:
    """Any number of connections to a host and port; `connect` seconds is how long one may take to be made."""

    def __init__(self, url: SplitResult, connect: float) -> None:
        self._host, self._connect = url.hostname or "", connect
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if url.scheme == "https" else None
        self._free: deque[tuple[float, Connection]] = deque()
        self._sweeping: asyncio.TimerHandle | None = None
        self._lookup: asyncio.Future[list[Any]] | None = None
        self._looked_up = 0.0
        self._closed = False

    async def ask(self, request: bytes, first: float, idle: float) -> Answer:
        """The answer to a request, its head read; seconds as `Connection.ask` has them. Raises BackendError.

        One that a connection did not get any more, as the engine had ended that, is asked for by another one.
        """
        kept = self._kept()
        while True:
            answer = (kept or await self._new()).ask(request, first, idle)
            try:
                await answer.head()
                return answer
            except BaseException as error:
                answer.close()
                if not (kept and answer.stale and isinstance(error, BackendError)):
                    raise
            kept = None

    def close(self) -> None:
        """End those that are free; those that are not, when they are."""
        self._closed = True
        if self._sweeping:
            self._sweeping.cancel()
        while self._free:
            self._free.pop()[1].transport.abort()

    def _kept(self) -> Connection | None:
        """A free one, the one used last: those that are too many grow old."""
        now = asyncio.get_running_loop().time()
        while self._free:
            until, connection = self._free.pop()
            if until > now and not connection.transport.is_closing():
                return connection
            connection.transport.abort()
        return None

    async def _new(self) -> Connection:
        """A new one. The answers that come over it are read by nobody else. Raises BackendError."""
        loop, tls = asyncio.get_running_loop(), self._tls
        try:
            with anyio.fail_after(self._connect):
                found = await self._found()
                made = await start_connection(found, happy_eyeballs_delay=EYEBALLS, interleave=1, loop=loop)
                _, connection = await loop.create_connection(
                    lambda: Connection(self._keep), sock=made, ssl=tls, server_hostname=self._host if tls else None
                )
        except (OSError, UnicodeError) as error:
            if self._lookup and self._lookup.done():
                self._lookup = None  # it may have moved
            raise BackendError(f"no answer from the engine: {type(error).__name__}", cause="connect") from error
        return connection

    async def _found(self) -> Sequence[AddrInfoType]:
        """The host's addresses: looked up once for all who wait, and again after a while, for they may change."""
        loop = asyncio.get_running_loop()
        if not self._lookup or loop.time() > self._looked_up + KNOWN:
            self._looked_up = loop.time()
            self._lookup = asyncio.ensure_future(loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM))
            self._lookup.add_done_callback(self._heard)
        return await asyncio.shield(self._lookup)  # who gives up waiting ends it for nobody else

    def _heard(self, lookup: asyncio.Future[list[Any]]) -> None:
        """What failed is looked up again, even where nobody waits for it any more."""
        if lookup.cancelled() or lookup.exception():
            self._lookup = None

    def _keep(self, connection: Connection) -> None:
        """Have it for the next request."""
        if self._closed:
            connection.transport.abort()
            return
        loop = asyncio.get_running_loop()
        self._free.append((loop.time() + KEPT, connection))
        if not self._sweeping:
            self._sweeping = loop.call_later(KEPT, self._sweep)

    def _sweep(self) -> None:
        """End those that nobody has used for too long."""
        loop, self._sweeping = asyncio.get_running_loop(), None
        while self._free and (self._free[0][0] <= loop.time() or self._free[0][1].transport.is_closing()):
            self._free.popleft()[1].transport.abort()
        if self._free:
            self._sweeping = loop.call_later(self._free[0][0] - loop.time(), self._sweep)
