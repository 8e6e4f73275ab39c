"""The words of a run: what each of them lets a strategy do."""

import anyio
import pytest

from strategies.answers import answer_of
from strategies.base import Judged, Strategy, execute
from strategies.best_of_n import BestOfN
from strategies.events import Answered, Closed, Note, Opened, Pruned, Scored, Token
from strategies.meter import Meter
from strategies.protocols import BackendError, Expired
from strategies.registry import Registry
from strategies.self_consistency import SelfConsistency
from strategies.testing import ROOT, FakeBackend, FakeVerifier, play
from strategies.types import Budget, Candidate, Prompt, Sampling, Step

pytestmark = pytest.mark.anyio


def playing(explore, kind=Strategy):
    """A strategy that does what `explore(root, run)` says."""

    class Plays(kind):
        name: str = "plays"

        async def explore(self, root, run):
            await explore(root, run)

    return Plays()


def saying(text):
    return lambda call, seed: text


def of_kind(played, kind):
    return [event for event in played.events if isinstance(event, kind)]


async def test_parents_grow_as_often_as_each_is_told():
    async def explore(root, run):
        first, second = await run.extend(root, n=2)
        await run.extend(first, second, n=[1, 3])

    played = await play(playing(explore), FakeBackend(saying("a")))
    assert [event.id for event in of_kind(played, Opened)] == ["0.0", "0.1", "0.0.0", "0.1.0", "0.1.1", "0.1.2"]


async def test_until_stops_one_sample_and_not_the_others():
    backend = FakeBackend(lambda call, seed: "hm " * (5 if seed else 500))

    async def explore(root, run):
        async with run.race(root, n=4, group=1, until=lambda growth: growth.tokens >= 20) as arriving:
            ends = {child.id: child.finish async for child in arriving}
        assert ends == {"0.0": "cut", "0.1": "stop", "0.2": "stop", "0.3": "stop"}

    played = await play(playing(explore), backend)
    assert backend.open == 0
    assert backend.streamed == 20 + 3 * 6
    assert played.meter.spent.tokens == backend.streamed
    assert played.meter.cut is None, "a sample that the strategy stops is no limit reached"


async def test_until_sees_the_log_probabilities_so_far():
    seen = []

    async def explore(root, run):
        await run.extend(root, group=1, until=lambda growth: seen.append(len(growth.logprobs)))

    await play(playing(explore), FakeBackend(saying("a b c")))
    assert seen == [1, 2]


async def test_a_stopped_sample_of_a_group_is_paid_for_but_not_told_any_more():
    backend = FakeBackend(lambda call, seed: "hm " * 39 + "end")

    async def explore(root, run):
        await run.extend(root, n=2, group=2, until=lambda growth: growth.child.id == "0.0" and growth.tokens >= 4)

    played = await play(playing(explore), backend, group=2)
    tokens = [event.tokens for event in of_kind(played, Token) if event.id == "0.0"]
    assert sum(tokens) == 4
    assert played.meter.spent.tokens == backend.streamed


async def test_the_pruned_answer_only_where_there_is_nothing_else():
    async def explore(root, run):
        three = await run.extend(root, n=3)
        run.prune(three[:1], "the first is bad")
        assert [c.id for c in run.found] == ["0.1", "0.2"]
        run.prune(three, "all are")
        assert len(run.found) == 3

    played = await play(playing(explore), FakeBackend(saying("\\boxed{1}")))
    assert [event.ids for event in of_kind(played, Pruned)] == [("0.0",), ("0.0", "0.1", "0.2")]
    assert played.answer.text == "\\boxed{1}"


async def test_pruning_nobody_says_nothing():
    async def explore(root, run):
        await run.extend(root)
        run.prune([], "no reason")

    assert of_kind(await play(playing(explore), FakeBackend(saying("a"))), Pruned) == []


async def test_what_is_chosen_answers_whatever_its_score():
    async def explore(root, run):
        judged = await run.score(await run.extend(root, n=3))
        run.choose(judged[1])

    played = await play(
        playing(explore, Judged), FakeBackend(saying("a")), verifier=FakeVerifier(lambda c: 1 - int(c.id[-1]))
    )
    assert played.answer.id == "0.1"
    assert played.answer.score.value == 0.0


async def test_a_candidate_can_be_judged_by_what_became_of_it():
    async def explore(root, run):
        steps = await run.extend(root, n=2)
        ahead = await run.extend(*steps)
        await run.score(steps, ahead=ahead)

    played = await play(playing(explore, Judged), FakeBackend(saying("a")), verifier=FakeVerifier(lambda c: len(c.id)))
    assert {e.candidate.id: e.candidate.score.value for e in of_kind(played, Scored)} == {"0.0": 5, "0.1": 5}


