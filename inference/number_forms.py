"""Numbers not written as one numeral: shares, halves, results of games, Taiwan's years; pure.

Each is read as a whole, and its parts are no numbers of their own.
"""

import re
from collections.abc import Iterator
from fractions import Fraction

from inference.number_words import HAN_NUMERALS, SMALL, han_value
from inference.quantity import Quantity, measured
from inference.units import PLAIN, POINTS, SCORE, SHARE, UNITS

_PARTS = {
    "half": 2, "halve": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6,
    "eighth": 8, "tenth": 10,
}  # fmt: skip
_COUNTS = "|".join(word for word, number in SMALL.items() if 1 <= number <= 12)
_FRACTION = re.compile(
    rf"\b(?P<count>{_COUNTS}|an?|\d{{1,2}})[\s-]+(?P<part>thirds?|fourths?|fifths?|sixths?|eighths?|tenths?|"
    r"quarters?(?![\s-]*(?:past|to|point|percentage|of a p|of the year|hour)))\b|"
    rf"\b(?P<few>{_COUNTS}|\d{{1,3}}) (?:in|out of)(?: every)? "
    rf"(?P<many>{_COUNTS}|\d{{1,3}})\b(?![.,:/%-]?\d|\s+(?:hundred|thousand))|"
    r"(?P<han>(?P<below>[二三四五六七八九十兩两百]+)分之(?P<above>[一二三四五六七八九十]+))"
)
_HAN_HALVED = {"鐘頭": "小時", "钟头": "小時", "月": "個月", "礼拜": "禮拜"}
_TIME_UNIT = "hours?|days?|weeks?|minutes?|months?|years?"
_HALVES = re.compile(
    rf"\b(?P<whole>{_COUNTS}|an?|\d+)\s+(?P<unit>{_TIME_UNIT})\s+and\s+a\s+half\b|"
    rf"\b(?P<whole2>{_COUNTS}|\d+)\s+and\s+a\s+half\s+(?P<unit2>{_TIME_UNIT})\b|"
    rf"\bhalf\s+an?\s+(?P<unit3>hour|day|year|minute)\b|"
    rf"\b(?P<points>quarter|half)(?:\s+of\s+a|\s+a)?[\s-]+(?:percentage[\s-]+)?point\b|"
    rf"\b(?P<quarters>a|one|three)[\s-]+quarters?\s+of\s+an\s+hour\b|"
    rf"(?P<hanwhole>[一二兩两三四五六七八九十\d]{{1,2}})\s*[個个]半\s*(?P<hanunit>小時|天|小时|鐘頭|钟头|月|星期|禮拜|礼拜)|"
    rf"(?<![個个\d一二三四五六七八九十])半\s*[個个]?\s*(?P<hanunit2>小時|小时|鐘頭|钟头|年|天)|"
    rf"(?P<hanwhole3>[一二兩两三四五六七八九十\d]{{1,2}})\s*(?P<hanunit3>年|天)半|"
    rf"(?<!half )\ban\s+(?P<unit4>hour)\b(?!\s+and\s+a)"
)
_GAME = re.compile(
    r"\b(?:w[io]n|wins|winners?|winning|beat|beats|beating|beaten|lost|loses?|losing|defeat(?:s|ed)?|drew|draw|"
    r"scores?|scored|final|ended|finished|victory|match|game)\b|[贏赢胜勝敗败輸输]|比分|比數|比数|擊敗|击败"
)
_GAME_WITHIN = 60
"""So many characters before the numbers, or a quarter behind, a game must be spoken of."""
_POINTS = rf"(?:\d{{1,3}}|(?:nil|zero|{_COUNTS})\b)"
_SCORE = re.compile(
    rf"(?<![\d.,/:-])(?P<x>{_POINTS})"
    rf"(?:\s*[-–—]\s*|:(?=\d(?!\d))|\s+(?:goals?|points?|runs?|sets?|games?)\s+to\s+)"
    rf"(?P<y>{_POINTS})(?![\d%]|[.,:-]\d|\s*(?:{_TIME_UNIT}|a\.?m|p\.?m))|"
    rf"\bby\s+(?P<byx>{_POINTS})\s+to\s+(?P<byy>{_POINTS})|"
    r"(?P<hanx>\d{1,3}|[零一二三四五六七八九十]{1,3})\s*比\s*"
    r"(?P<hany>\d{1,3}|[零一二三四五六七八九十]{1,3})"
)
_REPUBLIC = re.compile(rf"民[國国]\s*(?P<year>\d{{1,3}}|[{HAN_NUMERALS}]{{1,4}})\s*年")
_REPUBLIC_FROM = 1911
"""The year before the first of the Republic of China's calendar, which Taiwan uses."""


