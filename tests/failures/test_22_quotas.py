"""Quotas: exact under any order of requests, charged by what was spent, given back by whoever dies."""

import random
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncOpenAI

from benchmarks.engine_replies import Reply
from server.admission import Desk, Granted, Refused, Size
from server.app import create_app
from server.buckets import Bucket
from server.keys import digest
from server.settings import Admission, Engine, Quotas
from server.shared import gate, serve_shared
from tests.processes import served
from tests.serving import body, ponder, until
from tests.tenants import ALICE, BOB, bearing, settings

pytestmark = pytest.mark.anyio
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Clock:
    """Time that moves when told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


amounts = st.tuples(st.integers(0, 300), st.integers(0, 300), st.floats(0, 30))


@given(st.lists(amounts, max_size=40))
def test_a_bucket_gives_no_more_than_its_rate_allows_whatever_is_reserved_and_settled(steps):
    bucket, now, spent = Bucket(100, 0.0), 0.0, 0
    for reserve, took, passed in steps:
        now += passed
        bucket.refill(now)
        if bucket.wait(reserve) == 0:
            held = bucket.reserve(reserve)
            bucket.settle(held, took)
            spent += took
        assert bucket.level <= 100
        assert spent <= 100 + now * 100 / 60 + 300 + 1e-6  # one debt at most


def test_a_bucket_tells_when_there_will_be_enough():
    bucket = Bucket(60, 0.0)
    bucket.take(60)
    wait = bucket.wait(10)
    bucket.refill(wait)
    assert bucket.wait(10) == pytest.approx(0, abs=1e-9)
    assert bucket.wait(11) > 0
    assert bucket.wait(1000) == bucket.wait(60)  # more than ever fits is all there is


events = st.tuples(st.sampled_from("ab"), st.integers(0, 8), st.integers(0, 500), st.booleans())


@given(st.lists(events, max_size=60), st.randoms(use_true_random=False))
def test_what_is_held_is_never_more_than_the_limits_and_all_of_it_comes_back(asked, rng):
    clock, verdicts, sizes = Clock(), {}, {}
    quotas = {"a": Quotas(samples=20, tokens_per_minute=2000), "b": Quotas(weight=3)}
    desk = Desk(Admission(samples=10, tokens=800, queue=5), quotas, clock)
    present = []
    for id, (tenant, samples, tokens, ends) in enumerate(asked):
        clock.now += 0.1
        sizes[id] = Size(samples, tokens)
        verdicts[id] = []
        desk.enter(id, tenant, sizes[id], verdicts[id].append)
        present.append(id)
        if ends:
            desk.leave(present.pop(rng.randrange(len(present))), rng.randrange(500))
        held = [sizes[one] for one in present if verdicts[one] and isinstance(verdicts[one][0], Granted)]
        assert desk.held.samples == sum(size.samples for size in held)
        assert desk.held.tokens == sum(size.tokens for size in held)
        with_samples = [size for size in held if size.samples]
        assert desk.held.samples <= 10 or len(with_samples) == 1
        assert all(len(told) <= 1 for told in verdicts.values())
    for id in present:
        desk.leave(id, 0)
    assert desk.held == Size()
    assert all(flow.samples == 0 and not flow.queue for flow in desk._flows.values())
    assert all(len(told) <= 1 for told in verdicts.values())


def test_what_a_request_reserved_and_did_not_spend_comes_back_and_a_debt_stays():
    told, clock = [], Clock()
    desk = Desk(Admission(), {"a": Quotas(tokens_per_minute=1000)}, clock)
    desk.enter(1, "a", Size(1, 900), told.append)
    desk.enter(2, "a", Size(1, 900), told.append)
    desk.leave(1, 100)
    desk.enter(3, "a", Size(1, 900), told.append)
    desk.leave(3, 1500)
    desk.enter(4, "a", Size(1, 100), told.append)
    granted, refused, again, debt = told
    assert isinstance(granted, Granted)
    assert isinstance(again, Granted)
    assert (refused.status, refused.code) == (429, "rate_limit_exceeded")
    assert refused.wait == pytest.approx(800 * 60 / 1000)
    assert debt.wait == pytest.approx((600 + 100) * 60 / 1000)
    assert debt.rates["x-ratelimit-remaining-tokens"] == "0"


async def test_a_quota_that_is_used_up_is_a_429_with_the_time_to_wait_and_costs_no_engine_anything():
    async with ponder(settings=settings(alice={"requests_per_minute": 2}, bob={"metrics": True})) as served:
        told = [
            await served.client.post("/v1/chat/completions", json=body(served, "hi"), headers=bearing(key))
            for key in (ALICE, ALICE, ALICE, BOB)
        ]
        asked = [request for request in served.engine.requests if request.path.endswith("/completions")]
        strangers = await served.client.get("/v1/models")
        counted = (await served.client.get("/metrics", headers=bearing(BOB))).text
    assert strangers.status_code == 401
    assert 'ponder_refusals_total{status="429"} 1.0' in counted
    assert 'ponder_refusals_total{status="401"} 1.0' in counted
    assert [one.status_code for one in told] == [200, 200, 429, 200]
    assert told[2].json()["error"] == {
        "message": "too many requests a minute (limit 2)",
        "type": "rate_limit_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert 1 <= int(told[2].headers["retry-after"]) <= 30
    assert told[0].headers["x-ratelimit-limit-requests"] == "2"
    assert told[0].headers["x-ratelimit-remaining-requests"] == "1"
    assert told[2].headers.get_list("x-ratelimit-remaining-requests") == ["0"]
    assert not any(name.startswith("x-ratelimit") for name in told[3].headers)
    assert len(asked) == 3


async def test_openais_client_tries_again_after_the_time_it_is_told():
    waits = []

    async def note(response):
        waits.append(response.headers.get("retry-after"))

    async with ponder(settings=settings(alice={"requests_per_minute": 6000, "samples": 1}), delay=0.01) as served:
        hooked = httpx.AsyncClient(event_hooks={"response": [note]})
        client = AsyncOpenAI(base_url=f"{served.url}/v1", api_key=ALICE, http_client=hooked)
        ask = {"model": "simulated", "messages": [{"role": "user", "content": "hi"}]}
        async with client:
            stream = await client.chat.completions.create(**ask, stream=True)
            second = None

            async def again():
                nonlocal second
                second = await client.chat.completions.create(**ask)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(again)
                async for _ in stream:
                    pass
    assert second.choices[0].message.content
    assert waits == [None, "1", None]


@pytest.mark.parametrize(
    ("quota", "fields", "param"),
    [
        ({"n": 4}, {"reasoning_strategy": {"name": "self_consistency", "n": 5}}, "reasoning_strategy"),
        ({"samples": 4}, {"n": 5}, "n"),
        ({"tokens": 100}, {"reasoning_budget": {"tokens": 101}}, "reasoning_budget.tokens"),
        ({"strategies": ["single"]}, {"reasoning_strategy": "best_of_n"}, "reasoning_strategy"),
    ],
)
async def test_a_ceiling_of_one_key_is_not_anothers(quota, fields, param):
    async with ponder(settings=settings(alice=quota)) as served:
        ask = body(served, "hi", **fields)
        alice = await served.client.post("/v1/chat/completions", json=ask, headers=bearing(ALICE))
        bob = await served.client.post("/v1/chat/completions", json=ask, headers=bearing(BOB))
    assert (alice.status_code, alice.json()["error"]["param"]) == (400, param)
    assert bob.status_code == 200


async def test_a_tenant_sees_only_its_own_models_and_strategies():
    async with ponder(settings=settings(alice={"models": ["other"]}, bob={"strategies": ["single"]})) as served:
        ask = body(served, "hi")
        alice = await served.client.post("/v1/chat/completions", json=ask, headers=bearing(ALICE))
        listed = (await served.client.get("/v1/models", headers=bearing(ALICE))).json()["data"]
        known = (await served.client.get("/v1/strategies", headers=bearing(BOB))).json()["data"]
        models = (await served.client.get("/v1/models", headers=bearing(BOB))).json()["data"]
    assert alice.status_code == 404
    assert listed == []
    assert [one["name"] for one in known] == ["single"]
    assert [one["id"] for one in models] == ["simulated", "simulated:single"]


async def test_a_tenant_is_charged_for_what_engines_generated_to_the_token_under_random_hang_ups(monkeypatch):
    """Conservation: what was charged is what was received for it; the engine made no less than that."""
    clock = Clock()
    monkeypatch.setattr("server.gate.anyio.current_time", clock)  # no refill
    rng, full = random.Random(7), 10_000_000
    rules = settings(alice={"tokens_per_minute": full})
    usage = 0
    async with ponder(lambda ask: Reply("word " * 30), settings=rules, delay=0.001) as served:
        strategies = ["single", {"name": "self_consistency", "n": 6}, {"name": "best_of_n", "n": 4}]

        async def one(at):
            nonlocal usage
            ask = body(served, f"hi {at}", reasoning_strategy=rng.choice(strategies), max_tokens=40)
            with anyio.move_on_after(rng.choice([0.01, 0.05, 30])):
                told = await served.client.post("/v1/chat/completions", json=ask, headers=bearing(ALICE))
                usage += told.json()["usage"]["completion_tokens"]

        async with anyio.create_task_group() as tasks:
            for at in range(24):
                tasks.start_soon(one, at)
        desk = served.app.state.gate.desk
        await until(lambda: not desk._working and not desk._waiting, 5)
        charged = full - desk._flows["alice"].tokens.level
        metrics = (await served.client.get("/metrics", headers=bearing(ALICE))).status_code
        counted = served.app.state.metrics.text().decode()
        received = sum(
            float(line.split()[-1]) for line in counted.splitlines() if line.startswith("ponder_tokens_total{")
        )
        generated = served.engine.generated
    assert metrics == 403
    assert usage <= charged == received <= generated


@pytest.mark.parametrize(
    ("fields", "charged"),
    [({}, 12), (STREAMED, 12), ({"stream": True}, 40), ({"prompt": ["a", "b"]}, 24)],
    ids=["whole", "stream with usage", "stream without", "two prompts"],
)
async def test_a_text_completion_is_charged_by_the_engines_usage_else_by_what_it_reserved(fields, charged):
    rules = settings(alice={"tokens_per_minute": 100_000})
    async with ponder(lambda ask: Reply(ids=tuple(range(300, 311))), settings=rules) as served:
        ask = {"model": "simulated", "prompt": "x", "max_tokens": 40, **fields}
        told = await served.client.post("/v1/completions", json=ask, headers=bearing(ALICE))
        flow = served.app.state.gate.desk._flows["alice"]
    assert told.status_code == 200
    assert told.headers["x-ratelimit-limit-tokens"] == "100000"
    assert flow.tokens.most - flow.tokens.level == pytest.approx(charged, abs=0.5)


async def test_tokens_may_be_counted_and_listed_while_samples_are_used_up():
    async with ponder(settings=settings(alice={"samples": 1}), delay=0.01) as served:
        headers = bearing(ALICE)
        async with served.client.stream(
            "POST", "/v1/chat/completions", json=body(served, "hi", stream=True), headers=headers
        ) as running:
            assert running.status_code == 200
            ask = {"model": "simulated", "prompt": "x"}
            assert (await served.client.post("/tokenize", json=ask, headers=headers)).status_code == 200
            assert (await served.client.post("/v1/completions", json=ask, headers=headers)).status_code == 429


async def entered(desk, tenant, size):
    """A verdict on one more request; its id."""
    entered.id = getattr(entered, "id", 0) + 1
    told, done = [], anyio.Event()

    def tell(verdict):
        told.append(verdict)
        done.set()

    desk.enter(entered.id, tenant, size, tell)
    with anyio.move_on_after(2):
        await done.wait()
    return entered.id, told[0] if told else None


@asynccontextmanager
async def shared_desk(rules, socket):
    """A desk on a socket, for as long as the block lasts."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve_shared, rules, socket)
        yield
        await anyio.sleep(0.02)
        tasks.cancel_scope.cancel()


