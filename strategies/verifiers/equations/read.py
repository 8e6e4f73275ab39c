"""From raw tokens to expressions: words become operators, units or breaks, and parentheses are paired."""

from dataclasses import replace

from strategies.verifiers.equations.tokens import TWO_WORD_SIGNS, WORD_SIGNS, Token
from strategies.verifiers.equations.units import COUNTED, RATES, UNITS, combined, unitlike, units_of, variable

OPERAND_ENDS = ("number", ")")
OPERAND_STARTS = ("number", "(", "frac", "sqrt")
MAX_REMARK = 32
"""Tokens in a parenthesis that is left out for a remark."""


def read(tokens: list[Token]) -> list[Token]:
    """Tokens without a single word: what is no part of an expression is a `break`, or `bad` where it spoils one."""
    return _units(_pairs(_signs(_lines(tokens))))


def _lines(tokens: list[Token]) -> list[Token]:
    """Join a line that starts with "=" to the line before."""
    out: list[Token] = []
    for token in tokens:
        if token.kind in "=~" and len(out) > 1 and out[-1].text == "\n" and out[-2].text != "\n":
            out.pop()
        out.append(token)
    return out


def _signs(tokens: list[Token]) -> list[Token]:
    """Turn words that stand for signs into signs."""
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        token, after = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else None
        width = 1
        if token.kind == "word":
            word = token.text.lower()
            pair = (word, after.text.lower() if after else "")
            if pair in TWO_WORD_SIGNS and after:
                token, width = _sign(token, after, TWO_WORD_SIGNS[pair], out), 2
            elif word in WORD_SIGNS:
                token = _sign(token, token, WORD_SIGNS[word], out)
            elif after and out and _multiplies(out, token, after):
                token = replace(token, kind="op", text="*")
            elif word == "percent" and out and out[-1].kind == "number" and not out[-1].units:
                before = out.pop()
                part = replace(before, value=before.value / 100, ulp=before.ulp / 100, units=(("%", 1),))
                token = replace(part, text=before.text + "%", end=token.end)
        out.append(token)
        at += width
    return out


def _sign(first: Token, last: Token, sign: tuple[str, str], before: list[Token]) -> Token:
    """The sign that one word or two stand for; "is not equal to" is none."""
    kind = "bad" if before and before[-1].text.lower() == "not" else sign[0]
    if sign[0] == "=" and before and before[-1].text.lower() in ("is", "are", "be", "also"):
        before.pop()
    return Token(kind, sign[1], first.start, last.end)  # type: ignore[arg-type]


def _multiplies(before: list[Token], token: Token, after: Token) -> bool:
    """Whether a word multiplies: 5 packs x 8 but not 2x (3 + 4); 20% of 50 and 1/2 of 10, but not 3 of 10."""
    last = before[-1]
    if token.text in ("x", "X"):
        tight = last.kind == "number" and last.end == token.start
        return not tight and last.kind in (*OPERAND_ENDS, "word") and after.kind in OPERAND_STARTS
    if token.text != "of" or after.kind not in ("number", "(") or last.kind not in OPERAND_ENDS:
        return False
    return last.units == (("%", 1),) or last.kind == ")" or (len(before) > 1 and before[-2].text == "/")


def _pairs(tokens: list[Token]) -> list[Token]:
    """Pair parentheses line by line. One around an equation, or alone, is a break; one around words alone vanishes."""
    out = list(tokens)
    stack: list[tuple[int, set[str]]] = []
    for at, token in enumerate(tokens):
        if token.text == "\n":
            _demote(out, stack)
        elif token.kind == "(":
            stack.append((at, set()))
        elif token.kind == ")":
            if stack:
                _close(out, stack, at)
            else:
                out[at] = replace(token, kind="break")
        elif stack:
            stack[-1][1].add("/" if token.text == "/" else token.kind)
    _demote(out, stack)
    return [token for token in out if token.text]


def _demote(out: list[Token], stack: list[tuple[int, set[str]]]) -> None:
    """Make breaks of parentheses that nothing closed."""
    for at, _ in stack:
        out[at] = replace(out[at], kind="break")
    stack.clear()


