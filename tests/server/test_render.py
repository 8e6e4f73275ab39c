"""Events to pieces: what is told, in which order, whatever order things happen in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.render import Renderer, WithoutTags, dropped
from strategies.events import Answered, Closed, Lost, Note, Opened, Scored, Started, Token
from strategies.types import Candidate, Prompt, Score, Spent, Step

TEXTS = {"0.0": "one <answer>1</answer>", "0.1": "two <answer>2</answer>", "0.2": "three <answer>2</answer>"}


def grown(id, finish="stop", score=None):
    return Candidate(Prompt(()), id, (Step(TEXTS[id], tokens=1),), finish, score)


def tokens(id):
    return [Token(id, text) for text in (TEXTS[id][:3], TEXTS[id][3:])]


def rendered(events, format="think"):
    renderer = Renderer(format)
    return [piece for event in events for piece in renderer(event)]


def content(pieces):
    return "".join(piece.content for piece in pieces)


def answered(id):
    return Answered("0", grown(id), None, Spent())


OPENED = [Started("0", "x"), *(Opened(id, "0") for id in TEXTS)]
LIVES = [[*tokens(id), Closed(grown(id))] for id in TEXTS]


def interleaved(random):
    lives = [list(life) for life in LIVES]
    while any(lives):
        yield random.choice([life for life in lives if life]).pop(0)


@given(st.randoms())
def test_the_text_does_not_depend_on_the_order_in_which_samples_grow(random):
    events = [*OPENED, *interleaved(random), Note("0", "settled"), answered("0.1")]
    in_order = [*OPENED, *(event for life in LIVES for event in life), Note("0", "settled"), answered("0.1")]
    assert content(rendered(events)) == content(rendered(in_order))


def test_the_oldest_unfinished_path_streams_live():
    renderer = Renderer("think")
    for event in OPENED:
        assert not list(renderer(event))
    assert content(renderer(Token("0.0", "a"))) == "<think>\n[0.0] a"
    assert content(renderer(Token("0.1", "b"))) == ""
    assert content(renderer(Closed(grown("0.0")))) == "\n→ answer 1\n\n[0.1] b"
    assert content(renderer(Token("0.1", "c"))) == "c"


def test_a_judged_path_ends_with_its_score():
    events = [Started("0", "x", judged=True), Opened("0.0", "0"), *tokens("0.0"), Closed(grown("0.0"))]
    assert "→" not in content(rendered(events))
    assert "→ answer 1, score 0.25" in content(rendered([*events, Scored(grown("0.0", score=Score(0.25)))]))


def test_a_lost_path_says_why():
    text = content(rendered([*OPENED[:2], Lost("0.0", "503"), answered("0.1")]))
    assert text == "<think>\n[0.0] lost: 503\n\n</think>\n\ntwo <answer>2</answer>"


def test_nothing_of_the_reasoning_comes_after_the_answer():
    pieces = rendered(
        [*OPENED[:2], Token("0.0", "the answer", answer=True), Note("0", "late"), answered("0.0")], "fields"
    )
    assert [(piece.reasoning, piece.content) for piece in pieces] == [("", "the answer"), ("", "")]


@given(st.lists(st.sampled_from(["<think>", "</think>", "<thi", "nk>", "</", "a", "<", ">", "think"]), max_size=20))
def test_no_think_tag_survives_however_it_arrives(parts):
    tags = WithoutTags()
    text = "".join(map(tags, parts)) + tags.rest()
    assert "<think>" not in text
    assert "</think>" not in text
    assert text == dropped("".join(parts)) or len(text) <= len("".join(parts))


def test_blank_text_at_the_start_is_dropped_however_it_arrives():
    at_once = rendered([*OPENED[:2], Token("0.0", "\n\n \nhello"), answered("0.1")])
    in_parts = rendered([*OPENED[:2], *(Token("0.0", part) for part in ("\n\n", " \n", "hello")), answered("0.1")])
    assert content(at_once) == content(in_parts)


def test_a_lost_path_is_not_told_before_something_lives():
    assert content(rendered([*OPENED, Lost("0.0", "503"), Lost("0.1", "503")])) == ""
    text = content(rendered([*OPENED, Lost("0.0", "503"), Token("0.1", "hello")]))
    assert text == "<think>\n[0.0] lost: 503\n\n[0.1] hello"


def test_paths_that_cannot_be_judged_do_not_hold_up_the_others():
    events = [Started("0", "x", judged=True), Opened("0.0", "0"), Opened("0.1", "0"), *tokens("0.0")]
    events += [Closed(grown("0.0")), Note("0", "could not be judged", ("0.0",)), Token("0.1", "next")]
    assert content(rendered(events)).endswith("[0.1] next")


def test_a_path_that_never_began_does_not_hold_up_the_others():
    nothing = Candidate(Prompt(()), "0.0", (), "cut")
    events = [Started("0", "x", judged=True), Opened("0.0", "0"), Opened("0.1", "0"), Closed(nothing)]
    assert content(rendered([*events, Token("0.1", "next")])).endswith("[0.1] next")


def behind_thinking(answer):
    """A path that thought and closed its thinking, and the pieces of its answer."""
    thought = Candidate(Prompt((), thinks=True), "0.0", (Step("hm</think>", tokens=2, thought=2),), "step")
    said = Candidate(thought.prompt, "0.0.0", (*thought.steps, Step("".join(answer), tokens=len(answer))), "stop")
    events = [Started("0", "x"), Opened("0.0", "0", True), Token("0.0", "hm</think>"), Closed(thought)]
    events += [Opened("0.0.0", "0.0", False), *(Token("0.0.0", text, answer=True) for text in answer)]
    return [*events, Closed(said), Answered("0", said, None, Spent())]


@pytest.mark.parametrize("format", ["think", "fields", "none"])
@pytest.mark.parametrize("answer", [["\n", "\n five", " \n"], ["<th", "ink>", " five</thi", "nk> \n"], ["five ", "\n"]])
def test_an_answer_behind_a_closed_thinking_begins_with_its_first_word_and_has_no_tags(format, answer):
    pieces = rendered(behind_thinking(answer), format)
    assert content(pieces).rpartition("</think>\n\n")[2] == "five \n"


def test_what_is_held_back_at_the_end_of_an_answer_is_told():
    assert content(rendered(behind_thinking(["5 <", "/"]), "none")) == "5 </"
