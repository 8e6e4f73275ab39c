"""Which answers are one vote."""

import pytest

from strategies.answers import canonical
from strategies.equality import FORMS, STRIKES, classes, comparable, formula
from strategies.protocols import Expired, inline

pytestmark = pytest.mark.anyio


class Counting:
    """Computes right here, and counts; `fails` tells which formulas take forever."""

    def __init__(self, fails=lambda text: False):
        self.calls, self.fails = [], fails

    async def __call__(self, function, *args):
        self.calls.append(args)
        known, text = args
        if self.fails(text) or any(map(self.fails, known)):
            raise Expired
        return await inline(function, *args)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["2(x+1)", "2x+2", "x+1"], ["2(x+1)", "2(x+1)", "x+1"]),
        (["\\sqrt{8}", "2\\sqrt{2}"], ["\\sqrt{8}", "\\sqrt{8}"]),
        (["\\{1,2\\}", "\\{2,1\\}"], ["\\{1,2\\}", "\\{1,2\\}"]),
        (["(1,2)", "(2,1)"], ["(1,2)", "(2,1)"]),
        (["x=5", "y=5"], ["x=5", "y=5"]),
        (["x+1", "x+1", "1+x"], ["x+1", "x+1", "x+1"]),
        (["1/0", "2/0"], ["1/0", "2/0"]),
        (["{{{", "}}}"], ["{{{", "}}}"]),
    ],
)
async def test_formulas_that_are_equal_are_one_class(answers, expected):
    told = await classes(answers, inline)
    assert [told[answer] for answer in answers] == expected


async def test_the_first_stands_for_its_class_whatever_comes_later():
    assert set((await classes(["2x+2", "2(x+1)", "x+x+2"], inline)).values()) == {"2x+2"}


async def test_numbers_and_words_are_never_parsed():
    compute = Counting()
    answers = ["12", "1/2", "50%", "yes", "the red one", "tea 2 eat", "", "-3"]
    assert await classes(answers, compute) == {answer: answer for answer in answers}
    assert compute.calls == []


async def test_no_more_than_so_many_forms_are_compared():
    compute = Counting()
    answers = [f"x+{at}" for at in range(FORMS * 3)]
    await classes(answers, compute)
    assert len(compute.calls) <= 2 * FORMS
    assert len({text for _, text in compute.calls}) == FORMS


async def test_what_takes_too_long_stands_alone_and_spoils_nothing():
    compute = Counting(lambda text: "^" in text)
    told = await classes(["9^9", "x+1", "1+x"], compute)
    assert told == {"9^9": "9^9", "x+1": "x+1", "1+x": "x+1"}


async def test_after_so_many_that_take_too_long_no_more_are_tried():
    compute = Counting(lambda text: True)
    answers = [f"x+{at}" for at in range(10)]
    assert await classes(answers, compute) == {answer: answer for answer in answers}
    assert len(compute.calls) == STRIKES


@pytest.mark.parametrize("text", ["x+1", "2x", "\\frac{x}{2}", "\\sqrt{2}", "sin(x)", "(1,2)", "x^2"])
def test_this_looks_like_a_formula(text):
    assert formula(canonical(text))


@pytest.mark.parametrize("text", ["7", "-7", "1/2", "1,000", "yes", "3 apples", "a red car", "x" * 501, "+" * 501, ""])
def test_this_does_not(text):
    assert not formula(canonical(text))


def test_a_formula_may_equal_a_number_but_two_numbers_do_not():
    assert comparable("8", "2^3")
    assert comparable("2^3", "8")
    assert not comparable("8", "9")
    assert not comparable("yes", "2^3")
