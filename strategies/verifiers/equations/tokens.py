# ruff: noqa: RUF001
"""The tokens that model text is cut into, and the signs and words that stand for them."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Kind = Literal["number", "op", "(", ")", "=", "~", "frac", "sqrt", "word", "break", "bad"]

MAX_DIGITS = 60
"""Longer numbers are not tested."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of `text[start:end]`.

    A number has a `value`; `ulp` is the worth of its last written digit and `loose` says that its digits go on
    ("0.333..."). `units` are the units it counts, with exponents: 60 km/h is (("km", 1), ("hour", -1)); with
    `doubt` they may be a variable.
    """

    kind: Kind
    text: str
    start: int
    end: int
    value: Fraction = Fraction(0)
    ulp: Fraction = Fraction(1)
    loose: bool = False
    units: tuple[tuple[str, int], ...] = ()
    doubt: bool = False

    @property
    def slack(self) -> Fraction:
        """How far the value may be off: 3.33, 0.167 and 16.67 may themselves have been rounded, 0.13 and 4.80 not."""
        if self.loose:
            return self.ulp
        decimals = self.text.rstrip("\\% ").partition(".")[2]
        rounded = decimals in THIRDS or (len(decimals) > 2 and decimals[-1] not in "05")
        return self.ulp / 2 if rounded else Fraction(0)


THIRDS = ("33", "66", "67", "16", "17", "83")
"""Two decimals that look like thirds or sixths."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SIGNS: dict[str, tuple[Kind, str]] = {
    "+": ("op", "+"), "-": ("op", "-"), "−": ("op", "-"), "–": ("op", "-"), "‐": ("op", "-"), "‑": ("op", "-"),
    "×": ("op", "*"), "·": ("op", "*"), "⋅": ("op", "*"), "∙": ("op", "*"), "∗": ("op", "*"), "✕": ("op", "*"),
    "✖": ("op", "*"), "÷": ("op", "/"), "/": ("op", "/"), "∕": ("op", "/"), "⁄": ("op", "/"), "//": ("op", "//"),
    "^": ("op", "^"), "=": ("=", "="), "＝": ("=", "="), "≈": ("~", "~"), "≃": ("~", "~"), "≅": ("~", "~"),
    "~=": ("~", "~"), "√": ("sqrt", "√"),
    "(": ("(", "("), "[": ("(", "("), "{": ("(", "{"), ")": (")", ")"), "]": (")", ")"), "}": (")", "}"),
}  # fmt: skip
"""Every other sign breaks an expression, and those of SPOILERS make what they touch untestable."""

BREAKS = frozenset(("...", "!==", ">=", "<=", "!=", "=>", "->", ":=", "+=", "-=", "*=", "/=", "%=", "<<", ">>", "$$"))
SPOILERS = "?!@%~|°′″_\\±∓π∞½⅓⅔¼¾⅛…"
SKIPPED = "$€£¥₹`&'\"“”‘’*\u200b\ufeff"
CURRENCIES = {"$": "dollar", "€": "euro", "£": "pound", "¥": "yen", "₹": "rupee", "¢": "cent"}
SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"

COMMANDS: dict[str, tuple[Kind, str]] = {
    "times": ("op", "*"), "cdot": ("op", "*"), "ast": ("op", "*"), "div": ("op", "/"), "frac": ("frac", "/"),
    "dfrac": ("frac", "/"), "tfrac": ("frac", "/"), "cfrac": ("frac", "/"), "sqrt": ("sqrt", "√"), "approx": ("~", "~"),
    "simeq": ("~", "~"), "sim": ("~", "~"), "bmod": ("op", "mod"), "lbrack": ("(", "("), "rbrack": (")", ")"),
}  # fmt: skip
SKIPPED_COMMANDS = _words(
    "left right big Big bigl bigr Bigl Bigr displaystyle textstyle text textbf textit textrm mathrm mathbf mathit "
    "mathsf boxed fbox bf rm it operatorname underline emph mbox hspace pounds euro"
)
BREAK_COMMANDS = _words(
    "quad qquad implies Rightarrow rightarrow longrightarrow Longrightarrow to iff therefore because begin end "
    "neq ne le leq ge geq lt gt hline newline item Leftrightarrow"
)

WORD_SIGNS: dict[str, tuple[Kind, str]] = {
    "plus": ("op", "+"), "minus": ("op", "-"), "times": ("op", "*"), "mod": ("op", "mod"), "modulo": ("op", "mod"),
    "equals": ("=", "="),
}  # fmt: skip
TWO_WORD_SIGNS: dict[tuple[str, str], tuple[Kind, str]] = {
    ("multiplied", "by"): ("op", "*"), ("divided", "by"): ("op", "/"), ("equal", "to"): ("=", "="),
}  # fmt: skip
