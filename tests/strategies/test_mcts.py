"""Monte Carlo tree search: where it looks, in what batches, how it ends."""

import pytest

from strategies.mcts import Mcts
from strategies.testing import FakeBackend, FakeVerifier, play
from strategies.types import Budget
from tests.strategies.stepping import facts, number, opened, parents, pruned, saying, search, texts

pytestmark = pytest.mark.anyio


def endless(call, seed):
    """Two first steps, one good and one bad, and no end."""
    return f"{('good', 'bad')[seed % 2]} {seed}\n\n" if not call.steps else f"on {seed}\n\n"


def by_first_step(candidate):
    return 0.9 if candidate.text.startswith("good") else 0.1


async def test_most_visits_go_to_the_better_first_step():
    strategy = Mcts(iterations=64, width=2, parallel=1)
    played = await search(strategy, endless, by_first_step)
    [visits] = facts(played, "visits")
    assert visits["0.0"] >= 0.8 * sum(visits.values())
    assert facts(played, "expanded") == [64]
    assert played.answer.id.startswith("0.0.")


@pytest.mark.parametrize("parallel", [1, 3, 8])
async def test_the_leaves_of_a_wave_grow_at_once(parallel):
    backend = FakeBackend(endless)
    strategy = Mcts(iterations=10, width=2, parallel=parallel)
    played = await play(strategy, backend, verifier=FakeVerifier(by_first_step))
    assert facts(played, "expanded") == [10]
    ends = sum(call.n for call in backend.calls if call.sampling.step is None)
    assert ends == 2 * parallel, "the best leaves grow to their ends"


async def test_finished_paths_vote_by_their_scores():
    reply = saying(["\\boxed{7} 0.3", "\\boxed{7} 0.4", "\\boxed{8} 0.5"])
    played = await search(Mcts(width=3), reply)
    assert played.answer.id == "0.1"
    assert facts(played, "expanded") == [1], "there was nothing left to expand"


async def test_what_is_better_than_all_that_finished_grows_to_its_end():
    reply = saying(["\\boxed{3} 0.1", "0.9"], ["0.9"], end="\\boxed{5} 0.9")
    played = await search(Mcts(iterations=2, width=2, parallel=2), reply)
    assert "{5}" in played.answer.text


async def test_a_bad_step_is_dropped_and_never_expanded():
    played = await search(Mcts(iterations=8, width=4, min_score=0.5), saying(["0.1", "0.9", "0.2", "0.8"], ["0.7"]))
    assert {"0.0", "0.2"} <= pruned(played)
    assert parents(played, 2) == ["0.1", "0.3"]
    assert facts(played, "tokens_saved")[0] >= 2


async def test_where_all_steps_are_bad_the_search_is_over():
    played = await search(Mcts(min_score=0.5), saying(["0.1"]))
    assert len(opened(played)) == 4
    assert played.answer.text == "0.1\n\n"


@pytest.mark.parametrize("depth", [1, 2, 3])
async def test_no_path_has_more_steps_than_asked_for(depth):
    backend = FakeBackend(endless)
    played = await play(Mcts(iterations=20, width=2, depth=depth), backend, verifier=FakeVerifier(by_first_step))
    assert max(id.count(".") for id in texts(played)) == depth
    assert all((call.sampling.step is None) == (len(call.steps) == depth - 1) for call in backend.calls)
    assert number(played.answer) >= 0


async def test_a_search_that_its_budget_ends_tells_how_far_it_got():
    played = await search(Mcts(iterations=64, width=2), endless, by_first_step, budget=Budget(tokens=40))
    assert played.meter.cut == "tokens"
    assert 1 < facts(played, "expanded")[0] < 64


async def test_bad_ends_do_not_vote():
    reply = saying(["0.9", "0.8"], end="\\boxed{5} 0.1")
    played = await search(Mcts(iterations=1, width=2, min_score=0.5), reply)
    assert pruned(played) == {"0.0.0", "0.0.1", "0.1.0", "0.1.1"}
    assert played.answer.text == "0.9\n\n"
