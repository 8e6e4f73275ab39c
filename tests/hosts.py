"""Engines of a few lines that answer with given bytes, well or badly, and an upstream of each."""

import asyncio
import socket
import threading
from contextlib import asynccontextmanager, closing, contextmanager, suppress

from server.backends.http import Upstream

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENTS = b"data: 1\n\ndata: [DONE]\n\n"
END = b"0\r\n\r\n"
WELL = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


class Host:
    """An engine that reads a request and lets `reply` answer: its connections, the requests, and whose they were."""

    def __init__(self, reply, tls=None):
        self.reply, self.tls = reply, tls
        self.made, self.requests, self.served = [], [], []

    async def serve(self, reader, writer):
        self.made.append(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                [length] = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                self.requests.append(head + await reader.readexactly(int(length[15:])))
                self.served.append(writer)
                await self.reply(writer)
        except (asyncio.IncompleteReadError, ConnectionError, RuntimeError, asyncio.CancelledError):
            return  # uvloop has a RuntimeError for what is written to a connection that has ended
        finally:
            writer.close()

    @property
    def opened(self):
        """Connections that have not ended."""
        return sum(not writer.is_closing() for writer in self.made)


@asynccontextmanager
async def host(reply, tls=None, **options):
    """An engine, and an upstream of it."""
    if isinstance(reply, bytes):
        reply = saying(reply)
    made = Host(reply)
    server = await asyncio.start_server(made.serve, "127.0.0.1", ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        with closing(Upstream(f"http{'s' if tls else ''}://localhost:{made.port}", **options)) as made.upstream:
            yield made
    finally:
        server.close()
        for writer in made.made:
            writer.transport.abort()
        await asyncio.sleep(0)


def saying(data):
    """What answers with these bytes."""

    async def reply(writer):
        writer.write(data)

    return reply


def ending(data):
    """What answers with these bytes, and ends the connection."""

    async def reply(writer):
        writer.write(data)
        writer.close()

    return reply


@contextmanager
def threaded(reply, **options):
    """An upstream of an engine with threads of its own: `reply(connection, number)` has each of its connections."""
    made = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with suppress(OSError):
                while True:
                    made.append(listener.accept()[0])
                    threading.Thread(target=one, args=(made[-1], len(made)), daemon=True).start()

        def one(connection, number):
            with suppress(OSError):
                reply(connection, number)

        threading.Thread(target=serve, daemon=True).start()
        url = f"http{'s' if options.pop('tls', False) else ''}://localhost:{listener.getsockname()[1]}"
        try:
            with closing(Upstream(url, **options)) as upstream:
                upstream.made = made
                yield upstream
        finally:
            for connection in made:
                connection.close()
            listener.shutdown(socket.SHUT_RDWR)


def heard(connection):
    """A request, once all of it has come."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536) or ends()
    head, _, body = data.partition(b"\r\n\r\n")
    [length] = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < length:
        body += connection.recv(65536) or ends()
    return head, body


def ends():
    raise OSError("the client has gone")
