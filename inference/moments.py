"""Dates, weekdays and times of day in a text, in English and Chinese; pure.

A moment is read as a whole, so that "14 March 2025", "2025-03-14" and "2025年3月14日" are one, and
"3:30 pm", "15:30" and "下午三點半" are one. What a moment leaves open (a year, a half of the day)
does not disagree with what another one says. ``split_moments`` also returns the text without them,
from which plain numbers are read.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from inference.units import MONTHS
from inference.wording import listed

_MONTH_NAMES = "|".join(sorted(MONTHS, key=lambda name: (-len(name), name)))
_WEEKDAYS = listed("monday tuesday wednesday thursday friday saturday sunday")
_WEEKDAY_NUMBERS = {name: n for n, name in enumerate(_WEEKDAYS, start=1)}
_WEEKDAY_NUMBERS |= {name[:3]: n for name, n in _WEEKDAY_NUMBERS.items()}
_WEEKDAY_NUMBERS |= {"tues": 2, "thur": 4, "thurs": 4}
_HAN_WEEKDAYS = {character: n for n, character in enumerate("一二三四五六日", start=1)} | {"天": 7}
_SMALL = {
    word: n
    for n, word in enumerate(
        listed("one two three four five six seven eight nine ten eleven twelve"), start=1
    )
}
_HAN_SMALL = "零一二三四五六七八九十"
_DAY = r"(?P<{0}>3[01]|[12]\d|0?[1-9])"
_HAN_NUMBER = r"(?:\d{1,2}|[零〇一二三四五六七八九十兩两廿]{1,3})"
_HAN_YEAR = r"(?:\d{4}|[零〇一二三四五六七八九]{4})"

_DATE_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?<![\d.])(?P<y>\d{{4}})\s*[-/.]\s*(?P<m>1[0-2]|0?[1-9])\s*[-/.]\s*{_DAY.format('d')}(?!\d)",
        rf"(?:(?P<y>{_HAN_YEAR})\s*年\s*)?(?P<m>{_HAN_NUMBER})\s*月\s*(?P<d>{_HAN_NUMBER})\s*[日号號]",
        rf"(?P<y>{_HAN_YEAR})\s*年\s*(?P<m>{_HAN_NUMBER})\s*月",
        (
            rf"\b{_DAY.format('d')}(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<name>{_MONTH_NAMES})\b\.?"
            r"(?:,?\s+(?P<y>\d{4})\b)?"
        ),
        (
            rf"\b(?P<name>{_MONTH_NAMES})\b\.?\s+{_DAY.format('d')}(?:st|nd|rd|th)?\b(?!\s*(?:%|:|\d))"
            r"(?:,?\s+(?P<y>\d{4})\b)?"
        ),
        rf"\b(?P<name>{_MONTH_NAMES})\b\.?,?\s+(?P<y>(?:1[5-9]|20)\d\d)\b",
        rf"(?<![\d./-])(?P<m>1[0-2]|0?[1-9])/{_DAY.format('d')}(?![\d/])(?=\s*(?:\d{{1,2}}:|日|號|号|[（(]))",
    )
)
_HALF_PAST = re.compile(r"\bhalf past (?P<h>\w+)(?P<rest>[^.;。]{0,25})")
_CLOCK = re.compile(
    r"(?<![\d:.,])(?P<h>[01]?\d|2[0-4])[:：](?P<min>[0-5]\d)(?::[0-5]\d)?(?!\d)"
    r"(?:\s*(?P<half>[ap]\.?m\b\.?))?"
)
_HOUR_HALF = re.compile(r"(?<![\d:.,])(?P<h>1[0-2]|0?[1-9])\s*(?P<half>[ap]\.?m\b\.?)")
_HAN_CLOCK = re.compile(
    r"(?:(?P<part>凌晨|清晨|早上|上午|中午|下午|傍晚|晚上|晚间|晚間|夜间|半夜)\s*)?"
    rf"(?<![\d.])(?P<h>{_HAN_NUMBER})\s*[点點]\s*(?!几|幾|[零〇一二三四五六七八九](?![零〇一二三四五六七八九十]*分))"
    rf"(?P<min>半|{_HAN_NUMBER}(?=分))?分?"
)
_NAMED_TIME = re.compile(r"\b(?P<noon>noon|midday)\b|\b(?P<midnight>midnight)\b")
_WEEKDAY = re.compile(
    r"\b(?P<name>monday|tuesday|wednesday|thursday|friday|saturday|sunday)s?\b|"
    r"(?:星期|礼拜|禮拜|週|周)(?P<han>[一二三四五六日天])(?!个|個|月|年|次|家|间|本)"
)
_LATE_PARTS = frozenset({"下午", "傍晚", "晚上", "晚间", "晚間", "夜间"})
_EARLY_PARTS = frozenset({"凌晨", "清晨", "早上", "上午"})


@dataclass(frozen=True, slots=True)
class Moment:
    """A point of the calendar or the clock; fields that the text leaves open are None.

    ``minutes`` counts from midnight. ``half_known`` says whether the half of the day is certain.
    """

    surface: str
    year: int | None = None
    month: int | None = None
    day: int | None = None
    weekday: int | None = None
    minutes: int | None = None
    half_known: bool = True

    @property
    def is_time(self) -> bool:
        return self.minutes is not None

    @property
    def is_weekday(self) -> bool:
        return self.weekday is not None


def split_moments(plain: str) -> tuple[list[Moment], str]:
    """The moments of a normalised text, and the text with a space in place of each."""
    found: list[tuple[int, Moment]] = []

    def take(pattern: re.Pattern[str], read: "_Reader", text: str) -> str:
        def replaced(match: re.Match[str]) -> str:
            try:
                moment = read(match)
            except ValueError:  # no numeral: "〇廿點"
                moment = None
            if moment is None:
                return match[0]
            found.append((match.start(), moment))
            return " " * len(match[0])

        return pattern.sub(replaced, text)

    for pattern in _DATE_PATTERNS:
        plain = take(pattern, _date, plain)
    for pattern, read in (
        (_HALF_PAST, _half_past),
        (_CLOCK, _clock),
        (_HOUR_HALF, _clock),
        (_HAN_CLOCK, _han_clock),
        (_NAMED_TIME, _named_time),
        (_WEEKDAY, _weekday),
    ):
        plain = take(pattern, read, plain)
    return [moment for _, moment in sorted(found, key=lambda entry: entry[0])], plain


def moments_differ(a: Moment, b: Moment) -> bool:
    """Whether two moments of one kind cannot be the same."""
    if a.is_time or b.is_time:
        if a.minutes is None or b.minutes is None:
            return False
        if a.half_known and b.half_known:
            return a.minutes != b.minutes
        return a.minutes % 720 != b.minutes % 720
    if a.is_weekday or b.is_weekday:
        return a.weekday is not None and b.weekday is not None and a.weekday != b.weekday
    pairs = ((a.year, b.year), (a.month, b.month), (a.day, b.day))
    return any(x is not None and y is not None and x != y for x, y in pairs)


_Reader = Callable[[re.Match[str]], Moment | None]


def _number(text: str) -> int:
    if text.isdecimal():
        return int(text)
    text = text.replace("〇", "零").replace("兩", "二").replace("两", "二").replace("廿", "二十")
    if len(text) == 4:
        return int("".join(str(_HAN_SMALL.index(character)) for character in text))
    tens, ten, ones = text.partition("十")
    value = (_HAN_SMALL.index(tens) if tens else 1) * 10 if ten else 0
    tail = ones if ten else tens
    return value + (_HAN_SMALL.index(tail[-1]) if tail else 0)


def _date(match: re.Match[str]) -> Moment | None:
    fields = match.groupdict()
    name = fields.get("name")
    if name == "may" and fields.get("d") is None and fields.get("y") is None:
        return None
    month = MONTHS[name] if name else _number(fields["m"])
    year, day = fields.get("y"), fields.get("d")
    return Moment(
        match[0].strip(),
        year=_number(year) if year else None,
        month=month,
        day=_number(day) if day else None,
    )


def _clock(match: re.Match[str]) -> Moment:
    hour = int(match["h"])
    minutes = int(match["min"]) if "min" in match.re.groupindex else 0
    half = match["half"]
    if half:
        hour = hour % 12 + (12 if half.startswith("p") else 0)
    written_with_zero = match["h"].startswith("0")
    known = bool(half) or hour > 12 or hour == 0 or written_with_zero
    return Moment(match[0].strip(), minutes=hour % 24 * 60 + minutes, half_known=known)


def _half_past(match: re.Match[str]) -> Moment | None:
    word = match["h"]
    hour = int(word) if word.isdecimal() else _SMALL.get(word)
    if hour is None:
        return None
    late = re.search("afternoon|evening|night|p\\.?m", match["rest"])
    early = re.search("morning|a\\.?m", match["rest"])
    if late:
        hour = hour % 12 + 12
    known = bool(late or early)
    return Moment(f"half past {word}", minutes=hour % 24 * 60 + 30, half_known=known)


def _han_clock(match: re.Match[str]) -> Moment | None:
    hour = _number(match["h"])
    if hour > 24:
        return None
    minute = match["min"]
    minutes = 30 if minute == "半" else _number(minute) if minute else 0
    part = match["part"]
    if part in _LATE_PARTS and hour < 12:
        hour += 12
    known = part is not None or hour > 12
    return Moment(match[0].strip(), minutes=hour % 24 * 60 + minutes, half_known=known)


def _named_time(match: re.Match[str]) -> Moment:
    return Moment(match[0], minutes=720 if match["noon"] else 0)


def _weekday(match: re.Match[str]) -> Moment:
    name = match["name"]
    return Moment(match[0], weekday=_WEEKDAY_NUMBERS[name] if name else _HAN_WEEKDAYS[match["han"]])