def number_forms(plain: str) -> Iterator[Quantity]:
    """Those of a normalised text, kind by kind."""
    yield from _from_fractions(plain)
    yield from _from_halves(plain)
    yield from _from_scores(plain)
    yield from _from_republic(plain)


def _from_fractions(plain: str) -> Iterator[Quantity]:
    """Shares of a whole: "two thirds", "2/3 of", "三分之二"."""
    for match in _FRACTION.finditer(plain):
        if match["han"]:
            low, high = han_value(match["below"]), han_value(match["above"])
            if match["below"] == "百" or not low:
                continue  # a percentage
            value = Fraction(high, low)
        elif match["few"]:
            low, high = _points(match["many"]), _points(match["few"])
            if high >= low:
                continue
            value = Fraction(high, low)
        else:
            word = match["count"]
            count = int(word) if word.isdecimal() else SMALL.get(word, 1)
            value = Fraction(count, _PARTS[match["part"].rstrip("s")])
        yield measured(plain, match, value, SHARE)


def _from_halves(plain: str) -> Iterator[Quantity]:
    """Times such as "an hour and a half", "half an hour", "two and a half days"; quarter points."""
    for match in _HALVES.finditer(plain):
        if match["points"]:
            part = Fraction(1, 4) if match["points"] == "quarter" else Fraction(1, 2)
            yield measured(plain, match, part, POINTS)
            continue
        if match["quarters"]:
            minutes = Fraction(45 if match["quarters"] == "three" else 15)
            yield measured(plain, match, minutes, UNITS["minutes"])
            continue
        if han := match["hanunit"] or match["hanunit2"] or match["hanunit3"]:
            digits = match["hanwhole"] or match["hanwhole3"] or ""
            count = int(digits) if digits.isdecimal() else han_value(digits) if digits else 0
            name = _HAN_HALVED.get(han, han)
            yield measured(plain, match, count + Fraction(1, 2), UNITS[name], 1)
            continue
        word = match["whole"] or match["whole2"] or ""
        whole = int(word) if word.isdecimal() else SMALL.get(word, 1 if word in ("a", "an") else 0)
        unit = UNITS[match["unit"] or match["unit2"] or match["unit3"] or match["unit4"]]
        half = Fraction(0) if match["unit4"] else Fraction(1, 2)
        yield measured(plain, match, whole + half if not match["unit4"] else Fraction(1), unit, 1)


def _from_scores(plain: str) -> Iterator[Quantity]:
    """Results of games: "won 3–1", "by three goals to one", "二比一"."""
    for match in _SCORE.finditer(plain):
        start = max(0, match.start() - _GAME_WITHIN)
        spoken_of = _GAME.search(plain, start, match.end() + _GAME_WITHIN // 4)
        if not spoken_of and not re.search("goal|run|set", match[0]):
            continue
        points = [
            _points(match["x"] or match["byx"] or match["hanx"]),
            _points(match["y"] or match["byy"] or match["hany"]),
        ]
        yield measured(plain, match, Fraction(100 * max(points) + min(points)), SCORE)


def _points(word: str) -> int:
    if word.isdecimal():
        return int(word)
    return SMALL.get(word, 0) if word.isascii() else han_value(word)


def _from_republic(plain: str) -> Iterator[Quantity]:
    """Years of Taiwan's calendar: 民國 96 年 is 2007."""
    for match in _REPUBLIC.finditer(plain):
        year = match["year"]
        count = int(year) if year.isdecimal() else han_value(year)
        yield measured(plain, match, Fraction(_REPUBLIC_FROM + count), PLAIN)