async def test_workers_share_one_desk_and_one_that_goes_gives_back_what_it_held(tmp_path):
    socket, two = tmp_path / "desk", Size(2, 1)
    rules = settings(alice={"samples": 4})
    async with shared_desk(rules, socket), gate(rules, socket) as first:
        async with gate(rules, socket) as second:
            assert first.secret == second.secret
            assert isinstance((await entered(first.desk, "alice", two))[1], Granted)
            id, verdict = await entered(second.desk, "alice", two)
            assert isinstance(verdict, Granted)
            assert (await entered(first.desk, "alice", Size(1, 1)))[1].status == 429
            second.desk.leave(id, 1)
            assert isinstance((await entered(second.desk, "alice", two))[1], Granted)
            assert isinstance((await entered(first.desk, "bob", two))[1], Granted)
            assert (await entered(first.desk, "alice", two))[1].status == 429
        await anyio.sleep(0.05)  # the second is gone, and with it its two samples
        assert isinstance((await entered(first.desk, "alice", two))[1], Granted)
        assert oct(socket.stat().st_mode)[-3:] == "600"


async def test_quotas_are_exact_whichever_worker_a_request_meets(tmp_path):
    socket, most, verdicts = tmp_path / "desk", 20, []
    rules = settings(alice={"requests_per_minute": most})

    async def ask(worker):
        verdicts.extend([(await entered(worker.desk, "alice", Size(1, 1)))[1] for _ in range(20)])

    async with (
        shared_desk(rules, socket),
        gate(rules, socket) as first,
        gate(rules, socket) as second,
        gate(rules, socket) as third,
        anyio.create_task_group() as asking,
    ):
        for one in (first, second, third):
            asking.start_soon(ask, one)
    assert sum(isinstance(verdict, Granted) for verdict in verdicts) == most
    assert sum(isinstance(verdict, Refused) for verdict in verdicts) == 60 - most


