"""Numbers in a text with their units, exact, in English and Chinese; pure.

Reads digits with separators, percent signs, scales ("3.5 million", "2億"), written numbers
("twenty-one", "二十一", "百分之五"), month names. Words that only look like numbers are left
alone: "one of them", "一個", "十分", "CO2". Values are fractions, never floats.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from inference.lexicon import fold_han
from inference.number_forms import number_forms
from inference.number_words import (
    HAN_DIGITS,
    HAN_NUMERALS,
    ORDINALS,
    SCALES,
    SMALL,
    TENS,
    english_value,
    han_value,
)
from inference.quantity import Quantity, measured
from inference.units import (
    CELSIUS,
    MONTH_OF_YEAR,
    MONTHS,
    PERCENT,
    PLAIN,
    PREFIXES,
    UNITS,
    Unit,
)
from inference.wording import normalise


def _either(names: "dict[str, int] | dict[str, Unit]") -> str:
    """A pattern for any of the names; a Latin one must end where a word ends."""
    ordered = sorted(names, key=lambda name: (-len(name), name))
    return "|".join(
        re.escape(name) + (r"(?![a-z0-9])" if name[-1].isascii() and name[-1].isalpha() else "")
        for name in ordered
    )


_UNIT = (
    # "$5-$6" are not five of the unit "-$".
    rf"(?:\s*(?:-\s*(?=\w))?(?:degrees?\s+|(?:business|working|trading|calendar)\s+|"
    rf"[個个]?工作|個|个|[多餘余])??(?P<unit>{_either(UNITS)}|basis[\s-]points?|"
    r"per cent))?"
)
# 兩成 is 20 percent; 成 begins and ends many other words.
_TENTHS = "成(?![长長為为功立本員员熟交果就份品名])"
_PREFIX = "|".join(re.escape(name) for name in sorted(PREFIXES, key=lambda n: (-len(n), n)))
_DIGITS = re.compile(
    rf"(?:(?P<prefix>(?<![a-z])(?:{_PREFIX}))\s*)?"
    r"(?<![a-z0-9])(?<![0-9][.,])(?P<sign>[-−]|(?<!\d )(?:minus|negative)\s+|零下\s*|[負负])?"
    r"(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    rf"(?P<ordinal>st|nd|rd|th)?(?:\s*(?P<scale>{_either(SCALES)}))?"
    rf"(?:\s*(?P<tenths>{_TENTHS})|{_UNIT})"
)
_LARGE = ("thousand", "million", "billion", "trillion")
_ENGLISH = "|".join((*ORDINALS, *SMALL, *TENS, "hundred", "dozen", *_LARGE))
_WRITTEN = re.compile(
    # "and" joins only behind a scale: "a hundred and five" is one number, "three and five" are two.
    rf"\b(?P<sign>minus\s+|negative\s+)?(?P<words>(?:{_ENGLISH})(?:(?:(?<=hundred)\s+and\s+|(?<=thousand)\s+and\s+|"
    rf"(?<=million)\s+and\s+|\s*-\s*|\s+)(?:{_ENGLISH}))*)\b{_UNIT}"
)
_HAN_NUMBER = re.compile(
    rf"(?P<celsius>[攝摄]氏)?(?P<below>零下|[負负])?(?P<percent>百分之)?(?P<digits>[{HAN_NUMERALS}]+"
    r"(?:[多餘余][萬万億亿])?)"
    rf"(?:[點点](?P<fraction>[零〇一二三四五六七八九]+))?"
    rf"(?:(?P<tenths>{_TENTHS})(?P<half>[一二三四五六七八九半])?|{_UNIT})"
)
# Words that contain numerals without counting anything.
_HAN_IDIOM = re.compile(
    "(?<![一二三四五六七八九])十分(?![鐘钟之])|萬一|万一|千萬不|千万不|百般|一[樣样些般定直起切致旦向再律同方邊边體体]|統一|统一|唯一|"
    "第一|其一|"
    "之一|萬物|万物|千古|四處|四处|"
    "(?<![要需约花隔每用达满近为计共成到至剩够仅])(?<![花过用费等住休]了)四周(?![内后前左以半时]|的时)|三角|九龍|九龙|百姓|八卦|二元|一帶|一带"
)
_HAN_COUNTED = re.compile(
    "[度個个天年月日週周次人位名元倍種种塊块層层歲岁顆颗隻只條条件張张座部本輛辆國国州季]|"
    "小時|小时|分鐘|分钟"
)
_MONTH = re.compile(
    r"\b(?:(?P<near>may|march)(?=\s+\d)|(?<=\d )(?P<after>may|march)|(?P<plain>"
    + "|".join(name for name in MONTHS if name not in ("may", "march"))
    + r"))\b"
)
_HAN_MINUTES = re.compile(r"\s*分(?![之數数鐘钟])")
_WHOLE_SET = re.compile(r"\bof\s+the\s*$")
_JOINT = re.compile(r"\s*(?:,|and|又|零)?\s*")
_RANGE = re.compile(r"\s*(?:-|–|—|~|～|to|and|or|至|到|或|和)\s*")


def quantities(text: str) -> list[Quantity]:
    """Every number of the text, in order of appearance."""
    written = normalise(text)
    plain = fold_han(written)
    forms = list(number_forms(plain))
    for form in forms:  # read as a whole, not once more by their parts
        plain = plain[: form.start] + " " * (form.end - form.start) + plain[form.end :]
    found = [
        *forms,
        *_from_digits(plain),
        *_from_english(plain),
        *_from_han(plain, written),
        *_from_months(plain),
    ]
    ordered = sorted(found, key=lambda quantity: (quantity.start, quantity.end))
    return _joined_times(plain, _with_minutes(plain, _with_units_of_ranges(plain, ordered)))


def _with_minutes(plain: str, found: list[Quantity]) -> list[Quantity]:
    """8 分 20 秒, 一小時二十分: 分 counts minutes beside hours or seconds only."""
    ordered = list(found)
    for at, quantity in enumerate(ordered):
        if quantity.unit is not PLAIN or not _HAN_MINUTES.match(plain, quantity.end):
            continue
        hours = at > 0 and ordered[at - 1].unit is UNITS["hours"]
        seconds = at + 1 < len(ordered) and ordered[at + 1].unit is UNITS["seconds"]
        if hours or seconds:
            end = plain.index("分", quantity.end) + 1
            ordered[at] = replace(quantity, unit=UNITS["minutes"], end=end)
    return ordered


def _joined_times(plain: str, found: list[Quantity]) -> list[Quantity]:
    """ "2 hours and 30 minutes" is one length of time."""
    joined: list[Quantity] = []
    for quantity in found:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.unit.dimension == quantity.unit.dimension in ("time", "calendar time")
            and last.unit.factor > quantity.unit.factor
            and quantity.base < last.unit.factor
            and _JOINT.fullmatch(plain, last.end, quantity.start)
        ):
            value = last.value + quantity.base / last.unit.factor
            surface = plain[last.start : quantity.end].strip()
            joined[-1] = replace(last, value=value, surface=surface, end=quantity.end)
        else:
            joined.append(quantity)
    return joined


def _with_units_of_ranges(plain: str, found: list[Quantity]) -> list[Quantity]:
    """The first number of "three to five days" counts days too."""
    ordered = list(found)
    for at in range(len(ordered) - 2, -1, -1):
        low, high = ordered[at], ordered[at + 1]
        if (
            low.unit == PLAIN != high.unit
            and high.unit.dimension != PLAIN.dimension
            and _RANGE.fullmatch(plain, low.end, high.start)
        ):
            ordered[at] = replace(low, unit=high.unit)
    return ordered


def without_quantities(text: str) -> str:
    """The normalised text with every number and its unit cut out."""
    plain = normalise(text)
    for quantity in reversed(quantities(text)):
        plain = f"{plain[: quantity.start]} {plain[quantity.end :]}"
    return plain


def _unit(match: re.Match[str]) -> Unit:
    name = match["unit"]
    if name is None:
        return PLAIN
    if name.startswith("basis"):
        return UNITS["bp"]
    return UNITS.get(name, PERCENT)  # the rest of the pattern are spellings of percent


def _is_calendar_year(match: re.Match[str], value: Fraction) -> bool:
    """Whether 年 after this number names a year, such as 1945年, and not a length of time."""
    return match["unit"] == "年" and value >= 1000


def _from_digits(plain: str) -> Iterator[Quantity]:
    for match in _DIGITS.finditer(plain):
        digits = match["number"].replace(",", "")
        value = Fraction(digits) * SCALES.get(match["scale"] or "", 1)
        if match["sign"]:
            value = -value
        unit = _unit(match)
        if match["prefix"]:
            unit = PREFIXES[match["prefix"]]
            if match["unit"] == "m" and unit.dimension == "money":
                value *= SCALES["million"]  # $5m
        elif match["tenths"]:
            value, unit = 10 * value, PERCENT
        elif _is_calendar_year(match, value):
            unit = PLAIN
        yield measured(plain, match, value, unit, len(digits.partition(".")[2]))


def _from_english(plain: str) -> Iterator[Quantity]:
    for match in _WRITTEN.finditer(plain):
        parts = re.split(r"[\s-]+", match["words"])
        # "Half a dozen" are six.
        half = parts == ["dozen"] and re.search(r"\bhalf a\s+$", plain[: match.start()])
        # A lone "one" is a pronoun as often as a number, unless it counts a unit.
        if parts == ["one"] and match["unit"] is None:
            continue
        if match["unit"] is None and len(parts) == 1 and _WHOLE_SET.search(plain, 0, match.start()):
            continue  # "the longer of the two"
        # "5 million" and "$3 billion" were read with their digits.
        if parts[0] in SCALES and re.search(r"\d\s*$", plain[: match.start()]):
            continue
        value = Fraction(english_value(parts)) / (2 if half else 1)
        yield measured(plain, match, -value if match["sign"] else value, _unit(match))


def _from_han(plain: str, written: str) -> Iterator[Quantity]:
    # 四周 may be four weeks or all around, 四週 is four weeks.
    idioms = [
        match.span()
        for match in _HAN_IDIOM.finditer(plain)
        if "週" not in written[match.start() : match.end()]
    ]
    for match in _HAN_NUMBER.finditer(plain):
        if any(match.start() < end and start < match.end() for start, end in idioms):
            continue
        if re.search(r"\d\s*$", plain[: match.start()]):
            continue  # the scale of a number in digits
        digits = match["digits"]
        unit = _unit(match)
        counted = (
            match["unit"]
            or match["percent"]
            or match["celsius"]
            or match["tenths"]
            or _HAN_COUNTED.match(plain, match.end())
        )
        article = digits == "一" and unit == PLAIN
        if article or (len(digits) == 1 and not (counted or _stands_alone(plain, match))):
            continue
        value = Fraction(han_value(re.sub("[多餘余]", "", digits)))
        fraction = match["fraction"] or ""
        if fraction:
            tail = int("".join(str(HAN_DIGITS[digit]) for digit in fraction))
            value += Fraction(tail, 10 ** len(fraction))
        if match["below"]:
            value = -value
        if match["percent"]:
            unit = PERCENT
        elif match["tenths"]:
            rest = match["half"] or ""
            value = 10 * value + (5 if rest == "半" else HAN_DIGITS.get(rest, 0))
            unit = PERCENT
        elif match["celsius"]:
            unit = CELSIUS
        elif _is_calendar_year(match, value):
            unit = PLAIN
        yield measured(plain, match, value, unit, len(fraction))


def _stands_alone(plain: str, match: re.Match[str]) -> bool:
    """Whether a single numeral is a whole answer, such as "七。"."""
    return not re.search(r"\w", plain[: match.start()] + plain[match.end() :])


def _from_months(plain: str) -> Iterator[Quantity]:
    for match in _MONTH.finditer(plain):
        yield measured(plain, match, Fraction(MONTHS[match[0]]), MONTH_OF_YEAR)
