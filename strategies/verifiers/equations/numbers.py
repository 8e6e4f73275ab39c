# ruff: noqa: RUF001
"""Reading one written number: thousands separators, decimals, a currency before it, a percent sign behind it."""

from fractions import Fraction

from strategies.verifiers.equations.tokens import CURRENCIES, MAX_DIGITS, Token

DIGITS = frozenset("0123456789")
SEPARATORS = (",", "{,}", "\\,", "\\!,", "{\\,}")
PERCENTS = ("%", "\\%", " %", " \\%")


def run(text: str, start: int, more: frozenset[str] = DIGITS) -> int:
    """Where the characters of a set end that begin at `start`."""
    while start < len(text) and text[start] in more:
        start += 1
    return start


def number(text: str, start: int) -> Token:
    """The number that begins at `start`; a `bad` token where it is none: a list, a time, a version, too many digits."""
    whole = run(text, start)
    end, grouped = _groups(text, whole) if whole - start <= 3 else (whole, "")
    digits, places = text[start:whole] + grouped, 0
    broken = text[end : end + 1] == "," and text[end + 1 : end + 2] in DIGITS
    if text[end : end + 1] == "." and text[end + 1 : end + 2] in DIGITS:
        last = run(text, end + 1)
        digits, places, end = digits + text[end + 1 : last], last - end - 1, last
    if broken or len(digits) > MAX_DIGITS or _spoiled(text, end, digits):
        return Token("bad", "#", start, max(end, run(text, end, DIGITS | {",", ".", ":"})))
    return _token(text, start, end, digits, places)


def _groups(text: str, end: int) -> tuple[int, str]:
    """Where the thousands groups end that follow, and their digits."""
    found = []
    while separator := next((s for s in SEPARATORS if text.startswith(s, end)), ""):
        first = end + len(separator)
        if not _three(text, first):
            break
        found.append(text[first : first + 3])
        end = first + 3
    return end, "".join(found)


def _three(text: str, first: int) -> bool:
    """Whether exactly three digits stand there."""
    return all(text[i : i + 1] in DIGITS for i in range(first, first + 3)) and text[first + 3 : first + 4] not in DIGITS


def _spoiled(text: str, end: int, digits: str) -> bool:
    """Whether what follows the digits makes them no number: 10:30, 1.2.3, 1e5, 0x1F, 5'."""
    after, beyond = text[end : end + 1], text[end + 1 : end + 2]
    if after in (".", ":"):
        return beyond in DIGITS
    exponent = after in ("e", "E") and (beyond in DIGITS or beyond in ("+", "-"))
    return exponent or after in ("'", "′", "″") or (after in ("x", "X", "b") and digits == "0")


def _token(text: str, start: int, end: int, digits: str, places: int) -> Token:
    """The number with its currency, its percent sign and the dots behind it."""
    unit = CURRENCIES.get(text[start - 1]) if start else None
    ulp = Fraction(1, 10**places)
    loose = text.startswith(("...", "…"), end) and places > 0
    if loose:
        end += 3 if text[end] == "." else 1
    percent = next((sign for sign in PERCENTS if text.startswith(sign, end)), "")
    if percent:
        ulp, end, unit = ulp / 100, end + len(percent), "%"
    units = ((unit, 1),) if unit else ()
    return Token("number", text[start:end], start, end, int(digits or "0") * ulp, ulp, loose, units)
