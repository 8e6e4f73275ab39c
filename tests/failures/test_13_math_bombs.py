"""Formulas that never end, or are programs: each costs its limit in a worker, and equals nothing but itself."""

import ast
import time
from pathlib import Path

import pytest

from strategies.answers import canonical
from strategies.equality import classes, equal
from strategies.formulas import first_equal
from tests.computing import computing, outcome
from tests.poison.lag import on_time

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]


@pytest.fixture
def anyio_backend():
    return "asyncio"  # these load sympy


POISON = {
    "a tower": "10**10**10",
    "a tower in LaTeX": "10^{10^{10}}",
    "a tower of nines": "9**9**9**9",
    "a factorial": "(10^9)!",
    "a factorial by name": "factorial(10**9)",
    "a binomial": "\\binom{10^9}{10^8}",
    "a sum": "\\sum_{i=1}^{10^{12}} \\frac{1}{i^2+i+1}",
    "an integral": "\\int_0^1 \\sin(x^x)^{x^x} dx",
    "powers of x": "x**x**x**x",
    "fractions in fractions": "\\frac{" * 2000 + "1" + "}{2}" * 2000,
    "a few fractions in fractions": "\\frac{" * 40 + "1" + "}{2}" * 40,
    "deep brackets": "(" * 10_000 + "1" + ")" * 10_000,
    "some brackets": "(" * 200 + "1" + ")" * 200,
    "a megabyte of brackets": "[" * (1 << 20),
    "many digits": "1" * 5000 + "+x",
    "an import": "__import__('os').system('true')",
    "an attribute": "().__class__.__bases__[0]",
    "NUL": "x\x00+1",
    "a surrogate": "\ud800+1",
    "a dollar": "x$+$1",
    "an unclosed brace": "{{x+1",
    "braces closed only": "x+1}}",
    "a comment": "x % 1",
    "infinities": "\\infty-\\infty",
    "a division by zero": "1/0",
    "a large root": "\\sqrt[10^9]{2^{10^9}}",
    "a large product": "\\prod_{i=1}^{10^9} i",
    "a huge expansion": "(a+b+c+d+e)^{1000}",
}


async def test_poison_costs_its_limit_stalls_nothing_and_equals_nothing():
    limit, took = 0.2, {}

    async def taste(poison):
        name, text = poison
        start = time.monotonic()
        assert await outcome(compute(first_equal, ["x+17"], text)) in (None, "expired"), name
        took[name] = time.monotonic() - start

    async with computing(seconds=limit, loaded=True, memory_mb=512) as compute, on_time():
        for poison in POISON.items():
            await taste(poison)
        assert await until_right(compute, ["x+1"], "1+x") == 0, "the pool lives"
    assert sorted(took.values())[len(took) // 2] < limit + 0.5, "a busy machine may be late at times, not as a rule"
    assert max(took.values()) < limit + 5


async def test_no_verdict_on_poison_is_a_false_equal():
    async with computing(seconds=0.2, loaded=True, memory_mb=512) as compute:
        for name, text in POISON.items():
            assert not await equal("x+17", canonical(text), compute), name


async def until_right(compute, *arguments):
    """The first outcome in time: a busy machine may not make it at once."""
    for _ in range(20):
        if (result := await outcome(compute(first_equal, *arguments))) != "expired":
            return result
    raise AssertionError("no call came in time")


async def test_poison_spoils_no_class():
    async with computing(seconds=1.0, loaded=True) as compute:
        poison = ["10^{10^{10}}", "\\frac{" * 40 + "1" + "}{2}" * 40]
        told = await classes(["2(x+1)", poison[0], "2x+2", *poison[1:], "x+x+2", "yes"], compute)
    assert {told[form] for form in ("2(x+1)", "2x+2")} == {"2(x+1)"}
    assert all(told[form] == form for form in (*poison, "yes"))


RUNS = {"eval", "exec", "sympify", "parse_expr", "lambdify", "loads", "__import__"}
"""What runs, or may run, the text that it is given."""
SANDBOXED = {"strategies/verifiers/sandbox/checker.py", "strategies/verifiers/sandbox/candidate.py"}
"""Programs that begin in a process that can touch nothing, and are there to run code."""


def called(tree):
    """The names of functions that are called somewhere, with their modules where these are named."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)):
                yield name
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr=name)):
                yield f"{module}.{name}"


def test_nothing_runs_text_outside_the_sandbox():
    found = {
        (str(path.relative_to(ROOT)), name)
        for package in ("server", "strategies")
        for path in (ROOT / package).rglob("*.py")
        for name in called(ast.parse(path.read_text()))
        if name.rpartition(".")[2] in RUNS and name != "json.loads"
    }
    assert {path for path, _ in found} == SANDBOXED, found
