"""Numbers in a text with their units, exact, in English and Chinese; pure.

Reads digits with separators, percent signs, scales ("3.5 million", "2億"), written numbers
("twenty-one", "二十一", "百分之五"), month names. Words that only look like numbers are left
alone: "one of them", "一個", "十分", "CO2". Values are fractions, never floats.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from inference.number_words import (
    HAN_DIGITS,
    ORDINALS,
    SCALES,
    SMALL,
    TENS,
    english_value,
    han_value,
)
from inference.quantity import Quantity
from inference.units import (
    CELSIUS,
    CENT,
    MONTH_OF_YEAR,
    MONTHS,
    PENNY,
    PERCENT,
    PERIODS,
    PLAIN,
    POINTS,
    PREFIXES,
    SCORE,
    SHARE,
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
    rf"(?:\s*-?\s*(?:degrees?\s+|(?:business|working|trading|calendar)\s+|"
    rf"[個个]?工作|個|个|[多餘余])??(?P<unit>{_either(UNITS)}|basis[\s-]points?|"
    r"per cent))?"
)
# 兩成 is 20 percent; 成 begins and ends many other words.
_TENTHS = "成(?![长長為为功立本員员熟交果就份品名])"
_PREFIX = "|".join(re.escape(name) for name in sorted(PREFIXES, key=lambda n: (-len(n), n)))
_PERIOD = "|".join(sorted(PERIODS, key=lambda name: (-len(name), name)))
_RATE_AFTER = re.compile(
    rf"\s*(?:/\s*|per\s+|(?:an?|each|every)\s+(?=[a-z]+\b(?!\s+(?:ago|earlier|later|before|after|old|or)\b)))"
    rf"(?P<period>{_PERIOD})(?![a-z0-9])|\s*每[個个]?(?P<han>{_PERIOD})"
)
_RATE_BEFORE = re.compile(rf"每[個个]?(?P<period>{_PERIOD})[一-鿿]{{0,2}}\s*$")
_DIGITS = re.compile(
    rf"(?P<prefix>(?<![a-z])(?:{_PREFIX}))?\s*"
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
_HUNDREDTHS = {CENT: UNITS["$"], PENNY: UNITS["£"]}
_HAN_NUMERAL = "零〇一二三四五六七八九兩两十廿卅百千萬万億亿兆"
_HAN_NUMBER = re.compile(
    rf"(?P<celsius>[攝摄]氏)?(?P<below>零下|[負负])?(?P<percent>百分之)?(?P<digits>[{_HAN_NUMERAL}]+"
    r"(?:[多餘余][萬万億亿])?)"
    rf"(?:[點点](?P<fraction>[零〇一二三四五六七八九]+))?"
    rf"(?:(?P<tenths>{_TENTHS})(?P<half>[一二三四五六七八九半])?|{_UNIT})"
)
# Words that contain numerals without counting anything.
_HAN_IDIOM = re.compile(
    "(?<![一二三四五六七八九])十分(?![鐘钟之])|萬一|万一|千萬不|千万不|百般|一[樣样些般定直起切致旦向再律同方邊边體体]|統一|统一|唯一|"
    "第一|其一|"
    "之一|萬物|万物|千古|四處|四处|四周|三角|九龍|百姓|八卦|二元|一帶|一带"
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
_REPUBLIC = re.compile(rf"民[國国]\s*(?P<year>\d{{1,3}}|[{_HAN_NUMERAL}]{{1,4}})\s*年")
_REPUBLIC_FROM = 1911
"""The year before the first of the Republic of China's calendar, which Taiwan uses."""
_HAN_MINUTES = re.compile(r"\s*分(?![之數数鐘钟])")
_WHOLE_SET = re.compile(r"\bof\s+the\s*$")
_JOINT = re.compile(r"\s*(?:,|and|又|零)?\s*")
_HEDGE = re.compile(
    r"(?:just under|just over|slightly under|slightly over|not quite|well over|"
    r"about|around|approximately|roughly|nearly|almost|over|more than|circa|some|"
    r"約|约|大約|大约|將近|将近|近|超過|超过|左右)\s*$"
)
_RANGE = re.compile(r"\s*(?:-|–|—|~|～|to|and|or|至|到|或|和)\s*")
_HAN_HEDGE = re.compile("[多餘余]")
_HEDGE_AFTER = re.compile(r"\s*(?:左右|上下|or so\b|approximately)")


