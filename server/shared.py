"""One desk for several processes: it is served on a Unix socket, and each worker asks it from afar.

Messages are MessagePack with their length, four bytes, before them. A worker whose connection ends, however, gives back
all that its requests held.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import msgspec
from anyio.abc import ByteReceiveStream, ByteSendStream, ByteStream
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from server.admission import OVERLOADED, Desk, Granted, Refused, Size, Tell
from server.gate import Gate, local_gate, secret_of
from server.settings import Settings

PREFIX = 4
"""Bytes of a message's length."""
LONGEST = 1 << 16
"""Bytes of the longest message: a name, a few figures, a sentence."""
CONNECT_SECONDS = 10.0
"""How long a worker waits for its desk."""
AGAIN = 0.05
"""Seconds between two looks for it."""
GONE = Refused(503, "overloaded", "the server is about to end", OVERLOADED)


class Enter(msgspec.Struct, frozen=True, tag=True):
    """A worker's request comes."""

    id: int
    tenant: str
    size: Size


class Leave(msgspec.Struct, frozen=True, tag=True):
    """It ends."""

    id: int
    spent: int


class Hello(msgspec.Struct, frozen=True, tag=True):
    """What a worker hears first: the secret of all tenants' cache salts."""

    secret: bytes


class Told(msgspec.Struct, frozen=True, tag=True):
    """A verdict on one of its requests."""

    id: int
    verdict: Granted | Refused


ToDesk = Enter | Leave
ToWorker = Hello | Told


async def serve_shared(settings: Settings, path: Path) -> None:
    """Serve one desk for all workers on a Unix socket at `path`, which only this user may reach, until cancelled."""
    desk = Desk(settings.admission, settings.keys, anyio.current_time)
    numbers, secret = count(), secret_of(settings)

    async def serve(stream: ByteStream) -> None:
        async with stream:
            await serve_worker(desk, secret, next(numbers), stream)

    async with await anyio.create_unix_listener(path, mode=0o600) as listener:
        await listener.serve(serve)


async def serve_worker(desk: Desk, secret: bytes, worker: int, stream: ByteStream) -> None:
    """Do what one worker asks, and whatever it leaves undone when its connection ends."""
    present: set[int] = set()
    outbox, letters = anyio.create_memory_object_stream[ToWorker](float("inf"))

    def tell(id: int, verdict: Granted | Refused) -> None:
        outbox.send_nowait(Told(id, verdict))

    async with outbox, letters, anyio.create_task_group() as tasks:
        tasks.start_soon(post, letters, stream)
        outbox.send_nowait(Hello(secret))
        try:
            async for message in messages(stream, ToDesk):
                match message:
                    case Enter(id, tenant, size):
                        present.add(id)
                        desk.enter((worker, id), tenant, size, partial(tell, id))
                    case Leave(id, spent):
                        present.discard(id)
                        desk.leave((worker, id), spent)
        finally:
            for id in present:
                desk.leave((worker, id), 0)
        tasks.cancel_scope.cancel()


class Remote:
    """The shared desk, from a worker. Once it is `gone`, nobody is let in."""

    def __init__(self, outbox: MemoryObjectSendStream[ToDesk]) -> None:
        self._outbox = outbox
        self._asked: dict[int, Tell] = {}
        self.gone = False

    def enter(self, id: int, tenant: str, size: Size, tell: Tell) -> None:
        if self.gone:
            tell(GONE)
            return
        self._asked[id] = tell
        self._outbox.send_nowait(Enter(id, tenant, size))

    def leave(self, id: int, spent: int) -> None:
        self._asked.pop(id, None)
        if not self.gone:
            self._outbox.send_nowait(Leave(id, spent))

    async def hear(self, heard: AsyncIterator[ToWorker]) -> None:
        """Pass verdicts on to whom they are for, until the connection ends."""
        async for message in heard:
            if isinstance(message, Told) and (tell := self._asked.pop(message.id, None)):
                tell(message.verdict)
        self.close()

    def close(self) -> None:
        """Send away all who wait, and whoever comes from now on."""
        self.gone = True
        asked, self._asked = self._asked, {}  # each hears one verdict
        for tell in asked.values():
            tell(GONE)


@asynccontextmanager
async def gate(settings: Settings, shared: Path | None) -> AsyncIterator[Gate]:
    """The gate of this process, at the shared desk on the socket `shared` where there is one.

    Raises TimeoutError where nobody comes to serve there.
    """
    if shared is None:
        yield local_gate(settings)
        return
    stream = await connected(shared)
    outbox, letters = anyio.create_memory_object_stream[ToDesk](float("inf"))
    async with stream, outbox, letters, anyio.create_task_group() as tasks:
        heard = messages(stream, ToWorker)
        hello = await anext(heard)
        assert isinstance(hello, Hello), "the desk says hello first"
        desk = Remote(outbox)
        tasks.start_soon(desk.hear, heard)
        tasks.start_soon(post, letters, stream)
        try:
            yield Gate(desk, settings, hello.secret)
        finally:
            desk.close()
            tasks.cancel_scope.cancel()


async def connected(path: Path) -> ByteStream:
    """The way to the desk, which may be about to be served. Raises TimeoutError."""
    with anyio.fail_after(CONNECT_SECONDS):
        while True:
            try:
                return await anyio.connect_unix(path)
            except (FileNotFoundError, ConnectionRefusedError):
                await anyio.sleep(AGAIN)


async def post(letters: MemoryObjectReceiveStream[Any], stream: ByteSendStream) -> None:
    """Send each letter, until either end is closed."""
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        async for letter in letters:
            data = msgspec.msgpack.encode(letter)
            await stream.send(len(data).to_bytes(PREFIX, "big") + data)


async def messages(stream: ByteReceiveStream, kind: Any) -> AsyncGenerator[Any]:
    """What comes, as messages of that kind, until the connection ends or says anything else."""
    buffered, decoder = BufferedByteReceiveStream(stream), msgspec.msgpack.Decoder(kind)
    with suppress(anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError, msgspec.MsgspecError):
        while (length := int.from_bytes(await buffered.receive_exactly(PREFIX), "big")) <= LONGEST:
            yield decoder.decode(await buffered.receive_exactly(length))
