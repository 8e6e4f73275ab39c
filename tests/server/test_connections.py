"""Connections to an engine: what is read from them, when they are used again, and what an engine cannot do to us."""

import asyncio
import gc
import socket
from contextlib import closing, contextmanager

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.backends import connection, connections
from server.backends.connection import Answer
from server.backends.http import Patience, Upstream
from strategies.protocols import BackendError
from tests.fuzz.reading import pieces
from tests.hosts import END, EVENTS, HEAD, WELL, ending, host, saying

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request):
    return "asyncio", {"use_uvloop": request.param}


async def events(upstream):
    """All events of an answer."""
    found = []

    async def take(some):
        found.extend(some)

    await upstream.sse("/", {}, take)
    return found


def slow(pause):
    """What ends its answer `pause` seconds after its `[DONE]`."""

    async def reply(writer):
        writer.write(HEAD + b"%x\r\n%s\r\n" % (len(EVENTS), EVENTS))
        await asyncio.sleep(pause)
        writer.write(END)

    return reply


async def test_a_connection_is_used_again_though_the_end_comes_after_the_last_event():
    async with host(slow(0.01)) as engine:
        for _ in range(3):
            assert await events(engine.upstream) == [b"1"]
    assert len(engine.made) == 1


async def test_an_end_that_does_not_come_is_not_waited_for_long(monkeypatch):
    monkeypatch.setattr(connection, "END_SECONDS", 0.02)
    async with host(slow(30)) as engine:
        with anyio.fail_after(5):
            for _ in range(2):
                assert await events(engine.upstream) == [b"1"]
    assert len(engine.made) == 2


ANSWERS = {
    "with a length": (WELL, True),
    "in chunks": (HEAD + b"1\r\nh\r\n1\r\ni\r\n" + END, True),
    "in chunks, with headers behind it": (HEAD + b"2;x=y\r\nhi\r\n0\r\na: b\r\n\r\n", True),
    "after an interim one": (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + WELL, True),
    "of HTTP/1.0": (WELL.replace(b"1.1", b"1.0"), False),
    "that is the connection's last": (WELL.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), False),
}


