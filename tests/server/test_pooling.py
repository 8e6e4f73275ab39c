"""Reward models over HTTP: what is sent as which token ids, what comes back, and what goes wrong."""

import tracemalloc
from contextlib import asynccontextmanager

import anyio
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from benchmarks.engine_pooling import hashed, sigmoid, simulated_rewards
from benchmarks.engine_text import encode, render
from server.backends.batching import Batches
from server.backends.lately import Lately
from server.backends.pooling import scorers
from server.backends.tokens import Tokens
from server.backends.values import at_places, value_of
from strategies.protocols import BackendError, Reward
from strategies.tasks import together
from strategies.types import Candidate, Prompt, Step

pytestmark = pytest.mark.anyio
QUESTION = "How much?\n\nThink.\n\n"
MESSAGES = ({"role": "user", "content": QUESTION},)
[TAG] = encode("\n\n")
OPENED = encode(render(MESSAGES))


@pytest.fixture
def anyio_backend():
    return "asyncio"


def path(*steps, id="0.0"):
    return Candidate(Prompt(MESSAGES, ids=(1, 2)), id, tuple(Step(text, ids=(9, 9)) for text in steps), "stop")


@asynccontextmanager
async def reward(*args, **options):
    """A simulated reward model and a scorer of it."""
    async with (
        simulated_rewards(*args, **options) as engine,
        scorers() as made,
    ):
        yield engine, made(Reward(engine.url, "reward"))


async def test_an_outcome_is_read_of_the_conversation_in_the_models_own_template():
    async with reward() as (engine, scorer):
        [value] = await scorer.outcomes([path("It is ", "5.")])
        [raw] = await scorer.outcomes([path("It is ", "5.")], activation=False)
    told = encode(render([*MESSAGES, {"role": "assistant", "content": "It is 5."}], open_reply=False))
    assert [one["input"] for one in engine.asked("/classify")] == [[list(told)]] * 2
    assert raw == hashed(told)
    assert value == pytest.approx(sigmoid(raw))


async def test_a_reranker_gets_the_question_and_the_response_as_a_pair():
    async with reward() as (engine, scorer):
        values = await scorer.outcomes([path("a"), path("b")], endpoint="score")
    [asked] = engine.asked("/score")
    assert (asked["queries"], asked["documents"]) == ([QUESTION] * 2, ["a", "b"])
    assert values == [pytest.approx(sigmoid(hashed(encode(QUESTION + said)))) for said in ("a", "b")]


async def test_each_step_is_read_at_the_tag_behind_it_though_the_prompt_has_tags_too():
    async with reward(step_tag=TAG) as (_, scorer):
        [values] = await scorer.steps([path("So:\n\n1 is one\n\n", "then 2\n\n", "3")], "\n\n")
        [by_id] = await scorer.steps([path("So:\n\n1 is one\n\n", "then 2\n\n", "3")], TAG)
    ends, ids = [], OPENED
    for text in ("So:\n\n1 is one", "then 2", "3"):
        ids = (*ids, *encode(text), TAG)
        ends.append(sigmoid(hashed(ids)))
    assert ids.count(TAG) > 3
    assert values == pytest.approx(tuple(ends))
    assert by_id == values


async def test_all_paths_of_a_wave_and_of_other_searches_go_in_one_request(monkeypatch):
    monkeypatch.setitem(Batches.__init__.__kwdefaults__, "window", 0.1)  # so long that a busy machine is no matter
    async with reward(step_tag=TAG) as (engine, scorer):

        async def search(name):
            return await scorer.steps([path(f"{name}{at}") for at in range(4)], TAG)

        waves = await together(search, "abcdefgh")
        assert len(engine.asked("/pooling")) <= 2
        assert [await search(name) for name in "abcdefgh"] == waves
    assert len({values for wave in waves for values in wave}) == 32


async def test_only_new_prefixes_are_read():
    async with reward() as (engine, scorer):
        first = await scorer.prefixes([path("a\n\n"), path("b\n\n")])
        second = await scorer.prefixes([path("a\n\n", "c"), path("a\n\n", "d")])
    assert [len(asked["input"]) for asked in engine.asked("/classify")] == [2, 2]
    assert second[0][0] == second[1][0] == first[0][0]
    assert second[1][1] == sigmoid(hashed(OPENED + encode("a\n\n") + encode("d")))


async def test_a_path_too_long_for_the_model_is_none_and_the_others_are_judged():
    async with reward(max_model_len=60) as (_, scorer):
        judged = await scorer.prefixes([path("a"), path("a " * 90), path("b", "c" * 60), path("b")])
        assert [values is None for values in judged] == [False, True, True, False]
        with pytest.raises(BackendError, match="the reward model answered 400"):
            await scorer.prefixes([path("a " * 90)])


