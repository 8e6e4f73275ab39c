# ruff: noqa: RUF001
"""From text to tokens: one pass of a hand-written scanner. It knows signs and numbers, not what words mean."""

from fractions import Fraction

from strategies.verifiers.equations.numbers import DIGITS, number, run
from strategies.verifiers.equations.tokens import (
    BREAK_COMMANDS,
    BREAKS,
    COMMANDS,
    SIGNS,
    SKIPPED,
    SKIPPED_COMMANDS,
    SPOILERS,
    SUPERSCRIPTS,
    Kind,
    Token,
)

MAX_TAG = 24


def scan(text: str) -> list[Token]:
    """The tokens of `text`, spaces and formatting left out."""
    scanner = _Scanner(text)
    while scanner.at < len(text):
        scanner.step()
    return scanner.tokens


class _Scanner:
    """Where we are, what was found; `fresh` while nothing but markers was seen on the line."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.fresh = True
        self.tokens: list[Token] = []

    def step(self) -> None:
        c = self.text[self.at]
        if c == "\n":
            self.newline(1)
        elif c.isspace():
            self.at += 1
        elif c in DIGITS or (c == "." and self.peek(1) in DIGITS):
            self.number()
        elif c.isalpha() or c == "_":
            self.word()
        elif c == "\\":
            self.command()
        elif c == "*":
            self.star()
        elif c == "<":
            self.tag()
        else:
            self.sign(c)

    def peek(self, ahead: int) -> str:
        """The character so far ahead (or behind), a space beyond the text."""
        at = self.at + ahead
        return self.text[at] if 0 <= at < len(self.text) else " "

    def add(self, kind: Kind, text: str, length: int) -> None:
        self.tokens.append(Token(kind, text, self.at, self.at + length))
        self.at += length
        self.fresh = False

    def newline(self, length: int) -> None:
        self.add("break", "\n", length)
        self.fresh = True

    def operand_before(self) -> bool:
        return bool(self.tokens) and self.tokens[-1].kind in ("number", ")", "word")

    def number(self) -> None:
        if self.fresh and self.marker():
            return
        self.tokens.append(token := number(self.text, self.at))
        self.at, self.fresh = token.end, False

    def marker(self) -> bool:
        """Skip a list marker, "1." or "2)", at the start of a line."""
        end = run(self.text, self.at)
        mark, after = self.text[end : end + 1], self.text[end + 1 : end + 2]
        if end - self.at > 3 or mark not in (".", ")") or after not in (" ", "*", "\n"):
            return False
        self.at = end + 1
        return True

    def word(self) -> None:
        text, end = self.text, self.at + 1
        if text[self.at] in "xX" and self.peek(-1) in DIGITS and self.peek(1) in DIGITS and self.operand_before():
            self.add("op", "*", 1)
            return
        while end < len(text) and (
            text[end].isalnum()
            or text[end] == "_"
            or (text[end] in "-'’" and text[end - 1].isalpha() and self.alpha(end + 1))
        ):
            end += 1
        if self.fresh and end == self.at + 1 and text[end : end + 2] == ") ":
            self.at = end + 1
        else:
            self.add("word", text[self.at : end], end - self.at)

    def alpha(self, at: int) -> bool:
        return at < len(self.text) and self.text[at].isalpha()

    def command(self) -> None:
        """A LaTeX command, or an escaped sign."""
        end = self.at + 1
        while self.alpha(end) and self.text[end].isascii():
            end += 1
        name, length = self.text[self.at + 1 : end], max(end - self.at, 2)
        if not name:
            self.escape(self.peek(1))
        elif name in SKIPPED_COMMANDS:
            self.at = end
        elif name in BREAK_COMMANDS:
            self.add("break", name, length)
        else:
            self.add(*COMMANDS.get(name, ("bad", name)), length)

    def escape(self, c: str) -> None:
        if c == "\\":
            self.newline(2)
        elif c in "[]":
            self.add("break", c, 2)
        elif c in "{}":
            self.at += 1
        elif c in "(),;:! $&#":
            self.at += 2
        else:
            self.add("bad", c, 2)

    def star(self) -> None:
        """Multiplication, a power, a bullet, or Markdown's emphasis."""
        length = run(self.text, self.at, frozenset("*")) - self.at
        before, after = self.peek(-1), self.peek(length)
        even = (before == " ") == (after == " ")
        operand = self.operand_before() and even
        if length == 2 and operand and (before == " " or (before in DIGITS | {")"} and after in DIGITS | {"(", "-"})):
            self.add("op", "^", 2)
        elif length == 1 and (operand or (self.operand_before() and before not in " *" and after in DIGITS)):
            self.add("op", "*", 1)
        else:
            self.at += length

    def tag(self) -> None:
        """An opening tag is skipped, a closing one breaks an expression."""
        close = self.text.find(">", self.at, self.at + MAX_TAG)
        inside = self.text[self.at + 1 : close] if close > 0 else ""
        if inside.strip("/ ").isalpha() and not inside.startswith(("/", "br")):
            self.at = close + 1
        elif inside.strip("/ ").isalpha():
            self.add("break", "<", close + 1 - self.at)
        else:
            self.sign("<")

    def sign(self, c: str) -> None:
        spaced = self.peek(1).isspace()
        if self.fresh and c == "(" and self.peek(1) in DIGITS and self.peek(2) == ")" and self.peek(3) == " ":
            self.at += 4
            return
        if self.fresh and c in "-–—•·>#●▪" and (spaced or c in ">#"):
            self.bullet(c)
            return
        for size in (3, 2):
            many = self.text[self.at : self.at + size]
            if many in BREAKS:
                self.add("break" if c != "." else "bad", many, size)
                return
        if c == "=" and self.peek(1) == "=":
            self.add("break", "==", run(self.text, self.at, frozenset("=")) - self.at)
            return
        two = self.text[self.at : self.at + 2]
        if two in SIGNS:
            self.add(*SIGNS[two], 2)
        elif c in SIGNS:
            self.add(*SIGNS[c], 1)
        elif c in SUPERSCRIPTS:
            self.superscript()
        elif c in SKIPPED:
            self.at += 1
        else:
            self.add("bad" if c in SPOILERS else "break", c, 1)

    def bullet(self, c: str) -> None:
        """A list marker; a dash could also be a minus, so it leaves a trace."""
        if c in "-–":
            self.add("break", "-", 1)
        else:
            self.at += 1
        self.fresh = True

    def superscript(self) -> None:
        end = run(self.text, self.at, frozenset(SUPERSCRIPTS))
        digits = "".join(str(SUPERSCRIPTS.index(c)) for c in self.text[self.at : end])
        self.tokens.append(Token("op", "^", self.at, self.at))
        kind: Kind = "number" if len(digits) <= 3 else "bad"
        self.tokens.append(Token(kind, digits, self.at, end, Fraction(int(digits[:3]))))
        self.at, self.fresh = end, False