async def test_a_worker_whose_desk_is_gone_lets_nobody_in_and_sends_away_once_who_waits(tmp_path):
    socket, told = tmp_path / "desk", []
    rules = settings(admission={"samples": 1})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve_shared, rules, socket)
        async with gate(rules, socket) as worker:
            await entered(worker.desk, "alice", Size(1, 1))
            worker.desk.enter(99_999, "alice", Size(1, 1), told.append)
            await anyio.sleep(0.02)
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await until(lambda: worker.desk.gone)
                assert (await entered(worker.desk, "alice", Size(1, 1)))[1].status == 503
    assert [verdict.status for verdict in told] == [503]


async def test_a_server_of_several_processes_asks_the_shared_desk(tmp_path):
    socket, statuses = tmp_path / "desk", []
    rules = settings(alice={"requests_per_minute": 2})
    async with ponder() as served, shared_desk(rules, socket):
        rules = rules.model_copy(update={"engines": (Engine(url=served.engine.url),)})
        for _ in range(2):  # each a worker of its own
            app = create_app(rules, shared=socket)
            transport = httpx.ASGITransport(app)
            async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport) as client:
                for _ in range(2):
                    ask = body(served, "hi")
                    told = await client.post("http://x/v1/chat/completions", json=ask, headers=bearing(ALICE))
                    statuses.append(told.status_code)
    assert statuses == [200, 200, 429, 429]


