"""What all searches over steps have in common: waves, ends of paths, verifiers that fail, budgets."""

import pytest

from strategies.a_star import AStar
from strategies.answers import answer_of
from strategies.beam_search import BeamSearch
from strategies.dvts import Dvts
from strategies.mcts import Mcts
from strategies.particle_filter import ParticleFilter
from strategies.rebase import Rebase
from strategies.testing import FakeBackend, FakeVerifier, failing, play
from strategies.types import Budget, Chunk, Sampling
from tests.strategies.stepping import Crowded, Unjudging, number, opened, saying, search

SEARCHES = [
    BeamSearch(beams=2, width=3),
    Dvts(trees=2, width=3),
    Rebase(width=6),
    ParticleFilter(particles=6),
    Mcts(iterations=8, width=3, parallel=2),
    AStar(width=3, parallel=2, foresight=0),
]
pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("strategy", SEARCHES, ids=lambda s: s.name)]


async def test_a_wave_is_in_flight_at_once_and_as_wide_as_told(strategy):
    backend = Crowded(saying(["0.5", "0.6", "0.7"], ["0.6", "0.7", "0.8"], ["0.7", "0.8", "0.9"]), pause=0.001)
    await play(strategy, backend, verifier=FakeVerifier(number))
    assert backend.most == strategy.widest == 6


async def test_steps_continue_ids_up_to_the_delimiter_and_ask_for_log_probabilities(strategy):
    backend = FakeBackend(saying(["0.5", "0.6"], ["0.7", "0.8"]))
    await play(strategy, backend, verifier=FakeVerifier(number))
    assert {call.sampling.step for call in backend.calls if len(call.steps) < 2} == {"\n\n"}
    assert {call.sampling.logprobs for call in backend.calls} == {0}
    assert all(step.ids for call in backend.calls for step in call.steps)


async def test_the_last_step_runs_to_its_end(strategy):
    backend = FakeBackend(lambda call, seed: "on and on 0.5\n\n")
    played = await play(strategy.model_copy(update={"depth": 3}), backend, verifier=FakeVerifier(number))
    depths = {len(call.steps): call.sampling.step for call in backend.calls}
    assert depths == {0: "\n\n", 1: "\n\n", 2: None}
    assert len(played.answer.steps) == 3


async def test_an_empty_step_ends_its_path(strategy):
    class Silent(FakeBackend):
        async def _say(self, call, texts, take):
            if not call.steps:
                await super()._say(call, texts, take)
            else:
                await take([Chunk(index=at, finish="step") for at in range(call.n)])

    backend = Silent(saying(["0.5", "0.6"]))
    played = await play(strategy, backend, verifier=FakeVerifier(number))
    assert max(id.count(".") for id in opened(played)) == 2
    assert played.answer.text in ("0.5\n\n", "0.6\n\n")


async def test_a_path_that_its_tokens_end_is_told_from_one_that_the_model_ended(strategy):
    long = await search(strategy, lambda call, seed: "a b 0.5\n\n", sampling=Sampling(seed=0, max_tokens=5))
    short = await search(strategy, saying(["0.5"], end="so 0.6"), sampling=Sampling(seed=0, max_tokens=5))
    assert (long.answer.finish, long.answer.tokens) == ("length", 5)
    assert short.answer.finish == "stop"


async def test_a_verifier_that_judges_nothing_leaves_an_answer(strategy):
    backend = FakeBackend(saying(["a", "b"], ["c", "d"], end="\\boxed{4}"))
    played = await play(strategy, backend, verifier=Unjudging())
    assert played.answer.text.endswith("{4}")
    assert played.answer.finish == "stop"


async def test_scores_of_any_range_will_do(strategy):
    for scale in (-10.0, 1000.0):
        played = await search(strategy, saying(["0.5", "0.6"], ["0.7", "0.8"]), lambda c, by=scale: by * number(c))
        assert played.answer.finish == "stop"


async def test_a_lost_sample_makes_a_wave_smaller(strategy):
    reply = failing(saying(["0.5", "0.6"], ["0.7", "0.8"]), lambda call, seed: seed % 4 == 1)
    played = await play(strategy, FakeBackend(reply), verifier=FakeVerifier(number), group=1)
    assert played.answer.text


async def test_tools_and_json_are_not_for_searches_over_steps(strategy):
    assert not strategy.whole
    assert strategy.judges


@pytest.mark.parametrize("budget", [Budget(tokens=200, seconds=5), Budget(samples=20, seconds=5)], ids=str)
async def test_a_search_whose_budget_nears_its_end_comes_to_an_answer(strategy, budget):
    def reply(call, seed):
        return "one more step\n\n" if call.sampling.step else "and so \\boxed{42}"

    played = await play(strategy, FakeBackend(reply), budget=budget)
    assert answer_of(played.answer) == "42"
    assert played.answer.finish == "stop"
    assert len(played.answer.steps) > 1
