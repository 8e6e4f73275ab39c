"""Keys: who is let in, what is refused at the start, and that neither time nor words tell more than that."""

import ast
import inspect
import subprocess
import sys
import textwrap

import pytest
from pydantic import ValidationError

from server import keys, tenants
from server.app import create_app
from server.auth import unguarded
from server.settings import Auth, Key, Server, Settings
from tests.serving import body, ponder
from tests.tenants import ALICE, bearing, settings

pytestmark = pytest.mark.anyio
UNKNOWN = "pk-" + "Mallory5555555555xyzuvw" * 2
NO_KEY = [
    {},
    {"authorization": "Bearer"},
    bearing(UNKNOWN),
    {"authorization": ALICE},
    {"authorization": f"Basic {ALICE}"},
    {"x-api-key": ALICE},
    bearing(ALICE[:-1]),
    bearing(ALICE + "x"),
    bearing(keys.digest(ALICE)),
]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.parametrize("headers", NO_KEY, ids=str)
async def test_without_a_known_key_there_is_one_answer_for_all(headers):
    async with ponder(settings=settings()) as served:
        told = await served.client.post("/v1/chat/completions", json=body(served, "hi"), headers=headers)
        again = await served.client.post("/v1/chat/completions", json=body(served, "hi"), headers=bearing("x"))
    assert told.status_code == 401
    assert told.headers["www-authenticate"] == "Bearer"
    assert told.json()["error"]["code"] == "invalid_api_key"
    assert told.content == again.content
    assert served.engine.requests == []


async def test_a_known_key_is_let_in():
    async with ponder(settings=settings()) as served:
        told = await served.client.post("/v1/chat/completions", json=body(served, "hi"), headers=bearing(ALICE))
        lower = await served.client.get("/v1/models", headers={"authorization": f"bearer {ALICE}"})
    assert told.status_code == lower.status_code == 200


async def test_two_keys_in_one_request_are_none():
    async with ponder(settings=settings()) as served:
        both = [("authorization", f"Bearer {ALICE}"), ("authorization", f"Bearer {UNKNOWN}")]
        assert (await served.client.get("/v1/models", headers=both)).status_code == 401


async def test_every_route_wants_a_key_but_those_that_tell_whether_there_is_service():
    async with ponder(settings=settings()) as served:
        paths = create_app(Settings()).openapi()["paths"]
        every = [(verb.upper(), path) for path, verbs in paths.items() for verb in verbs]
        every += [("GET", path) for path in ("/openapi.json", "/docs", "/nothing", "/health/", "//health", "/metrics/")]
        told = {path: (await served.client.request(verb, served.url + path)).status_code for verb, path in every}
    assert {path for path, status in told.items() if status != 401} == {"/health", "/ready"}


async def test_the_body_of_a_stranger_is_not_read():
    sent = []

    async def receive():
        raise AssertionError("a stranger's body was read")

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [], "query_string": b""}
    await create_app(settings())(scope, receive, send)
    assert sent[0]["status"] == 401


async def test_metrics_tell_of_all_so_a_key_has_to_be_allowed_them():
    async with ponder(settings=settings(alice={"metrics": True})) as served:
        for key, status in ((ALICE, 200), ("pk-" + "Bob9876543210zyxwvutsr" * 2, 403), (UNKNOWN, 401)):
            assert (await served.client.get("/metrics", headers=bearing(key))).status_code == status
    async with ponder(settings=settings(auth=Auth(open_metrics=True))) as served:
        assert (await served.client.get("/metrics")).status_code == 200


@pytest.mark.parametrize(
    "key", ["", "sk-1234", "secret", "a" * 64, "pk-" + "ab" * 30, "1" * 10 + "2345678" * 2, "correcthorsebattery"]
)
def test_a_key_that_could_be_guessed_is_refused_at_the_start(key):
    with pytest.raises(ValidationError, match="too weak"):
        Key(key=key)


def test_the_digest_of_an_empty_key_is_refused_and_so_are_two_tenants_with_one_key():
    with pytest.raises(ValidationError, match="empty key"):
        Key(sha256=keys.digest(""))
    with pytest.raises(ValidationError, match="the same key"):
        Settings(keys={"a": Key(key=ALICE), "b": Key(sha256=keys.digest(ALICE))})
    with pytest.raises(ValidationError, match="either"):
        Key()


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "a\nb", "é"])
def test_a_tenants_name_is_fit_for_a_log(name):
    with pytest.raises(ValidationError):
        Settings(keys={name: Key(key=ALICE)})


def test_a_key_that_may_name_an_unknown_strategy_or_not_the_default_is_refused():
    with pytest.raises(ValueError, match=r"keys\.alice\.strategies.*typo"):
        create_app(settings(alice={"strategies": ["single", "typo"]}))
    with pytest.raises(ValueError, match="default"):
        create_app(settings(alice={"strategies": ["best_of_n"]}))


def test_fresh_keys_are_strong_and_differ():
    made = {keys.fresh() for _ in range(100)}
    assert len(made) == 100
    assert all(keys.weakness(key) is None and key.startswith("pk-") for key in made)
    assert keys.weakness("0123456789abcdef" * 2) is None  # 128 bits in hex


def test_the_command_prints_a_key_and_the_lines_that_let_it_in():
    command = [sys.executable, "-m", "server", "key", "carol"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    key = told[0].removeprefix("# key: ")
    assert told[1:] == ["[keys.carol]", f'sha256 = "{keys.digest(key)}"']


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1", "::", "example.org"])
def test_a_server_without_keys_does_not_listen_beyond_this_machine_unless_told_to(host):
    assert "no keys" in unguarded(Settings(server=Server(host=host)))
    assert unguarded(Settings(server=Server(host=host), auth=Auth(open=True))) is None
    assert unguarded(settings(server=Server(host=host))) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_it_does_listen_on_this_machine(host):
    assert unguarded(Settings(server=Server(host=host))) is None


def test_serve_ends_with_a_word_about_keys_before_it_listens():
    command = [sys.executable, "-m", "server", "serve", "--host", "0.0.0.0", "--port", "0"]
    ended = subprocess.run(
        [*command, "--engine-url", "http://127.0.0.1:9"], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 1
    assert "--no-auth" in ended.stderr


def test_a_key_is_looked_up_by_its_digest_and_compared_in_constant_time():
    """No comparison of a key, or of part of one, may end early: time then tells nothing (by construction)."""
    source = ast.parse(textwrap.dedent(inspect.getsource(tenants.Keyed.find)))
    calls = {node.func.attr for node in ast.walk(source) if isinstance(node, ast.Call)}
    assert calls == {"digest", "get", "compare_digest"}
    assert not any(isinstance(node, ast.Compare) for node in ast.walk(source))


async def test_a_lookup_finds_only_the_whole_key():
    known = tenants.tenants(settings(), create_app(Settings()).state.tenants.tenant.registry)
    assert (await known.find(ALICE)).name == "alice"
    assert [await known.find(key) for key in ("", ALICE[:-1], ALICE.lower(), "0" * 64)] == [None] * 4
