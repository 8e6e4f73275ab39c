"""URLs in requests: what goes on to an engine holds its data, or has a host that is listed; none is fetched here."""

import json
import socket
from contextlib import asynccontextmanager

import anyio
import pytest

from server.errors import ApiError
from server.incoming import parse
from server.schema import ChatRequest
from server.settings import Limits, Settings
from tests.serving import body, ponder

pytestmark = pytest.mark.anyio
HOSTS = ("images.example.org", "cdn.example.org:8443", "10.0.0.5")
URL = "messages.0.content.1.image_url.image_url.url"
DATA = "data:image/png;base64,AAAA"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@asynccontextmanager
async def trap():
    """A port, and how often somebody connected to it."""
    caught = []
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", family=socket.AF_INET)

    async def connected(stream):
        caught.append(stream)
        await stream.aclose()

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, connected)
        yield listener.extra(anyio.abc.SocketAttribute.local_port), caught
        tasks.cancel_scope.cancel()


def image(url):
    return {"type": "image_url", "image_url": {"url": url}}


def video(url):
    return {"type": "video_url", "video_url": {"url": url}}


def audio(url):
    return {"type": "audio_url", "audio_url": {"url": url}}


def talk(part):
    return [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}]


def asked(url):
    """A request that shows this URL to an engine. Raises ApiError where it may not."""
    request = json.dumps({"model": "m", "messages": talk(image(url))}).encode()
    return parse(request, ChatRequest, HOSTS)


@pytest.mark.parametrize(
    "url",
    [
        DATA,
        "http://images.example.org",
        "https://images.example.org/a/b.png?size=2&x=%20y",
        "https://IMAGES.example.ORG/a.png",
        "https://cdn.example.org:8443/a.png",
        "http://10.0.0.5/a.png",
    ],
)
def test_data_and_hosts_that_are_listed_are_taken(url):
    assert asked(url).messages[0].content[1].image_url.url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://[::ffff:169.254.169.254]/",
        "http://[::1]/",
        "http://127.0.0.1:8000/v1/models",
        "http://localhost/",
        "http://0/",
        "http://10.0.0.5:22/",
        "http://10.0.0.6/",
        "https://cdn.example.org/a.png",
        "https://images.example.org:8443/a.png",
        "https://images.example.org./a.png",
        "https://x.images.example.org/a.png",
        "https://images.example.org.evil.test/a.png",
        "https://user@images.example.org/",
        "https://images.example.org:pass@evil.test/",
        "https://images.example.org@evil.test/",
        "https://evil.test\\@images.example.org/",
        "https://images.example.org\\@evil.test/",
        "https://images.example.org\\.evil.test/",
        "https://images.example.org#@evil.test/",
        "https://evil.test#images.example.org/",
        "https://evil.test?images.example.org/",
        "https://images.example.org%2eevil.test/",
        "https://images.example.org%00.evil.test/",
        "https://images\u3002example\u3002org/",
        "https://\uff49mages.example.org/",
        "https:///images.example.org/",
        "https:images.example.org/",
        "https://images.example.org/a b",
        "https://images.example.org/\r\nHost: evil.test",
        "https://images.example.org/\n",
        " https://images.example.org/",
        "https://images.example.org\t/",
        "file:///etc/passwd",
        "ftp://images.example.org/a.png",
        "gopher://images.example.org/",
        "//images.example.org/a.png",
        "/etc/passwd",
        "blob:https://images.example.org/",
        "",
        "https://" + "images.example.org" * 10_000,
    ],
    ids=lambda url: url[:40],
)
def test_what_is_not_listed_or_may_be_read_in_two_ways_is_refused_by_name(url):
    with pytest.raises(ApiError) as refusal:
        asked(url)
    assert refusal.value.status == 400
    assert refusal.value.param == URL
    assert refusal.value.message == f"{URL}: only data: URLs are taken, and those of hosts that this server lists"


