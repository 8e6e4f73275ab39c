"""A model's own thinking in a strategy's hands."""

import pytest

from strategies.thoughts import FINAL, closed, ended, opened, reopened
from strategies.types import Candidate, Prompt, Step

INSIDE = Prompt((), thinks=True)


def thought(text, finish, prompt=INSIDE):
    return Candidate(prompt, "0.0", (Step(text, ids=(1, 2), tokens=2, thought=1),), finish)


def test_a_thinking_is_opened_once():
    assert opened(Candidate(Prompt(()))).text == "<think>\n"
    assert opened(Candidate(INSIDE)).text == ""


@pytest.mark.parametrize(
    ("path", "over"),
    [
        (thought("hm</think>", "step"), True),
        (thought("hm", "stop"), True),
        (thought("hm", "step"), False),
        (thought("hm", "cut"), False),
        (thought("<think>hm", "step", Prompt(())), False),
    ],
)
def test_it_ends_by_itself_where_the_model_closes_it_or_stops(path, over):
    assert ended(path) == over


def test_what_was_ended_goes_on_without_its_end():
    path = reopened(thought("hm </think>", "step"), "\nWait")
    assert path.text == "hm\nWait"
    assert (path.steps[0].ids, path.tokens, path.thought, path.finish) == ((), 2, 2, None)


def test_a_thinking_that_the_model_closed_is_left_as_it_is():
    path = thought("hm</think>\n\n", "step")
    assert closed(path, FINAL) == path


@pytest.mark.parametrize(("finish", "ids"), [("stop", ()), ("cut", ()), ("step", (1, 2))])
def test_a_thinking_is_closed_behind_the_ids_of_its_text_alone(finish, ids):
    path = closed(thought("hm", finish), FINAL)
    assert path.text == f"hm\n</think>\n\n{FINAL}"
    assert path.steps[0].ids == ids


def test_a_model_that_ends_before_it_says_anything_goes_on_too():
    nothing = Candidate(INSIDE, "0.0", (), "stop")
    assert reopened(nothing, "\nWait").text == "\nWait"
    assert closed(nothing).text == "\n</think>\n\n"
