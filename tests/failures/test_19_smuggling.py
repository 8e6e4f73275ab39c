"""Requests that two servers in a row could read in two ways are refused, so that none is hidden in another."""

import pytest

from tests.raw import answer_to
from tests.serving import ponder

pytestmark = pytest.mark.anyio
POST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.parametrize(
    "request_",
    [
        POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        POST + b"content-length: +5\r\n\r\nhello",
        POST + b"content-length: 5, 5\r\n\r\nhello",
        POST + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
        POST + b"transfer-encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\nhost: x\n\n",
        POST + b"a: 1\nb: 2\r\n\r\n",
        POST + b"a: 1\r\n folded\r\n\r\n",
        POST + b"a\x00: 1\r\n\r\n",
        POST + b"a: 1\x00\r\n\r\n",
        POST + b"a: 1\rb: 2\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=str,
)
async def test_a_request_that_can_be_read_in_two_ways_is_a_400(request_):
    async with ponder() as served:
        status, error = await answer_to(served, request_)
        assert (status, error["code"]) == (400, "invalid_http")
        assert served.engine.requests == []
