"""The verifiers that need no model: what they take for right, and that nothing hostile gets past them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from strategies.protocols import Ask, Expired, Unusable, inline
from strategies.testing import FakeBackend
from strategies.types import Candidate, Prompt, Step
from strategies.verifiers.arithmetic import AT_ONCE, Arithmetic
from strategies.verifiers.arithmetic_expression import value_of
from strategies.verifiers.computing import CHARACTERS, STRIKES, each_text
from strategies.verifiers.expression import Expression
from strategies.verifiers.json_schema import JsonSchema
from strategies.verifiers.math_equal import MathEqual
from strategies.verifiers.regex import Regex

pytestmark = pytest.mark.anyio


def said(text, finish="stop"):
    return Candidate(Prompt(()), steps=(Step(text),), finish=finish)


def asking(compute=inline):
    return Ask(FakeBackend(lambda call, seed: ""), compute)


async def values(verifier, *texts, compute=inline):
    scores = await verifier.score([said(text) for text in texts], asking(compute))
    return [score and score.value for score in scores]


class Computing:
    """Computes right here; a call in which `poison` is a part of any text expires."""

    def __init__(self, poison="poison"):
        self.calls, self.poison = [], poison

    async def __call__(self, function, *args):
        self.calls.append(args)
        if self.poison in str(args):
            raise Expired
        return await inline(function, *args)


@pytest.mark.parametrize(
    ("reference", "answer", "right"),
    [
        ("42", "\\boxed{42.0}", 1),
        ("42", "So it is 42.", 1),
        ("42", "\\boxed{43}", 0),
        ("1/2", "\\boxed{\\frac{1}{2}}", 1),
        ("2(x+1)", "\\boxed{2x+2}", 1),
        ("8", "\\boxed{2^3}", 1),
        ("\\sqrt{8}", "\\boxed{2\\sqrt{2}}", 1),
        ("Paris", "<answer>paris</answer>", 1),
        ("Paris", "<answer>Rome</answer>", 0),
        ("(1,2)", "\\boxed{(2,1)}", 0),
        ("7", "no idea", 0),
    ],
)
async def test_an_answer_counts_where_it_equals_the_reference(reference, answer, right):
    assert await values(MathEqual(reference=reference), answer) == [right]


async def test_an_answer_that_cannot_be_compared_in_time_is_wrong():
    compute = Computing("10^9")
    assert await values(MathEqual(reference="x+1"), "\\boxed{10^9+x}", "\\boxed{1+x}", compute=compute) == [0, 1]


async def test_equal_answers_are_compared_once():
    compute = Computing()
    assert await values(MathEqual(reference="x+1"), *["\\boxed{1+x}"] * 5, compute=compute) == [1] * 5
    assert len(compute.calls) == 1


async def test_a_pattern_is_looked_for_in_the_answer_or_in_all_of_the_text():
    texts = "<think>AB</think> cd \\boxed{12}", "cd \\boxed{AB}", "AB"
    assert await values(Regex(pattern="[A-Z]+"), *texts) == [0, 1, 0]
    assert await values(Regex(pattern="AB|cd", where="text"), *texts) == [1, 1, 1]
    assert await values(Regex(pattern="^AB", where="text"), *texts) == [0, 0, 1]
    assert await values(Regex(pattern=".*"), *texts) == [1, 1, 0], "no answer matches nothing"


async def test_what_takes_too_long_to_search_is_not_judged_and_spoils_no_other():
    compute = Computing()
    assert await values(Regex(pattern="a", where="text"), "a", "poison", "b", compute=compute) == [1, None, 0]


@pytest.mark.parametrize(
    "pattern", ["(", "[", "a{2,1}", "(?P<n>a)(?P<n>b)", "*", "(" * 500 + ")" * 500, "x" * 1001, ""]
)
def test_a_pattern_that_is_none_is_refused(pattern):
    with pytest.raises(ValidationError, match="pattern"):
        Regex(pattern=pattern)


async def test_a_pattern_that_cannot_be_compiled_is_refused_by_name():
    with pytest.raises(Unusable, match="regular expression") as refused:
        await values(Regex(pattern="(?<=a*)b", where="text"), "a")
    assert refused.value.param == "reasoning_strategy.verifier.pattern"


SHAPE = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


async def test_a_document_has_to_be_json_of_the_given_shape():
    texts = (
        '{"n": 3}',
        '<think>hm</think>\n {"n": 3}\n',
        '{"n": "3"}',
        '{"n": 3} ',
        "n = 3",
        '{"n": 3}, {}',
        "",
        "[" * 9999,
        "NaN",
    )
    assert await values(JsonSchema(schema=SHAPE), *texts) == [1, 1, 0, 1, 0, 0, 0, 0, 0]


async def test_a_schema_that_is_none_is_refused_by_name():
    for wrong in ({"type": "strange"}, {"$ref": "#/nowhere"}):
        with pytest.raises(Unusable, match="schema") as refused:
            await values(JsonSchema(schema=wrong), "{}")
        assert refused.value.param == "reasoning_strategy.verifier.schema"


@pytest.mark.parametrize(
    "wrong", [{"$schema": {}}, {"$schema": 5}, {"$id": "http://[", "$ref": "a"}, {"pattern": "a{99999999999}"}]
)
async def test_a_schema_that_breaks_its_reader_is_one_that_is_none(wrong):
    with pytest.raises(Unusable, match="no valid JSON schema"):
        await values(JsonSchema(schema=wrong), '"a"')


async def test_a_number_that_no_computer_holds_spoils_no_other_answer():
    assert await values(JsonSchema(schema={"multipleOf": 1e-320}), "1e400", "-1e999", "0") == [0, 0, 1]


async def test_a_schema_leads_nowhere_outside_it():
    with pytest.raises(Unusable, match="schema"):
        await values(JsonSchema(schema={"$ref": "http://127.0.0.1:9/schema.json"}), "{}")


def test_a_schema_is_no_larger_than_it_may_be():
    with pytest.raises(ValidationError, match="characters"):
        JsonSchema(schema={"const": "x" * 100_000})


COUNTDOWN = Expression(numbers=[3, 5, 7, 7, 7], target=38)


@pytest.mark.parametrize(
    "text",
    [
        "\\boxed{3 * 5 + 7 + 7 + 9}",
        "<answer>5 * 7 + 3</answer>",
        "\\boxed{(5 * 7 + 3) * 1}",
        "\\boxed{38}",
        "\\boxed{}",
        "\\boxed{5 * 7 + 3 * 7 / 7 = 39}",
        "\\boxed{5 * 7 + 3 * 7 / 7 = 38 = 38}",
        "\\boxed{57 + 3 - 7 * 7}",
        "\\boxed{5 ** 7}",
        "\\boxed{5 * 7 + 3 * 7 / 0}",
        "\\boxed{__import__('os')}",
        "\\boxed{(5 * 7 + 3 * 7 / 7}",
        "\\boxed{5 * 7 + 3 * 7 / 7)}",
        "\\boxed{\\frac{7}7 * 3 + 5 * 7}",
        "It cannot be done.",
    ],
)
async def test_this_is_no_solution(text):
    assert await values(COUNTDOWN, text) == [0]


@pytest.mark.parametrize(
    "text",
    [
        "\\boxed{5 * 7 + 3}",
        "<answer>(5) * 7 + 3</answer>",
        "So we have it:\n5*7+3",
        "Answer: 5 × 7 + 3",  # noqa: RUF001
        "\\boxed{5 \\times 7 + 3 = 38}",
        "\\boxed{\\left(5 \\cdot 7\\right) + 3}",
        "$3 + 5*7$",
        "\\boxed{3 + {7}*5}",
    ],
)
async def test_this_is_a_solution(text):
    assert await values(Expression(numbers=[3, 5, 7], target=38), text) == [1]


async def test_a_fraction_and_unicode_signs_are_read():
    fraction = Expression(numbers=[1, 3, 4, 6], target=24)
    assert await values(fraction, "\\boxed{\\frac{6}{1 - \\frac{3}{4}}}", "\\boxed{6 ÷ (1 − 3 ÷ 4)}") == [1, 1]  # noqa: RUF001


async def test_every_number_is_used_once_or_where_it_says_so_at_most_once():
    some = Expression(numbers=[3, 5, 7, 7, 7], target=38, all=False)
    assert await values(some, "\\boxed{5*7+3}", "\\boxed{5*7+3*7/7}", "\\boxed{7*7-5-3-3}") == [1, 1, 0]
    assert await values(COUNTDOWN, "\\boxed{5*7+3*7/7}", "\\boxed{5*7+3}") == [1, 0]


async def test_only_the_given_operators_count():
    assert await values(Expression(numbers=[2, 3], target=6, operators=["+", "-"]), "\\boxed{2*3}") == [0]


@given(st.text(alphabet="0123456789+-*/(){} \\fracdiv×÷=.^!x\x00", max_size=80))  # noqa: RUF001
def test_any_text_is_an_expression_or_none(text):
    told = value_of(text)
    assert told is None or told.numbers


@given(st.recursive(st.integers(0, 99), lambda part: st.tuples(part, st.sampled_from("+-*/"), part), max_leaves=20))
def test_an_expression_has_the_value_that_its_writer_meant(tree):
    from fractions import Fraction

    def write(tree):
        return f"({write(tree[0])} {tree[1]} {write(tree[2])})" if isinstance(tree, tuple) else str(tree)

    def numbers(tree):
        return [*numbers(tree[0]), *numbers(tree[2])] if isinstance(tree, tuple) else [tree]

    def value(tree):
        if not isinstance(tree, tuple):
            return Fraction(tree)
        a, b = value(tree[0]), value(tree[2])
        return {"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / b}[tree[1]]()

    try:
        expected = value(tree)
    except ZeroDivisionError:
        assert value_of(write(tree)) is None
        return
    told = value_of(write(tree))
    assert told
    assert (told.value, list(told.numbers)) == (expected, numbers(tree))


@pytest.mark.parametrize(
    "text", ["(" * 10_000, "1" * 10_000, "1+" * 400 + "1", "((((" * 200 + "1" + "))))" * 200, "9" * 16]
)
def test_what_is_too_large_is_no_expression(text):
    assert value_of(text) is None


async def test_a_short_wave_is_read_right_here_and_a_long_one_in_a_worker_at_once():
    compute = Computing()
    assert await values(Arithmetic(), "3 + 4 = 7", "3 + 4 = 8", compute=compute) == [1, 0]
    assert compute.calls == []
    assert await values(Arithmetic(), *["3 + 4 = 7. " * 20] * 30, "1 + 1 = 3", compute=compute) == [1] * 30 + [0]
    assert len(compute.calls) == 1


async def test_sums_that_cannot_be_read_in_time_are_neutral_and_spoil_no_other():
    compute = Computing()
    long = "x" * AT_ONCE
    assert await values(Arithmetic(), "1 + 1 = 2", f"poison 1 + 1 = 3 {long}", compute=compute) == [1, 0.5]


async def test_many_texts_go_in_few_calls_of_a_bounded_size():
    compute, texts = Computing(), ["x" * (CHARACTERS // 3)] * 8
    assert await each_text(lengths, texts, asking(compute)) == [CHARACTERS // 3] * 8
    assert [len(batch) for (batch,) in compute.calls] == [3, 3, 2]


async def test_after_so_many_texts_that_take_too_long_the_rest_goes_unjudged():
    compute = Computing()
    assert await each_text(lengths, ["poison"] * 100, asking(compute)) == [None] * 100
    assert len(compute.calls) == 1 + STRIKES


def lengths(texts):
    return [len(text) for text in texts]
