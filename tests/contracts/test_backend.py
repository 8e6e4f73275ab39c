"""The vLLM backend keeps what strategies rely on, over the simulated engine and over a real one."""

import re
from contextlib import closing

import anyio
import httpx
import pytest

from benchmarks.engine import simulated
from server.backends.http import Upstream
from server.backends.vllm import Vllm, models
from strategies.base import execute
from strategies.events import Closed
from strategies.meter import Meter
from strategies.protocols import BackendError, collected
from strategies.race import Enough
from strategies.self_consistency import SelfConsistency
from strategies.types import Budget, Call, Candidate, Prompt, Sampling, Step

pytestmark = pytest.mark.anyio
QUESTION = Prompt(({"role": "user", "content": "What is 2 + 3? Think step by step."},))


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(params=["simulated", pytest.param("real", marks=pytest.mark.real)])
async def backend(request):
    if request.param == "simulated":
        async with simulated() as engine:
            with closing(Upstream(engine.url)) as upstream:
                yield Vllm(upstream, "simulated")
    else:
        engine = request.getfixturevalue("real_engine")
        with closing(Upstream(engine.url)) as upstream:
            yield Vllm(upstream, engine.model)


async def arrived(backend, call):
    """All chunks of a call, by continuation, and what came with none."""
    by_index = {index: [] for index in range(call.n)}
    usage = []
    for chunk in await collected(backend, call):
        (usage if chunk.usage else by_index[chunk.index]).append(chunk)
    return by_index, usage


def text(chunks):
    return "".join(chunk.text for chunk in chunks)


async def test_a_prompt_is_rendered_with_the_room_that_is_left(backend):
    [model] = await models(backend.upstream)
    prompt = await backend.render(QUESTION)
    assert len(prompt.ids) + prompt.room == model.max_model_len


async def test_a_prompt_that_is_too_long_is_refused(backend):
    with pytest.raises(BackendError) as refused:
        await backend.render(Prompt(({"role": "user", "content": "word " * 9000},)))
    assert refused.value.status == 400


@pytest.mark.parametrize("live", [True, False])
async def test_every_continuation_ends_once_and_its_tokens_are_its_ids(backend, live):
    call = Call(await backend.render(QUESTION), 24, n=3, sampling=Sampling(temperature=0.8), live=live)
    by_index, usage = await arrived(backend, call)
    for chunks in by_index.values():
        assert [chunk.finish is not None for chunk in chunks].count(True) == 1
        assert chunks[-1].finish in ("stop", "length")
        assert all(chunk.tokens == len(chunk.ids) for chunk in chunks)
        assert 1 <= sum(chunk.tokens for chunk in chunks) <= 24
    assert [chunk.usage.prompt for chunk in usage] == [len(call.prompt.ids)]


async def test_a_step_ends_with_its_delimiter_and_its_ids_go_on(backend):
    prompt = await backend.render(QUESTION)
    sampling = Sampling(temperature=0.8, seed=3, step=" ", stop=("\x00",))
    by_index, _ = await arrived(backend, Call(prompt, 64, sampling=sampling))
    chunks = by_index[0]
    assert chunks[-1].finish == "step"
    assert " " in text(chunks)
    step = Step(text(chunks), tuple(id for chunk in chunks for id in chunk.ids), sum(chunk.tokens for chunk in chunks))
    assert await detokenized(backend, step.ids) == step.text
    _, usage = await arrived(backend, Call(prompt, 4, steps=(step,), sampling=sampling))
    assert usage[0].usage.prompt == len(prompt.ids) + len(step.ids)


async def test_words_put_into_the_models_mouth_are_tokenised_and_gone_on_with(backend):
    prompt = await backend.render(QUESTION)
    words = "The answer, I am sure of it, is"
    steps = (Step("\n\n", tokens=1), Step(words))
    _, usage = await arrived(backend, Call(prompt, 4, steps=steps, sampling=Sampling(temperature=0.0)))
    async with httpx.AsyncClient(base_url=backend.upstream.url) as client:
        asked = [{"model": backend.model, "prompt": step.text, "add_special_tokens": False} for step in steps]
        told = [(await client.post("/tokenize", json=body)).json()["tokens"] for body in asked]
    assert usage[0].usage.prompt == len(prompt.ids) + sum(map(len, told))


