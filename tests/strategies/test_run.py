"""Growing and judging: races, lost samples, groups, seeds, budgets."""

import math

import anyio
import pytest

from strategies.a_star import AStar
from strategies.answers import answer_of
from strategies.base import execute
from strategies.beam_search import BeamSearch
from strategies.best_of_n import BestOfN
from strategies.dvts import Dvts
from strategies.events import Closed, Judged, Judging, Lost, Note, Opened, Scored, Token
from strategies.growth import seed_of
from strategies.knockout import Knockout
from strategies.mcts import Mcts
from strategies.meter import Meter
from strategies.particle_filter import ParticleFilter
from strategies.protocols import BackendError
from strategies.rebase import Rebase
from strategies.run import Run
from strategies.self_consistency import SelfConsistency
from strategies.single import Single
from strategies.testing import ROOT, FakeBackend, FakeVerifier, chatter, failing, play
from strategies.types import Budget, Prompt, Sampling
from strategies.verifiers.judge import Judge

pytestmark = pytest.mark.anyio


def answering(text):
    return lambda call, seed: text


async def test_a_majority_settles_early_and_stops_the_stragglers():
    slow = {seed_of(0, "0") + 7, seed_of(0, "0") + 8}
    backend = FakeBackend(lambda call, seed: "hm " * (900 if seed in slow else 1) + "\\boxed{42}", pause=0.001)
    played = await play(SelfConsistency(n=9), backend, group=1)
    assert played.answer.text.endswith("{42}")
    assert any(isinstance(event, Note) and "settled after" in event.text for event in played.events)
    assert backend.open == 0
    assert backend.streamed < 200, "the stragglers ran on"


async def test_a_lost_sample_makes_n_smaller():
    reply = failing(answering("\\boxed{42}"), lambda call, seed: seed == seed_of(0, "0"))
    played = await play(BestOfN(n=3), FakeBackend(reply), group=1)
    assert played.answer.text == "\\boxed{42}"
    assert [event.id for event in played.events if isinstance(event, Lost)] == ["0.0"]


async def test_a_lost_group_is_lost_whole_and_only_it():
    reply = failing(answering("\\boxed{42}"), lambda call, seed: seed == seed_of(0, "0"))
    played = await play(SelfConsistency(n=8, early_stop="none"), FakeBackend(reply))
    assert [event.id for event in played.events if isinstance(event, Lost)] == ["0.0", "0.1", "0.2", "0.3"]


@pytest.mark.parametrize("strategy", [Single(), SelfConsistency(n=4), BestOfN(n=4), BeamSearch()])
async def test_when_all_samples_are_lost_the_error_is_raised(strategy):
    reply = failing(answering(""), lambda call, seed: True)
    with pytest.raises(BackendError, match="503") as caught:
        await play(strategy, FakeBackend(reply))
    assert caught.value.status == 503


async def test_cancelling_the_caller_closes_every_stream():
    backend = FakeBackend(answering("a b c d e f"), pause=1)
    with anyio.move_on_after(0.02):
        await play(BeamSearch(), backend)
    assert len(backend.calls) == 2
    assert backend.open == 0


async def test_an_error_in_a_verifier_arrives_as_itself():
    def judge(candidate):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await play(BestOfN(n=3), FakeBackend(answering("x")), verifier=FakeVerifier(judge))


async def test_a_verifier_whose_engine_fails_leaves_the_samples_unjudged_and_says_so():
    class Down:
        logprobs = None
        compares = False

        async def score(self, candidates, ask):
            raise BackendError("no reward model")

    played = await play(BestOfN(n=3), FakeBackend(answering("x \\boxed{1}")), verifier=Down())
    assert played.answer.text == "x \\boxed{1}"
    assert any(isinstance(event, Note) and "no reward model" in event.text for event in played.events)


