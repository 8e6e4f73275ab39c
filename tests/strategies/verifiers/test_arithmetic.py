# ruff: noqa: RUF001
"""The verifier `arithmetic`: its scores, its errors on real samples, and what must hold of any text."""

import json
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.protocols import Ask
from strategies.testing import FakeBackend
from strategies.types import Candidate, Prompt, Step
from strategies.verifiers.arithmetic import Arithmetic, judge
from strategies.verifiers.equations import equations

LABELLED = [
    json.loads(line) for line in (Path(__file__).parent / "data" / "labelled.jsonl").read_text("utf-8").splitlines()
]
MISSED = {
    "240 / 360 = 1",  # off by less than one: taken for a rounding
    "35L * 100 = 35",  # the L could be a variable
    "4L * 100 = 4",
    "72.00 kg * 20.50 kg/ton = 1400",  # a conversion could hide in it
    "1.10 / 7.00 Grams = 0.12",
}


def path(*steps, finish="stop"):
    return Candidate(Prompt(()), steps=tuple(Step(step) for step in steps), finish=finish)


def test_the_score_is_the_share_of_equations_that_hold():
    assert judge(path("3 + 4 = 7, 7 * 2 = 14, 14 - 5 = 8, 8 / 2 = 4")).value == 0.75


def test_nothing_to_test_is_neutral():
    assert judge(path("It is seven.")).value == 0.5


def test_no_steps_are_neutral():
    assert judge(path()).value == 0.5


def test_each_step_has_its_own_share():
    assert judge(path("3 + 4 = 7\n\n", "Well.\n\n", "7 * 2 = 15. 3 + 4 = 7")).steps == (1.0, 0.5, 0.5)


def test_a_path_grown_at_once_is_one_step():
    assert judge(path("3 + 4 = 7\n\nWell.\n\n7 * 2 = 15")).steps == (0.5,)


def test_an_equation_across_steps_belongs_to_the_one_it_ends_in():
    assert judge(path("So 3 + 4 = ", "7. Then")).steps == (0.5, 1.0)


def test_a_number_that_the_limit_cut_off_is_not_tested():
    assert judge(path("1170 - 32 = 1", finish="length")).value == 0.5
    assert judge(path("1170 - 32 = 1", finish="stop")).value == 0.0


@pytest.mark.anyio
async def test_it_scores_every_candidate_and_asks_no_model():
    asked = FakeBackend(lambda call, seed: "")
    scores = await Arithmetic().score([path("3 + 4 = 7"), path("3 + 4 = 8"), path("")], asked)
    assert [score.value for score in scores] == [1.0, 0.0, 0.5]
    assert asked.calls == []


@pytest.mark.parametrize("row", LABELLED, ids=lambda row: row["equation"] or row["line"][:40])
def test_it_agrees_with_a_reader_on_real_lines_or_stays_silent_where_it_is_known_to(row):
    verdicts = {equation.text: equation.holds for equation in equations(row["line"])}
    if row["label"] == "none":
        assert verdicts == {}
    elif row["equation"] in MISSED:
        assert row["equation"] not in verdicts
    else:
        assert verdicts[row["equation"]] is (row["label"] == "right")


SIGNS = {
    "+": ["+", " + ", " plus "],
    "-": [" - ", " − ", " – "],
    "*": [" * ", "*", " × ", " x ", r" \times ", r" \cdot "],
}
SIGNS["/"] = [" / ", "/", " ÷ ", r" \div "]


@st.composite
def expressions(draw, depth=2):
    """A written expression with at least one operator, and its value."""
    sides = [draw(expressions(depth - 1)) if depth and draw(st.booleans()) else draw(leaves()) for _ in range(2)]
    sign = draw(st.sampled_from("+-*/" if sides[1][1] else "+-*"))
    (a, x), (b, y) = sides
    value = {"+": x + y, "-": x - y, "*": x * y, "/": x / y if y else x}[sign]
    a, b = (f"({side})" if any(c in side for c in "+-*/ ") else side for side in (a, b))
    if sign == "/" and draw(st.booleans()):
        return rf"\frac{{{a}}}{{{b}}} + 0", value
    return a + draw(st.sampled_from(SIGNS[sign])) + b, value


