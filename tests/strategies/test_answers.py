"""Reading answers, comparing and choosing them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import select
from strategies.answers import answer_of, canonical, final_answer
from strategies.prompts import TEXTS, instruct, wording
from strategies.stopping import decided
from strategies.types import Candidate, Logprob, Prompt, Score, Step, ToolCall


def said(text, finish="stop", score=None, id="0.0", logprob=None):
    step = Step(text, tokens=1, logprobs=() if logprob is None else (Logprob(logprob),))
    return Candidate(Prompt(()), id, (step,), finish, None if score is None else Score(score))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("so <answer>42</answer>", "42"),
        ("<answer>1</answer> no, <answer> 2 </answer>", "2"),
        ("<answer>1</answer> and <answer>2", "1"),
        (r"thus \boxed{\frac{1}{2}} holds", r"\frac{1}{2}"),
        (r"\boxed{1} then \boxed{2", "1"),
        (r"<answer>\boxed{7}</answer>", "7"),
        (r"\boxed{3} but <answer>4</answer>", "4"),
        ("first 3, then 1,234.50.", "1,234.50"),
        ("from 10-3 we get 7", "7"),
        ("it is -5", "-5"),
        ("</answer> nothing", None),
        ("no number here", None),
        ("<answer></answer>", None),
        ("<answer>72</answer></answer>", "72"),
    ],
)
def test_the_final_answer_is_found(text, answer):
    assert final_answer(text) == answer


def test_a_truncated_response_votes_only_with_a_closed_tag_or_box():
    assert answer_of(said("3 + 4 = 7, so 12", finish="length")) is None
    assert answer_of(said("<answer>7</answer> and", finish="cut")) == "7"
    assert answer_of(said(r"\boxed{7} and", finish="length")) == "7"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,000.0", "1000"),
        ("1/2", "0.5"),
        (r"\frac{1}{2}", "0.50"),
        ("$42", "42."),
        ("+3", "3"),
        ("Red Fox", "red  fox"),
    ],
)
def test_equal_answers_are_one(one, other):
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(("one", "other"), [("20%", "20"), ("1", "2"), ("7 am", "7 pm"), ("1/0", "1")])
def test_different_answers_are_two(one, other):
    assert canonical(one) != canonical(other)


@given(st.text())
def test_any_text_can_be_read(text):
    final_answer(text)
    assert canonical(text) == canonical(text)


@pytest.mark.parametrize("text", ["\\boxed{" * 100_000, "<answer>" * 100_000, "1" * 1_000_000, "{" * 1_000_000])
def test_a_megabyte_of_nonsense_abstains(text):
    assert answer_of(said(text)) is None or len(text) > 0


ballots = st.lists(
    st.builds(
        lambda n, s, at: said(f"\\boxed{{{n}}}", score=s, id=f"0.{at}"), st.integers(0, 3), st.floats(0, 1), st.just(0)
    ),
    min_size=1,
)


@given(ballots)
def test_the_majority_is_a_most_common_answer(found):
    texts = [c.text for c in found]
    assert texts.count(select.majority(found).text) == max(map(texts.count, texts))


@given(ballots)
def test_equal_weights_are_a_plain_vote(found):
    alike = [c.judged(Score(0.5)) for c in found]
    assert select.weighted(alike).text == select.majority(alike).text


@given(ballots, st.randoms())
def test_the_winning_answer_does_not_depend_on_the_order(found, random):
    votes = select.tally(found)
    shuffled = list(found)
    random.shuffle(shuffled)
    assert select.tally(shuffled) == votes
    if list(votes.values()).count(max(votes.values())) == 1:
        assert answer_of(select.majority(shuffled)) == answer_of(select.majority(found))


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=9), st.lists(st.sampled_from("abc"), max_size=9))
def test_a_decided_vote_is_never_overturned(seen, rest):
    count = {answer: seen.count(answer) for answer in seen}
    if decided(count, unseen=len(rest)):
        leader = max(count, key=count.__getitem__)
        assert all((seen + rest).count(leader) > (seen + rest).count(other) for other in "abc" if other != leader)


def test_unparsed_samples_abstain():
    found = [said("hm"), said("well"), said("oh"), said("<answer>1</answer>")]
    assert select.majority(found) is found[3]
    assert select.agreement(found, found[3]) == 1.0


def test_where_nothing_parses_the_likeliest_answers_and_there_is_no_agreement():
    found = [said("hm", logprob=-2.0), said("well", logprob=-0.5), said("oh")]
    assert select.majority(found) is found[1]
    assert select.agreement(found, found[1]) is None


def test_a_vote_that_is_tied_goes_to_the_likelier_answer():
    found = [said("<answer>1</answer>", logprob=-2.0), said("<answer>2</answer>", logprob=-0.5)]
    assert select.majority(found) is found[1]


def test_a_bad_score_never_counts_against_its_answer():
    found = [said("<answer>1</answer>", score=s) for s in (-3.0, -2.0, -1.0)] + [said("<answer>2</answer>", score=-1.5)]
    assert answer_of(select.weighted(found)) == "1"


@given(ballots, st.integers(1, 5))
def test_top_keeps_the_best_in_order(found, k):
    kept = select.top(found, k)
    assert len(kept) == min(k, len(found))
    assert select.value(kept[0]) == max(map(select.value, found))
    assert [select.value(c) for c in kept] == sorted(map(select.value, kept), reverse=True)


def test_a_search_cut_short_chooses_among_the_ends_of_its_paths():
    found = [said("a", "step", 0.9, "0.0"), said("b", "step", 0.2, "0.0.0"), said("c", "step", 0.4, "0.1")]
    assert select.best(select.complete(found)).id == "0.1"


def test_a_prompt_goes_to_the_last_user_message():
    talk = ({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"})
    told = instruct(talk, wording("zero_shot"))
    assert told[:2] == talk[:2]
    assert told[2]["content"].startswith("c\n\nLet's think step by step.")
    assert instruct(talk, wording("none")) == talk


def test_a_prompt_is_added_to_content_parts_as_a_part():
    [told] = instruct([{"role": "user", "content": [{"type": "text", "text": "hi"}]}], wording("supervised"))
    assert [part["type"] for part in told["content"]] == ["text", "text"]


def test_every_prompt_tells_the_answer_format():
    assert all("<answer>" in words for words in TEXTS.values() if words)


@pytest.mark.parametrize(
    ("text", "opened", "answer"),
    [
        ("<think>is it 3?</think> 4", False, "4"),
        ("<think>is it 3?</think> unsure", False, None),
        ("is it 3?</think> 4", True, "4"),
        ("is it <answer>3</answer>", True, None),
        ("<think>is it <answer>3</answer>", False, None),
    ],
)
def test_only_what_follows_the_models_own_thinking_votes(text, opened, answer):
    assert answer_of(Candidate(Prompt((), thinks=opened), "0.0", (Step(text, tokens=1),), "stop")) == answer


def calling(arguments, name="add", finish="stop"):
    return Candidate(Prompt(()), "0.0", (Step("", tokens=1, calls=(ToolCall(0, "x", name, arguments),)),), finish)


def test_tool_calls_vote_by_name_and_arguments():
    assert answer_of(calling('{"a": 1, "b": 2}')) == answer_of(calling('{"b":2,"a":1}'))
    assert answer_of(calling('{"a": 1}')) != answer_of(calling('{"a": 2}'))
    assert answer_of(calling("{}")) != answer_of(calling("{}", name="sub"))


@pytest.mark.parametrize("arguments", ['{"a": ', "NaN", '"add"', "[]", "[" * 100_000, '"' + "x" * 100_000 + '"'])
def test_a_call_that_cannot_be_read_abstains_and_is_not_chosen(arguments):
    broken, good = calling(arguments), calling("{}")
    assert answer_of(broken) is None
    assert answer_of(calling("{}", finish="length")) is None
    assert select.majority([broken, broken, good]) is good
    assert select.best(select.complete([broken.judged(Score(1.0)), good.judged(Score(0.1))])).calls == good.calls


def test_json_documents_vote_by_value():
    def document(text, finish="stop"):
        return Candidate(Prompt((), form="json"), "0.0", (Step(text, tokens=1),), finish)

    found = [document('{"a": 1}'), document('{ "a":1 }'), document('{"a": 2}'), document('{"a": 3', "length")]
    assert select.tally(found) == {'{"a": 1}': 2, '{"a": 2}': 1}
    assert select.majority(found) is found[0]


def test_a_choice_votes_as_a_whole():
    found = [
        Candidate(Prompt((), form="whole"), "0.0", (Step(text, tokens=1),), "stop") for text in ("7 am", "7 pm", "7 am")
    ]
    assert select.tally(found) == {"7 am": 2, "7 pm": 1}