def quantities(text: str) -> list[Quantity]:
    """Every number of the text, in order of appearance."""
    plain = normalise(text)
    fractions = [
        *_from_fractions(plain), *_from_halves(plain), *_from_scores(plain), *_from_republic(plain)
    ]  # fmt: skip
    for fraction in fractions:  # read as a whole, not once more by their parts
        blank = " " * (fraction.end - fraction.start)
        plain = plain[: fraction.start] + blank + plain[fraction.end :]
    found = [
        *fractions,
        *_from_digits(plain),
        *_from_english(plain),
        *_from_han(plain),
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
            count = int(word) if word.isdigit() else SMALL.get(word, 1)
            value = Fraction(count, _PARTS[match["part"].rstrip("s")])
        yield _quantity(plain, match, value, SHARE)


def _from_halves(plain: str) -> Iterator[Quantity]:
    """Times such as "an hour and a half", "half an hour", "two and a half days"; quarter points."""
    for match in _HALVES.finditer(plain):
        if match["points"]:
            part = Fraction(1, 4) if match["points"] == "quarter" else Fraction(1, 2)
            yield _quantity(plain, match, part, POINTS)
            continue
        if match["quarters"]:
            minutes = Fraction(45 if match["quarters"] == "three" else 15)
            yield _quantity(plain, match, minutes, UNITS["minutes"])
            continue
        if han := match["hanunit"] or match["hanunit2"] or match["hanunit3"]:
            digits = match["hanwhole"] or match["hanwhole3"] or ""
            count = int(digits) if digits.isdigit() else han_value(digits) if digits else 0
            name = _HAN_HALVED.get(han, han)
            yield _quantity(plain, match, count + Fraction(1, 2), UNITS[name], 1)
            continue
        word = match["whole"] or match["whole2"] or ""
        whole = int(word) if word.isdigit() else SMALL.get(word, 1 if word in ("a", "an") else 0)
        unit = UNITS[match["unit"] or match["unit2"] or match["unit3"] or match["unit4"]]
        half = Fraction(0) if match["unit4"] else Fraction(1, 2)
        yield _quantity(plain, match, whole + half if not match["unit4"] else Fraction(1), unit, 1)


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
        yield _quantity(plain, match, Fraction(100 * max(points) + min(points)), SCORE)


def _points(word: str) -> int:
    if word.isdigit():
        return int(word)
    return SMALL.get(word, 0) if word.isascii() else han_value(word)


def _from_republic(plain: str) -> Iterator[Quantity]:
    """Years of Taiwan's calendar: 民國 96 年 is 2007."""
    for match in _REPUBLIC.finditer(plain):
        year = match["year"]
        count = int(year) if year.isdigit() else han_value(year)
        yield _quantity(plain, match, Fraction(_REPUBLIC_FROM + count), PLAIN)


def _quantity(
    plain: str, match: re.Match[str], value: Fraction, unit: Unit, decimals: int = 0
) -> Quantity:
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
        yield _quantity(plain, match, value, unit, len(digits.partition(".")[2]))


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
        yield _quantity(plain, match, -value if match["sign"] else value, _unit(match))


def _from_han(plain: str) -> Iterator[Quantity]:
    idioms = [match.span() for match in _HAN_IDIOM.finditer(plain)]
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
        yield _quantity(plain, match, value, unit, len(fraction))


def _stands_alone(plain: str, match: re.Match[str]) -> bool:
    """Whether a single numeral is a whole answer, such as "七。"."""
    return not re.search(r"\w", plain[: match.start()] + plain[match.end() :])


def _from_months(plain: str) -> Iterator[Quantity]:
    for match in _MONTH.finditer(plain):
        yield _quantity(plain, match, Fraction(MONTHS[match[0]]), MONTH_OF_YEAR)