async def test_no_candidates_ask_no_verifier():
    async def explore(root, run):
        await run.extend(root)
        assert await run.score([]) == []

    await play(playing(explore, Judged), FakeBackend(saying("a")), verifier=FakeVerifier(lambda c: 1 / 0))


async def test_words_put_into_the_models_mouth_cost_nothing_and_stand_in_the_path():
    async def explore(root, run):
        [thought] = await run.extend(root.saying("<think>\n"))
        await run.answer(thought.saying("\n</think>\n\nSo: "))

    backend = FakeBackend(lambda call, seed: "42" if len(call.steps) > 1 else "hm hm")
    played = await play(playing(explore), backend)
    assert played.answer.text == "<think>\nhm hm\n</think>\n\nSo: 42"
    assert played.answer.tokens == 3
    assert played.meter.spent.tokens == 3
    assert played.answer.thought == 2, "its thinking is counted as thinking"
    said = [event.text for event in of_kind(played, Token) if event.answer]
    assert said == ["So: ", "42"], "the caller is told what the answer begins with"


async def test_an_opened_sequence_tells_whether_it_begins_inside_the_thinking():
    async def explore(root, run):
        [thought] = await run.extend(root.saying("<think>"))
        [more] = await run.extend(thought.saying(" Wait"))
        await run.extend(more.saying("</think>"))
        await run.extend(root)

    played = await play(playing(explore), FakeBackend(saying("hm")))
    assert [event.thinks for event in of_kind(played, Opened)] == [True, True, False, None]


async def test_a_conversation_that_goes_on_grows_children_of_what_was_said():
    async def explore(root, run):
        [draft] = await run.extend(root)
        await run.extend(draft.told("it is 5", "Are you sure?"))

    backend = FakeBackend(saying("\\boxed{5}"))
    played = await play(playing(explore), backend)
    closed = [event.candidate for event in of_kind(played, Closed)]
    assert [c.id for c in closed] == ["0.0", "0.0.0"]
    assert [c.text for c in closed] == ["\\boxed{5}"] * 2
    assert [m["role"] for m in backend.rendered[-1].messages] == ["user", "assistant", "user"]


async def test_new_conversations_are_rendered_at_once():
    class Slow(FakeBackend):
        rendering = most = 0

        async def render(self, prompt):
            self.rendering += 1
            self.most = max(self.most, self.rendering)
            await anyio.sleep(0.01)
            self.rendering -= 1
            return await super().render(prompt)

    async def explore(root, run):
        await run.extend(*(root.told(str(at), "again") for at in range(5)))

    backend = Slow(saying("a"))
    await play(playing(explore), backend)
    assert backend.most == 5


async def test_notes_carry_figures():
    async def explore(root, run):
        await run.extend(root)
        run.note("a vote", agreement=0.5)

    [note] = of_kind(await play(playing(explore), FakeBackend(saying("a"))), Note)
    assert (note.text, note.facts) == ("a vote", {"agreement": 0.5})


async def test_a_verifier_gets_the_log_probabilities_that_it_needs():
    class Sees(FakeVerifier):
        logprobs = 20

    async def explore(root, run):
        await run.score(await run.extend(root, logprobs=0))

    backend = FakeBackend(saying("a"))
    await play(playing(explore, Judged), backend, verifier=Sees(lambda c: 0))
    assert backend.calls[0].sampling.logprobs == 20


async def test_an_explorer_that_fails_in_a_new_conversation_still_answers_with_what_was_found():
    async def explore(root, run):
        await run.extend(root)
        await run.extend(root.asked(({"role": "user", "content": "x" * 9000},)))

    class Small(FakeBackend):
        async def render(self, prompt):
            if len(str(prompt.messages)) > 5000:
                raise BackendError("too long", 400)
            return await super().render(prompt)

    played = await play(playing(explore), Small(saying("\\boxed{1}")))
    assert played.answer.id == "0.0"
    assert any("too long" in event.text for event in of_kind(played, Note))


async def test_an_answer_equal_to_anothers_votes_for_that():
    said = Candidate(Prompt(()), "0.0", (Step("\\boxed{1+x}", tokens=3),), "stop", votes_for="x+1")
    assert answer_of(said) == "x+1"


