"""Prefix caches: what one tenant has asked is nobody else's hit; judges' calls are kept apart as well."""

import re

import pytest

from benchmarks.engine_replies import Reply
from server.gate import salt
from server.settings import Auth
from tests.serving import body, ponder
from tests.tenants import ALICE, BOB, bearing, settings

pytestmark = pytest.mark.anyio
LONG = "Consider the following sum, and tell what it is. " * 20
GENERATING = ("/v1/completions", "/v1/chat/completions")
JUDGED = [
    {"name": "best_of_n", "n": 3, "verifier": "judge"},
    {"name": "best_of_n", "n": 3, "verifier": "p_true"},
    {"name": "beam_search", "beams": 2, "width": 2},
    {"name": "gen_select", "n": 3},
]


@pytest.fixture
def anyio_backend():
    return "asyncio"


def salts(served):
    """The salts that generating requests came with."""
    return [request.body.get("cache_salt") for request in served.engine.requests if request.path in GENERATING]


async def cached(served, key, content=LONG):
    """How many tokens of a question the engine had in its cache."""
    ask = body(served, content, return_trace=True)
    told = await served.client.post("/v1/chat/completions", json=ask, headers=bearing(key))
    return told.json()["ponder"]["tokens"]["cached"]


async def test_the_same_prompt_of_another_tenant_is_no_hit_and_ones_own_is():
    async with ponder(settings=settings()) as served:
        first, own, others = [await cached(served, key) for key in (ALICE, ALICE, BOB)]
    assert first == others == 0
    assert own > 0


@pytest.mark.parametrize("strategy", JUDGED, ids=lambda one: f"{one['name']} {one.get('verifier', '')}")
async def test_every_call_for_a_tenant_has_its_salt_judges_too(strategy):
    def reply(ask):
        return Reply("<answer>5</answer>", chances={"Yes": 0.5, "No": 0.5})

    async with ponder(reply, settings=settings()) as served:
        for key in (ALICE, BOB):
            ask = body(served, "What is 2 + 3?", reasoning_strategy=strategy)
            told = await served.client.post("/v1/chat/completions", json=ask, headers=bearing(key))
            assert told.status_code == 200, told.text
        seen = salts(served)
    assert None not in seen
    assert len(set(seen)) == 2


async def test_responses_and_text_completions_have_the_salt_of_chats():
    async with ponder(settings=settings()) as served:
        chat = body(served, "hi")
        plain = {"model": "simulated", "prompt": "hi"}
        response = {"model": "simulated", "input": "hi"}
        for path, ask in (("chat/completions", chat), ("completions", plain), ("responses", response)):
            told = await served.client.post(f"/v1/{path}", json=ask, headers=bearing(ALICE))
            assert told.status_code == 200
        images = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
        ask = body(served, [{"role": "user", "content": images}])
        await served.client.post("/v1/chat/completions", json=ask, headers=bearing(ALICE))
        seen = salts(served)
    assert len(seen) == 4
    assert len(set(seen)) == 1


@pytest.mark.parametrize("field", ["cache_salt", "priority"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/responses"])
async def test_a_client_sets_neither_salt_nor_priority(path, field):
    async with ponder(settings=settings()) as served:
        ask = {"chat/completions": body(served, "hi"), "completions": {"prompt": "hi"}, "responses": {"input": "hi"}}
        asked = {"model": "simulated", **ask[path.removeprefix("/v1/")], field: 1 if field == "priority" else "x"}
        told = await served.client.post(path, json=asked, headers=bearing(ALICE))
    assert (told.status_code, told.json()["error"]["param"]) == (400, field)


async def test_without_keys_there_is_no_salt():
    async with ponder() as served:
        await served.chat()
    assert salts(served) == [None]


@pytest.mark.parametrize("on", [True, False])
async def test_a_keys_priority_reaches_engines_that_schedule_by_it(on):
    rules = settings(alice={"priority": -3}, admission={"engine_priority": on})
    async with ponder(settings=rules) as served:
        await served.client.post("/v1/chat/completions", json=body(served, "hi"), headers=bearing(ALICE))
        [request] = [request.body for request in served.engine.requests if request.path.endswith("/completions")]
    assert request.get("priority") == (-3 if on else None)


def test_a_salt_is_of_vllms_alphabet_and_depends_on_secret_and_tenant():
    made = salt(b"secret", "alice")
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", made)
    assert made == salt(b"secret", "alice")
    assert len({made, salt(b"secret", "bob"), salt(b"other", "alice")}) == 3


async def test_a_secret_of_the_settings_keeps_salts_over_a_restart_and_none_does_not():
    async def asked(rules):
        async with ponder(settings=rules) as served:
            await served.client.post("/v1/chat/completions", json=body(served, "hi"), headers=bearing(ALICE))
            return salts(served)

    kept = settings(auth=Auth(cache_secret="pk-" + "Secret0123456789abcdefg" * 2))
    assert await asked(kept) == await asked(kept)
    assert await asked(settings()) != await asked(settings())


def test_a_weak_cache_secret_is_refused():
    with pytest.raises(ValueError, match="too weak"):
        Auth(cache_secret="secret")