async def test_a_model_without_a_template_gets_paragraphs():
    async with reward(template=False) as (engine, scorer):
        await scorer.outcomes([path("It is 5.")])
        await scorer.outcomes([path("It is 6.")])
    texts = [asked.get("prompt") for asked in engine.asked("/tokenize")]
    assert texts == [None, f"{QUESTION}\n\nIt is 5.", f"{QUESTION}\n\nIt is 6."]


async def test_a_tag_that_is_no_token_and_a_server_of_another_tag_are_told():
    async with reward(step_tag=TAG) as (_, scorer):
        with pytest.raises(BackendError, match="not one"):
            await scorer.steps([path("a")], "<step>")
        with pytest.raises(BackendError, match="step tags"):
            await scorer.steps([path("a")], 300)


def test_values_of_every_token_are_read_at_the_tags():
    assert at_places([0.1, 0.2, 0.3, 0.4], (7, TAG, 7, TAG), [1, 3], TAG) == [0.2, 0.4]
    with pytest.raises(BackendError, match="3 values for 2"):
        at_places([0.1, 0.2, 0.3], (7, TAG, 7, TAG), [1, 3], TAG)


@pytest.mark.parametrize("kind", ["outcomes", "prefixes"])
async def test_a_server_that_fails_or_is_not_there_is_a_backend_error(kind):
    async with reward() as (engine, scorer):
        engine.broken = True
        with pytest.raises(BackendError) as failed:
            await getattr(scorer, kind)([path("a"), path("b")])
        assert failed.value.status == 500
    async with scorers() as made:
        with pytest.raises(BackendError, match="no answer"):
            await getattr(made(Reward("http://127.0.0.1:9", "m")), kind)([path("a")])


async def test_a_search_that_ends_leaves_no_request_behind():
    async with reward(pause=10) as (engine, scorer):
        with anyio.move_on_after(0.05):
            await scorer.prefixes([path("a")])
        with anyio.fail_after(1):
            while engine.running:
                await anyio.sleep(0.005)
    assert engine.aborted == 1


async def test_each_reward_model_has_one_scorer_and_no_key_is_shown():
    async with scorers() as made:
        one, other = Reward("http://a", "m", "s3cret"), Reward("http://a", "n")
        assert made(one) is made(Reward("http://a", "m", "s3cret"))
        assert made(one) is not made(other)
    assert "s3cret" not in repr(one)


async def test_the_key_of_a_reward_model_is_sent():
    async def answer(request):
        return web.json_response(
            {"data": [{"index": 0, "score": float(request.headers["authorization"] == "Bearer k")}]}
        )

    app = web.Application()
    app.router.add_post("/score", answer)
    async with TestServer(app) as server, scorers() as made:
        scorer = made(Reward(str(server.make_url("/")), "m", "k"))
        assert await scorer.outcomes([path("a")], endpoint="score") == [1.0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"data": [{"index": 1, "score": 1.0}]}, "answered 1 of 1"),
        ({"data": []}, "answered 0 of 1"),
        ({"data": [{"index": 0, "score": None}]}, "cannot be read"),
    ],
)
async def test_an_answer_of_another_shape_is_a_backend_error(body, message):
    async def answer(request):
        return web.json_response(body)

    app = web.Application()
    app.router.add_post("/score", answer)
    async with TestServer(app) as server, scorers() as made:
        with pytest.raises(BackendError, match=message):
            await made(Reward(str(server.make_url("/")), "m")).outcomes([path("a")], endpoint="score")


def test_labels_are_one_value():
    assert [value_of(row, True) for row in (0.5, [0.5], [0.1, 0.9])] == [0.5, 0.5, 0.9]
    assert value_of([1.0, 3.0], False) == 2.0
    with pytest.raises(BackendError, match="this one has 3"):
        value_of([0.1, 0.2, 0.7], True)


def test_what_was_used_last_is_remembered_for_a_while():
    now = 0.0
    known = Lately(2, seconds=10, clock=lambda: now)
    known["a"], known["b"] = 1, 2
    assert known.get("a") == 1
    known["c"] = 3
    assert [known.get(key) for key in "abc"] == [1, None, 3]
    now = 11.0
    assert known.get("a") is None


class Counting:
    """An engine to which every text is one token."""

    asked = 0

    async def post(self, path, body):
        self.asked += 1
        return b'{"tokens": [1], "max_model_len": 9}'


async def test_what_is_remembered_of_long_texts_is_short():
    upstream = Counting()
    tokens = Tokens(upstream, "reward")
    tracemalloc.start()
    for at in range(30):
        said = f"{at} " + "x" * 1_000_000
        await tokens.text(said)
        await tokens.prompt([{"role": "user", "content": said}])
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 5_000_000
    await tokens.text(said)
    await tokens.prompt([{"role": "user", "content": said}])
    assert upstream.asked == 60