async def test_ids_tell_the_tree():
    backend = FakeBackend(lambda call, seed: "\\boxed{1}" if call.steps else f"s{seed}\n\n")
    played = await play(BeamSearch(beams=2, width=2), backend, verifier=FakeVerifier(lambda c: 0))
    opened = [event.id for event in played.events if isinstance(event, Opened)]
    assert opened == ["0.0", "0.1", "0.2", "0.3", "0.0.0", "0.0.1", "0.1.0", "0.1.1"]


async def test_the_prompt_is_rendered_once():
    backend = FakeBackend(lambda call, seed: "\\boxed{1}" if len(call.steps) == 3 else f"s{seed}\n\n")
    await play(BeamSearch(beams=2, width=2), backend, verifier=FakeVerifier(lambda c: 0))
    assert len(backend.rendered) == 1
    assert all(call.prompt.ids for call in backend.calls)


async def test_a_watched_sample_runs_alone_and_live_and_the_rest_in_two_groups():
    backend = FakeBackend(answering("\\boxed{1}"))
    await play(SelfConsistency(n=16, early_stop="none"), backend, watched=True)
    assert sorted((call.n, call.live) for call in backend.calls) == [(1, True), (7, False), (8, False)]


async def test_siblings_get_consecutive_seeds():
    backend = FakeBackend(answering("\\boxed{1}"))
    await play(SelfConsistency(n=12, early_stop="none"), backend, sampling=Sampling(seed=5))
    seeds = sorted(call.sampling.seed + at for call in backend.calls for at in range(call.n))
    assert seeds == list(range(seed_of(5, "0"), seed_of(5, "0") + 12))


async def test_a_scarce_budget_is_shared_and_what_short_samples_leave_goes_to_the_others():
    first = seed_of(0, "0")
    backend = FakeBackend(
        lambda call, seed: "x " * (5 if seed < first + 4 and not call.steps else 60) + "\\boxed{1}", interval=8
    )
    played = await play(SelfConsistency(n=8, early_stop="none"), backend, budget=Budget(tokens=256))
    closed = [event.candidate for event in played.events if isinstance(event, Closed)]
    assert sorted(c.tokens for c in closed) == [6, 6, 6, 6, 58, 58, 58, 58]
    assert {c.finish for c in closed} == {"stop", "cut"}


async def test_a_step_that_its_tokens_end_is_not_the_end_of_the_path():
    backend = FakeBackend(lambda call, seed: "a b c d e f")
    played = await play(BeamSearch(beams=1, width=1, step_tokens=4, depth=3), backend)
    assert [event.candidate.finish for event in played.events if isinstance(event, Closed)] == ["step", "step", "stop"]


async def test_max_tokens_bound_a_path_not_a_step():
    backend = FakeBackend(lambda call, seed: "a b c\n\n")
    played = await play(BeamSearch(beams=1, width=1), backend, sampling=Sampling(seed=0, max_tokens=8))
    assert played.answer.tokens == 8
    assert played.answer.finish == "length"


async def test_leaving_a_race_closes_what_has_not_even_started():
    backend = FakeBackend(chatter(0))
    events = []
    meter = Meter(Budget())
    with meter.cutting() as scope:
        run = Run(backend, meter, scope, observe=events.append)
        async with run.race(ROOT, n=4):
            pass
    assert [event.candidate.finish for event in events if isinstance(event, Closed)] == ["cut"] * 4
    assert run.found == ()


async def test_a_limit_that_one_run_met_does_not_end_another():
    meter = Meter(Budget())
    meter.reached("tokens")
    answer = await execute(SelfConsistency(n=2), ROOT, FakeBackend(answering("\\boxed{1}")), meter)
    assert answer.text == "\\boxed{1}"


async def test_a_search_that_cannot_give_each_sequence_a_token_stops():
    backend = FakeBackend(lambda call, seed: "a b\n\n")
    played = await play(BeamSearch(beams=4, width=4, depth=40), backend, budget=Budget(tokens=35))
    assert played.meter.cut == "tokens"
    assert played.meter.spent.samples <= 48


async def test_a_sequence_without_a_token_is_not_judged():
    judged = []
    verifier = FakeVerifier(lambda c: judged.append(c.text) or 1.0)
    await play(BestOfN(n=8), FakeBackend(answering("a b c")), budget=Budget(tokens=4), verifier=verifier)
    assert "" not in judged


