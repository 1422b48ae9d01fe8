"""Guards on what is counted and dated: numbers, bounds, quantifiers, moments."""

import re
from collections.abc import Sequence
from functools import lru_cache

from inference.analysis import Analysis, Part
from inference.asked import asks_for_number
from inference.bounds import bounds_differ
from inference.guards.objection import Objection
from inference.moments import Moment, moments_differ
from inference.overlap import aligned_apart, likeness_permille
from inference.quantifiers import quantifiers_differ
from inference.quantity import Quantity, comparable, same_amount
from inference.units import PERCENT, PLAIN, POINTS

_ALIKE_PERMILLE = 450
_BRIEF_WORDS = 3
_YEARS = range(1000, 2200)
_CALCULATES = re.compile(
    r"\d\s*[-−–+×*÷/=]|\b(?:minus|plus|times|divided|multiplied|subtract\w*|so|therefore|hence)\b|"
    "[乘除减加扣剩]|就是|所以|因此|其他|其余"
)


def different_moments(question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """Each answer names a date or time that fits none of the other's."""
    if not (a.whole.moments or b.whole.moments):
        return None
    # A time that each answer names once is the same time, wherever it is named.
    times_a, times_b = _times(a.whole), _times(b.whole)
    if len(times_a) == len(times_b) == 1:
        (one,), (other,) = times_a, times_b
        if moments_differ(one, other) and not {one, other} & {*question.whole.moments}:
            return Objection("date", one.surface, other.surface)
    for x, y in aligned_apart(a, b):
        if not (x.moments or y.moments):
            continue
        moments_x, moments_y = _moments(x, y), _moments(y, x)
        asked = question.whole.moments
        for kind in (_is_time, _is_weekday, _is_date):
            in_x = [m for m in moments_x if kind(m) and m not in asked]
            in_y = [m for m in moments_y if kind(m) and m not in asked]
            odd_x = [m for m in in_x if in_y and _fits_none(m, in_y, b.whole.moments)]
            odd_y = [m for m in in_y if in_x and _fits_none(m, in_x, a.whole.moments)]
            if odd_x and odd_y:
                return Objection("date", odd_x[0].surface, odd_y[0].surface)
    return None


def different_numbers(question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """Each answer has a number that the other lacks, and the two could measure the same thing.

    More numbers on one side only are more detail: "1945" against "2 September 1945". Numbers that
    an answer repeats from the question do not count, unless it has no others ("5 % or 50 %?").
    """
    all_x, all_y = a.whole.quantities, b.whole.quantities
    if not all_x or not all_y:
        return None
    bare = _is_bare(a) or _is_bare(b)
    for x, y in aligned_apart(a, b):
        if not x.quantities or not y.quantities:
            continue
        in_x, in_y = _answered(question, x), _answered(question, y)
        # A bare number answers the question even if the question has it too.
        seen_x = in_x if bare else all_x
        seen_y = in_y if bare else all_y
        only_x = [n for n in in_x if not _is_among(n, seen_y) and not _opens_with(y, n)]
        only_y = [n for n in in_y if not _is_among(n, seen_x) and not _opens_with(x, n)]
        for n in only_x:
            for other in only_y:
                if comparable(n, other) and _of_one_thing(question, a, b, x, y, n, other):
                    return Objection("number", n.surface, other.surface)
    return None


def _is_among(quantity: Quantity, others: Sequence[Quantity]) -> bool:
    return any(same_amount(quantity, other) for other in others)


def _opens_with(part: Part, quantity: Quantity) -> bool:
    """Whether it is the first number of a sentence, which is what the sentence is about, though
    the question may have it too; of a calculation it is the last."""
    if _calculates(part):
        return False
    first = part.quantities[0]
    return first.unit is quantity.unit and same_amount(first, quantity)


@lru_cache(maxsize=8_192)
def _calculates(part: Part) -> bool:
    return _CALCULATES.search(part.plain) is not None


def _of_one_thing(
    question: Analysis, a: Analysis, b: Analysis, x: Part, y: Part, n: Quantity, other: Quantity
) -> bool:
    """Whether two numbers that could measure one thing are likely to, as far as the groups of
    answers in ``eval`` tell: in other words, without being asked for, mostly they do not."""
    if {n.unit, other.unit} == {PERCENT, POINTS}:
        return False  # a level and a change
    if PLAIN not in (n.unit, other.unit) or likeness_permille(x, y) >= _ALIKE_PERMILLE:
        return True
    asked = asks_for_number(question.whole)
    brief = min(_length(a), _length(b)) < _BRIEF_WORDS
    return asked or brief if n.unit is other.unit else asked and brief


def _length(answer: Analysis) -> int:
    """Content words, for which two pairs of Chinese characters count one."""
    return len(answer.whole.words) + len(answer.whole.han_pairs) // 2


def opposite_bounds(_question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """One amount is a lower bound in one answer and an upper bound in the other."""
    for x, y in aligned_apart(a, b):
        if differ := bounds_differ(x, y):
            return Objection("bound", differ[0], differ[1])
    return None


def different_quantifiers(_question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """None against some, some against all, of the same thing."""
    for x, y in aligned_apart(a, b):
        if differ := quantifiers_differ(x, y):
            return Objection("quantifier", differ[0], differ[1])
    return None


def _is_bare(answer: Analysis) -> bool:
    """Whether the answer is a number and hardly anything else."""
    return len(answer.whole.words) + len(answer.whole.han_pairs) <= 1


@lru_cache(maxsize=8_192)
def _answered(question: Analysis, part: Part) -> list[Quantity]:
    asked, given = question.whole.quantities, part.quantities
    new = [x for x in given if not any(x.unit == y.unit and same_amount(x, y) for y in asked)]
    return new or list(given)


@lru_cache(maxsize=8_192)
def _times(part: Part) -> frozenset[Moment]:
    return frozenset(moment for moment in part.moments if moment.is_time)


def _moments(part: Part, other: Part) -> list[Moment]:
    """The moments of a part; a plain year counts if the other part has a date with a year."""
    found = list(part.moments)
    if any(moment.year is not None for moment in other.moments):
        found += [
            Moment(number.surface, year=int(number.value))
            for number in part.quantities
            if number.unit == PLAIN and number.value in _YEARS
        ]
    return found


def _fits_none(moment: Moment, others: list[Moment], anywhere: tuple[Moment, ...]) -> bool:
    """Whether a moment fits none of the sentence beside it and is not named elsewhere either."""
    return moment not in anywhere and all(moments_differ(moment, other) for other in others)


def _is_time(moment: Moment) -> bool:
    return moment.is_time


def _is_weekday(moment: Moment) -> bool:
    return moment.is_weekday


def _is_date(moment: Moment) -> bool:
    return not (moment.is_time or moment.is_weekday)
