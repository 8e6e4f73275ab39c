"""Chain-of-thought prompts: what is said to the model, and where."""

import pytest

from strategies.prompts import ANSWER, TEXTS, Example, Wording, again, asking, instruct, wording

TALK = ({"role": "system", "content": "s"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"})
ASKED = (*TALK, {"role": "user", "content": "c"})
SUM = Example(question="1 + 1?", answer="1 + 1 = 2\n\n<answer>2</answer>")


def test_examples_are_turns_before_the_question():
    told = instruct(ASKED, Wording(name="few_shot", examples=[SUM]))
    assert told[:3] == TALK
    assert [(message["role"], message["content"]) for message in told[3:5]] == [
        ("user", SUM.question),
        ("assistant", SUM.answer),
    ]
    assert told[5]["content"] == f"c\n\n{TEXTS['few_shot']}"


def test_any_prompt_may_show_examples():
    told = instruct(ASKED, Wording(name="none", examples=[SUM]))
    assert [message["content"] for message in told] == ["s", "a", "b", SUM.question, SUM.answer, "c"]


def test_words_of_ones_own_take_the_place_of_the_prompts():
    [told] = instruct(ASKED[3:], Wording(name="supervised", text="Draw it."))
    assert told["content"] == f"c\n\nDraw it.\n\n{ANSWER}"


@pytest.mark.parametrize("text", ["End with <answer>…</answer>.", "Put it into \\boxed{}."])
def test_words_that_tell_how_to_answer_are_left_alone(text):
    assert Wording(text=text).words == text


def test_few_shot_without_examples_is_refused():
    with pytest.raises(ValueError, match="few_shot needs examples"):
        wording("few_shot")


def test_an_unknown_prompt_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"'magic'; there are none, zero_shot, .*long, sums"):
        wording("magic", {"sums": Wording(name="few_shot", examples=[SUM])})


def test_a_named_prompt_brings_its_examples_and_a_request_may_still_say_more():
    named = {"sums": Wording(name="few_shot", examples=[SUM])}
    assert wording("sums", named) == named["sums"]
    assert wording(Wording(name="sums", text="Briefly."), named) == Wording(
        name="few_shot", text="Briefly.", examples=[SUM]
    )


def test_a_conversation_without_a_question_gets_one():
    assert asking(TALK[:1], "Go on.") == (TALK[0], {"role": "user", "content": "Go on."})


def test_how_to_answer_is_repeated_only_where_it_was_asked_for():
    assert again(instruct(ASKED, wording("zero_shot")), "Again.") == f"Again. {ANSWER}"
    assert again(ASKED, "Again.") == "Again."
    assert again(({"role": "user", "content": [{"type": "text", "text": ANSWER}]},), "Again.").endswith(ANSWER)