async def test_words_that_leave_no_room_are_refused(backend):
    prompt = await backend.render(QUESTION)
    with pytest.raises(BackendError, match="no room") as refused:
        await arrived(backend, Call(prompt, 4, steps=(Step("word " * prompt.room),)))
    assert refused.value.status == 400


async def detokenized(backend, ids):
    async with httpx.AsyncClient(base_url=backend.upstream.url) as client:
        reply = await client.post("/detokenize", json={"model": backend.model, "tokens": list(ids)})
    return reply.json()["prompt"]


async def test_a_callers_stop_string_ends_a_step_search_without_being_told(backend):
    prompt = await backend.render(QUESTION)
    first, _ = await arrived(backend, Call(prompt, 40, sampling=Sampling(temperature=0.0)))
    said = text(first[0])
    stop = re.findall(r"\S{2,}", said)[3]
    sampling = Sampling(temperature=0.0, step="\x00", stop=(stop,))
    second, _ = await arrived(backend, Call(prompt, 40, sampling=sampling, live=True))
    assert second[0][-1].finish == "stop"
    assert text(second[0]) == said[: said.index(stop)]


async def test_log_probabilities_come_with_every_token_that_asks_for_them(backend):
    sampling = Sampling(temperature=0.0, logprobs=3, extra={"structured_outputs": {"choice": ["Yes", "No"]}})
    by_index, _ = await arrived(backend, Call(await backend.render(QUESTION), 1, sampling=sampling))
    [token] = [token for chunk in by_index[0] for token in chunk.logprobs]
    assert token.logprob <= 0
    assert any("Yes".startswith(word.strip()) or "No".startswith(word.strip()) for word in token.top)


async def test_leaving_a_stream_aborts_all_of_it(backend):
    call = Call(
        await backend.render(QUESTION), 4000, n=4, sampling=Sampling(temperature=0.8, extra={"ignore_eos": True})
    )

    async def take(chunks):
        raise Enough

    with pytest.raises(Enough):
        await backend.stream(call, take)
    with anyio.fail_after(1):
        while await running(backend):
            await anyio.sleep(0.02)


async def running(backend):
    async with httpx.AsyncClient(base_url=backend.upstream.url) as client:
        told = (await client.get("/metrics")).text
    return sum(
        float(n) for n in re.findall(r"^vllm:num_requests_(?:running|waiting)(?:\{.*\})? (\S+)$", told, re.MULTILINE)
    )


async def test_what_the_engine_refuses_is_an_error_with_its_words(backend):
    prompt = await backend.render(QUESTION)
    with pytest.raises(BackendError, match="stop") as refused:
        await arrived(backend, Call(prompt, 4, sampling=Sampling(stop=tuple("abcde"))))
    assert refused.value.status == 400


async def test_groups_of_1_4_and_8_give_the_same_samples(backend):
    """Engines round alike only in batches of equal make-up, so on a real one the first tokens have to agree."""
    drawn = {group: await samples(backend, group) for group in (1, 4, 8)}
    assert len(drawn[1]) == 8
    if backend.model == "simulated":
        assert drawn[1] == drawn[4] == drawn[8]
    heads = [[ids[:4] for ids in drawn[group].values()] for group in (1, 4, 8)]
    alike = sum(a == b == c for a, b, c in zip(*heads, strict=True))
    assert alike >= 6, f"{alike} of 8 samples begin alike"


async def samples(backend, group):
    found = {}

    def observe(event):
        if isinstance(event, Closed):
            found[event.candidate.id] = event.candidate.steps[-1].ids

    strategy, root = SelfConsistency(n=8, early_stop="none"), Candidate(QUESTION)
    sampling = strategy.sampling(Sampling(seed=11, max_tokens=24))
    await execute(strategy, root, backend, Meter(Budget()), sampling=sampling, observe=observe, group=group)
    return dict(sorted(found.items()))
