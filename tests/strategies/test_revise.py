"""Sequential revision: the former attempts in sight, a vote over all of them."""

import pytest

from strategies.events import Closed, Note
from strategies.prompts import ANSWER
from strategies.protocols import BackendError
from strategies.revise import SHOWN, Revise, excerpt
from strategies.testing import ROOT, FakeBackend, play
from strategies.types import Candidate, Prompt, Step

pytestmark = pytest.mark.anyio


def answering(*texts):
    """A model that says these, one a call."""
    said = list(texts)
    return lambda call, seed: said.pop(0)


def closed(played):
    return [event.candidate for event in played.events if isinstance(event, Closed)]


async def test_each_revision_sees_all_former_attempts():
    backend = FakeBackend(answering("it is \\boxed{4}", "no, \\boxed{5}", "yes, \\boxed{6}"))
    played = await play(Revise(rounds=2), backend)
    assert [c.id for c in closed(played)] == ["0.0", "0.0.0", "0.0.0.0"]
    roles = [message["role"] for message in backend.rendered[-1].messages]
    assert roles == ["user", "assistant", "user", "assistant", "user"]
    assert [m["content"] for m in backend.rendered[-1].messages[1::2]] == ["it is \\boxed{4}", "no, \\boxed{5}"]


async def test_a_right_answer_that_a_revision_spoils_is_still_voted_for():
    played = await play(Revise(rounds=2), FakeBackend(answering("\\boxed{5}", "\\boxed{4}", "\\boxed{5}")))
    assert played.answer.text == "\\boxed{5}"


async def test_it_ends_once_the_leader_cannot_be_overtaken():
    backend = FakeBackend(answering("\\boxed{5}", "so it is \\boxed{5}"))
    played = await play(Revise(rounds=2), backend)
    assert len(backend.calls) == 2
    [note] = [event for event in played.events if isinstance(event, Note)]
    assert (note.text, note.facts) == ("2 attempts; votes: 2 for 5", {"attempts": 2})


async def test_a_tie_goes_to_the_likelier():
    played = await play(Revise(rounds=1), FakeBackend(answering("improbable \\boxed{4}", "a a a a \\boxed{5}")))
    assert played.answer.text == "a a a a \\boxed{5}"


async def test_the_models_own_thinking_is_not_shown_to_it_again():
    backend = FakeBackend(answering("<think>is it 9?</think> \\boxed{4}", "\\boxed{5}"))
    await play(Revise(rounds=1), backend)
    assert backend.rendered[-1].messages[1]["content"] == "\\boxed{4}"


async def test_how_to_answer_is_repeated_where_it_was_asked_for():
    backend = FakeBackend(answering("4", "5"))
    await play(Revise(rounds=1), backend)
    assert ANSWER not in backend.rendered[-1].messages[-1]["content"], "nobody asked for that form"


async def test_a_conversation_that_grows_too_long_ends_the_chain_and_not_the_run():
    class Small(FakeBackend):
        async def render(self, prompt):
            if len(prompt.messages) > 3:
                raise BackendError("the model takes 99 in all", 400)
            return await super().render(prompt)

    played = await play(Revise(rounds=3), Small(answering("\\boxed{4}", "\\boxed{5}")))
    assert played.answer.text in ("\\boxed{4}", "\\boxed{5}")
    assert any("ended early" in event.text for event in played.events if isinstance(event, Note))


def test_an_attempt_is_shown_from_its_end_as_far_as_there_is_room():
    long = Candidate(ROOT.prompt, "0.0", (Step("x" * SHOWN + "the end", tokens=1),), "stop")
    assert len(excerpt(long)) == SHOWN
    assert excerpt(long).endswith("the end")
    small = Candidate(Prompt((), (), room=100), "0.0", long.steps, "stop")
    assert len(excerpt(small, parts=4)) == 50
