"""The proxy's side of a connection to the server under test: bytes of HTTP, written by hand."""

import socket
import struct

import anyio
import anyio.abc
import anyio.lowlevel


class Client:
    """Whoever asked: gets what a fault sends it. `piece`: the most bytes that go out at once."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self._stream = stream
        self.piece: int | None = None
        stream.extra(anyio.abc.SocketAttribute.raw_socket).setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def send(self, data: bytes) -> None:
        """Send bytes as they are. Raises anyio.BrokenResourceError where nobody is there."""
        step = self.piece or len(data) or 1
        for at in range(0, len(data), step):
            await self._stream.send(data[at : at + step])
            if self.piece:
                await anyio.lowlevel.checkpoint()

    async def head(
        self,
        headers: bytes = b"content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n",
        status: int = 200,
    ) -> None:
        """The head of an answer; the connection ends with it."""
        await self.send(b"HTTP/1.1 %d X\r\n%sconnection: close\r\n\r\n" % (status, headers))

    async def chunk(self, data: bytes) -> None:
        """A chunk of the body."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        """The last chunk."""
        await self.send(b"0\r\n\r\n")

    def reset(self) -> None:
        """End the connection by a reset: what was on its way is lost."""
        raw = self._stream.extra(anyio.abc.SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def gone(self, seconds: float) -> None:
        """Be silent until the client goes, or for so long."""
        with anyio.move_on_after(seconds):
            try:
                while await self._stream.receive():
                    pass
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass
