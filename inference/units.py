"""Units of measure by name, in English and Chinese, with exact conversions; pure data."""

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from inference.lexicon import fold_han
from inference.wording import listed


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """A unit of a dimension: ``base = value * factor + offset``, in the dimension's base unit.

    There is one object for each unit, so units are compared by identity.

    Currencies share the dimension "money" and never convert, so they differ by ``name``.
    """

    name: str
    dimension: str
    factor: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)


Named = TypeVar("Named")


def _in_both_scripts(table: dict[str, Named]) -> dict[str, Named]:
    """With the simplified forms of all names, which is how answers are read."""
    return {form: value for name, value in table.items() for form in (name, fold_han(name))}


PLAIN = Unit("", "")
PERCENT = Unit("%", "percent")
SHARE = Unit("of the whole", "share")
MONTH_OF_YEAR = Unit("month of the year", "calendar month")
TIMES = Unit("times as much", "percent", Fraction(100))
CELSIUS = Unit("°C", "temperature")
YEAR = Unit("years", "calendar time", Fraction(12))

SCORE = Unit("score", "score")
"""Of a game: a hundred times the winner's points, and the loser's."""

CENT = Unit("cents", "money", Fraction(1, 100))
"""Read as hundredths of a dollar."""
PENNY = Unit("pence", "money", Fraction(1, 100))
POINTS = Unit("percentage points", "percent")
"""By how much a percentage differs from another."""

FAHRENHEIT = Unit("°F", "temperature", Fraction(5, 9), Fraction(-160, 9))
_TABLE: tuple[tuple[Unit, str], ...] = (
    (PERCENT, "% percent"),
    (Unit("basis points", "percent", Fraction(1, 100)), "bp bps 個基點 个基点"),
    (CELSIUS, "°c celsius 攝氏度 摄氏度"),
    (FAHRENHEIT, "°f fahrenheit 華氏度 华氏度"),
    (TIMES, "倍 fold"),
    (
        POINTS,
        "percentage_point percentage_points percentage-point percentage-points 個百分點 个百分点",
    ),
    (CENT, "cent cents 美分"),
    (PENNY, "penny pence 便士"),
    (Unit("ms", "time", Fraction(1, 1000)), "ms millisecond milliseconds 毫秒"),
    (Unit("seconds", "time"), "second seconds sec secs s 秒 秒鐘 秒钟"),
    (Unit("minutes", "time", Fraction(60)), "minute minutes min mins 分鐘 分钟"),
    (Unit("hours", "time", Fraction(3600)), "hour hours hr hrs h 小時 小时 個小時 个小时 鐘頭"),
    (Unit("days", "time", Fraction(86400)), "day days 天"),
    (Unit("weeks", "time", Fraction(604800)), "week weeks 週 周 星期 個星期 个星期 禮拜"),
    (Unit("months", "calendar time"), "month months 個月 个月"),
    (YEAR, "year years yr yrs 年"),
    (Unit("decades", "calendar time", Fraction(120)), "decade decades"),
    (Unit("centuries", "calendar time", Fraction(1_200)), "century centuries 世紀 世纪"),
    (MONTH_OF_YEAR, "月"),
    (
        Unit("mm", "length", Fraction(1, 1000)),
        "mm millimeter millimeters millimetre millimetres 毫米 公釐",
    ),
    (
        Unit("cm", "length", Fraction(1, 100)),
        "cm centimeter centimeters centimetre centimetres 公分 厘米",
    ),
    (Unit("m", "length"), "m meter meters metre metres 公尺 米"),
    (
        Unit("km", "length", Fraction(1000)),
        "km kilometer kilometers kilometre kilometres 公里 千米",
    ),
    (Unit("miles", "length", Fraction(1609344, 1000)), "mi mile miles 英里 英哩"),
    (Unit("feet", "length", Fraction(3048, 10000)), "ft foot feet 英尺 英呎"),
    (Unit("inches", "length", Fraction(254, 10000)), "inch inches 英寸 英吋"),
    (
        Unit("µg", "mass", Fraction(1, 10**6)),
        "µg μg mcg microgram micrograms 微克",
    ),
    (Unit("mg", "mass", Fraction(1, 1000)), "mg milligram milligrams 毫克"),
    (Unit("g", "mass"), "g gram grams 公克 克"),
    (Unit("kg", "mass", Fraction(1000)), "kg kilogram kilograms kilo kilos 公斤 千克"),
    (Unit("lb", "mass", Fraction(45_359_237, 100_000)), "lb lbs 磅"),
    (Unit("tonnes", "mass", Fraction(1000000)), "tonne tonnes 公噸 公吨 噸 吨"),
    (Unit("USD", "money"), "$ us$ usd dollar dollars us_dollar us_dollars 美元 美金"),
    (Unit("EUR", "money"), "€ eur euro euros 歐元 欧元"),
    (Unit("GBP", "money"), "£ gbp pounds_sterling pounds quid 英鎊 英镑"),
    (Unit("JPY", "money"), "¥ jpy yen japanese_yen 日圓 日元 日幣 日币"),
    (
        Unit("TWD", "money"),
        "nt$ twd ntd new_taiwan_dollar new_taiwan_dollars 台幣 臺幣 新台幣 新臺幣 台币 新台币",
    ),
    (Unit("CNY", "money"), "cny rmb yuan renminbi chinese_yuan 人民幣 人民币"),
    (Unit("HKD", "money"), "hkd hk$ hong_kong_dollar hong_kong_dollars 港幣 港币 港元"),
    (Unit("CHF", "money"), "chf franc francs swiss_franc swiss_francs 瑞士法郎 瑞郎"),
    (Unit("CAD", "money"), "cad canadian_dollar canadian_dollars 加幣 加币 加元"),
    (Unit("AUD", "money"), "aud australian_dollar australian_dollars 澳幣 澳币 澳元"),
    (Unit("SGD", "money"), "sgd singapore_dollar singapore_dollars 新加坡元 新幣"),
    (Unit("KRW", "money"), "krw won 韓元 韩元 韓圜"),
    (Unit("INR", "money"), "inr rupee rupees 盧比 卢比"),
    (Unit("ETH", "money"), "eth ether 以太幣 以太币"),
    (
        Unit("ml", "volume", Fraction(1, 1000)),
        "ml milliliter milliliters millilitre millilitres 毫升",
    ),
    (Unit("l", "volume"), "l liter liters litre litres 公升 升"),
    (Unit("W", "power"), "w watt watts 瓦 瓦特"),
    (Unit("kW", "power", Fraction(1000)), "kw kilowatt kilowatts 千瓦"),
    (Unit("MW", "power", Fraction(10**6)), "mw megawatt megawatts 兆瓦"),
    (Unit("GW", "power", Fraction(10**9)), "gw gigawatt gigawatts"),
    (Unit("Wh", "energy"), "wh watt-hours"),
    (
        Unit("kWh", "energy", Fraction(1000)),
        "kwh kilowatt-hour kilowatt-hours 度電 度电 千瓦時 千瓦时",
    ),
    (Unit("MWh", "energy", Fraction(10**6)), "mwh megawatt-hours"),
    (Unit("Hz", "frequency"), "hz hertz 赫茲 赫兹"),
    (Unit("MHz", "frequency", Fraction(10**6)), "mhz megahertz"),
    (Unit("GHz", "frequency", Fraction(10**9)), "ghz gigahertz"),
    (Unit("m²", "area"), "m² m2 sqm 平方公尺 平方米"),
    (Unit("km²", "area", Fraction(10**6)), "km² km2 平方公里 平方千米"),
    (Unit("ha", "area", Fraction(10**4)), "ha hectare hectares 公頃 公顷"),
    (Unit("km/h", "speed"), "km/h kph kmh"),
    (Unit("mph", "speed", Fraction(1609344, 1000000)), "mph"),
    (Unit("kB", "data", Fraction(1, 10**6)), "kb kilobyte kilobytes"),
    (Unit("MB", "data", Fraction(1, 1000)), "mb megabyte megabytes"),
    (Unit("GB", "data"), "gb gigabyte gigabytes"),
    (Unit("TB", "data", Fraction(1000)), "tb terabyte terabytes"),
    (Unit("BTC", "money"), "btc bitcoin bitcoins 比特幣 比特币"),
)  # fmt: skip

UNITS: dict[str, Unit] = _in_both_scripts(
    {word.replace("_", " "): unit for unit, names in _TABLE for word in listed(names)}
)

# What may stand before its number: "USD 5", "新台幣 5 元", "華氏 98 度".
PREFIXES: dict[str, Unit] = _in_both_scripts({
    **{
        name: UNITS[name]
        for name in listed(
            "nt$ us$ hk$ $ € £ ¥ usd eur gbp chf jpy cny twd ntd hkd 美元 美金 歐元 欧元 英鎊 英镑 "
            "新台幣 新臺幣 台幣 臺幣 新台币 台币 人民幣 人民币 港幣 港币 日幣 日币"
        )
    },
    **dict.fromkeys(("攝氏", "摄氏"), CELSIUS),
    **dict.fromkeys(("華氏", "华氏"), FAHRENHEIT),
})  # fmt: skip

PERIODS: dict[str, Fraction] = _in_both_scripts({
    name: seconds
    for names, seconds in (
        ("second sec s 秒", Fraction(1)),
        ("minute min 分鐘 分钟", Fraction(60)),
        ("hour hr h 小時 小时 鐘頭", Fraction(3_600)),
        ("day 天 日", Fraction(86_400)),
        ("week 週 周 星期", Fraction(7 * 86_400)),
        ("month 月", Fraction(30_436_875 * 86_400, 1_000_000)),
        ("year yr 年", Fraction(365_2425 * 86_400, 10_000)),
    )
    for name in listed(names)
})  # fmt: skip
"""Seconds of what a rate is counted over: "per day", "每月"."""

_MONTHS = listed(
    "january february march april may june july august september october november december"
)
MONTHS: dict[str, int] = {
    **{name: number for number, name in enumerate(_MONTHS, start=1)},
    **{name[:3]: number for number, name in enumerate(_MONTHS, start=1)},
    "sept": 9,
}
