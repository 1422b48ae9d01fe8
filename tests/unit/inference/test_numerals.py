"""Numbers in English and Chinese text: what is read, what is left alone, what is the same."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.numerals import quantities, without_quantities
from inference.quantity import same_amount


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rose by 5 % in 1990", [("5", "%"), ("1990", "")]),
        ("fifty percent", [("50", "%")]),
        ("$3.5 million and €2bn", [("3500000", "USD"), ("2000000000", "EUR")]),
        ("twenty-one days", [("21", "days")]),
        ("two hundred and five", [("205", "")]),
        ("three dozen eggs", [("36", "")]),
        ("one day", [("1", "days")]),
        ("1,234.5 km", [("2469/2", "km")]),
        ("-3%", [("-3", "%")]),
        ("2020-2021", [("2020", ""), ("2021", "")]),
        ("September 2, 1945", [("9", "month of the year"), ("2", ""), ("1945", "")]),
        ("1945年9月2日", [("1945", ""), ("9", "month of the year"), ("2", "")]),
        ("一九四五年", [("1945", "")]),
        ("百分之五", [("5", "%")]),
        ("５％", [("5", "%")]),
        ("三點五", [("7/2", "")]),
        ("二十一天", [("21", "days")]),
        ("一萬二千元", [("12000", "")]),
        ("兩億三千萬", [("230000000", "")]),
        ("2億人口", [("200000000", "")]),
        ("12 個月", [("12", "months")]),
        ("5個百分點", [("5", "percentage points")]),
        ("2.4 percentage points", [("12/5", "percentage points")]),
        ("eighty-six pence", [("43/50", "GBP")]),
        ("廿一分", [("21", "")]),
        ("攝氏100度", [("100", "°C")]),
        ("四週", [("4", "weeks")]),
        ("花了四周", [("4", "weeks")]),
        ("四周內", [("4", "weeks")]),
        ("七", [("7", "")]),
        # One length of time in two units; a year in two numbers, or in Taiwan's calendar.
        ("4 hours and 15 minutes", [("17/4", "hours")]),
        ("一小時二十分鐘", [("4/3", "hours")]),
        ("3 years, 6 months", [("7/2", "years")]),
        ("4 hours, 30 percent", [("4", "hours"), ("30", "%")]),
        ("back in eighteen sixty-five", [("1865", "")]),
        ("twenty sixteen", [("2016", "")]),
        ("民國一百年", [("2011", "")]),
        ("民國 113 年", [("2024", "")]),
        # The result of a game is one thing; a range beside no game is two numbers.
        ("The Lions won 4-2.", [("402", "score")]),
        ("They lost 2–4.", [("402", "score")]),
        ("beaten by four goals to two", [("402", "score")]),
        ("客隊以四比二獲勝", [("402", "score")]),
        ("pages 4-2 of the plan", [("4", ""), ("2", "")]),
        ("the cheaper of the two.", []),
        ("the cheaper of the two shops", []),
    ],
)
def test_numbers_are_read_with_their_units(text: str, expected: list[tuple[str, str]]) -> None:
    """Digits, written numbers, scales and units in both languages."""
    found = [(str(quantity.value), quantity.unit.name) for quantity in quantities(text)]
    assert found == expected


@pytest.mark.parametrize(
    "text",
    [
        "one of them",
        "no one",
        "CO2 and H2O",
        "十分好",
        "一個好主意",
        "統一的標準",
        "萬一下雨",
        "四周",
        "四周空曠",
        "You may go.",
        "",
    ],
)
def test_words_that_only_look_like_numbers_are_left_alone(text: str) -> None:
    """A pronoun, a formula and an idiom count nothing."""
    assert quantities(text) == []


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("24 hours", "1 day", True),
        ("100 °C", "212 °F", True),
        ("100 °C", "100 °F", False),
        ("1 year", "12 months", True),
        ("5 km", "5000 meters", True),
        ("$5", "€5", False),
        ("5 dollars", "5", True),
        ("3.14", "3.14159", True),
        ("3.1", "3.2", False),
        ("8 billion", "about 8.1 billion", True),
        ("8 billion", "8.1 billion", False),
        ("約80億", "81億", True),
        ("seven", "七天", True),
        ("5 %", "5 days", False),
    ],
)
def test_same_amount(a: str, b: str, same: bool) -> None:
    """Conversion is exact; rounding and hedging count only where they are written."""
    (x,), (y,) = quantities(a), quantities(b)
    assert same_amount(x, y) is same
    assert same_amount(y, x) is same


@given(st.integers(0, 10**15))
def test_digits_round_trip_with_and_without_separators(number: int) -> None:
    """Every integer is read as itself."""
    for text in (str(number), f"{number:,}"):
        assert [quantity.value for quantity in quantities(text)] == [Fraction(number)]


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    """A peer's answer may be anything; spans stay inside the text and are cut out cleanly."""
    for quantity in quantities(text):
        assert 0 <= quantity.start < quantity.end
    assert isinstance(without_quantities(text), str)
