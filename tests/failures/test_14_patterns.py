"""Patterns: each of ours takes time in proportion to the text, whatever it says; those of callers can be killed."""

import ast
import re
import re._constants as kinds
import re._parser as parser
from pathlib import Path

import pytest

from server.settings import Settings
from tests.poison.growth import check_linear
from tests.poison.lag import lagging
from tests.serving import ponder


@pytest.fixture
def anyio_backend():
    return "asyncio"


ROOT = Path(__file__).parents[2]
MADE_BY_CALLERS = {"strategies/verifiers/regex.py"}
"""Where a pattern comes from a request: it is compiled, and searched with, in a worker."""
USES = {"compile", "findall", "finditer", "fullmatch", "match", "search", "split", "sub", "subn"}
CLASSES = {
    kinds.CATEGORY_DIGIT: "7",
    kinds.CATEGORY_SPACE: " ",
    kinds.CATEGORY_WORD: "a",
    kinds.CATEGORY_NOT_SPACE: "a",
    kinds.CATEGORY_NOT_WORD: " ",
}
SHORT, LONG = (1 << 9, 1 << 13), (1 << 12, 1 << 17)
"""Lengths of texts that are compared."""
FEW = 8
"""Letters of a pattern that texts are made of."""
MANY = 3
"""Repetitions from which on all ways to do them are too many."""
SECONDS = 0.5
"""What a call to a worker may take here."""
OTHER = "!"
"""What ends a text on which a pattern nearly fits."""


def uses():
    """Every pattern in the code: where it is, how it is used, and what it is where that stands there, else None."""
    for package in ("server", "strategies"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=how), args=[first, *_]):
                        if how in USES:
                            told = first.value if isinstance(first, ast.Constant) else None
                            yield f"{path.relative_to(ROOT)}:{node.lineno}", how, told


OURS = {where: (pattern, how) for where, how, pattern in uses() if pattern is not None}


def letters(parsed):
    """Characters that parts of a parsed pattern are made for."""
    for kind, told in parsed:
        match kind, told:
            case (kinds.LITERAL, code):
                yield chr(code)
            case (kinds.NOT_LITERAL, code):
                yield chr(code + 1)
            case (kinds.RANGE, (first, _)):
                yield chr(first)
            case (kinds.CATEGORY, category):
                yield CLASSES.get(category, "a")
            case (kinds.IN, [(kinds.NEGATE, _), *_]):
                yield "a"
            case (kinds.IN, parts):
                yield from letters(parts)
            case (kinds.MAX_REPEAT | kinds.MIN_REPEAT | kinds.POSSESSIVE_REPEAT, (_, _, part)):
                yield from letters(part)
            case (kinds.SUBPATTERN, (*_, part)) | (kinds.ASSERT | kinds.ASSERT_NOT, (_, part)):
                yield from letters(part)
            case (kinds.BRANCH, (_, parts)):
                for part in parts:
                    yield from letters(part)
            case (kinds.ATOMIC_GROUP, part):
                yield from letters(part)


def parsed(pattern):
    return parser.parse(pattern)


def like(pattern, text):
    """The text as what the pattern looks through: a text, or bytes."""
    return text if isinstance(pattern, str) else text.encode()


def words(pattern):
    """Short texts that are made of what the pattern looks for; a long text repeats one of them."""
    some = list(dict.fromkeys([*letters(parsed(pattern)), "a"]))[:FEW]
    pairs = [one + other for one in some for other in some if one != other]
    return [*some, *pairs, "".join(some)]


def nested(parsed, inside=False):
    """Whether something is repeated that may itself be repeated in several ways, and may be tried in all of them."""
    for kind, told in parsed:
        match kind, told:
            case (kinds.MAX_REPEAT | kinds.MIN_REPEAT, (least, most, part)):
                if (inside and least < most - 1) or nested(part, inside or most > MANY):
                    return True
            case (kinds.POSSESSIVE_REPEAT, (_, _, part)) | (kinds.ATOMIC_GROUP, part):
                if nested(part):
                    return True
            case (kinds.SUBPATTERN, (*_, part)) | (kinds.ASSERT | kinds.ASSERT_NOT, (_, part)):
                if nested(part, inside):
                    return True
            case (kinds.BRANCH, (_, parts)):
                if any(nested(part, inside) for part in parts):
                    return True
    return False


def superlinear(pattern, how, lengths):
    """The word whose repetition takes longer than its length allows; None where there is none."""
    compiled = re.compile(pattern)

    def work(text):
        compiled.fullmatch(text)
        if how not in ("match", "fullmatch"):
            for _ in compiled.finditer(text):
                pass

    def repeated(word):
        return lambda length: like(pattern, word * (length // len(word)) + OTHER)

    for word in words(pattern):
        try:
            check_linear(work, repeated(word), lengths)
        except AssertionError:
            return word
    return None


@pytest.mark.parametrize("where", OURS)
def test_no_pattern_of_ours_repeats_what_repeats_in_several_ways(where):
    assert not nested(parsed(OURS[where][0]))


@pytest.mark.parametrize("where", OURS)
def test_no_pattern_of_ours_takes_more_than_its_share(where):
    assert superlinear(*OURS[where], SHORT) is None


@pytest.mark.slow
@pytest.mark.parametrize("where", OURS)
def test_nor_does_it_on_long_texts(where):
    assert superlinear(*OURS[where], LONG) is None


@pytest.mark.parametrize("pattern", [r"a+b", rb'"(?:[^"\\]|\\.)*+"', r"\s+$"])
def test_one_that_takes_the_square_is_found(pattern):
    assert superlinear(pattern, "compile", SHORT)


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|b*)*c", r"(?:\d+,?)+x", r"((ab){1,9}){2,}"])
def test_one_that_tries_all_ways_is_found(pattern):
    assert nested(parsed(pattern))


def test_there_are_patterns_and_those_that_callers_make_are_where_they_are_expected():
    assert len(OURS) > 10
    assert {where.partition(":")[0] for where, _, pattern in uses() if pattern is None} == MADE_BY_CALLERS


@pytest.mark.anyio
async def test_a_pattern_of_a_callers_that_takes_for_ever_is_killed_and_nobody_waits_for_it():
    settings = Settings(workers={"processes": 1, "seconds": SECONDS})
    async with ponder(lambda ask: "a" * 40 + "!", settings=settings) as served, lagging() as lag:
        judge = {"name": "regex", "pattern": "(a+)+$", "where": "text"}
        reply = await served.chat(
            reasoning_strategy={"name": "best_of_n", "n": 2, "verifier": judge}, return_trace=True
        )
    assert reply.status_code == 200
    assert all(one["score"] is None for one in reply.json()["ponder"]["candidates"])
    assert lag.longest < SECONDS


@pytest.mark.anyio
@pytest.mark.parametrize("field", ["regex", "grammar", "structural_tag"])
async def test_no_pattern_of_a_callers_reaches_an_engine(field):
    async with ponder() as served:
        reply = await served.chat(structured_outputs={field: "(a+)+$"})
        assert served.engine.requests == []
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, f"structured_outputs.{field}")
