"""A* over steps: what it expands, when it stops."""

from dataclasses import replace

import pytest

from strategies.a_star import AStar
from strategies.testing import FakeBackend, FakeVerifier, play
from strategies.types import Budget, Score
from tests.strategies.stepping import facts, number, opened, parents, saying, search

pytestmark = pytest.mark.anyio


async def test_the_most_promising_path_is_expanded_first():
    played = await search(AStar(width=3), saying(["0.2", "0.9", "0.5"], ["0.8"], end="\\boxed{0.9}"))
    assert parents(played, 2) == ["0.1"]
    assert facts(played, "expanded") == [3]
    assert played.answer.finish == "stop"


async def test_it_goes_back_where_a_good_step_leads_to_bad_ones():
    def reply(call, seed):
        if not call.steps:
            return ["0.9\n\n", "0.8\n\n"][seed]
        good = call.steps[0].text.startswith("0.8")
        return f"\\boxed{{{0.8 if good else 0.1}}}"

    played = await search(AStar(width=2, foresight=0), reply)
    assert parents(played, 2) == ["0.0", "0.1"]
    assert played.answer.id == "0.1.0"


async def test_the_product_of_all_steps_counts_not_the_last_one():
    def reply(call, seed):
        if not call.steps:
            return ["0.5\n\n", "0.9\n\n"][seed]
        return f"\\boxed{{{0.9 if call.steps[0].text.startswith('0.5') else 0.8}}}"

    played = await search(AStar(width=2, foresight=0), reply)
    assert played.answer.id == "0.1.0"


async def test_it_stops_at_the_first_finished_path_that_is_the_best():
    played = await search(AStar(width=3, foresight=0), saying(["\\boxed{0.9}", "0.8", "0.7"], ["0.9"]))
    assert opened(played) == ["0.0", "0.1", "0.2"]
    assert played.answer.id == "0.0"


async def test_after_its_expansions_the_most_promising_paths_grow_to_their_ends():
    backend = FakeBackend(lambda call, seed: f"0.{seed % 9 + 1}\n\n")
    played = await play(AStar(width=2, parallel=2, expansions=5), backend, verifier=FakeVerifier(number))
    assert facts(played, "expanded")[0] <= 5 + 1 + 2
    assert played.answer.finish == "stop"
    assert [call.sampling.step for call in backend.calls].count(None) == 2


async def test_several_paths_are_expanded_at_once():
    backend = FakeBackend(saying(["0.7", "0.8", "0.9"], ["0.5", "0.6", "0.7"]))
    played = await play(AStar(width=3, parallel=3), backend, verifier=FakeVerifier(number))
    assert parents(played, 2)[:3] == ["0.2", "0.1", "0.0"]


async def test_without_scores_it_is_one_path_by_steps():
    played = await search(AStar(width=1), saying(["a"], ["b"], ["c"]), lambda c: 0.5)
    assert opened(played) == ["0.0", "0.0.0", "0.0.0.0", "0.0.0.0.0"]


@pytest.mark.parametrize("depth", [1, 2, 3])
async def test_no_path_has_more_steps_than_asked_for(depth):
    backend = FakeBackend(lambda call, seed: f"0.{seed % 9 + 1}\n\n")
    strategy = AStar(width=3, parallel=3, foresight=0, depth=depth)
    await play(strategy, backend, verifier=FakeVerifier(number))
    assert all((call.sampling.step is None) == (len(call.steps) == depth - 1) for call in backend.calls)
    assert max(len(call.steps) for call in backend.calls) == depth - 1


async def test_a_search_that_its_budget_ends_answers_with_the_best_product_so_far():
    def reply(call, seed):
        if not call.steps:
            return ["\\boxed{0.7}", "0.1\n\n", "0.8\n\n"][seed % 3]
        return "on 0.9\n\n"

    played = await search(AStar(width=3, foresight=0), reply, budget=Budget(tokens=12))
    assert played.meter.cut == "tokens"
    assert played.answer.id == "0.0"


async def test_each_step_counts_by_its_own_score():
    class Worst:
        logprobs = None

        async def score(self, candidates, ask):
            values = [tuple(number(replace(c, steps=(step,))) for step in c.steps) for c in candidates]
            return [Score(min(steps), steps) for steps in values]

    def reply(call, seed):
        if not call.steps:
            return ["0.5\n\n", "0.6\n\n"][seed]
        return "\\boxed{0.9}" if call.steps[0].text.startswith("0.5") else "\\boxed{0.7}"

    played = await play(AStar(width=2, foresight=0), FakeBackend(reply), verifier=Worst())
    assert played.answer.id == "0.0.0"