async def test_execute_ends_with_one_answer_though_nothing_grew():
    async def explore(root, run):
        run.note("nothing")

    events = []
    answer = await execute(
        playing(explore), ROOT, FakeBackend(saying("a")), Meter(Budget()), sampling=Sampling(), observe=events.append
    )
    assert answer.finish == "cut"
    assert isinstance(events[-1], Answered)


async def test_a_wave_leaves_what_it_does_not_want_to_another_that_begins_while_it_grows():
    async def explore(root, run):
        async with run.race(root, step_tokens=64) as growing:
            [probe] = await run.extend(root, step_tokens=20)
            assert probe.tokens == 20
            [chunk] = [child async for child in growing]
            assert chunk.tokens == 64

    backend = FakeBackend(lambda call, seed: "hm " * 99)
    await play(playing(explore), backend)
    assert sorted(call.max_tokens for call in backend.calls) == [20, 64], "an allowance was too small at first"


async def test_a_run_tells_how_much_room_a_path_has():
    async def explore(root, run):
        path = await run.rendered(root)
        told.append(run.room(path))
        [child] = await run.extend(path.saying("<think>\n"))
        told.append(run.room(child))

    for sampling, budget, room in (
        (Sampling(), Budget(), 4096),
        (Sampling(max_tokens=90), Budget(), 90),
        (Sampling(max_tokens=90), Budget(tokens=50), 50),
    ):
        told = []
        await play(playing(explore), FakeBackend(saying("a b c")), sampling=sampling, budget=budget)
        said = len("<think>\n") if room == 4096 else 0
        assert told == [room, room - 3 - said]


async def test_a_run_tells_when_it_is_time_for_the_answer():
    async def explore(root, run):
        told.append((run.late, run.last))
        await run.extend(root)
        told.append((run.late, run.last))

    told = []
    await play(playing(explore), FakeBackend(saying("a"), pause=0.04), budget=Budget(samples=2, seconds=0.05))
    assert told == [(False, False), (True, True)]


async def test_a_verifier_that_compares_gets_all_of_a_race_at_once():
    class Compares(FakeVerifier):
        compares = True

        async def score(self, candidates, ask):
            waves.append([candidate.id for candidate in candidates])
            return await super().score(candidates, ask)

    waves = []
    verifier = Compares(lambda c: int(c.id[-1]))
    played = await play(BestOfN(n=4), FakeBackend(saying("a"), jitter=1), verifier=verifier, group=1)
    assert waves.pop() == ["0.0", "0.1", "0.2", "0.3"]
    assert played.answer.id == "0.3"


@pytest.mark.parametrize("pairwise", ["judge", "ensemble"])
async def test_comparing_judges_work_under_best_of_n(pairwise):
    judge = {"name": "judge", "mode": "pairwise"}
    verifier = Registry().verifier(judge if pairwise == "judge" else {"name": "ensemble", "members": [judge]})
    backend = FakeBackend(lambda call, seed: "A" if call.max_tokens == 4 else "x \\boxed{1}")
    played = await play(BestOfN(n=3), backend, verifier=verifier)
    assert len(of_kind(played, Scored)) == 3


async def test_equal_formulas_are_one_vote():
    said = ["\\boxed{2(x+1)}", "\\boxed{3x}", "\\boxed{2x+2}", "\\boxed{3x}", "\\boxed{2+2x}"]
    played = await play(SelfConsistency(n=5), FakeBackend(lambda call, seed: said[seed]), group=1)
    assert answer_of(played.answer) == "2(x+1)"
    told = [note.facts["equal"] for note in of_kind(played, Note) if "equal" in note.facts]
    assert told == [{"2x+2": "2(x+1)", "2+2x": "2(x+1)"}]


async def test_numbers_and_words_are_never_compared_as_formulas():
    async def compute(function, *args):
        raise AssertionError("nothing is to be computed")

    said = ["\\boxed{5}", "\\boxed{6}", "\\boxed{five apples}", "\\boxed{x+1}"]
    backend = FakeBackend(lambda call, seed: said[seed])
    await execute(SelfConsistency(n=4), ROOT, backend, Meter(Budget()), sampling=Sampling(seed=0), compute=compute)


async def test_formulas_that_cannot_be_compared_in_time_stand_alone():
    async def compute(function, *args):
        raise Expired

    said = ["\\boxed{2(x+1)}", "\\boxed{2x+2}"]
    backend = FakeBackend(lambda call, seed: said[seed])
    answer = await execute(
        SelfConsistency(n=2), ROOT, backend, Meter(Budget()), sampling=Sampling(seed=0), compute=compute
    )
    assert answer_of(answer) in ("2(x+1)", "2x+2")