@pytest.mark.parametrize(("data", "again"), ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_is_read_and_its_connection_used_again_where_it_may_be(data, again):
    async with host(data) as engine:
        assert [await engine.upstream.post("/", {}) for _ in range(3)] == [b"hi"] * 3
    assert len(engine.made) == (1 if again else 3)


class Socket:
    """What stands for a connection and its transport."""

    def __init__(self):
        self.transport, self.paused, self.aborted, self.reusable = self, False, False, None

    def pause_reading(self):
        self.paused = True

    def resume_reading(self):
        self.paused = False

    def abort(self):
        self.aborted = True

    def get_extra_info(self, name):
        return None

    def is_closing(self):
        return self.aborted

    def done(self, reusable):
        self.reusable = reusable


@given(st.sampled_from([data for data, _ in ANSWERS.values()]), st.lists(st.integers(1, 40), max_size=40))
def test_it_does_not_matter_in_which_pieces_an_answer_comes(data, sizes):
    async def read():
        answer = Answer(Socket(), 1.0, 1.0, 0)
        for piece in pieces(data, sizes):
            answer.feed(piece)
        body = await answer.whole()
        return answer.status, b"link" in answer.headers, body

    assert asyncio.run(read()) == (200, False, b"hi")


@given(st.binary(max_size=300), st.lists(st.integers(1, 40), max_size=40))
def test_bytes_that_are_no_answer_are_an_error_and_end_the_connection(data, sizes):
    async def read():
        answer = Answer(stand, 1.0, 1.0, 0)
        for piece in pieces(b"HTTP/1.1 " + data, sizes):
            answer.feed(piece)
        answer.cut(None)
        try:
            await answer.head()
            await answer.whole()
        except BackendError as error:
            return error.cause, stand.aborted
        return answer.status >= 200, answer.ended

    stand = Socket()
    assert asyncio.run(read()) in [("garbage", True), ("reset", True), (True, True)]


async def test_a_body_that_tells_no_length_ends_with_its_connection():
    async with host(ending(b"HTTP/1.1 200 OK\r\n\r\nhi")) as engine:
        assert [await engine.upstream.get("/") for _ in range(2)] == [b"hi"] * 2


BROKEN = {
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n", "garbage"),
    "two lengths": (WELL.replace(b"\r\n\r\n", b"\r\ncontent-length: 3\r\n\r\n"), "garbage"),
    "a length and chunks": (HEAD.replace(b"\r\n\r\n", b"\r\ncontent-length: 3\r\n\r\n"), "garbage"),
    "another protocol": (b"HTTP/1.1 101 Yes\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "garbage"),
    "a head without an end": (b"HTTP/1.1 200 OK\r\nx: " + b"a" * (connection.HEAD_BYTES + 1), "garbage"),
    "interim answers without an end": (b"HTTP/1.1 100 Continue\r\n\r\n" * 4000, "garbage"),
    "headers behind it without an end": (HEAD + b"0\r\n" + b"a: b\r\n" * 20_000, "garbage"),
    "nothing": (b"", "reset"),
    "half a head": (b"HTTP/1.1 200 OK\r\nx", "reset"),
    "half a body": (WELL[:-1], "reset"),
    "half a chunk": (HEAD + b"2\r\nh", "reset"),
    "chunks without their end": (HEAD + b"2\r\nhi\r\n", "reset"),
}


@pytest.mark.parametrize(("data", "cause"), BROKEN.values(), ids=BROKEN)
async def test_an_answer_that_breaks_is_an_error_with_its_cause(data, cause):
    async with host(ending(data)) as engine:
        with anyio.fail_after(5), pytest.raises(BackendError) as raised:
            await engine.upstream.post("/", {})
    assert raised.value.cause == cause


async def test_what_came_before_a_failure_is_told_before_it():
    async with host(ending(HEAD + b"9\r\ndata: 1\n\n\r\n" + b"5\r\nda")) as engine:
        found = []

        async def take(some):
            found.extend(some)

        with pytest.raises(BackendError):
            await engine.upstream.sse("/", {}, take)
    assert found == [b"1"]


async def test_a_connection_that_says_more_than_it_was_asked_is_not_used_again():
    async with host(WELL + WELL) as engine:
        assert [await engine.upstream.post("/", {}) for _ in range(2)] == [b"hi"] * 2
    assert len(engine.made) == 2


async def test_a_free_connection_on_which_something_comes_is_ended():
    async def reply(writer):
        writer.write(WELL)
        await asyncio.sleep(0.05)
        writer.write(WELL)

    async with host(reply) as engine:
        await engine.upstream.post("/", {})
        await anyio.sleep(0.2)
        engine.reply = saying(WELL.replace(b"hi", b"ok"))
        assert await engine.upstream.post("/", {}) == b"ok"
    assert len(engine.made) == 2


async def test_a_connection_that_the_engine_ended_meanwhile_is_not_used():
    async with host(WELL) as engine:
        await engine.upstream.post("/", {})
        engine.made[0].close()
        await anyio.sleep(0.05)
        assert await engine.upstream.post("/", {}) == b"hi"
    assert len(engine.made) == 2


async def test_free_connections_are_ended_after_a_while(monkeypatch):
    monkeypatch.setattr(connections, "KEPT", 0.05)
    async with host(WELL) as engine:
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(engine.upstream.post, "/", {})
        assert engine.opened == len(engine.made)
        with anyio.fail_after(5):
            while engine.opened:
                await anyio.sleep(0.01)
        assert await engine.upstream.post("/", {}) == b"hi"


async def test_a_reader_that_is_slow_holds_the_engine_back():
    sent = 0

    async def reply(writer):
        nonlocal sent
        writer.write(HEAD)
        while True:
            writer.write(b"10000\r\n" + b"a" * (1 << 16) + b"\r\n")
            await writer.drain()
            sent += 1 << 16

    async with host(reply) as engine, engine.upstream.relay("/", {}) as answer:
        await answer.some()
        await anyio.sleep(0.3)
        before = sent
        await anyio.sleep(0.1)
        assert sent == before < 16 << 20
        with anyio.fail_after(5):
            while sent == before:
                assert await answer.some()


async def test_an_answer_that_never_ends_is_not_taken_whole(monkeypatch):
    monkeypatch.setattr(connection, "ANSWER_BYTES", 1 << 20)

    async def reply(writer):
        writer.write(HEAD)
        while True:
            writer.write(b"10000\r\n" + b"a" * (1 << 16) + b"\r\n")
            await writer.drain()

    async with host(reply) as engine:
        with anyio.fail_after(5), pytest.raises(BackendError, match="more than"):
            await engine.upstream.post("/", {})


async def dripping(writer):
    writer.write(HEAD)
    while True:
        writer.write(b"1\r\na\r\n")
        await asyncio.sleep(0.02)


async def test_an_answer_that_is_wanted_whole_may_not_take_longer_though_it_is_never_silent():
    async with host(dripping, patience=Patience(idle=5, whole=0.2)) as engine:
        with anyio.fail_after(5), pytest.raises(BackendError) as raised:
            await engine.upstream.post("/", {})
    assert raised.value.cause == "timeout"


async def test_one_that_drips_is_not_silent():
    patience = Patience(first=0.2, idle=0.2)
    async with host(dripping, patience=patience) as engine, engine.upstream.relay("/", {}) as answer:
        with anyio.move_on_after(0.6):
            while await answer.some():
                pass


async def test_what_is_not_waited_for_is_not_late():
    async def reply(writer):
        writer.write(HEAD + b"1\r\na\r\n")
        await asyncio.sleep(0.4)
        writer.write(b"1\r\nb\r\n" + END)

    patience = Patience(first=0.2, idle=0.2)
    async with host(reply, patience=patience) as engine, engine.upstream.relay("/", {}) as answer:
        assert await answer.some() == b"a"
        await anyio.sleep(0.5)
        assert await answer.whole() == b"b"


async def test_an_error_status_is_no_stream_and_says_what_the_engine_says():
    async with host(b'HTTP/1.1 400 No\r\ncontent-length: 16\r\n\r\n{"error": "what"}') as engine:
        with pytest.raises(BackendError) as raised:
            await events(engine.upstream)
    assert (raised.value.status, raised.value.cause) == (400, "refused")


@contextmanager
def names(monkeypatch, *addresses):
    """Lets localhost have these addresses; how often they were looked up."""
    asked = []
    loops = type(asyncio.get_running_loop())
    look_up = loops.getaddrinfo

    async def getaddrinfo(loop, name, port, **options):
        if name != "localhost":  # an address, which uvloop looks up, too
            return await look_up(loop, name, port, **options)
        asked.append(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(loops, "getaddrinfo", getaddrinfo)
    yield asked


async def test_a_host_with_several_addresses_is_reached_at_the_one_that_answers(monkeypatch):
    async with host(WELL, patience=Patience(connect=5)) as engine:
        with names(monkeypatch, "127.0.0.2", "127.0.0.1"):
            assert await engine.upstream.post("/", {}) == b"hi"


async def test_addresses_are_looked_up_once_for_all_and_again_after_a_while(monkeypatch):
    closing_each = ending(WELL.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
    async with host(closing_each) as engine:
        with names(monkeypatch, "127.0.0.1") as asked:
            async with anyio.create_task_group() as tasks:
                for _ in range(8):
                    tasks.start_soon(engine.upstream.post, "/", {})
            assert len(asked) == 1
            monkeypatch.setattr(connections, "KNOWN", 0.0)
            await anyio.sleep(0.01)
            await engine.upstream.post("/", {})
            assert len(asked) == 2


async def test_a_host_that_cannot_be_reached_is_looked_up_again_for_it_may_have_moved(monkeypatch):
    async with host(WELL) as engine:
        with names(monkeypatch, "127.0.0.2"), pytest.raises(BackendError):
            await engine.upstream.post("/", {})
        with names(monkeypatch, "127.0.0.1"):
            assert await engine.upstream.post("/", {}) == b"hi"


async def test_a_lookup_that_fails_when_nobody_waits_any_more_is_nobodys_fault(monkeypatch):
    loop, told, over = asyncio.get_running_loop(), [], asyncio.Event()

    async def getaddrinfo(loop, name, port, **options):
        try:
            await asyncio.sleep(0.03)
            raise socket.gaierror("nobody knows")
        finally:
            over.set()

    monkeypatch.setattr(type(loop), "getaddrinfo", getaddrinfo)
    loop.set_exception_handler(lambda loop, context: told.append(context["message"]))
    with closing(Upstream("http://nowhere.invalid", patience=Patience(connect=0.01))) as upstream:
        with pytest.raises(BackendError, match="TimeoutError"):
            await upstream.get("/")
        await over.wait()
        await anyio.lowlevel.checkpoint()
    del upstream
    gc.collect()
    assert not told


async def test_who_gives_up_waiting_for_a_lookup_ends_it_for_nobody_else(monkeypatch):
    async with host(WELL) as engine:
        with names(monkeypatch, "127.0.0.1"):
            found, slow = type(asyncio.get_running_loop()).getaddrinfo, asyncio.Event()

            async def getaddrinfo(loop, *arguments, **options):
                await slow.wait()
                return await found(loop, *arguments, **options)

            monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", getaddrinfo)
            async with anyio.create_task_group() as tasks:
                first = anyio.CancelScope()

                async def ask():
                    with first:
                        await engine.upstream.post("/", {})

                async def ask_too():
                    assert await engine.upstream.post("/", {}) == b"hi"

                tasks.start_soon(ask)
                tasks.start_soon(ask_too)
                await anyio.wait_all_tasks_blocked()
                first.cancel()
                await anyio.sleep(0.01)
                slow.set()
    assert len(engine.requests) == 1


@pytest.mark.parametrize("url", ["http://nowhere.invalid", f"http://{'a' * 70}.invalid", "http://127.0.0.1:9"])
async def test_an_engine_that_cannot_be_found_is_told_as_that(url):
    with closing(Upstream(url)) as upstream, pytest.raises(BackendError) as raised:
        await upstream.get("/")
    assert raised.value.cause == "connect"


async def test_a_request_says_whom_it_asks_and_by_which_key():
    async with host(WELL, api_key="k") as engine:
        await engine.upstream.post("/x", {"a": 1})
    head, _, body = engine.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /x HTTP/1.1\r\nhost: localhost:%d\r\n" % engine.port)
    assert b"\r\nauthorization: Bearer k\r\n" in head
    assert body == b'{"a":1}'


async def test_a_url_may_have_a_path_and_a_password():
    async with host(WELL) as engine:
        with closing(Upstream(f"http://me:p%40ss@127.0.0.1:{engine.port}/base/")) as upstream:
            await upstream.get("/x")
    head = engine.requests[0].lower()
    assert head.startswith(b"get /base/x http/1.1\r\nhost: 127.0.0.1:%d\r\n" % engine.port)
    assert b"\r\nauthorization: basic bwu6cebzcw==\r\n" in head


@pytest.mark.parametrize(("url", "key"), [("http://", None), ("http:///x", None), ("http://a", "canary\r\nx:y")])
def test_what_cannot_be_asked_for_is_refused_when_it_is_set_and_not_told(url, key):
    with pytest.raises(ValueError, match="an engine's url") as raised:
        Upstream(url, api_key=key)
    assert "canary" not in str(raised.value)
