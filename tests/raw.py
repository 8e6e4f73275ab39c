"""Requests written by hand on a socket, for what no client library would send."""

import json
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import anyio


@asynccontextmanager
async def connected(served):
    """A connection to a running Ponder."""
    where = urlsplit(served.url)
    async with await anyio.connect_tcp(where.hostname, where.port) as stream:
        yield stream


async def rest_of(stream, seconds=10.0):
    """All that comes until the server closes."""
    data = b""
    with anyio.fail_after(seconds):
        while True:
            try:
                data += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return data


async def answer_to(served, data, seconds=10.0):
    """The status, and the error where there is one, of what a connection answers to these bytes before it closes."""
    async with connected(served) as stream:
        try:
            for at in range(0, len(data), 1 << 16):
                await stream.send(data[at : at + (1 << 16)])
        except anyio.BrokenResourceError:
            pass
        return read(await rest_of(stream, seconds))


def read(data):
    """The status of a response, and the error that it holds."""
    head, _, body = data.partition(b"\r\n\r\n")
    status = int(head.split()[1]) if head else None
    return status, json.loads(body)["error"] if status and status >= 400 else None
