"""What engines do at the wrong time: early answers, late ones, ends without a word. None is lost, or taken for more."""

import asyncio
import socket
import struct
import time
from unittest.mock import Mock

import anyio
import pytest

from server.backends import connection, connections, http
from server.backends.connection import Answer
from server.backends.http import Patience
from strategies.protocols import BackendError
from tests.hosts import HEAD, WELL, ending, heard, host, saying, threaded

pytestmark = pytest.mark.anyio
LARGE = {"x": "a" * 20_000_000}
"""More than what the kernel takes of a body that nobody reads."""
FULL = b"HTTP/1.1 429 No\r\ncontent-length: 2\r\n\r\nno"


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request):
    return "asyncio", {"use_uvloop": request.param}


def busy(seconds):
    """Work that lets nobody else have a turn."""
    time.sleep(seconds)


async def failure(upstream, body=None):
    """How a request fails."""
    with anyio.fail_after(5), pytest.raises(BackendError) as raised:
        await upstream.post("/", body or {})
    return raised.value


async def test_a_connection_of_which_something_is_left_unread_is_not_used_again(monkeypatch):
    monkeypatch.setattr(connection, "UNREAD_BYTES", 1000)

    async def reply(writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n")
        await asyncio.sleep(0.02)
        writer.write(b"a" * 2000)

    async with host(reply) as engine:
        async with engine.upstream.relay("/", {}) as answer:
            with anyio.fail_after(5):
                while not answer.ended:
                    await anyio.sleep(0.01)
        engine.reply = saying(WELL)
        with anyio.fail_after(5):
            assert await engine.upstream.post("/", {}) == b"hi"


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_an_answer_without_a_length_that_falls_silent_has_not_ended_well(version):
    async with host(b"HTTP/%s 200 OK\r\n\r\nhalf" % version, patience=Patience(first=0.1, idle=0.1)) as engine:
        assert (await failure(engine.upstream)).cause == "timeout"


async def test_an_answer_without_a_length_that_is_reset_has_not_ended_well():
    def resetting(connection, number):
        heard(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        time.sleep(0.05)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    with threaded(resetting) as upstream:
        assert (await failure(upstream)).cause == "reset"


@pytest.mark.parametrize("answer", [FULL, WELL], ids=["refused", "answered"])
async def test_a_connection_that_still_sends_is_not_used_again(answer):
    def early(connection, number):
        if number > 1:
            heard(connection)
            connection.sendall(WELL)
        else:
            connection.recv(1000)
            connection.sendall(answer)

    with threaded(early) as upstream:
        if answer is WELL:
            assert await upstream.post("/", LARGE) == b"hi"
        else:
            assert (await failure(upstream, LARGE)).status == 429
        with anyio.fail_after(5):
            assert await upstream.post("/", {}) == b"hi"


async def test_an_engine_that_ends_while_a_request_is_sent_to_it_is_not_waited_for():
    def leaving(connection, number):
        connection.recv(1000)
        connection.shutdown(socket.SHUT_WR)  # it still could read
        time.sleep(5)

    with threaded(leaving) as upstream:
        with anyio.fail_after(4):
            assert (await failure(upstream, LARGE)).cause == "reset"


async def test_what_an_engine_says_before_it_is_asked_is_its_answer():
    def full(connection, number):
        connection.sendall(FULL.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        heard(connection)

    with threaded(full) as upstream:
        for _ in range(20):
            assert (await failure(upstream)).status == 429


async def test_after_an_answer_to_nothing_a_connection_is_not_used_again():
    freed, transport = [], Mock()
    transport.is_closing.return_value, transport.get_write_buffer_size.return_value = False, 0
    for before in (True, False):
        made = connection.Connection(freed.append)
        made.connection_made(transport)
        if before:
            made.data_received(WELL)
        answer = made.ask(b"", 1, 1)
        if not before:
            made.data_received(WELL)
        assert await answer.whole() == b"hi"
        answer.close()
        assert freed == ([] if before else [made])


ERRORS = {
    "nested too deeply": b"[" * 100_000,
    "too long": b'{"error": {"message": "' + b"a" * 1_000_000 + b'"}}',
}


@pytest.mark.parametrize("body", ERRORS.values(), ids=ERRORS)
async def test_an_error_that_says_too_much_is_told_in_part(body):
    async with host(b"HTTP/1.1 400 No\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)) as engine:
        error = await failure(engine.upstream)
    assert (error.status, len(str(error))) == (400, 200)


async def test_an_error_whose_words_break_off_is_told_all_the_same():
    async with host(ending(b'HTTP/1.1 400 No\r\ncontent-length: 70\r\n\r\n{"error":')) as engine:
        assert (await failure(engine.upstream)).status == 400


async def test_an_error_whose_words_do_not_come_is_told_soon(monkeypatch):
    monkeypatch.setattr(connection, "END_SECONDS", 0.05)
    async with host(b"HTTP/1.1 503 No\r\ncontent-length: 70\r\n\r\n") as engine:
        error = await failure(engine.upstream)
    assert (error.status, str(error)) == (503, "the engine answered 503")


@pytest.mark.parametrize("coding", [b"chunked ", b"chunked\t", b"xchunked", b"gzip, chunked", b"chunked, identity"])
async def test_a_body_that_is_coded_in_a_way_that_can_be_read_in_two_is_refused(coding):
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: %s\r\n\r\n3\r\nabc\r\n" % coding
    async with host(ending(head)) as engine:
        assert (await failure(engine.upstream)).cause == "garbage"


async def test_a_coding_is_known_in_any_letters():
    async with host(HEAD.replace(b"chunked", b"Chunked") + b"2\r\nhi\r\n0\r\n\r\n") as engine:
        assert await engine.upstream.post("/", {}) == b"hi"


async def test_a_request_that_the_engine_did_not_get_for_it_had_ended_its_connection_is_sent_again():
    async with host(ending(WELL)) as engine:
        for _ in range(40):
            assert await engine.upstream.post("/", {}) == b"hi"


async def test_after_one_connection_that_had_ended_the_others_are_not_tried():
    async with host(WELL) as engine:
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(engine.upstream.post, "/", {})
        seen, before = len(engine.requests), len(engine.made)

        async def gone(writer):
            writer.transport.abort()

        engine.reply = gone
        assert (await failure(engine.upstream)).cause == "reset"
    assert (len(engine.requests) - seen, len(engine.made) - before) == (2, 1)


async def test_a_request_on_which_the_engine_worked_is_not_sent_again(monkeypatch):
    monkeypatch.setattr(connection, "STALE_SECONDS", 0.05)

    async def working(writer):
        await asyncio.sleep(0.1)
        writer.transport.abort()

    async with host(WELL) as engine:
        await engine.upstream.post("/", {})
        engine.reply = working
        assert (await failure(engine.upstream)).cause == "reset"
    assert len(engine.requests) == 2


async def test_a_request_of_whose_answer_something_came_is_not_sent_again():
    async with host(WELL) as engine:
        await engine.upstream.post("/", {})
        engine.reply = ending(b"HTTP/1.1 200 OK\r\nx")
        assert (await failure(engine.upstream)).cause == "reset"
    assert len(engine.requests) == 2


async def test_one_who_leaves_as_a_connection_ends_has_left(monkeypatch):
    async def gone(writer):
        writer.transport.abort()

    def cut(answer, error):
        ended(answer, error)
        asking.cancel()

    async with host(WELL) as engine:
        await engine.upstream.post("/", {})
        engine.reply, ended = gone, Answer.cut
        monkeypatch.setattr(Answer, "cut", cut)
        asking = asyncio.create_task(engine.upstream.post("/", {}))
        await asyncio.wait([asking])
        assert asking.cancelled()
    assert len(engine.requests) == 2


async def test_a_connection_that_is_too_old_is_not_used_though_nobody_had_the_time_to_end_it(monkeypatch):
    monkeypatch.setattr(connections, "KEPT", 0.02)
    async with host(WELL) as engine:
        await engine.upstream.post("/", {})
        busy(0.05)
        await engine.upstream.post("/", {})
    assert len(engine.made) == 2


async def test_connections_that_come_free_after_the_end_are_ended():
    async def reply(writer):
        await asyncio.sleep(0.05)
        writer.write(WELL)

    async with host(reply) as engine:
        await engine.upstream.post("/", {})
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(engine.upstream.post, "/", {})
            await anyio.sleep(0.02)
            engine.upstream.close()
        with anyio.fail_after(connections.KEPT / 2):
            while engine.opened:
                await anyio.sleep(0.01)


async def test_what_came_while_the_loop_was_busy_is_not_late():
    def halves(connection, number):
        heard(connection)
        connection.sendall(HEAD + b"3\r\nabc\r\n")
        time.sleep(0.1)
        connection.sendall(b"3\r\ndef\r\n")
        time.sleep(0.6)
        connection.sendall(b"0\r\n\r\n")

    with threaded(halves, patience=Patience(first=0.4, idle=0.4)) as upstream:
        async with upstream.relay("/", {}) as answer:
            assert await answer.some() == b"abc"
            asyncio.get_running_loop().call_later(0.01, busy, 0.5)  # while the rest comes
            assert await answer.whole() == b"def"


async def test_the_beginning_of_an_answer_may_take_longer_than_what_comes_after_it():
    async def late(writer):
        await asyncio.sleep(0.2)
        writer.write(HEAD + b"1\r\na\r\n")

    async with host(late, patience=Patience(first=5, idle=0.1)) as engine, engine.upstream.relay("/", {}) as answer:
        assert await answer.some() == b"a"
        with anyio.fail_after(2), pytest.raises(BackendError):
            await answer.some()


async def test_an_answer_that_would_send_us_elsewhere_is_an_error():
    async with host(b"HTTP/1.1 307 Go\r\nlocation: http://canary\r\ncontent-length: 0\r\n\r\n") as engine:
        assert (await failure(engine.upstream)).status == 307


async def test_an_event_that_does_not_end_is_an_error(monkeypatch):
    monkeypatch.setattr(http, "LONGEST_FRAME", 1000)

    async def taken(frames):
        raise AssertionError(frames)

    async with host(HEAD + b"7d1\r\ndata: %s\r\n" % (b"a" * 1995)) as engine:
        with anyio.fail_after(2), pytest.raises(BackendError, match="an event of more than"):
            await engine.upstream.sse("/", {}, taken)


async def test_the_connection_that_was_used_last_is_used_next():
    async with host(WELL) as engine:
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(engine.upstream.post, "/", {})
        used = len(engine.made)
        for _ in range(4):
            await engine.upstream.post("/", {})
        assert len(engine.made) == used > 1
        served = [writer.get_extra_info("peername") for writer in engine.served[-4:]]
        assert len(set(served)) == 1
