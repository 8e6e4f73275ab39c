"""Budget forcing: a least and a most of thinking before one answer."""

from dataclasses import replace

import pytest

from strategies.answers import spoken
from strategies.budget_forcing import BudgetForcing
from strategies.events import Closed, Note, Token
from strategies.testing import FakeBackend, play
from strategies.types import Budget, Sampling

pytestmark = pytest.mark.anyio


class Thinks(FakeBackend):
    """A model whose chat template opens its thinking."""

    async def render(self, prompt):
        return replace(await super().render(prompt), thinks=True)


def thinking(*thoughts, answer="so \\boxed{5}"):
    """A model that thinks these, one a call, and then answers."""
    said = list(thoughts)
    return lambda call, seed: said.pop(0) if call.sampling.step else answer


def said_to(backend, at):
    """What the path says already at the backend's call `at`."""
    return "".join(step.text for step in backend.calls[at].steps)


async def test_a_model_that_does_not_think_by_itself_is_made_to():
    backend = FakeBackend(thinking("two and three</think>"))
    played = await play(BudgetForcing(min_thinking=0), backend)
    assert said_to(backend, 0) == "<think>\n"
    assert played.answer.text == "<think>\ntwo and three</think>so \\boxed{5}"
    assert (played.answer.thought, played.answer.tokens) == (3, 5)


async def test_a_thinking_that_the_template_opened_is_not_opened_twice():
    backend = Thinks(thinking("two and three</think>"))
    played = await play(BudgetForcing(min_thinking=0), backend)
    assert backend.calls[0].steps == ()
    assert spoken(played.answer) == "so \\boxed{5}"


async def test_a_thinking_that_ends_too_early_goes_on_with_wait():
    backend = Thinks(thinking("two and three </think>", " is it five?</think>"))
    played = await play(BudgetForcing(min_thinking=9), backend)
    assert said_to(backend, 1) == "two and three\nWait"
    assert played.answer.text == "two and three\nWait is it five?</think>so \\boxed{5}"
    [trimmed, wait, *_] = played.answer.steps
    assert (trimmed.tokens, trimmed.thought, trimmed.ids) == (4, 4, ()), "its tokens count, its ids are stale"
    assert wait.tokens == 0
    assert played.meter.spent.tokens == played.answer.tokens == 4 + 4 + 2


async def test_wait_is_said_only_so_often():
    backend = Thinks(thinking(*["hm</think>"] * 9))
    played = await play(BudgetForcing(waits=3), backend)
    assert played.answer.text.count("Wait") == 3
    assert played.answer.text.count("</think>") == 1
    [note] = [event for event in played.events if isinstance(event, Note) and event.facts]
    assert note.facts == {"thinking": 4, "waits": 3}


async def test_a_thinking_that_is_long_enough_is_left_alone():
    played = await play(BudgetForcing(min_thinking=3), Thinks(thinking("two and three</think>")))
    assert "Wait" not in played.answer.text


async def test_a_model_that_stops_inside_its_thinking_has_ended_it_early():
    backend = Thinks(thinking("two and", "three"))
    played = await play(BudgetForcing(min_thinking=9), backend)
    assert played.answer.text == "two and\nWaitthree\n</think>\n\nso \\boxed{5}"
    assert [step.ids for step in backend.calls[2].steps[:3]] == [(), (), ()], "an end of text must not stand inside"


async def test_a_thinking_that_is_too_long_is_closed_and_the_final_answer_asked_for():
    backend = Thinks(thinking("hm " * 50, answer=" \\boxed{5}"))
    played = await play(BudgetForcing(min_thinking=0, max_thinking=12), backend)
    assert played.answer.text == "hm " * 12 + "\n</think>\n\nFinal answer: \\boxed{5}"
    assert (played.answer.thought, played.answer.finish) == (12, "stop")
    assert "".join(e.text for e in played.events if isinstance(e, Token) and e.answer) == "Final answer: \\boxed{5}"


async def test_all_waits_together_think_no_longer_than_the_most():
    backend = Thinks(thinking("a b c</think>", "a b c</think>", "a b c d"))
    played = await play(BudgetForcing(min_thinking=9, max_thinking=8, waits=5), backend)
    assert played.answer.thought == 8
    assert "Final answer:" in played.answer.text


@pytest.mark.parametrize(
    "scarce",
    [
        {"sampling": Sampling(max_tokens=200)},
        {"budget": Budget(tokens=200, seconds=5)},
    ],
    ids=["tokens of a path", "tokens of the budget"],
)
async def test_the_answer_always_has_room(scarce):
    backend = Thinks(thinking("hm " * 900, answer="so " * 63 + "\\boxed{5}"), interval=4)
    played = await play(BudgetForcing(answer_tokens=64), backend, **scarce)
    assert played.answer.thought == 200 - 64 - len("Final answer:")
    assert played.answer.finish == "stop"
    assert played.meter.cut is None


async def test_of_little_room_the_answer_gets_half():
    played = await play(
        BudgetForcing(), Thinks(thinking("hm " * 900, answer="so " * 900)), sampling=Sampling(max_tokens=40)
    )
    assert (played.answer.thought, played.answer.tokens) == (20, 40)


async def test_the_models_context_is_room_too_and_words_of_ours_take_part_of_it():
    backend = FakeBackend(thinking("hm " * 900), room=300)
    played = await play(BudgetForcing(answer_tokens=64), backend)
    assert played.answer.thought == 300 - 64 - len("<think>\n") - len("Final answer:")


async def test_it_is_one_path_and_one_answer():
    played = await play(BudgetForcing(), Thinks(thinking("a</think>", "b</think>")))
    closed = [event.candidate for event in played.events if isinstance(event, Closed)]
    assert [candidate.id for candidate in closed] == ["0.0", "0.0.0", "0.0.0.0"]
    assert played.answer.id == "0.0.0.0"


@pytest.mark.parametrize(("samples", "thought"), [(1, 0), (2, 2), (3, 4)])
async def test_the_last_sequence_that_may_start_is_the_answer(samples, thought):
    backend = Thinks(thinking("a b</think>", "c d</think>", "e f</think>"))
    played = await play(BudgetForcing(waits=9), backend, budget=Budget(samples=samples, seconds=5))
    assert played.answer.thought == thought
    assert spoken(played.answer).endswith("so \\boxed{5}")


async def test_a_thinking_that_takes_too_long_is_broken_off_in_time_for_the_answer():
    backend = Thinks(thinking("hm " * 900), pause=0.002)
    played = await play(BudgetForcing(), backend, budget=Budget(seconds=0.3))
    assert 0 < played.answer.thought < 150
    assert spoken(played.answer) == "Final answer:so \\boxed{5}"
    assert played.meter.cut is None
