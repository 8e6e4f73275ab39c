"""Drafts in parallel, then revisions of those that a verifier likes best."""

import pytest

from strategies.events import Closed, Note, Opened
from strategies.parallel_then_revise import ParallelThenRevise
from strategies.testing import FakeBackend, FakeVerifier, play
from strategies.types import Sampling

pytestmark = pytest.mark.anyio


def drafting(revised):
    """Draft number i answers i; a revision of it answers what `revised(i)` says."""

    def reply(call, seed):
        former = [message["content"] for message in call.prompt.messages if message["role"] == "assistant"]
        return revised(int(former[-1][-2])) if former else f"\\boxed{{{seed % 10}}}"

    return reply


def number(candidate):
    return int(candidate.text[-2]) / 10


async def test_the_best_drafts_are_revised_all_at_once():
    backend = FakeBackend(drafting(lambda i: f"better \\boxed{{{i}}}"))
    played = await play(ParallelThenRevise(n=4, k=2), backend, verifier=FakeVerifier(number), sampling=Sampling(seed=0))
    opened = [event.id for event in played.events if isinstance(event, Opened)]
    assert opened == ["0.0", "0.1", "0.2", "0.3", "0.3.0", "0.2.0"]
    assert len(backend.rendered) == 3


@pytest.mark.parametrize(("selection", "answer"), [("max", "9"), ("weighted_vote", "3")])
async def test_drafts_and_revisions_are_chosen_among(selection, answer):
    strategy = ParallelThenRevise(n=4, k=4, selection=selection)
    backend = FakeBackend(drafting(lambda i: "\\boxed{9}" if i == 0 else "\\boxed{3}"))
    played = await play(strategy, backend, verifier=FakeVerifier(number), sampling=Sampling(seed=0))
    assert played.answer.text == f"\\boxed{{{answer}}}"


async def test_each_chain_is_revised_so_many_times():
    backend = FakeBackend(drafting(lambda i: f"\\boxed{{{i + 1}}}"))
    played = await play(
        ParallelThenRevise(n=2, k=1, rounds=3, selection="max"),
        backend,
        verifier=FakeVerifier(number),
        sampling=Sampling(seed=0),
    )
    assert (played.answer.id, played.answer.text) == ("0.1.0.0.0", "\\boxed{4}")
    notes = [event.text for event in played.events if isinstance(event, Note)]
    assert notes[:2] == ["round 1: revising 0.1", "round 1: 1 of 1 revisions score higher"]


async def test_the_answer_does_not_depend_on_what_finishes_first():
    answers = set()
    for jitter in range(5):
        backend = FakeBackend(drafting(lambda i: f"\\boxed{{{9 - i}}}"), jitter=jitter)
        played = await play(ParallelThenRevise(n=6, k=3), backend, verifier=FakeVerifier(lambda c: 0.5), group=1)
        answers.add((played.answer.id, played.answer.text))
        assert len([event for event in played.events if isinstance(event, Closed)]) == 9
    assert len(answers) == 1
