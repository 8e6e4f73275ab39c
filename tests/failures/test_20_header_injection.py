"""No header of a client's reaches an engine, a log or another client, whatever it holds."""

import logging

import pytest

from server.backends.connection import Connection
from server.backends.http import Upstream
from tests.raw import connected, rest_of
from tests.serving import body, ponder

pytestmark = pytest.mark.anyio
UPSTREAM = {"host", "content-type", "content-length", "accept", "accept-encoding", "user-agent"}
"""All headers that an engine gets, and `authorization` where the settings have a key for it."""
HOSTILE = {
    "authorization": "Bearer canary",
    "cookie": "canary",
    "x-forwarded-for": "canary",
    "x-request-id": "canary canary",
    "x-anything": "canary",
    "accept-encoding": "gzip",
    "user-agent": "canary",
    "traceparent": "00-canary-canary-01",
    "tracestate": "a=canary",
    "baggage": "a=canary",
}
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def sent(monkeypatch):
    """The headers of all requests to engines."""
    seen = []
    asked = Connection.ask

    def ask(connection, request, *args):
        _, *lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")
        seen.append(dict(line.split(": ", 1) for line in lines))
        return asked(connection, request, *args)

    monkeypatch.setattr(Connection, "ask", ask)
    return seen


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/tokenize"])
async def test_the_headers_that_an_engine_gets_are_a_fixed_set(path, sent):
    async with ponder() as served:
        asked = {"model": "simulated", "prompt": "hi"} if "chat" not in path else body(served, "hi")
        for streamed in ({}, {"stream": True}) if "v1" in path else ({},):
            reply = await served.client.post(path, json=asked | streamed, headers=HOSTILE)
            assert reply.status_code == 200
    assert sent
    for headers in sent:
        assert set(headers) <= UPSTREAM
        assert "canary" not in str(headers)


async def test_whose_trace_it_is_goes_on_as_ids_alone(sent):
    async with ponder() as served:
        await served.client.post(
            "/v1/chat/completions", json=body(served, "hi"), headers=HOSTILE | {"traceparent": CALLER}
        )
    assert {headers.pop("traceparent") for headers in sent if "traceparent" in headers} == {CALLER}
    assert all(set(headers) <= UPSTREAM and "canary" not in str(headers) for headers in sent)


async def test_the_key_of_an_engine_is_the_settings_one(sent):
    async with ponder() as served:
        await Upstream(served.engine.url, api_key="ours").get("/v1/models")
    assert sent[-1]["authorization"] == "Bearer ours"


@pytest.mark.parametrize("given", [b"a\rb", b"a\x00b", b"a\tb", b"x" * 65, b"\xff\xfe", b"${jndi:x}", b"a b"])
async def test_an_id_is_told_again_only_where_it_is_harmless(given, caplog):
    caplog.set_level(logging.DEBUG)
    async with ponder() as served, connected(served) as stream:
        await stream.send(
            b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-request-id: " + given + b"\r\n\r\n"
        )
        reply = await rest_of(stream)
    assert given not in reply
    assert given.decode("latin-1") not in caplog.text


async def test_a_response_cannot_be_split():
    async with ponder() as served, connected(served) as stream:
        await stream.send(b"GET /v1/models/x%0d%0aset-cookie:%20a=b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        reply = await rest_of(stream)
    assert reply.startswith(b"HTTP/1.1 404")
    assert b"\nset-cookie" not in reply
