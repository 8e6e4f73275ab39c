"""Early exit: probes while the model thinks, and an end to it once they agree."""

import random
from dataclasses import replace

import pytest

from strategies.answers import spoken
from strategies.early_exit import EarlyExit, settled
from strategies.events import Closed, Note, Pruned
from strategies.protocols import BackendError
from strategies.testing import FakeBackend, play
from strategies.types import Budget, Sampling

pytestmark = pytest.mark.anyio
PROBE = "The final answer is \\boxed{"


class Thinks(FakeBackend):
    """A model whose chat template opens its thinking."""

    async def render(self, prompt):
        return replace(await super().render(prompt), thinks=True)


def said(call):
    return "".join(step.text for step in call.steps)


def thinking(*probed, chunk="hm " * 50, answer="so \\boxed{5}"):
    """A model that thinks in chunks of this text and answers probes so, in their order."""
    answers = list(probed)

    def reply(call, seed):
        if call.sampling.step:
            return chunk
        return answers.pop(0) if said(call).endswith(PROBE) else answer

    return reply


def facts(played):
    return next(event.facts for event in played.events if isinstance(event, Note) and event.facts)


def probes(backend):
    return [call for call in backend.calls if said(call).endswith(PROBE)]


async def test_it_stops_thinking_once_the_probes_agree():
    backend = Thinks(thinking("4}", "5}", "5.0} as", "5}"))
    played = await play(EarlyExit(every=4, stable=3), backend)
    assert played.answer.text == "hm " * 16 + "\n</think>\n\nso \\boxed{5}"
    assert (played.answer.thought, played.answer.tokens) == (16, 18)
    assert facts(played) == {"thinking": 16, "probes": 4, "settled": True}


@pytest.mark.parametrize("unsure", ["5} but", "5}? Wait", "hmm 5}", "", "5 " + "x " * 30])
async def test_probes_that_doubt_or_say_nothing_do_not_count(unsure):
    backend = Thinks(thinking("5}", unsure, "5}", "5}"))
    played = await play(EarlyExit(every=4, stable=2), backend)
    assert facts(played)["probes"] == 4


@pytest.mark.parametrize("sure", ["I know} 5", "5} now", "nothing}"])
async def test_a_word_that_holds_a_doubtful_one_is_no_doubt(sure):
    played = await play(EarlyExit(every=4, stable=2), Thinks(thinking(sure, sure)))
    assert facts(played)["probes"] == 2


async def test_probes_are_short_and_greedy_and_of_no_account():
    backend = Thinks(thinking(*["5} " + "x " * 90] * 3))
    played = await play(EarlyExit(every=4), backend, sampling=Sampling(temperature=0.9, seed=1))
    assert [(call.max_tokens, call.sampling.temperature) for call in probes(backend)] == [(20, 0.0)] * 3
    grown = {e.candidate.id: e.candidate for e in played.events if isinstance(e, Closed)}
    pruned = [id for event in played.events if isinstance(event, Pruned) for id in event.ids]
    assert [PROBE in grown[id].text for id in pruned] == [True] * 3
    assert played.meter.spent.tokens == backend.streamed >= 12 + 3 * 20 + 2


async def test_a_probe_and_the_next_chunk_grow_at_once():
    open_at_starts = []

    class Watched(Thinks):
        async def stream(self, call, take):
            open_at_starts.append(self.open)
            await super().stream(call, take)

    await play(EarlyExit(every=4), Watched(thinking("5}", "5}", "5}"), pause=0.001))
    assert open_at_starts.count(1) == 3, "whichever of the two starts later sees the other open"


async def test_a_thinking_that_ends_by_itself_is_answered_at_once():
    backend = Thinks(thinking(chunk="two and three</think>"))
    played = await play(EarlyExit(), backend)
    assert played.answer.text == "two and three</think>so \\boxed{5}"
    assert probes(backend) == []


async def test_a_model_that_stops_inside_its_thinking_answers_behind_it():
    backend = Thinks(thinking(chunk="two and three"))
    played = await play(EarlyExit(), backend)
    assert played.answer.text == "two and three\n</think>\n\nso \\boxed{5}"
    assert backend.calls[1].steps[0].ids == (), "an end of text must not stand inside"


async def test_the_answer_always_has_room():
    backend = Thinks(thinking(*map(str, range(99)), answer="so " * 63 + "\\boxed{5}"), interval=4)
    played = await play(EarlyExit(every=8, answer_tokens=64), backend, sampling=Sampling(max_tokens=160))
    assert "\n</think>\n\nFinal answer:" in played.answer.text
    assert (played.answer.thought, played.answer.finish) == (160 - 64 - len("Final answer:"), "stop")


async def test_a_probe_that_is_lost_is_one_that_says_nothing():
    from strategies.protocols import BackendError

    backend = Thinks(thinking("5}", BackendError("bad luck"), "5}", "5}"))
    played = await play(EarlyExit(every=4, stable=2), backend)
    assert facts(played)["probes"] == 4
    assert spoken(played.answer) == "so \\boxed{5}"


async def test_the_same_seed_thinks_the_same_whatever_finishes_first():
    def reply(call, seed):
        return str(random.Random(f"{seed}/{len(call.steps)}").randrange(3)) + (
            "}" if not call.sampling.step else " x" * 40
        )

    answers = set()
    for jitter in range(4):
        played = await play(EarlyExit(every=4, stable=2), Thinks(reply, jitter=jitter), sampling=Sampling(seed=3))
        answers.add((played.answer.id, played.answer.text))
    assert len(answers) == 1


@pytest.mark.parametrize(("samples", "thought"), [(1, 0), (2, 4), (3, 8), (4, 8), (5, 12)])
async def test_the_last_sequence_that_may_start_is_the_answer(samples, thought):
    backend = Thinks(thinking("4}", "5}", "6}", "7}"))
    played = await play(EarlyExit(every=4), backend, budget=Budget(samples=samples, seconds=5))
    assert played.answer.thought == thought
    assert spoken(played.answer).endswith("so \\boxed{5}")


async def test_a_thinking_that_takes_too_long_is_broken_off_in_time_for_the_answer():
    backend = Thinks(thinking(*map(str, range(900))), pause=0.002)
    played = await play(EarlyExit(every=16), backend, budget=Budget(seconds=0.3))
    assert 0 < played.answer.thought < 150
    assert spoken(played.answer) == "Final answer:so \\boxed{5}"
    assert played.meter.cut is None


async def test_a_deadline_inside_the_thinking_answers_with_no_probe():
    backend = Thinks(thinking("5} " + "x " * 90, chunk="hm " * 4 + "hm"), pause=0.03)
    played = await play(EarlyExit(every=4), backend, budget=Budget(seconds=0.2))
    assert PROBE not in played.answer.text


def test_what_settles_is_a_run_of_equal_answers():
    assert settled(["1", "2", "2"], 2)
    assert not settled(["2"], 2)
    assert not settled(["2", "2", None], 2)
    assert not settled([None, None], 2)


async def test_a_chunk_that_is_lost_is_the_end_of_the_thinking_not_of_the_answer():
    model = thinking("4}", "5}", "6}")

    def reply(call, seed):
        lost = call.sampling.step and len(call.steps) == 2
        return BackendError("503", 503) if lost else model(call, seed)

    played = await play(EarlyExit(every=8), Thinks(reply))
    assert spoken(played.answer) == "Final answer:so \\boxed{5}"
    assert facts(played)["thinking"] == 16
