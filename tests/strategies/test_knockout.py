"""Knockout: pairs meet, the model judges, one is left."""

import pytest

from strategies.answers import answer_of
from strategies.events import Note
from strategies.growth import seed_of
from strategies.knockout import Knockout
from strategies.protocols import BackendError
from strategies.testing import FakeBackend, play
from strategies.types import Budget

pytestmark = pytest.mark.anyio


def script(judge, *answers):
    """A model whose sample i gives the i-th answer, and that judges two responses by `judge(A, B)`."""

    def reply(call, seed):
        if not call.sampling.extra:
            return f"so \\boxed{{{answers[seed - seed_of(0, '0')]}}}"
        _, _, case = call.prompt.messages[0]["content"].partition("Response A: ")
        return judge(*case.split("\n\nResponse B: "))

    return reply


def best(a, b):
    """The one with the nine in it."""
    return "A" if "{9" in a else "B" if "{9" in b else "Tie"


def comparisons(played):
    return [call for call in played.backend.calls if call.sampling.extra]


@pytest.mark.parametrize("n", [2, 3, 5, 8])
@pytest.mark.parametrize("at", [0, 1, -1])
async def test_the_one_that_wins_every_comparison_answers(n, at):
    answers = [1] * n
    answers[at] = 9
    played = await play(Knockout(n=n), FakeBackend(script(best, *answers)))
    assert answer_of(played.answer) == "9"
    assert len(comparisons(played)) == 2 * (n - 1), "each pair in both orders"


async def test_rounds_halve_the_field():
    played = await play(Knockout(n=8), FakeBackend(script(best, *[1] * 8)))
    rounds = [event.ids for event in played.events if isinstance(event, Note) and event.ids]
    assert [len(ids) for ids in rounds] == [4, 2, 1]
    assert rounds[-1] == (played.answer.id,)


async def test_one_sample_needs_no_judge():
    played = await play(Knockout(n=1), FakeBackend(script(best, 4)))
    assert not comparisons(played)
    assert answer_of(played.answer) == "4"


async def test_a_judge_that_favours_a_place_decides_nothing_and_the_likelier_wins():
    played = await play(Knockout(n=4), FakeBackend(script(lambda a, b: "A", 111, 11, 1111, 1)))
    assert answer_of(played.answer) == "1", "the fake model holds short words for likelier"


async def test_comparisons_that_fail_are_ties_not_the_end():
    def judge(a, b):
        return BackendError("bad luck") if "{9" in a + b else best(a, b)

    played = await play(Knockout(n=4), FakeBackend(script(judge, 1111, 9999, 1111, 1)))
    assert answer_of(played.answer) == "1"
    broken = await play(Knockout(n=4), FakeBackend(script(lambda a, b: BackendError("down"), 11, 1, 11, 11)))
    assert answer_of(broken.answer) == "1"


async def test_comparing_again_is_sampled_with_a_seed_of_its_own():
    played = await play(Knockout(n=2, comparisons=3), FakeBackend(script(best, 1, 9)))
    drawn = sorted(
        (call.sampling.temperature, call.sampling.seed) for call in comparisons(played) if call.sampling.seed
    )
    assert drawn == [(1.0, 1)] * 2 + [(1.0, 2)] * 2
    assert [call.sampling.temperature for call in comparisons(played) if not call.sampling.seed] == [0.0, 0.0]
    assert answer_of(played.answer) == "9"


async def test_what_it_asks_is_billed_as_a_verifiers_words():
    played = await play(Knockout(n=2), FakeBackend(script(best, 1, 9)))
    assert played.meter.spent.verifier == 2
    assert played.meter.spent.tokens == played.backend.streamed


async def test_after_a_cut_the_majority_answers():
    budget = Budget(tokens=10, seconds=5)
    played = await play(Knockout(n=4), FakeBackend(script(best, 1, 1, 9, 2)), budget=budget)
    assert played.meter.cut == "tokens"
    assert answer_of(played.answer) == "1"


def test_it_says_how_many_it_has_in_flight():
    assert Knockout(n=8).widest == 8
    assert Knockout(n=5, comparisons=3).widest == 12
