"""A number with its unit, and when two of them say the same; pure and exact."""

import re
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

from inference.units import CENT, PENNY, PERCENT, PERIODS, PLAIN, SHARE, UNITS, Unit

_APPROXIMATION = Fraction(2, 100)
_MONTH_S = Fraction(30_436_875 * 86_400, 1_000_000)
"""Mean length of a month of the Gregorian calendar, in seconds."""
_CALENDAR_APPROXIMATION = Fraction(10, 100)
"""Twelve weeks are three months, as people speak."""
_HUNDREDTHS = {CENT: UNITS["$"], PENNY: UNITS["£"]}
_PERIOD = "|".join(sorted(PERIODS, key=lambda name: (-len(name), name)))
_RATE_AFTER = re.compile(
    rf"\s*(?:/\s*|per\s+|(?:an?|each|every)\s+(?=[a-z]+\b(?!\s+(?:ago|earlier|later|before|after|old|or)\b)))"
    rf"(?P<period>{_PERIOD})(?![a-z0-9])|\s*每[個个]?(?P<han>{_PERIOD})"
)
_RATE_BEFORE = re.compile(rf"每[個个]?(?P<period>{_PERIOD})[一-鿿]{{0,2}}\s*$")
_HEDGE = re.compile(
    r"(?:just under|just over|slightly under|slightly over|not quite|well over|"
    r"about|around|approximately|roughly|nearly|almost|over|more than|circa|some|"
    r"約|约|大約|大约|將近|将近|近|超過|超过|左右)\s*$"
)
_HAN_HEDGE = re.compile("[多餘余]")
_HEDGE_AFTER = re.compile(r"\s*(?:左右|上下|or so\b|approximately)")


@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """A number as written, in one place of one text; equal only to itself.

    ``value`` is in ``unit``; ``decimals`` counts digits after the point.

    ``approximate``: the text hedges it ("about", "約"). ``start`` and ``end`` delimit it in the
    normalised text.
    """

    value: Fraction
    unit: Unit
    decimals: int
    approximate: bool
    surface: str
    start: int
    end: int
    period: Fraction | None = None
    """Seconds over which it is counted, in a rate such as "5 km per day"; None without one."""
    base: Fraction = field(init=False, compare=False, repr=False)
    """The value in the base unit of its dimension."""
    exact: tuple[int, int] = field(init=False, compare=False, repr=False)
    exact_base: tuple[int, int] = field(init=False, compare=False, repr=False)
    """``value`` and ``base`` as numerator and denominator, which compare faster than fractions."""
    is_year: bool = field(init=False, compare=False, repr=False)
    """Whether it has no unit and is written as a year is: "in 2014"."""

    def __post_init__(self) -> None:
        base = self.value * self.unit.factor + self.unit.offset
        is_year = self.unit is PLAIN and self.surface.isdigit() and 1500 <= self.value <= 2100
        object.__setattr__(self, "base", base)
        object.__setattr__(self, "exact", self.value.as_integer_ratio())
        object.__setattr__(self, "exact_base", base.as_integer_ratio())
        object.__setattr__(self, "is_year", is_year)


@lru_cache(maxsize=65_536)
def same_amount(a: Quantity, b: Quantity) -> bool:
    """Whether two quantities say the same: converted, rounded or hedged as they are written."""
    if _other_rate(a, b):
        return False
    if a.unit is b.unit and a.exact == b.exact:
        return True
    if {a.unit, b.unit} == {PERCENT, PLAIN} and _share(a) == _share(b):
        return a.decimals + b.decimals > 0  # a ratio of 1.25 is 125 %
    if _is_share(a) and _is_share(b) and PERCENT in (a.unit, b.unit):
        x, y = _share(a), _share(b)
        hedged = a.approximate or b.approximate
        return x == y or (hedged and abs(x - y) <= 2 * _APPROXIMATION * max(x, y))
    if not comparable(a, b) or (
        a.unit.dimension == b.unit.dimension == "money" and a.unit is not b.unit
    ):
        return False
    if {a.unit.dimension, b.unit.dimension} == {"time", "calendar time"}:
        x, y = _seconds(a), _seconds(b)
        return abs(x - y) <= _CALENDAR_APPROXIMATION * max(abs(x), abs(y))
    based = PLAIN is not a.unit is not b.unit is not PLAIN
    if (a.exact_base == b.exact_base) if based else (a.exact == b.exact):
        return True
    if based and (_rounds_to(a, b) or _rounds_to(b, a)):
        return True
    decimals = min(a.decimals, b.decimals)
    if not (decimals and a.unit is b.unit) and not (a.approximate or b.approximate):
        return False
    x, y = (a.base, b.base) if based else (a.value, b.value)
    if decimals and a.unit is b.unit and _rounded(x, decimals) == _rounded(y, decimals):
        return True
    hedged = a.approximate or b.approximate
    return hedged and abs(x - y) <= _APPROXIMATION * max(abs(x), abs(y))


