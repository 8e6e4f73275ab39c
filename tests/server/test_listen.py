"""The socket that a server listens on."""

import asyncio
import socket

import pytest

from server.serve import listen
from server.settings import Server, Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def test_a_reply_in_two_parts_is_not_held_back_for_the_first_ones_acknowledgement():
    """Nagle's algorithm and delayed acknowledgements together cost 40 ms a reply."""
    options = asyncio.Queue()

    async def connected(reader, writer):
        options.put_nowait(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listener = listen(Settings(server=Server(port=0)))
    async with await asyncio.start_server(connected, sock=listener):
        _, writer = await asyncio.open_connection(*listener.getsockname())
        assert await asyncio.wait_for(options.get(), 5)
        writer.close()
        await writer.wait_closed()
