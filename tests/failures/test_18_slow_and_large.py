"""Headers and bodies that are too large, too many or too slow, and clients that come in crowds."""

import json
import resource

import anyio
import pytest

from server.descriptors import raise_limit
from server.protocol import GRACE_SECONDS
from server.settings import Door, Settings
from tests.raw import answer_to, connected, read, rest_of
from tests.serving import body, ponder

pytestmark = pytest.mark.anyio
GET = b"GET /health HTTP/1.1\r\nhost: x\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
SHAPE = {"message", "type", "param", "code"}


@pytest.fixture
def anyio_backend():
    return "asyncio"


def door(**limits):
    """A Ponder with these limits at its door."""
    return ponder(settings=Settings(door=Door(**limits)))


@pytest.mark.parametrize(
    "request_",
    [
        GET + b"a: " + b"x" * 20_000 + b"\r\n\r\n",
        GET + b"a: " + b"x" * 300_000,
        GET + b"x" * 300_000,
        b"GET /" + b"x" * 300_000,
        GET + b"".join(b"a%d: 1\r\n" % at for at in range(70)) + b"\r\n",
        POST + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n0\r\na: " + b"x" * 300_000,
        POST + b"transfer-encoding: chunked\r\n\r\n1;" + b"x" * 300_000,
    ],
    ids=["header", "header without an end", "name", "path", "many", "trailer", "chunk extension"],
)
async def test_large_headers_are_a_431(request_):
    async with ponder() as served:
        status, error = await answer_to(served, request_)
    assert (status, error["code"]) == (431, "headers_too_large")
    assert set(error) == SHAPE


async def test_a_huge_header_takes_no_memory():
    async with ponder() as served, connected(served) as stream:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            await stream.send(GET + b"a: ")
            for _ in range(200):
                await stream.send(b"x" * (1 << 20))
        except anyio.BrokenResourceError:
            pass
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 << 10  # KiB


async def test_headers_within_the_limits_pass():
    async with ponder() as served:
        headers = b"".join(b"a%d: %s\r\n" % (at, b"x" * 200) for at in range(60))
        status, _ = await answer_to(served, GET + b"connection: close\r\n" + headers + b"\r\n")
    assert status == 200


@pytest.mark.parametrize("begun", [b"", b"\r\n", b"GET", GET], ids=["nothing", "empty line", "a word", "headers"])
async def test_headers_that_do_not_come_are_a_408(begun):
    async with door(header_seconds=0.2) as served, connected(served) as stream:
        if begun:
            await stream.send(begun)
        status, error = read(await rest_of(stream, 5))
    assert (status, error["code"]) == (408, "request_timeout")
    assert set(error) == SHAPE


async def test_neither_may_the_headers_of_a_second_request_drip():
    async with door(header_seconds=0.3) as served, connected(served) as stream:
        await stream.send(GET + b"\r\n")
        assert b"200 OK" in await stream.receive()
        got = b""
        with anyio.fail_after(5):
            try:
                while not got:
                    await stream.send(b"G" if not got else b"")
                    with anyio.move_on_after(0.05):
                        got = await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass
        assert got.startswith((b"HTTP/1.1 408", b"HTTP/1.1 400"))


@pytest.mark.parametrize("framing", [b"content-length: 1000\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n1\r\n"])
async def test_a_body_that_does_not_come_is_a_408(framing):
    async with door(body_seconds=0.3) as served:
        status, error = await answer_to(served, POST + framing + b"{")
        assert (await served.chat()).status_code == 200
    assert (status, error["code"]) == (408, "request_timeout")
    assert set(error) == SHAPE


@pytest.mark.slow
async def test_a_body_that_drips_is_a_408_long_before_its_deadline():
    async with door(body_seconds=600) as served, connected(served) as stream:
        await stream.send(POST + b"content-length: 100000\r\n\r\n")
        with anyio.fail_after(GRACE_SECONDS * 3):
            while True:
                with anyio.move_on_after(0.1):
                    assert (await stream.receive()).startswith(b"HTTP/1.1 408")
                    return
                await stream.send(b"{")


async def test_a_reply_takes_as_long_as_it_takes_whatever_the_deadlines():
    settings = Settings(door=Door(header_seconds=0.1, body_seconds=0.1))
    async with ponder(settings=settings, delay=0.01) as served, connected(served) as stream:
        asked = json.dumps(body(served, "1 + 2 + 3 + 4 = ?")).encode()
        await stream.send(POST + b"connection: close\r\ncontent-length: %d\r\n\r\n%s\r\n" % (len(asked), asked))
        assert read(await rest_of(stream)) == (200, None)


async def test_an_idle_connection_is_closed():
    async with door(idle_seconds=0.1) as served, connected(served) as stream:
        await stream.send(GET + b"\r\n")
        assert b"200 OK" in await rest_of(stream, 5)


async def test_more_connections_than_allowed_are_a_503_and_the_others_are_served():
    async with door(connections=3) as served, connected(served), connected(served), connected(served) as third:
        status, error = await answer_to(served, GET + b"\r\n")
        assert (status, error["code"]) == (503, "too_many_connections")
        await third.send(GET + b"\r\n")
        assert b"200 OK" in await third.receive()


async def test_one_address_cannot_take_all_connections():
    async with door(connections_per_address=1) as served:
        async with connected(served):
            status, _ = await answer_to(served, GET + b"\r\n")
            assert status == 503
        await anyio.sleep(0.05)
        status, _ = await answer_to(served, GET + b"connection: close\r\n\r\n")
        assert status == 200


@pytest.mark.parametrize("crowd", [50, pytest.param(1000, marks=pytest.mark.slow)])
async def test_others_are_served_while_many_connections_drip(crowd):
    raise_limit(wanted=4 * crowd)
    async with ponder() as served, anyio.create_task_group() as tasks:
        ready = [0]

        async def drip():
            async with connected(served) as stream:
                await stream.send(GET)
                ready[0] += 1
                while True:
                    await anyio.sleep(1)
                    await stream.send(b"a: 1\r\n")

        for _ in range(crowd):
            tasks.start_soon(drip)
        with anyio.fail_after(30):
            while ready[0] < crowd:
                await anyio.sleep(0.01)
            for _ in range(20):
                assert (await served.chat()).status_code == 200
        tasks.cancel_scope.cancel()
