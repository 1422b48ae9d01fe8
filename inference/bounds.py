"""Lower and upper bounds: "at least 5" against "at most 5", "不少於" against "少於"; pure."""

import re
from functools import lru_cache

from inference.analysis import Part
from inference.quantity import Quantity, same_amount

_LOWER_BEFORE = re.compile(
    r"(?:at least|no (?:less|fewer) than|not (?:less|fewer) than|minimum(?: of)?|more than|"
    r"over|above|exceed(?:s|ing)?|"
    r"greater than|upwards of|(?<!not )(?<!no )more than|至少|不少于|不低于|最少|起码|超过|"
    r"多于|大于|高于|>=?|≥)"
    r"[\s\w]{0,6}$"
)
_UPPER_BEFORE = re.compile(
    r"(?:at most|no more than|not more than|maximum(?: of)?|up to|less than|fewer than|under|below|"
    r"(?:never|not|no|cannot|can't|won't)\s+(?:\w+\s+){0,2}?(?:more than|exceed|above|over)|"
    r"capped at|limited to|不超过|至多|最多|不多于|不高于|顶多|少于|低于|小于|不到|<=?|≤)"
    r"[\s\w]{0,6}$"
)
_LOWER_AFTER = re.compile(
    r"^[\s\w]{0,12}?(?:or more|and more|or above|以上|起跳|at (?:a|the) minimum)"
)
_UPPER_AFTER = re.compile(
    r"^[\s\w]{0,12}?(?:or (?:less|fewer)|or below|以下|以内|之内|at (?:a|the) maximum)"
)
_WINDOW = 24


def bounds_differ(a: Part, b: Part) -> tuple[str, str] | None:
    """The two ways in which one amount is bounded, if they are opposite."""
    for x, bound_x in _bounded(a):
        for y, bound_y in _bounded(b):
            if bound_x != bound_y and same_amount(x, y):
                return _named(x, bound_x), _named(y, bound_y)
    return None


@lru_cache(maxsize=8_192)
def _bounded(part: Part) -> tuple[tuple[Quantity, int], ...]:
    """The numbers that are bounds, with 1 for a lower and -1 for an upper one."""
    found = ((number, _bound(part, number)) for number in part.quantities)
    return tuple((number, bound) for number, bound in found if bound)


def _bound(part: Part, number: Quantity) -> int:
    """1 for a lower bound, -1 for an upper one, 0 for neither."""
    plain = part.plain
    before = plain[max(0, number.start - _WINDOW) : number.start]
    after = plain[number.end : number.end + _WINDOW]
    # "not less than" ends in "less than": the longer phrase decides.
    lower = _LOWER_BEFORE.search(before)
    upper = _UPPER_BEFORE.search(before)
    if lower and upper:
        return 1 if lower.start() < upper.start() else -1
    if lower or _LOWER_AFTER.search(after):
        return 1
    return -1 if upper or _UPPER_AFTER.search(after) else 0


def _named(number: Quantity, bound: int) -> str:
    return f"{'at least' if bound > 0 else 'at most'} {number.surface}"