async def test_two_runs_share_one_budget_evenly():
    backend = FakeBackend(lambda call, seed: "x " * 500)
    meter = Meter(Budget(tokens=128))
    events = []
    async with anyio.create_task_group() as tasks:
        for index in "01":
            root = type(ROOT)(Prompt(ROOT.prompt.messages, (1,), 4096), id=index)
            strategy = SelfConsistency(n=2)
            tasks.start_soon(lambda r=root, s=strategy: execute(s, r, backend, meter, observe=events.append))
    spent = {index: sum(e.tokens for e in events if isinstance(e, Token) and e.id.startswith(index)) for index in "01"}
    assert spent == {"0": 64, "1": 64}
    assert meter.spent.tokens == 128


async def test_no_run_takes_the_samples_that_others_have_yet_to_begin_with():
    backend, meter, answers = FakeBackend(chatter(2)), Meter(Budget(samples=7)), []

    async def run(index):
        root = type(ROOT)(ROOT.prompt, id=index)
        answers.append(await execute(SelfConsistency(n=8), root, backend, meter, sampling=Sampling(seed=0)))

    async with anyio.create_task_group() as tasks:
        for index in "012":
            tasks.start_soon(run, index)
    assert {answer_of(answer) for answer in answers} <= {"41", "42"}
    assert sum(call.n for call in backend.calls) == 7


async def test_a_verifier_waits_for_tokens_that_samples_hold_and_will_give_back():
    backend = FakeBackend(lambda call, seed: "x " * (3 + seed % 40) + "\\boxed{1}", interval=8)
    verifier = FakeVerifier(lambda c: 0.9, asks=True)
    played = await play(BestOfN(n=8), backend, budget=Budget(tokens=600), verifier=verifier)
    scored = [event for event in played.events if isinstance(event, Scored)]
    assert len(scored) == 8
    assert played.meter.cut is None


async def test_a_sample_budget_ends_a_run_only_when_it_can_start_nothing_more():
    backend = FakeBackend(lambda call, seed: "\\boxed{1}" if call.steps else f"s{seed}\n\n")
    played = await play(BeamSearch(beams=2, width=2), backend, budget=Budget(samples=6))
    assert played.answer.text.endswith("\\boxed{1}")
    assert played.meter.cut == "samples"


async def test_a_run_without_samples_left_leaves_the_others_alone():
    meter, answers = Meter(Budget(samples=1)), {}

    async def one(index):
        root = type(ROOT)(Prompt(ROOT.prompt.messages, (1,), 4096), id=index)
        answers[index] = await execute(SelfConsistency(n=4), root, FakeBackend(answering("a b c \\boxed{1}")), meter)

    async with anyio.create_task_group() as tasks:
        for index in "01":
            tasks.start_soon(one, index)
    assert sorted(answer.text for answer in answers.values()) == ["", "a b c \\boxed{1}"]


async def test_a_wave_that_is_lost_whole_leaves_what_earlier_ones_found():
    reply = failing(lambda call, seed: f"s{seed}\n\n", lambda call, seed: bool(call.steps))
    played = await play(BeamSearch(beams=2, width=2), FakeBackend(reply))
    assert played.answer.text.endswith("\n\n")
    assert any(
        isinstance(event, Note) and "ended early" in event.text and event.text.endswith("503")
        for event in played.events
    )


async def test_a_judge_that_fails_on_one_candidate_still_judges_the_others():
    def reply(call, seed):
        if call.sampling.extra:
            return BackendError("bad luck") if "s1" in call.prompt.messages[0]["content"] else "7"
        return f"s{seed} \\boxed{{{seed}}}"

    played = await play(BestOfN(n=4), FakeBackend(reply), verifier=Judge(), group=1)
    scores = {event.candidate.id: event.candidate.score.value for event in played.events if isinstance(event, Scored)}
    assert scores == {"0.0": 0.7, "0.2": 0.7, "0.3": 0.7}
    assert any(
        isinstance(event, Note) and event.ids == ("0.1",) and "bad luck" in event.text for event in played.events
    )


