"""The words beside numbers: units of measure, and words that change what a number means."""

from collections.abc import Sequence

Units = tuple[tuple[str, int], ...]
"""Units with their exponents, sorted by name."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SPELLINGS = {
    "time": "second:s,sec,secs,seconds minute:min,mins,minutes hour:h,hr,hrs,hours day:days week:weeks,wk,wks "
    "month:months year:years,yr,yrs",
    "length": "millimeter:mm,millimetre,millimeters,millimetres centimeter:cm,centimetre,centimeters,centimetres "
    "meter:m,metre,meters,metres kilometer:km,kms,kilometre,kilometers,kilometres "
    "inch:inches foot:ft,feet yard:yd,yards "
    "mile:mi,miles",
    "mass": "milligram:mg,milligrams gram:g,grams kilogram:kg,kgs,kilo,kilos,kilograms "
    "ounce:oz,ounces lb:lbs ton:tons,tonnes",
    "volume": "milliliter:ml,milliliters,millilitre,millilitres liter:l,liters,litre,litres gallon:gal,gallons "
    "quart:quarts pint:pints cup:cups",
    "money": "dollar:dollars,usd cent:cents euro:euros,eur pound:pounds,gbp yen: rupee:rupees",
}
_ENTRIES = [
    (dimension, entry.partition(":")[0], entry.partition(":")[2].split(","))
    for dimension, entries in _SPELLINGS.items()
    for entry in entries.split()
]
UNITS = {spelling: unit for _, unit, others in _ENTRIES for spelling in (unit, *others) if spelling}
"""What a spelling means: "hrs" is an "hour"."""
DIMENSIONS = {unit: dimension for dimension, unit, _ in _ENTRIES}

RATES = _words("per a an each every")
"""Between two units: 8 hours a day."""
COUNTED = _words("item person unit piece pack box bag ticket egg each bottle book pen pencil student child kid head")
"""Nouns that a price may be for: $5/pack."""

NOT_UNITS = _words(
    "and or is are was were be so then if more less fewer than off of to from with dozen hundred thousand million "
    "billion half third quarter squared cubed am pm noon remainder we you he she they it i that which where when "
    "let since because find get gives means now next but not by"
)
"""Words that no unit contains: after a number and before an operator they make the expression untestable."""
RESCALING = _words(
    "dozen dozens hundred hundreds thousand thousands million millions billion billions trillion am pm noon "
    "o'clock squared cubed percent ten tens half halves third thirds quarter quarters tenths hundredths factorial"
)
"""After a right side they change its value."""
DOUBTFUL_BEFORE = _words(
    "half twice double triple thrice quadruple negative root by than per cube square factorial log sin cos tan "
    "max min step day week month year hour minute item part case problem question number no box phase stage "
    "method option example line row round level person page chapter table figure equation about roughly only"
)
"""Before a left side they may change its value ("half of 10 + 5") or own its first number ("Step 1 - 3 + 4")."""
OF_IS_PLAIN_AFTER = _words("total sum cost price value amount product result difference number distance profit")
CONNECTIVES = _words("so is then get gets have gives and thus that us equals compute calculate be are or hence as")
"""After them a sign can be a number's own: "so -3 + 5 = 2"."""


def variable(word: str) -> bool:
    """Whether a word looks like a variable: one letter, or with a digit or an underscore in it."""
    return (len(word) == 1 and word not in "aAI") or any(c.isdigit() or c == "_" for c in word)


def units_of(words: Sequence[str]) -> Units:
    """The units that the words after a number name, () where they name none: hours per day is hour/day."""
    found: dict[str, int] = {}
    sign = 1
    for word in words[:4]:
        if unit := UNITS.get(word.lower()):
            found[unit] = found.get(unit, 0) + sign
        elif word.lower() in RATES:
            sign = -1
        else:
            break
    return packed(found)


def unitlike(words: Sequence[str]) -> bool:
    """Whether the words can be what a number counts: a few, none of them with a meaning of its own, no variable."""
    return len(words) <= 4 and not any(w.lower() in NOT_UNITS or (variable(w) and w not in UNITS) for w in words)


def packed(units: dict[str, int]) -> Units:
    return tuple(sorted((unit, power) for unit, power in units.items() if power))


def combined(left: Units, right: Units, sign: int) -> Units:
    """The units of a product (sign 1) or quotient (-1); percent gets lost in both."""
    units = {unit: power for unit, power in left if unit != "%"}
    for unit, power in right:
        if unit != "%":
            units[unit] = units.get(unit, 0) + sign * power
    return packed(units)


def convertible(left: Units, right: Units) -> bool:
    """Whether a conversion may hide between two sides, or within one: minutes became hours, km met metres."""
    at_left = {unit for unit, _ in left}
    if any(_alike(u, v) and u not in at_left for u, _ in right for v in at_left):
        return True
    return any(_alike(u, v) and p * q < 0 for side in (left, right) for u, p in side for v, q in side)


def _alike(one: str, other: str) -> bool:
    return one != other and DIMENSIONS.get(one, one) == DIMENSIONS.get(other, other)
