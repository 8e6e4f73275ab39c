"""Every strategy keeps the contract, wherever its budget cuts it."""

import pytest

from strategies.a_star import AStar
from strategies.answers import answer_of
from strategies.auto import Auto
from strategies.beam_search import BeamSearch
from strategies.best_of_n import BestOfN
from strategies.budget_forcing import BudgetForcing
from strategies.coverage import Coverage
from strategies.deepconf import DeepConf
from strategies.dvts import Dvts
from strategies.early_exit import EarlyExit
from strategies.events import Closed
from strategies.gen_select import GenSelect
from strategies.knockout import Knockout
from strategies.mcts import Mcts
from strategies.parallel_then_revise import ParallelThenRevise
from strategies.particle_filter import ParticleFilter
from strategies.rebase import Rebase
from strategies.registry import Registry
from strategies.revise import Revise
from strategies.rsa import Rsa
from strategies.self_consistency import SelfConsistency
from strategies.short_m import ShortM
from strategies.single import Single
from strategies.testing import FakeBackend, FakeVerifier, chatter, check_strategy, play
from strategies.types import Budget, Sampling

pytestmark = pytest.mark.anyio

STRATEGIES = [
    Single(),
    SelfConsistency(n=5),
    SelfConsistency(n=20, early_stop="none"),
    BestOfN(n=4),
    BestOfN(n=4, selection="weighted_vote"),
    BeamSearch(beams=2, width=2, depth=4),
    BeamSearch(beams=2, width=3, depth=6, min_score=0.05, step_tokens=3, selection="weighted_vote"),
    BeamSearch(beams=2, width=2, depth=4, lookahead=2),
    Dvts(trees=2, width=2, depth=4),
    Dvts(trees=2, width=3, depth=6, min_score=0.05, lookahead=1, step_tokens=3, selection="max"),
    Rebase(width=4, depth=4),
    Rebase(width=5, depth=6, softness=5.0, step_tokens=3, selection="max"),
    ParticleFilter(particles=4, depth=4, ess=1.0),
    ParticleFilter(particles=5, depth=6, softness=0.2, resampling="multinomial", step_tokens=3, selection="max"),
    Mcts(iterations=5, width=2, parallel=2, depth=4),
    Mcts(iterations=9, width=3, parallel=4, depth=3, exploration=0.2, min_score=0.05, step_tokens=3),
    AStar(width=2, depth=4),
    AStar(width=3, depth=6, parallel=2, foresight=0.3, expansions=4, step_tokens=3),
    SelfConsistency(n=10, early_stop="beta", weights="verifier"),
    SelfConsistency(n=10, early_stop="esc", window=3, weights="self_certainty"),
    ShortM(n=5, m=2, min_tokens=3),
    ShortM(n=6, m=1),
    DeepConf(n=9, warmup=3, keep=0.4),
    DeepConf(n=6, mode="offline", window=2),
    Coverage(n=20),
    Coverage(n=6, verifier="arithmetic"),
    Knockout(n=5),
    Knockout(n=4, comparisons=2),
    GenSelect(n=5, window=2),
    GenSelect(n=4, think_tokens=5, only_when_split=False),
    BudgetForcing(),
    BudgetForcing(min_thinking=9, max_thinking=12, waits=3, answer_tokens=64),
    EarlyExit(),
    EarlyExit(every=2, stable=2),
    Revise(),
    Revise(rounds=4),
    ParallelThenRevise(n=3),
    ParallelThenRevise(n=4, k=3, rounds=2, selection="max"),
    Rsa(n=3, k=2),
    Rsa(n=4, rounds=2, k=9),
    Auto(n=11),
    Auto(n=12, probe=3, verifier="judge"),
]


def named(strategy):
    return f"{strategy.name}-{strategy.model_dump(exclude_unset=True)}"


@pytest.mark.parametrize("strategy", STRATEGIES, ids=named)
@pytest.mark.parametrize("tokens", [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 1000])
async def test_it_holds_at_every_token_budget(strategy, tokens):
    for seed in range(8):
        await check_strategy(strategy, Budget(tokens=tokens, seconds=5), seed=seed, watched=seed % 2 == 0)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=named)
@pytest.mark.parametrize("samples", [1, 2, 3, 5, 8, 100])
async def test_it_holds_at_every_sample_budget(strategy, samples):
    for seed in range(8):
        await check_strategy(strategy, Budget(samples=samples, seconds=5), seed=seed)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=named)
@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.03])
async def test_it_holds_at_every_deadline(strategy, seconds):
    backend = FakeBackend(lambda call, seed: "hm " * 100, pause=0.004)
    played = await play(strategy, backend, budget=Budget(seconds=seconds))
    assert played.meter.cut == "seconds"
    assert backend.open == 0
    assert played.answer.finish or not played.answer.tokens


@pytest.mark.parametrize("strategy", STRATEGIES, ids=named)
async def test_groups_of_1_4_and_8_give_the_same_samples(strategy):
    samples, answers = {}, set()
    for group in (1, 4, 8):
        played = await play(strategy, FakeBackend(chatter(3)), sampling=Sampling(seed=7), group=group)
        answers.add(answer_of(played.answer))
        for event in played.events:
            if isinstance(event, Closed) and event.candidate.finish != "cut":
                assert samples.setdefault(event.candidate.id, event.candidate.text) == event.candidate.text
    assert len(answers) == 1


async def test_no_seed_of_the_callers_means_none_is_sent():
    backend = FakeBackend(chatter(0))
    await play(SelfConsistency(n=3), backend, sampling=Sampling())
    assert {call.sampling.seed for call in backend.calls} == {None}


def test_every_built_in_strategy_is_under_contract():
    assert {strategy.name for strategy in STRATEGIES} == set(Registry().strategies)


def test_a_strategy_file_has_at_most_80_lines():
    from pathlib import Path

    for kind in Registry().strategies.values():
        path = Path("strategies") / f"{kind.model_fields['name'].default}.py"
        assert len(path.read_text().splitlines()) <= 80


async def test_a_verifier_that_spends_the_budget_leaves_an_answer():
    verifier = FakeVerifier(lambda c: 1.0, asks=True)
    played = await play(
        BestOfN(n=4), FakeBackend(lambda call, seed: "a b c"), budget=Budget(tokens=13), verifier=verifier
    )
    assert played.meter.spent.tokens == 13
    assert played.meter.cut == "tokens"
    assert played.answer.text == "a b c"
