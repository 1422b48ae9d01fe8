"""Single values in a model's words: which label it names, which number it gives; pure.

A model that was asked for a label or a number mostly writes a sentence around it. What counts is
what it says first, else the one thing that it says at all; where a text names several labels or
several numbers, nothing is guessed.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from inference.language import HAN
from inference.number_words import HAN_NUMERALS
from inference.numerals import quantities
from inference.quantity import Quantity
from inference.units import PLAIN, Unit
from inference.wording import normalise
from pbft import decimals
from pbft.folding import tidy
from pbft.types import VALUE_BYTES_MAX


class NoValue(Exception):
    """The words give no value; `str()` says why in a few words."""


# --- labels ------------------------------------------------------------------------------------

_WORD = rf"[^\W{HAN}]"
"""A letter or digit of a script that puts spaces between words."""

# "The answer is: **up**" opens with the label like "up" does.
_OPENING = re.compile(
    r"(?:(?:my|the|final|correct|best|chosen)\s+)*(?:answer|label|choice|option|category)?"
    r"\s*(?:would be|is|are)?\s*|"
    "(?:我的|最終|最终)?(?:答案|標籤|标签|選擇|选择|回答)(?:應該|应该)?[是為为]?"
)
_MARKS = "\"'`*_[](){}<>「」『』【】《》:,.- \t\n"
_CLAUSE_END = re.compile(
    r"\W*(?:$|[.,;:!?\n()\[\]—–、。]|\s-\s|(?:because|since|as|due to|因為|因为|由於|由于)\b)"
)
_DENIAL = re.compile(
    r"(?:\b(?:not|no|never|neither|nor|cannot|without|hardly|\w+n't)(?:\s+\w+){0,2}\s*"
    rf"|[不沒没未非無无勿別别][{HAN}]{{0,2}}\s*)[\"'「*]*$"
)  # fmt: skip


def read_label(labels: Sequence[str], text: str) -> str:
    """The one of `labels` that the text names; raises NoValue.

    In any case and width, as whole words; Chinese labels anywhere. A label within a longer one
    is not named by it, and one that is denied ("not up", 「不會漲」) is not named at all.
    """
    plain = normalise(text)
    named = list(_named(labels, plain))
    for start, end, label in named:
        if _opens(plain[:start]) and _CLAUSE_END.match(plain, end):
            return label
    affirmed = {label for start, _, label in named if not _DENIAL.search(plain, 0, start)}
    if len(affirmed) == 1:
        return affirmed.pop()
    raise NoValue("several labels named" if affirmed else "no label named")


def _opens(before: str) -> bool:
    return _OPENING.fullmatch(before.strip(_MARKS)) is not None


def _named(labels: Sequence[str], plain: str) -> Iterator[tuple[int, int, str]]:
    """Every mention of a label, with its place."""
    by_form = {normalise(label).strip(): label for label in labels}
    forms = sorted(by_form, key=lambda form: (-len(form), form))
    pattern = re.compile("|".join(f"(?:{_whole(form)})" for form in forms))
    for match in pattern.finditer(plain):
        yield match.start(), match.end(), by_form[match[0]]


def _whole(form: str) -> str:
    """A pattern for the label as whole words: "up" is not in "group", nor "1" in "1.5"."""
    before = rf"(?<!{_WORD})(?<!\d[.,])" if re.match(_WORD, form[0]) else ""
    after = rf"(?!{_WORD})(?![.,]\d)" if re.match(_WORD, form[-1]) else ""
    return before + re.escape(form) + after


# --- numbers -----------------------------------------------------------------------------------

UNWRITABLE = f"no decimal of {decimals.DIGITS_MAX} digits"
_SCIENTIFIC = re.compile(r"(?<![\w.,])\d+(?:\.\d+)?[eE][+-]?(?P<exponent>\d+)(?!\w)")
_MINUS = re.compile(r"(?:(?<![\w)])[-−]|\b(?:minus|negative)\s*|[負负]|零下)$")
_RANGE = re.compile(r"[-—]|\s*[–~]\s*|\s*(?:to|or|至|到|或)\s*")
_DIFFERENCE = re.compile(r"\s*(?:[-+*/=×÷]|equals?\b|is\b|等[於于]|是)")
# 兩三天 are two or three days, and 二十三四 not many more.
_HAN_NEIGHBOURS = re.compile(
    "[一二三四五六七八九兩两]{2}|.*[十百千萬万億亿].*[一二三四五六七八九兩两]{2}.*"
)
_HAN_RUN = re.compile(f"[{HAN_NUMERALS}]+")
# Parts of times, dates, versions, fractions, lists and powers: "10:30", "1/2", "5 × 10^3".
_TORN_BEFORE = re.compile(r"\d[.,:/⁄]$")
_TORN_AFTER = re.compile(r"[.,:/⁄]\d|\s*[×x*]\s*10(?:\^|\*\*|\d)")
_TOGETHER = re.compile(r"\s*(?:and|,|又)?\s*")


def read_number(unit: str, text: str, question: str) -> str:
    """The number that the text gives in `unit`, in canonical form; raises NoValue.

    Reads words and scales in English and Chinese ("3.5 million", 「百分之五」) and converts between
    units where that is exact; "1 hour 30 minutes" is one number, and a range is none. A number that
    opens the text counts first; then the only one that the question does not contain.
    """
    plain = normalise(_SCIENTIFIC.sub(_written_out, text))
    wanted, scale = _wanted(unit)
    found = quantities(plain)
    given = [q for q in found if q.unit != PLAIN and _converts(q.unit, wanted)]
    if not given and not any(q.unit != PLAIN and _same_kind(q.unit, wanted) for q in found):
        given = [q for q in found if q.unit == PLAIN]
    if not given and wanted == PLAIN:
        given = found
    if not given:
        raise NoValue(f"no number in {unit}" if found else "no number")
    for first, second in pairwise(found):
        # The unit may stand at either end: "5 to 6 USD", "$5-6".
        either = second in given or (first in given and second.unit == PLAIN)
        if either and _is_range(plain, first, second):
            raise NoValue("a range of numbers")
    if any(_are_neighbours(q.surface) for q in given):
        raise NoValue("a range of numbers")
    amounts = _merged([_Amount.of(q, plain, wanted, scale) for q in given], plain)
    if len({amount.value for amount in amounts}) > 1:
        amounts = [_chosen(amounts, plain, question)]
    (amount, *_) = amounts
    if _TORN_BEFORE.search(plain, 0, amount.start) or _TORN_AFTER.match(plain, amount.end):
        raise NoValue("no plain number")
    return exact(amount.value)


def _is_range(plain: str, first: Quantity, second: Quantity) -> bool:
    """Whether what stands between two numbers makes a range of them; "9 - 4 = 5" is none."""
    between = plain[first.end : second.start]
    if between.strip() == "-" != between:
        return not _DIFFERENCE.match(plain, second.end)
    return _RANGE.fullmatch(between) is not None


def _are_neighbours(surface: str) -> bool:
    run = _HAN_RUN.search(surface)
    return run is not None and _HAN_NEIGHBOURS.fullmatch(run[0]) is not None


def _written_out(match: re.Match[str]) -> str:
    """1.5e3 as 1500."""
    if len(match["exponent"]) > 2:
        raise NoValue(UNWRITABLE)
    return f"{Decimal(match[0]):f}"


def exact(amount: Fraction) -> str:
    """The canonical text of an amount; raises NoValue for one that has none."""
    canonical = decimals.from_ratio(amount.numerator, amount.denominator)
    if canonical is None:
        raise NoValue(UNWRITABLE)
    return canonical


def _wanted(unit: str) -> tuple[Unit, int]:
    """The unit and the scale that a field's unit means: "million USD" is USD by the million.
    One that is not known is taken to be what bare numbers count."""
    found = quantities(f"1 {unit}")
    if len(found) == 1 and found[0].value.denominator == 1:
        return found[0].unit, int(found[0].value)
    return PLAIN, 1


def _same_kind(given: Unit, wanted: Unit) -> bool:
    return given.dimension == wanted.dimension


def _converts(given: Unit, wanted: Unit) -> bool:
    """Currencies have rates, not factors."""
    return _same_kind(given, wanted) and (given.dimension != "money" or given == wanted)


@dataclass(frozen=True, slots=True)
class _Amount:
    """A quantity of the text in the wanted unit. ``start`` and ``end`` as in the quantity."""

    value: Fraction
    said: Fraction
    """As written, without its unit."""
    unit: Unit
    start: int
    end: int

    @classmethod
    def of(cls, quantity: Quantity, plain: str, wanted: Unit, scale: int) -> "_Amount":
        value = quantity.value
        if _MINUS.search(plain, 0, quantity.start):
            value = -value
        # "5" is 5 millions where millions were asked for; "5 million" says so itself.
        bare = quantity.unit == PLAIN and re.fullmatch(r"[-−]?[\d,.]+", quantity.surface)
        if quantity.unit != PLAIN != wanted:
            base = value * quantity.unit.factor + quantity.unit.offset
            value = (base - wanted.offset) / wanted.factor
        if not bare:
            value /= scale
        return cls(value, quantity.value, quantity.unit, quantity.start, quantity.end)


def _merged(amounts: Sequence[_Amount], plain: str) -> list[_Amount]:
    """Parts of one amount put together: "1 hour 30 minutes"."""
    merged: list[_Amount] = []
    for amount in amounts:
        last = merged[-1] if merged else amount
        between = plain[last.end : amount.start] if merged else "."
        finer = (
            last.unit.dimension == amount.unit.dimension and last.unit.factor > amount.unit.factor
        )
        if finer and _TOGETHER.fullmatch(between):
            whole = _Amount(
                last.value + amount.value, last.said, amount.unit, last.start, amount.end
            )
            merged[-1] = whole
        else:
            merged.append(amount)
    return merged


def _chosen(amounts: Sequence[_Amount], plain: str, question: str) -> _Amount:
    """Of different amounts the one that answers; raises NoValue."""
    known = {quantity.value for quantity in quantities(question)}
    new = [amount for amount in amounts if amount.said not in known]
    for amount in new:
        if _opens(plain[: amount.start]):
            return amount
    if len({amount.value for amount in new}) != 1:
        raise NoValue("several numbers")
    return new[0]


# --- short texts -------------------------------------------------------------------------------


def read_words(text: str) -> str:
    """A few words without quotation marks and a final stop, tidied; raises NoValue."""
    words = tidy(
        tidy(text).strip("\"'`*「」『』“” ").rstrip(".。!！,，;；").strip("\"'`*「」『』“” ")
    )
    if not words:
        raise NoValue("no words")
    if len(words.encode(errors="replace")) > VALUE_BYTES_MAX:
        raise NoValue("too many words")
    return words