async def test_equal_first_steps_do_not_cost_a_beam_its_places():
    backend = FakeBackend(lambda call, seed: f"\\boxed{{{seed}}}" if call.steps else "same\n\n")
    played = await play(BeamSearch(beams=3, width=2), backend)
    assert played.meter.spent.samples == 6 + 6


async def test_a_stream_that_tells_no_end_is_a_lost_sample():
    class Endless(FakeBackend):
        async def _say(self, call, texts, take):
            async def endless(chunks):
                await take([chunk._replace(finish=None) for chunk in chunks])

            await super()._say(call, texts, endless)

    with pytest.raises(BackendError, match="no end"):
        await play(Single(), Endless(answering("a b c")))


@pytest.mark.parametrize("kind", [BestOfN, BeamSearch, Dvts, Mcts, ParticleFilter, Rebase])
@pytest.mark.parametrize("strange", [math.nan, math.inf, -math.inf])
async def test_a_score_that_is_no_number_leaves_the_candidate_unjudged(kind, strange):
    verifier = FakeVerifier(lambda c: 0.5 if "42" in c.text else strange)
    played = await play(kind(), FakeBackend(chatter(1)), verifier=verifier)
    assert answer_of(played.answer) == "42"
    assert {event.candidate.score.value for event in played.events if isinstance(event, Scored)} == {0.5}


@pytest.mark.parametrize("kind", [BestOfN, Knockout, AStar])
async def test_a_reply_without_a_word_answers_only_where_all_are(kind):
    def reply(call, seed):
        if choices := call.sampling.extra.get("structured_outputs", {}).get("choice"):
            return choices[-1]
        return ["", "I think it is \\boxed{42}", ""][seed % 3]

    played = await play(kind(), FakeBackend(reply), verifier=FakeVerifier(lambda c: 0.5))
    assert answer_of(played.answer) == "42"
    assert (await play(kind(), FakeBackend(lambda call, seed: ""))).answer.text == ""


@pytest.mark.parametrize(("strategy", "calls"), [(BestOfN(n=3), 3), (BeamSearch(beams=2, width=2), 2)])
async def test_every_call_of_the_verifier_is_told_once_with_what_it_was_about(strategy, calls):
    backend = FakeBackend(lambda call, seed: "\\boxed{1}" if call.steps else f"s{seed}\n\n")
    played = await play(strategy, backend, verifier=FakeVerifier(lambda c: 0.5))
    judged = [event for event in played.events if isinstance(event, Judged)]
    scored = [event.candidate.id for event in played.events if isinstance(event, Scored)]
    assert len(judged) == calls
    assert sorted(id for event in judged for id in event.ids) == sorted(scored)
    assert all(event.seconds >= 0 and event.failure is None for event in judged)
    assert sorted(event.ids for event in played.events if isinstance(event, Judging)) == sorted(e.ids for e in judged)


async def test_a_call_of_the_verifier_that_fails_is_told_with_its_cause():
    class Down(FakeVerifier):
        async def score(self, candidates, ask):
            raise BackendError("nobody there", cause="connect")

    played = await play(BestOfN(n=2), FakeBackend(answering("\\boxed{1}")), verifier=Down(lambda c: 0.5))
    assert [event.failure for event in played.events if isinstance(event, Judged)] == ["connect", "connect"]


async def test_a_call_of_the_verifier_that_its_run_outlives_is_told_as_cut():
    class Slow(FakeVerifier):
        async def score(self, candidates, ask):
            await anyio.sleep_forever()

    events = []
    with anyio.move_on_after(0.02):
        await execute(
            BestOfN(n=1),
            ROOT,
            FakeBackend(answering("\\boxed{1}")),
            Meter(Budget()),
            verifier=Slow(lambda c: 0.5),
            observe=events.append,
        )
    assert [event.failure for event in events if isinstance(event, Judged)] == ["cut"]