def comparable(a: Quantity, b: Quantity) -> bool:
    """Whether two quantities could be about the same thing: one dimension, or one without unit."""
    if a.unit is b.unit:
        return True
    if a.unit is SHARE or b.unit is SHARE:
        return PERCENT in (a.unit, b.unit)  # "two thirds" does not measure what "451" measures
    if a.unit is PLAIN or b.unit is PLAIN:
        return not (a.is_year or b.is_year)
    dimensions = {a.unit.dimension, b.unit.dimension}
    return len(dimensions) == 1 or dimensions == {"time", "calendar time"}


def _other_rate(a: Quantity, b: Quantity) -> bool:
    """Whether both are rates and differ as such. What one leaves out, the other may add."""
    if a.period is None or b.period is None or a.period == b.period:
        return False
    if a.unit.dimension != b.unit.dimension:
        return False
    x, y = a.base / a.period, b.base / b.period
    return abs(x - y) > _CALENDAR_APPROXIMATION * max(abs(x), abs(y))


def _is_share(quantity: Quantity) -> bool:
    """Whether it may be a share of a whole: 8 %, 0.08, two thirds."""
    return quantity.unit in (PERCENT, SHARE) or (
        quantity.unit is PLAIN and quantity.decimals > 0 and 0 < quantity.value < 1
    )


def _share(quantity: Quantity) -> Fraction:
    return quantity.value / 100 if quantity.unit is PERCENT else quantity.value


def _seconds(quantity: Quantity) -> Fraction:
    calendar = quantity.unit.dimension == "calendar time"
    return quantity.base * _MONTH_S if calendar else quantity.base


def _rounds_to(given: Quantity, other: Quantity) -> bool:
    """Whether the one is the other, converted and rounded as it is written: 165 °F are 74 °C."""
    converted = (given.base - other.unit.offset) / other.unit.factor
    return (
        given.unit is not other.unit
        and (abs(other.value) >= 10 or other.decimals > 0)
        and _rounded(converted, other.decimals) == _rounded(other.value, other.decimals)
    )


def _rounded(value: Fraction, decimals: int) -> int:
    return int((value * 10**decimals + Fraction(1, 2)) // 1)


def measured(
    plain: str, match: re.Match[str], value: Fraction, unit: Unit, decimals: int = 0
) -> Quantity:
    """What a match says in the normalised text ``plain``: with its hedges, and as a rate."""
    if unit in _HUNDREDTHS:
        value, unit = value * unit.factor, _HUNDREDTHS[unit]
    hedged = (
        _HEDGE.search(plain, 0, match.start())
        or _HEDGE_AFTER.match(plain, match.end())
        or _HAN_HEDGE.search(match[0])
    )
    return Quantity(
        value,
        unit,
        decimals,
        hedged is not None,
        match[0].strip(),
        match.start(),
        match.end(),
        _period(plain, match) if unit.dimension else None,
    )


def _period(plain: str, match: re.Match[str]) -> Fraction | None:
    """Seconds over which the number is counted: "5 km a day", "每秒 42 米"."""
    if after := _RATE_AFTER.match(plain, match.end()):
        return PERIODS[after["period"] or after["han"]]
    before = _RATE_BEFORE.search(plain, max(0, match.start() - 8), match.start())
    return PERIODS[before["period"]] if before else None
