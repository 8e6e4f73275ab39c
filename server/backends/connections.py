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

    async def ask(self, request: bytes, first: float, idle: float) -> Answer:
        """Send a request, as `Connection.ask` does. Raises BackendError where no connection can be made in time."""
        while self._free:
            _, connection = self._free.pop()  # the one used last: those that are too many grow old
            if not connection.transport.is_closing():
                return connection.ask(request, first, idle)
        try:
            with anyio.fail_after(self._connect):
                connection = await self._made()
        except (OSError, UnicodeError) as error:
            raise BackendError(f"no answer from the engine: {type(error).__name__}", cause="connect") from error
        return connection.ask(request, first, idle)

    def close(self) -> None:
        """End those that are free."""
        if self._sweeping:
            self._sweeping.cancel()
        while self._free:
            self._free.pop()[1].transport.abort()

    async def _made(self) -> Connection:
        """A new connection. The answers that come over it are read by nobody else."""
        loop = asyncio.get_running_loop()
        made = await start_connection(await self._found(), happy_eyeballs_delay=EYEBALLS, interleave=1, loop=loop)
        _, connection = await loop.create_connection(
            lambda: Connection(self._keep), sock=made, ssl=self._tls, server_hostname=self._host if self._tls else None
        )
        return connection

    async def _found(self) -> Sequence[AddrInfoType]:
        """The host's addresses: looked up once for all who wait, and again after a while, for they may change."""
        loop = asyncio.get_running_loop()
        if not self._lookup or loop.time() > self._looked_up + KNOWN:
            self._looked_up = loop.time()
            self._lookup = asyncio.ensure_future(loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM))
        try:
            return await asyncio.shield(self._lookup)  # who gives up waiting ends it for nobody else
        except OSError:
            self._lookup = None
            raise

    def _keep(self, connection: Connection) -> None:
        """Have it for the next request."""
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
