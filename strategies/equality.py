"""Which answers are equal as mathematics: 2(x+1) and 2x+2 are one vote. Knows nothing of parsing formulas."""

import re
from collections.abc import Sequence

from strategies.answers import number
from strategies.formulas import first_equal
from strategies.protocols import Compute, Expired

FORMS = 16
"""Distinct formulas of one vote that are compared; later ones are equal only to themselves."""
STRIKES = 3
"""Comparisons that may expire before none is tried any more: each costs a worker all of its time."""
LONGEST = 500
"""Characters of the longest formula."""
SIGNS = frozenset("\\^_+-*/=(){}[]<>|!√π∞·×÷±≤≥≠∪∩")  # noqa: RUF001
WORD = re.compile(r"(?<!\\)\b[^\W\d_]{3,}")
FUNCTIONS = frozenset({"sqrt", "sin", "cos", "tan", "cot", "sec", "csc", "log", "exp", "arcsin", "arccos", "arctan"})

UNREAD = re.compile(r"\\(?:[lcdv]?dots|equiv|approx|[bp]?mod|mathbf|c[ua]p ?_)|\.\.\.|[…%'\"]|(?:^|[\d\s)\]}])_")
"""What math-verify leaves out as it reads, often with all that follows: 7 mod 2 would equal 7, and 11_2 would 11_3."""


def formula(text: str) -> bool:
    """Whether a canonical answer looks like a formula that can be read: no plain number, no words. Linear."""
    if len(text) > LONGEST or number(text) is not None or UNREAD.search(text):
        return False
    signs = not SIGNS.isdisjoint(text)
    mixed = any(c.isdigit() for c in text) and any(c.isalpha() for c in text)
    return (signs or mixed) and all(match[0] in FUNCTIONS for match in WORD.finditer(text))


def comparable(a: str, b: str) -> bool:
    """Whether two different canonical answers could be equal after all: formulas, or one and a number."""
    return (formula(a) and (formula(b) or number(b) is not None)) or (formula(b) and number(a) is not None)


async def equal(reference: str, answer: str, compute: Compute) -> bool:
    """Whether a canonical answer equals the reference. What takes too long to compare does not."""
    if reference == answer:
        return True
    if not comparable(reference, answer):
        return False
    try:
        return await compute(first_equal, [reference], answer) == 0
    except Expired:
        return False


async def classes(answers: Sequence[str], compute: Compute) -> dict[str, str]:
    """Map each distinct canonical answer to the one that stands for its class: the first by the given order.

    math-verify's equality is neither symmetric nor transitive, so each formula is compared only with those that stand
    for a class, in order, and joins the first that it equals. What cannot be compared in time stands alone.
    """
    standing: dict[str, str] = {answer: answer for answer in answers}
    known: list[str] = []
    strikes = 0
    for form in [form for form in standing if formula(form)][:FORMS]:
        try:
            at = await compute(first_equal, known, form) if known else None
            if at is not None:
                standing[form] = known[at]
            elif await compute(first_equal, [form], form) == 0:  # else it would spoil every later comparison
                known.append(form)
        except Expired:
            strikes += 1
            if strikes == STRIKES:
                break
    return standing