PARTS = [
    image,
    video,
    audio,
    lambda url: {"type": "image_url", "image_url": url},
    lambda url: {"image_url": url},
    lambda url: {"image_url": {"url": url}},
    lambda url: {"type": "input_image", "image_url": url},
    lambda url: {"type": "image_embeds", "image_embeds": url},
    lambda url: {"type": "file", "file": {"file_data": url}},
    lambda url: {"type": "file", "file": {"file_id": url}},
    lambda url: {"type": "input_audio", "input_audio": {"data": url, "format": "wav"}},
    lambda url: {"type": "input_audio", "input_audio": {"data": "AAAA", "format": f"wav,{url}"}},
    lambda url: {"type": "text", "text": "x", "image_url": url},
]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/tokenize"])
async def test_no_part_of_a_message_makes_anybody_fetch_anything(path):
    async with trap() as (port, caught), ponder() as served:
        for part in PARTS:
            request = body(served, talk(part(f"http://127.0.0.1:{port}/x.png")))
            reply = await served.client.post(path, json=request)
            assert reply.status_code == 400
            assert reply.json()["error"]["param"].startswith("messages.0.content.1")
        assert served.engine.requests == []
    assert not caught


async def test_neither_does_one_of_a_response():
    async with trap() as (port, caught), ponder() as served:
        for name, field in {"input_image": "image_url", "input_file": "file_url", "input_audio": "input_audio"}.items():
            content = [{"type": name, field: f"http://127.0.0.1:{port}/x.png"}]
            asked = {"model": "simulated", "input": [{"role": "user", "content": content}]}
            reply = await served.client.post("/v1/responses", json=asked)
            assert reply.status_code == 400
            assert reply.json()["error"]["param"].startswith("input.0.content.0")
        assert served.engine.requests == []
    assert not caught


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/tokenize"])
async def test_what_is_listed_goes_to_the_engine_as_it_came_and_is_not_fetched_here(path):
    async with trap() as (port, caught):
        url = f"http://127.0.0.1:{port}/x.png"
        settings = Settings(limits=Limits(media_hosts=[f"127.0.0.1:{port}"]))
        async with ponder(lambda ask: "a cat", settings=settings) as served:
            request = body(served, talk(image(url)))
            if path == "/v1/responses":
                parts = [{"type": "input_image", "image_url": url}]
                request = {"model": request["model"], "input": [{"role": "user", "content": parts}]}
            reply = await served.client.post(path, json=request)
            assert any(url in json.dumps(asked.body) for asked in served.engine.requests)
        assert reply.status_code == 200, reply.text
        assert not caught


@pytest.mark.parametrize(
    "part",
    [
        image(DATA),
        video("data:video/mp4;base64,AAAA"),
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ],
    ids=lambda part: part["type"],
)
async def test_data_goes_to_the_engines_chat(part):
    async with ponder(lambda ask: "a cat") as served:
        reply = await served.chat(talk(part))
        asked = [one.body for one in served.engine.requests if one.path == "/v1/chat/completions"]
    assert reply.status_code == 200
    assert asked[0]["messages"][0]["content"][1] == part


async def test_a_schema_that_points_elsewhere_is_not_followed():
    async with trap() as (port, caught), ponder(lambda ask: '{"a": 1}') as served:
        schema = {"$ref": f"http://127.0.0.1:{port}/schema.json"}
        judge = {"name": "json_schema", "schema": schema}
        reply = await served.chat(reasoning_strategy={"name": "best_of_n", "n": 2, "verifier": judge})
    assert reply.status_code in (200, 400)
    assert not caught


@pytest.mark.parametrize("host", ["https://images.example.org", "Images.example.org", "a/b", "*", "u@h", "[::1]", ""])
def test_the_settings_list_hosts_and_nothing_else(host):
    with pytest.raises(ValueError, match="media_hosts"):
        Limits(media_hosts=[host])