@st.composite
def leaves(draw):
    value = draw(st.one_of(st.integers(0, 9999), st.integers(0, 99).map(lambda n: Fraction(n, 10))))
    plain = f"{value:,}" if isinstance(value, int) and draw(st.booleans()) else str(value)
    return (f"{float(value):.1f}" if isinstance(value, Fraction) else plain), Fraction(value)


FRAMES = [
    "{}",
    "So {}.",
    "Then we get {}, which is it",
    "({})",
    "Total = {}",
    r"\[ {} \]",
    "**{}**",
    "1. {}\n",
    "- {}\n2",
]


@given(expressions(), st.sampled_from(FRAMES))
def test_a_right_equation_holds_in_any_notation_and_any_prose(made, frame):
    text, value = made
    right = str(value) if value >= 0 else f"-{-value}"
    assert [e.holds for e in equations(frame.format(f"{text} = {right}"))] == [True]


@given(expressions(), st.integers(1, 10**6), st.sampled_from(FRAMES))
def test_a_wrong_equation_never_holds(made, off, frame):
    text, value = made
    wrong = value + off
    found = equations(frame.format(f"{text} = {wrong}"))
    assert not any(e.holds for e in found)
    if value.denominator == 1:
        assert [e.holds for e in found] == [False]


PIECES = st.sampled_from(
    [*"0123456789+-*/=()[]{}.,:$%^&|<>~_x \n\\", "\\frac", "\\text", " of ", "**", "≈", "²", "km", "and"]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=80).map("".join)))
def test_any_text_comes_out(text):
    for equation in equations(text):
        assert text[: equation.end].endswith(equation.text)


def calls(text):
    """How many function calls it takes to read a text."""
    count = 0

    def counting(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counting)
    try:
        equations(text)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "piece",
    ["(", ")", "()", "1", "1+", "1=", "= ", "\n=", "1+1=2=", "1 (ab 1 ", "(a ", "9^9^", "\\frac{", "-", "<", "a ", ","],
)
def test_the_work_grows_with_the_text_and_no_faster(piece):
    assert calls(piece * 5000) < 14 * calls(piece * 500) + 1000


@pytest.mark.parametrize(
    "text", ["9" * 61 + " + 1 = 2", "2^65 = 1", "(" * 20 + "1 + 1" + ")" * 20 + " = 3", "1" + "+1" * 40 + " = 2"]
)
def test_what_is_too_large_is_not_tested(text):
    assert equations(text) == []


QUESTION = "What is 45 + 41 - 38 + 41?"


async def grounded(*steps, finish="stop", asked=QUESTION):
    prompt = Prompt(({"role": "user", "content": asked},))
    candidate = Candidate(prompt, steps=tuple(Step(step) for step in steps), finish=finish)
    [score] = await Arithmetic(grounded=True).score([candidate], Ask(FakeBackend(lambda call, seed: "")))
    return score


@pytest.mark.anyio
async def test_grounded_sums_of_the_question_get_full_marks():
    assert (await grounded("45 + 41 = 86\n\n", "86 - 38 = 48\n\n", "48 + 41 = 89")).value == 1.0


@pytest.mark.anyio
async def test_a_number_from_nowhere_makes_a_grounded_equation_false():
    score = await grounded("45 + 41 = 86\n\n", "88 - 38 = 50\n\n", finish="step")
    assert score.steps == (1.0, 0.0)


@pytest.mark.anyio
async def test_a_response_that_ends_without_a_number_of_the_question_loses_a_mark():
    assert (await grounded("45 + 41 = 86\n\n", "86 - 38 = 48\n\n")).value == pytest.approx(2 / 3)


@pytest.mark.anyio
async def test_a_grounded_path_that_goes_on_may_still_use_the_other_numbers():
    assert (await grounded("45 + 41 = 86\n\n", finish="step")).value == 1.0


@pytest.mark.anyio
async def test_a_grounded_result_may_stand_before_its_working_or_in_a_chain():
    assert (await grounded("86 = 45 + 41. 86 - 38 + 41 = 48 + 41 = 89")).value == 1.0


@pytest.mark.anyio
async def test_long_grounded_texts_are_judged_alike_by_a_worker():
    long = "45 + 41 = 86\n\n" + "Well. " * 60
    assert (await grounded(long)).value == (await grounded("45 + 41 = 86\n\n")).value == 0.5
