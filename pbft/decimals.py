"""Decimal numbers as whole ones, exact, and the one way in which each is written.

A number that replicas vote on travels as text such as `-12.5`: at most 18 digits before and 18
after the point, no exponent, no plus sign, no superfluous zero, no negative zero. Inside, it is
that many units of 10^-18. Equal numbers have equal texts, so that they have equal digests.
"""

import re

DIGITS_MAX = 18
"""Before the point, and after it."""

ONE = 10**DIGITS_MAX
"""The number 1, scaled."""

_CANONICAL = re.compile(
    rf"-?(?:0|[1-9][0-9]{{0,{DIGITS_MAX - 1}}})(?:\.[0-9]{{0,{DIGITS_MAX - 1}}}[1-9])?", re.ASCII
)


def read(text: str) -> int | None:
    """The number, scaled; None for a text that is not in canonical form."""
    if not _CANONICAL.fullmatch(text) or text == "-0":
        return None
    whole, _, fraction = text.removeprefix("-").partition(".")
    scaled = int(whole + fraction.ljust(DIGITS_MAX, "0"))
    return -scaled if text.startswith("-") else scaled


def write(scaled: int) -> str:
    """Inverse of `read`; the number must have at most 18 digits before the point."""
    whole, fraction = divmod(abs(scaled), ONE)
    digits = str(fraction).rjust(DIGITS_MAX, "0").rstrip("0")
    return ("-" if scaled < 0 else "") + str(whole) + ("." + digits if digits else "")


def from_ratio(numerator: int, denominator: int) -> str | None:
    """The canonical text of a fraction; None if it has no such text: a third, or too many
    digits. `denominator` must be positive."""
    scaled, rest = divmod(numerator * ONE, denominator)
    if rest or abs(scaled) >= ONE * ONE:
        return None
    return write(scaled)
