"""A call that nobody answered is made once more, elsewhere if possible, while the budget of retries lasts."""

import math
from contextlib import asynccontextmanager, closing

import anyio
import pytest

from benchmarks.engine import simulated
from server.backends.calls import Calls
from server.backends.fleet import Fleet, Host, Member
from server.backends.health import Health
from server.backends.http import Upstream, seconds_of
from server.backends.placement import LIGHT, choose
from server.backends.retries import MOST, Retries, transient
from server.metrics import Metrics
from server.settings import PoolSettings, Settings
from strategies.protocols import BackendError, collected
from strategies.testing import ROOT, FakeBackend
from strategies.types import Call, Prompt, Sampling, Step
from tests.failures.fleets import Breaking, completions, pair
from tests.serving import ponder

pytestmark = pytest.mark.anyio
POOL = PoolSettings()
CALL = Call(Prompt(ROOT.prompt.messages, ids=(1, 2, 3)), 16, sampling=Sampling(seed=3))
DOWN = BackendError("no connection", cause="connect")


@pytest.fixture
def anyio_backend():
    return "asyncio"


def fleet(*replies, pool=POOL, made=FakeBackend):
    """A fleet of fake engines that say, or raise, what `replies` give; and these engines."""
    backends = [made(reply) for reply in replies]
    metrics = Metrics()
    hosts = [Host(str(at), None, Health(pool), Calls(metrics, str(at))) for at in range(len(backends))]
    members = [Member(host, backend) for host, backend in zip(hosts, backends, strict=True)]
    return Fleet(members, Retries(pool), pool.load_factor, metrics), backends


async def text(backend, call=CALL):
    return "".join([chunk.text for chunk in await collected(backend, call)])


def once(error, said="fine"):
    """A model that raises the error on its first call."""
    errors = iter([error])
    return lambda call, seed: next(errors, said)


def always(what):
    return lambda call, seed: what


CAUSES = ["connect", "timeout", "reset", "status", "overloaded", "garbage", "error_in_stream"]


@pytest.mark.parametrize("cause", CAUSES)
async def test_a_call_that_failed_before_its_first_piece_is_made_again_on_another_engine(cause):
    error = BackendError("gone", cause=cause)
    failing, (one, other) = fleet(always(error), always(error))
    with pytest.raises(BackendError, match="gone"):
        await text(failing)
    assert len(one.calls) == len(other.calls) == 1
    for at in (0, 1):
        replies = [always("fine"), always("fine")]
        replies[at] = always(error)
        works, backends = fleet(*replies)
        assert await text(works) == "fine"
        assert len(backends[1 - at].calls) == 1
        assert backends[1 - at].calls[0] == CALL, "the same seed: nothing has come of the first"


async def test_where_there_is_one_engine_only_it_is_asked_again():
    works, [engine] = fleet(once(DOWN))
    assert await text(works) == "fine"
    assert len(engine.calls) == 2


@pytest.mark.parametrize("status", [400, 401, 404, 408, 413, 422])
async def test_what_an_engine_refuses_is_never_asked_again(status):
    works, [engine] = fleet(once(BackendError("no", status)))
    with pytest.raises(BackendError):
        await text(works)
    assert len(engine.calls) == 1
    assert not transient(BackendError("no", status, cause="error_in_stream"))


async def test_a_call_that_broke_off_after_its_first_piece_is_not_made_again():
    works, backends = fleet(always("a b c"), always("a b c"), made=Breaking)
    with pytest.raises(BackendError, match="broke off") as raised:
        await text(works)
    assert raised.value.broke_at, "but another engine could go on"
    assert sum(len(backend.calls) for backend in backends) == 1


async def test_retry_after_is_waited_for_where_there_is_no_other_engine():
    works, _ = fleet(once(BackendError("busy", 503, retry_after=0.2)))
    started = anyio.current_time()
    assert await text(works) == "fine"
    assert anyio.current_time() - started >= 0.2


async def test_retry_after_is_not_waited_for_where_another_engine_is():
    busy = BackendError("busy", 503, retry_after=60)
    works, backends = fleet(once(busy), once(busy))
    with anyio.fail_after(5), pytest.raises(BackendError, match="busy"):
        await text(works)
    assert [len(backend.calls) for backend in backends] == [1, 1]


async def test_retry_after_beyond_the_deadline_fails_at_once():
    works, [engine] = fleet(once(BackendError("busy", 503, retry_after=60)))
    with anyio.fail_after(5), pytest.raises(BackendError, match="busy"):
        await text(works)
    assert len(engine.calls) == 1


@pytest.mark.parametrize(
    ("told", "seconds"), [("7", 7.0), ("0", 0.0), ("Wed, 21 Oct", None), (None, None), ("-1", None)]
)
def test_a_retry_after_is_read_in_seconds(told, seconds):
    assert seconds_of(told) == seconds


def test_retries_are_earned_by_calls_that_go_well_and_can_be_saved_up_to_a_limit():
    retries = Retries(PoolSettings(retry_share=0.25, retry_reserve=2))
    assert [retries.spend() for _ in range(3)] == [True, True, False]
    for _ in range(4):
        retries.earn()
    assert [retries.spend() for _ in range(2)] == [True, False]
    for _ in range(10_000):
        retries.earn()
    assert sum(retries.spend() for _ in range(1000)) == MOST


