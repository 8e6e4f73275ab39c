"""A client that does not read holds up its own engines' streams, takes no memory, and is dropped in the end."""

import json
import math
import socket
from contextlib import asynccontextmanager
from types import SimpleNamespace
from urllib.parse import urlsplit

import anyio
import pytest

from benchmarks.engine_replies import filler
from server.caller import Caller
from server.drain import Drain
from server.idempotency import Job
from server.pace import Outbox, Paced
from server.settings import Door, Settings
from server.stream import EventStream
from strategies.events import Token
from strategies.types import Call, Chunk, Prompt
from tests.serving import body, ponder, until

pytestmark = pytest.mark.anyio
WORDS = 4000
MOST = 100


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Endless:
    """An engine that writes without end, as fast as it is read."""

    def __init__(self):
        self.read = 0

    async def stream(self, call, take):
        while True:
            await anyio.lowlevel.checkpoint()
            self.read += 1
            await take([Chunk("word ")])


def telling(observe):
    """Takes chunks, and tells the observer of each."""

    async def take(chunks):
        for chunk in chunks:
            observe(Token("0", chunk.text, 1))

    return take


class Words:
    """A reply that is what was said."""

    def chunks(self, event):
        return event.text.encode()


async def test_an_engine_is_read_no_further_while_its_client_does_not_take_what_came(anyio_backend):
    engine, outbox, client = Endless(), Outbox(MOST), anyio.Event()
    sent = []

    async def work(observe):
        await Paced(engine, outbox).stream(Call(Prompt(()), 100), telling(observe))

    async def send(message):
        sent.append(message)
        if len(sent) > 2:
            await client.wait()

    async def receive():
        await anyio.sleep(math.inf)

    scope = {"app": SimpleNamespace(state=SimpleNamespace(drain=Drain()))}
    stream = EventStream(work, Words(), 60, outbox)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream, scope, receive, send)
        await until(lambda: outbox.pending >= MOST)
        await anyio.sleep(0.05)
        assert engine.read <= 2 * MOST + 2
        before = engine.read
        client.set()
        await until(lambda: engine.read > before + MOST)
        tasks.cancel_scope.cancel()


async def test_clients_joined_by_an_idempotency_key_hold_it_up_where_even_the_fastest_does_not_take_it(anyio_backend):
    job, outbox, engine, slow = Job(b""), Outbox(MOST), Endless(), anyio.Event()
    job.clients = 2

    async def work(observe):
        await Paced(engine, outbox).stream(Call(Prompt(()), 100), telling(observe))

    async def never(message):
        await anyio.sleep(math.inf)

    async def slowly(message):
        await slow.wait()

    scope = {"app": SimpleNamespace(state=SimpleNamespace(drain=Drain()))}
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(job.run, EventStream(work, Words(), 60, outbox), scope, anyio.Event().wait)
        tasks.start_soon(job.follow, Caller(), never)
        tasks.start_soon(job.follow, Caller(), slowly)
        await until(lambda: outbox.pending >= MOST)
        await anyio.sleep(0.05)
        assert engine.read <= 2 * MOST + 2
        before = engine.read
        slow.set()
        await until(lambda: engine.read > before + MOST)
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def deaf(served, **fields):
    """A client that asks for a long stream and never reads it."""
    where = urlsplit(served.url)
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect((where.hostname, where.port))
        asked = json.dumps(body(served, "hi", stream=True, max_tokens=WORDS, **fields)).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(asked)
        raw.sendall(head + asked)
        yield raw


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("fields", [{"return_trace": True}, {}], ids=["trace", "plain"])
async def test_a_client_that_takes_nothing_for_long_is_dropped_and_its_work_stops(fields, anyio_backend):
    settings = Settings(door=Door(stall_seconds=0.3))
    strategy = {"name": "self_consistency", "n": 2, "early_stop": "none"}
    async with ponder(filler(WORDS), settings=settings) as served, deaf(served, reasoning_strategy=strategy, **fields):
        await until(lambda: served.engine.generated, 10)
        await until(lambda: served.engine.aborted, 20)
        await until(lambda: not served.engine.running)
        assert (await served.chat(max_tokens=2)).status_code == 200
        assert b'outcome="gone"' in (await served.client.get("/metrics")).content


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_neither_is_it_kept_for_replies_that_no_strategy_made(anyio_backend):
    settings = Settings(door=Door(stall_seconds=0.2))
    async with ponder(settings=settings) as served:
        where = urlsplit(served.url)
        with socket.socket() as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.connect((where.hostname, where.port))
            raw.setblocking(False)
            raw.send(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 300)

            def dropped():
                try:
                    raw.send(b"x")
                except BlockingIOError:
                    return False
                except ConnectionError:
                    return True
                return False

            await until(dropped, 10)
