"""Diverse verifier tree search: trees that do not know of each other."""

import pytest

from strategies.answers import answer_of
from strategies.dvts import Dvts
from strategies.protocols import BackendError
from strategies.testing import FakeBackend, FakeVerifier, play
from strategies.types import Budget, Sampling
from tests.strategies.stepping import facts, number, opened, parents, pruned, saying, search, texts

pytestmark = pytest.mark.anyio


async def test_one_tree_is_a_greedy_search_by_steps():
    def reply(call, seed):
        return f"0.{seed % 9973:04}\n\n" if len(call.steps) < 4 else "\\boxed{1}"

    played = await search(Dvts(trees=1, width=3), reply, sampling=Sampling(seed=77))
    for depth in range(1, 5):
        wave = [id for id in opened(played) if id.count(".") == depth]
        assert len(wave) == 3
        assert parents(played, depth + 1) == [max(wave, key=lambda id: float(texts(played)[id].split()[-1]))]


async def test_each_tree_goes_on_with_its_best_step_however_good_the_others_are():
    played = await search(Dvts(trees=2, width=2), saying(["0.1", "0.2", "0.8", "0.9"], ["0.5", "0.6"]))
    assert parents(played, 2) == ["0.1", "0.3"]
    assert len(parents(played, 3)) == 2
    assert {"0.0", "0.2"} <= pruned(played)


async def test_all_ends_of_the_last_expansion_vote():
    def reply(call, seed):
        return ["\\boxed{7} 0.3", "\\boxed{7} 0.4\n\n", "\\boxed{8} 0.5"][seed]

    vote = await search(Dvts(trees=1, width=3), reply)
    best = await search(Dvts(trees=1, width=3, selection="max"), reply)
    assert (vote.answer.id, best.answer.id) == ("0.0", "0.2")


async def test_a_tree_is_over_when_its_best_path_is_finished():
    reply = saying(["0.1", "\\boxed{0.9}", "0.3", "0.2"])
    played = await search(Dvts(trees=2, width=2), reply)
    assert parents(played, 2) == ["0.2"]
    assert "0.0" not in pruned(played), "it is an end of its tree's last expansion"


async def test_a_lost_first_step_does_not_mix_up_the_trees():
    def reply(call, seed):
        if not call.steps:
            return [BackendError("lost"), "0.1\n\n", "0.8\n\n", "0.9\n\n"][seed]
        return "\\boxed{1}"

    played = await play(Dvts(trees=2, width=2), FakeBackend(reply), verifier=FakeVerifier(number), group=1)
    assert parents(played, 2) == ["0.1", "0.3"]


async def test_looking_ahead_keeps_the_trees_apart():
    reply = saying(["0.1", "0.2", "0.8", "0.9"], ["0.5", "0.6"], ["0.5", "0.6"])
    played = await search(Dvts(trees=2, width=2, lookahead=1), reply)
    ends = [id for id, text in texts(played).items() if "boxed" in text and id not in pruned(played)]
    assert sorted(int(id.split(".")[1]) // 2 for id in ends) == [0, 0, 1, 1]


async def test_a_tree_whose_steps_are_all_bad_stops_and_is_not_replaced():
    played = await search(Dvts(trees=2, width=2, min_score=0.5), saying(["0.1", "0.2", "0.8", "0.9"], end="go on 0.9"))
    assert parents(played, 2) == ["0.3"]
    assert facts(played, "tokens_saved") == [2 * (4 - 1)]


async def test_the_best_tree_goes_on_where_all_of_them_are_bad():
    played = await search(Dvts(trees=2, width=2, min_score=0.5), saying(["0.1", "0.2", "0.4", "0.3"], end="so 0.9"))
    assert parents(played, 2) == ["0.2"]
    assert answer_of(played.answer) is not None


@pytest.mark.parametrize("selection", ["max", "weighted_vote"])
async def test_a_finished_path_that_was_not_the_best_answers_only_where_the_search_is_cut(selection):
    dvts = Dvts(trees=1, width=2, selection=selection)
    reply = saying(["\\boxed{42} 0.1", "0.9"], ["0.9"], ["0.9"], end="\\boxed{7} 0.9")
    cut = await search(dvts, reply, budget=Budget(tokens=5, seconds=5))
    assert cut.answer.text == "\\boxed{42} 0.1"
    whole = await search(dvts, reply)
    assert answer_of(whole.answer) == "7"
    assert "0.0" in pruned(whole)
