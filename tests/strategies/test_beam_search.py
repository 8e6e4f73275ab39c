"""Beam search: what it keeps, what it stops, how it looks ahead."""

import pytest

from strategies.beam_search import BeamSearch
from strategies.single import Single
from strategies.steps import tokens_saved
from strategies.testing import ROOT, FakeBackend, FakeVerifier, play
from strategies.types import Budget, Candidate, Step
from tests.strategies.stepping import facts, number, opened, parents, pruned, saying, search

pytestmark = pytest.mark.anyio


async def test_one_beam_of_one_step_is_single_by_steps():
    story = "one two\n\nthree four\n\nso \\boxed{5}"
    pieces = ["one two\n\n", "three four\n\n", "so \\boxed{5}"]
    steps = await search(BeamSearch(beams=1, width=1), lambda call, seed: pieces[len(call.steps)])
    whole = await play(Single(), FakeBackend(lambda call, seed: story))
    assert steps.answer.text == whole.answer.text == story
    assert opened(steps) == ["0.0", "0.0.0", "0.0.0.0"]


async def test_a_constant_verifier_takes_the_first_of_equals():
    played = await search(BeamSearch(beams=1, width=4), lambda call, seed: f"\\boxed{{{seed}}}", lambda c: 1.0)
    assert played.answer.id == "0.0"


async def test_it_keeps_the_best_paths_and_prunes_the_others():
    played = await search(BeamSearch(beams=2, width=2), saying(["0.1", "0.9", "0.8", "0.2"]))
    assert parents(played, 2) == ["0.1", "0.2"]
    assert pruned(played) == {"0.0", "0.3"}


async def test_a_finished_path_keeps_its_place_and_is_not_replaced():
    played = await search(BeamSearch(beams=2, width=2), saying(["0.1", "\\boxed{0.9}", "0.8", "0.2"]))
    assert parents(played, 2) == ["0.2"]
    assert opened(played) == ["0.0", "0.1", "0.2", "0.3", "0.2.0", "0.2.1"]


def promising(call, seed):
    """A step that looks good leads to bad ones; the greedy model goes where all others do."""
    if not call.steps:
        return ["looks 0.9\n\n", "odd 0.5\n\n"][seed]
    greedy = "rolled " if call.sampling.temperature == 0 else ""
    if len(call.steps) > 1:
        return f"{greedy}\\boxed{{{number(Candidate(ROOT.prompt, steps=call.steps))}}}"
    return f"{greedy}0.1\n\n" if "looks" in call.steps[0].text else f"{greedy}0.7\n\n"


@pytest.mark.parametrize(("lookahead", "kept"), [(0, "0.0"), (1, "0.1"), (2, "0.1"), (9, "0.1")])
async def test_a_step_is_judged_by_where_it_leads(lookahead, kept):
    played = await search(BeamSearch(beams=1, width=2, lookahead=lookahead), promising)
    assert played.answer.id.startswith(kept)


async def test_looking_ahead_is_greedy_and_all_paths_do_it_at_once():
    backend = FakeBackend(promising)
    await play(BeamSearch(beams=1, width=2, lookahead=2), backend, verifier=FakeVerifier(number))
    ahead = [call for call in backend.calls if call.sampling.temperature == 0]
    assert {call.n for call in ahead} == {1}
    assert [len(call.steps) for call in ahead[:4]] == [1, 1, 2, 2]


@pytest.mark.parametrize("tokens", range(1, 40))
async def test_what_was_looked_ahead_never_answers(tokens):
    played = await search(BeamSearch(beams=1, width=2, lookahead=2), promising, budget=Budget(tokens=tokens))
    assert "rolled" not in played.answer.text


async def test_paths_of_width_one_stop_at_their_first_bad_step_and_are_not_replaced():
    played = await search(
        BeamSearch(beams=4, width=1, min_score=0.5, selection="weighted_vote"),
        saying(["0.1", "a 0.7", "b 0.8", "0.2"], end="and so on \\boxed{1}"),
    )
    assert sorted(opened(played)) == ["0.0", "0.1", "0.1.0", "0.2", "0.2.0", "0.3"]
    assert pruned(played) == {"0.0", "0.3"}
    assert facts(played, "tokens_saved") == [2 * (6 - 1)]


async def test_nothing_is_said_to_be_saved_where_nothing_finished():
    beam = BeamSearch(beams=2, width=1, min_score=0.5)
    played = await search(beam, saying(["0.1", "0.2"], ["0.3"]), budget=Budget(tokens=3))
    assert facts(played, "tokens_saved") == [0]


async def test_the_best_path_goes_on_to_its_end_where_all_others_stop():
    beam = BeamSearch(beams=2, width=1, min_score=0.5)
    played = await search(beam, saying(["0.1", "0.2"], ["0.3"], end="0.4 \\boxed{7}"))
    assert pruned(played) == {"0.0"}
    assert played.answer.text == "0.2\n\n0.3\n\n0.4 \\boxed{7}"


def test_the_tokens_saved_are_those_that_stopped_paths_lack_of_the_mean_finished_one():
    def path(tokens, finish):
        return Candidate(ROOT.prompt, "0.0", (Step("x", tokens=tokens),), finish)

    finished = [path(30, "stop"), path(50, "length")]
    assert tokens_saved([path(10, "step"), path(60, "step")], finished) == 30
    assert tokens_saved([path(10, "step")], [path(20, "step")]) == 0