@pytest.mark.slow
async def test_with_several_workers_a_quota_holds_to_the_request_and_so_does_one_of_samples():
    variables = {
        "PONDER_KEYS__ALICE__SHA256": digest(ALICE),
        "PONDER_KEYS__ALICE__REQUESTS_PER_MINUTE": "30",
        "PONDER_KEYS__BOB__SHA256": digest(BOB),
        "PONDER_KEYS__BOB__SAMPLES": "1",
    }
    async with served("--workers", "2", engine={"delay": 0.05}, environment=variables) as server:
        statuses, ask = [], body(server, "hi", max_tokens=1)

        async def one(key, **fields):
            async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:  # a connection of its own
                told = await client.post("/v1/chat/completions", json={**ask, **fields}, headers=bearing(key))
                statuses.append(told.status_code)

        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for _ in range(40):
                tasks.start_soon(one, ALICE)
        anew = (anyio.current_time() - began) * 30 / 60
        assert 30 <= statuses.count(200) <= 31 + anew
        assert set(statuses) == {200, 429}

        statuses.clear()
        for _ in range(6):  # whichever worker has the stream, the other one knows of it
            headers, long = bearing(BOB), {**ask, "stream": True, "max_tokens": 500}
            async with server.client.stream("POST", "/v1/chat/completions", json=long, headers=headers) as running:
                assert running.status_code == 200
                await one(BOB)
            await anyio.sleep(0.2)
        assert statuses == [429] * 6