def _close(out: list[Token], stack: list[tuple[int, set[str]]], at: int) -> None:
    """Settle the pair that `at` closes: a remark such as (first 4 hours) vanishes with what is in it, a unit stays."""
    start, kinds = stack.pop()
    if kinds & {"=", "~"}:
        out[start], out[at] = replace(out[start], kind="break"), replace(out[at], kind="break")
        kinds = {"="}
    elif "word" in kinds and kinds <= {"word", "/", "break", "number"} and _remark(out, start, at):
        for i in range(start, at + 1):
            out[i] = replace(out[i], text="")
        kinds = {"word"}
    elif ("word" in kinds and kinds <= {"word", "/", "break"}) or (not kinds and out[start].text == "{"):
        out[start], out[at] = replace(out[start], text=""), replace(out[at], text="")
    if stack:
        stack[-1][1].update(kinds)


def _remark(out: list[Token], start: int, at: int) -> bool:
    """Whether the parenthesis after an operand begins with a word that is neither a unit nor a variable."""
    if at - start > MAX_REMARK:
        return False
    before, first = start - 1, start + 1
    while first < at and (out[first].kind == "(" or not out[first].text):
        first += 1
    while before >= 0 and out[before].text == "{":
        before -= 1
    if before < 0 or out[before].kind not in (*OPERAND_ENDS, "word"):
        return False
    word = out[first]
    return word.kind == "word" and out[start].text == "(" and word.text not in UNITS and not variable(word.text)


def _units(tokens: list[Token]) -> list[Token]:
    """Give runs of words to the number they follow, as its unit, where they can be one; else they are a break."""
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        end = at
        while end < len(tokens) and (tokens[end].kind == "word" or _per(tokens, end, end > at)):
            end += 1
        if end == at:
            out.append(tokens[at])
            at += 1
        else:
            at = _words(tokens, at, end, out)
    return out


def _per(tokens: list[Token], at: int, inside: bool) -> bool:
    """Whether a slash divides units, not numbers: 60 km/h, $5/pack."""
    if tokens[at].text != "/" or at + 1 == len(tokens) or tokens[at + 1].kind != "word":
        return False
    word = tokens[at + 1].text.lower()
    return word in UNITS or word in COUNTED or inside


def _words(tokens: list[Token], at: int, end: int, out: list[Token]) -> int:
    """Settle the run of words in `tokens[at:end]`; returns where to go on."""
    run = tokens[at:end]
    words = ["per" if t.text == "/" else t.text for t in run[:9]]
    operand = bool(out) and out[-1].kind in OPERAND_ENDS
    after = tokens[end].kind if end < len(tokens) else "break"
    tight = operand and out[-1].end == run[0].start and run[0].text not in UNITS and run[0].text != "/"
    if operand and not tight:
        out[-1] = replace(out[-1], units=_measured(out[-1], words), doubt=variable(words[0]))
        if after in ("op", "=", "~", ")") and unitlike([w for w in words if w not in RATES] or words) and len(run) <= 7:
            return _powers(tokens, end)
    first, last = run[0], run[-1]
    measure = operand and first.text in UNITS
    spoils = tight or (operand and variable(first.text) and not measure and first.text != "/")
    spoils = spoils or (variable(last.text) and not (measure and last is first))
    text = " ".join(dict.fromkeys((first.text, run[max(len(run) - 2, 0)].text, last.text)))
    out.append(Token("bad" if spoils else "break", text, first.start, last.end))
    return end


def _measured(operand: Token, words: list[str]) -> tuple[tuple[str, int], ...]:
    """The units of an operand with those that the words after it name."""
    if words[0] == "per":
        return combined(operand.units, units_of(words[1:]), -1)
    return units_of(words) or operand.units


def _powers(tokens: list[Token], at: int) -> int:
    """Skip the power of a unit: 24 m^2, 24 cm²."""
    if tokens[at].text == "^" and at + 1 < len(tokens) and tokens[at].start == tokens[at - 1].end:
        return at + 2
    return at
