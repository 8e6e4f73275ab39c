"""Reading the final answer out of a response, and telling when two answers are the same. Linear scans only."""

import json
import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

from strategies.types import Candidate, ToolCall, once_each

LONGEST = 4096
"""Characters of the longest answer that may vote, and of a text's end that is searched for a number."""
DIGITS = 60
"""Characters of the longest text that is read as a number."""
JSON = 1 << 16
"""Characters of the longest JSON text that may vote."""
BOXES = 8
"""How many `\\boxed{` are tried from the end before there is none."""
REMEMBERED = 256
"""Answers whose canonical form is remembered: a vote asks for the same few many times."""

NUMBER = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?%?(?![\w])")
PLAIN = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")
FRACTION = re.compile(r"(-?)(?:\\[dt]?frac\{(\d+)\}\{(\d+)\}|(\d+) */ *(\d+))")
DRESSING = ("$", "€", "£", "\\$", "\\(", "\\)", "\\[", "\\]", "**", "\\!", "\\,")


@once_each
def answer_of(candidate: Candidate) -> str | None:
    """What the candidate answers, as it votes: canonical, None where it has to abstain.

    A tool call answers by its name and arguments, a JSON document by its value. A path that the model did not end
    itself votes only with a closed tag or box: its last number may be anything.
    """
    if candidate.votes_for is not None:
        return candidate.votes_for
    ended = candidate.finish == "stop"
    if candidate.calls:
        return calls_key(candidate.calls) if ended else None
    said = spoken(candidate)
    if candidate.prompt.form == "json":
        return json_key(parsed(said)) if ended else None
    if candidate.prompt.form == "whole":
        return canonical(said) if ended and said else None
    found = final_answer(said, whole=ended)
    return canonical(found) if found else None


def valid(candidate: Candidate) -> bool:
    """Whether it is what was asked for, as far as its form tells.

    That is a call with readable arguments, a JSON document, or else some words after the model's own thinking.
    """
    if candidate.calls or candidate.prompt.form == "json":
        return answer_of(candidate) is not None
    return bool(spoken(candidate).strip())


@once_each
def spoken(candidate: Candidate) -> str:
    """What the candidate says after the model's own thinking; nothing while that goes on."""
    text = candidate.text
    if candidate.prompt.thinks or text.lstrip().startswith("<think>"):
        return text.partition("</think>")[2].lstrip()
    return text.rpartition("</think>")[2].lstrip() if "</think>" in text else text


@once_each
def thinking(candidate: Candidate) -> bool | None:
    """Whether the path so far ends inside the model's own thinking; None where it may still open one."""
    text = candidate.text
    if candidate.prompt.thinks or text.lstrip().startswith("<think>"):
        return "</think>" not in text
    return None if "<think>".startswith(text.lstrip()) else False


def final_answer(text: str, *, whole: bool = True) -> str | None:
    """The last `<answer>…</answer>`, else the last `\\boxed{…}`, else, of a `whole` text, the last number."""
    found = tagged(text) or boxed(text)
    if found is None and whole:
        numbers = NUMBER.findall(text[-LONGEST:])
        found = numbers[-1] if numbers else None
    return found if found and len(found) <= LONGEST else None


def calls_key(calls: Sequence[ToolCall]) -> str | None:
    """Equal for equal calls; None where one's arguments are no JSON object."""
    told = [(call.name, parsed(call.arguments)) for call in calls]
    return json_key(told) if all(isinstance(arguments, dict) for _, arguments in told) else None


UNREADABLE = object()
"""What is not JSON, or too large a piece of it."""


def parsed(text: str) -> Any:
    """The value of a JSON text, UNREADABLE where it is none."""
    if len(text) > JSON:
        return UNREADABLE
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return UNREADABLE


def json_key(value: Any) -> str | None:
    """Equal for equal values; None where one of them cannot be read, or is no text that UTF-8 could carry."""
    try:
        key = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
        key.encode()
        return key
    except (TypeError, ValueError, RecursionError):
        return None


def tagged(text: str) -> str | None:
    """What the last closed `<answer>` tag holds."""
    start = text.rfind("<answer>", 0, max(text.rfind("</answer>"), 0))
    if start < 0:
        return None
    inside = text[start + len("<answer>") : text.find("</answer>", start)].strip()
    return boxed(inside) or inside or None


def boxed(text: str) -> str | None:
    """What the last closed `\\boxed{…}` holds, its braces matched."""
    end = len(text)
    for _ in range(BOXES):
        end = text.rfind("\\boxed{", 0, end)
        if end < 0:
            return None
        inside = braced(text, end + len("\\boxed{"))
        if inside is not None:
            return inside.strip() or None
    return None


def braced(text: str, start: int) -> str | None:
    """The text from `start` up to the brace that closes the one before it, at most `LONGEST` characters."""
    depth = 1
    for at in range(start, min(len(text), start + LONGEST)):
        if text[at] == "{":
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if depth == 0:
                return text[start:at]
    return None


@lru_cache(maxsize=REMEMBERED)
def canonical(answer: str) -> str:
    """Equal for equal answers: numbers by value ("1,000.0" is "1000", "1/2" is "0.5"), text by its words."""
    bare = answer
    for mark in DRESSING:
        bare = bare.replace(mark, "")
    bare = bare.strip().rstrip(".").strip()
    value = number(bare)
    if value is not None:
        return value
    return " ".join(bare.casefold().split()) or answer


def number(text: str) -> str | None:
    """The value of a text that is nothing but a number, written one way."""
    if len(text) > DIGITS:
        return None
    percent = "%" if text.endswith(("%", "\\%")) else ""
    text = text.rstrip("%").rstrip("\\").strip()
    if match := FRACTION.fullmatch(text):
        sign, *parts = match.groups()
        above, below = (int(part) for part in parts if part)
        return f"{Fraction(above, below) * (-1 if sign else 1)}{percent}" if below else None
    if PLAIN.fullmatch(text):
        return f"{Fraction(text.replace(',', ''))}{percent}"
    return None