@pytest.mark.parametrize("replies", [1, 2])
async def test_a_total_outage_costs_at_most_115_percent_of_what_was_asked_for(replies):
    down, backends = fleet(*[always(DOWN)] * replies, pool=PoolSettings(retry_reserve=10))
    offered = 100
    for _ in range(offered):
        with pytest.raises(BackendError):
            await text(down)
    assert sum(len(backend.calls) for backend in backends) <= 1.15 * offered


async def test_one_call_in_ten_failing_is_made_up_for_by_retries():
    at = iter(range(10**6))
    works, _ = fleet(lambda call, seed: DOWN if next(at) % 10 == 0 else "fine")
    said = [await text(works) for _ in range(60)]
    assert said == ["fine"] * 60


async def test_a_connection_that_was_closed_while_it_was_kept_is_no_failure():
    async with ponder() as served:
        assert (await served.chat()).status_code == 200
        original = served.engine._respond
        closing = "/v1/chat/completions"

        def respond(connection, method, path, data):
            nonlocal closing
            if path == closing:
                closing = None
                connection.reset()
            else:
                original(connection, method, path, data)

        served.engine._respond = respond
        for connection in served.engine._connections:
            connection._respond = respond
        reply = await served.chat()
        metrics = (await served.client.get("/metrics")).text
    assert reply.status_code == 200
    assert closing is None
    assert "ponder_upstream_retries_total 0.0" in metrics, "it was the connection that was at an end"
    assert 'outcome="error"' not in metrics


async def test_a_servers_total_outage_is_told_to_all_and_costs_little():
    async with pair(settings=Settings(pool=PoolSettings(retry_reserve=4))) as served:
        for engine in served.engines:
            engine.options = engine.options.__class__(fail_every=1, fault="status")
        for at in range(40):
            assert (await served.chat(f"question {at}")).status_code == 502
        asked = sum(len(completions(engine)) for engine in served.engines)
    assert asked <= 1.15 * 40


class Engine:
    def __init__(self, name, load):
        self.name, self.load = name, load


def test_calls_of_one_prompt_go_to_one_engine_while_it_has_not_too_much_to_do():
    idle = [Engine(str(at), 0) for at in range(3)]
    assert len({choose(idle, b"a prompt", 4, 1.25).name for _ in range(20)}) == 1
    assert len({choose(idle, str(at).encode(), 4, 1.25).name for at in range(60)}) == 3


def test_a_wide_wave_spreads_in_groups_and_nobody_gets_much_more_than_the_mean():
    engines = [Engine(str(at), 0) for at in range(4)]
    for _ in range(32):
        choose(engines, b"a prompt", 8, 1.25).load += 8
    assert max(one.load for one in engines) <= math.ceil(1.25 * 32 * 8 / 4 / 8) * 8
    assert min(one.load for one in engines) > 0


def test_a_path_goes_on_where_it_was_grown_unless_that_engine_is_overloaded():
    engines = [Engine(str(at), 4) for at in range(3)]
    for home in "012":
        assert choose(engines, b"a prompt", 1, 1.25, home).name == home
    engines[2].load = 100
    assert choose(engines, b"a prompt", 1, 1.25, "2").name != "2"


def test_an_engine_that_goes_moves_only_its_own_prompts():
    engines = [Engine(str(at), 0) for at in range(4)]
    keys = [str(at).encode() for at in range(100)]
    before = {key: choose(engines, key, LIGHT, 1.25).name for key in keys}
    after = {key: choose(engines[:3], key, LIGHT, 1.25).name for key in keys}
    assert all(after[key] == before[key] for key in keys if before[key] != "3")


async def test_a_continuation_prefers_the_engine_that_wrote_its_last_step():
    works, backends = fleet(always("a"), always("b"), always("c"))
    for at in range(3):
        steps = (Step("one\n\n", (7,), 1, engine="0"), Step("two\n\n", (8,), 1, engine=str(at)))
        await text(works, Call(CALL.prompt, 4, steps))
        assert len(backends[at].calls) == 1


@asynccontextmanager
async def upstream():
    async with simulated() as engine:
        with closing(Upstream(engine.url)) as calls:
            yield calls, engine


@pytest.mark.parametrize(
    ("status", "cause"), [(429, "overloaded"), (503, "overloaded"), (500, "status"), (404, "refused")]
)
async def test_an_error_status_has_a_cause_and_says_when_to_come_again(status, cause):
    async with upstream() as (calls, engine):
        head = f"HTTP/1.1 {status} No\r\ncontent-length: 2\r\nretry-after: 3\r\n\r\n{{}}"
        engine._respond = lambda connection, *_: connection._write(head.encode(), last=True)
        with pytest.raises(BackendError) as raised:
            await calls.post("/v1/completions", {})
    assert (raised.value.status, raised.value.cause, raised.value.retry_after) == (status, cause, 3.0)
