"""Labels, numbers and short texts in what models write, in English and Chinese."""

from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.values import NoValue, read_label, read_number, read_words
from pbft import decimals

TREND = ("up", "down", "flat")
TREND_ZH = ("漲", "跌", "持平")
YES_NO = ("yes", "no")
WILL_ZH = ("會", "不會")


@pytest.mark.parametrize(
    ("labels", "text", "label"),
    [
        (TREND, "up", "up"),
        (TREND, "Up.", "up"),
        (TREND, "**Up**: because prices rise", "up"),
        (TREND, "ＵＰ", "up"),
        (TREND, '"down"', "down"),
        (TREND, "The answer is: down, not up.", "down"),
        (TREND, "Answer: flat\nReason: it went up before", "flat"),
        (TREND, "My final answer is flat.", "flat"),
        (TREND, "UP because of demand, and not down", "up"),
        (TREND, "It will go up.", "up"),
        (TREND, "It does not go down, it goes up.", "up"),
        (TREND, "The group is flat", "flat"),
        (TREND, "答案是 up。", "up"),
        (YES_NO, "Yes, 7 is prime.", "yes"),
        (YES_NO, "No.", "no"),
        (("not sure", "sure"), "I am not sure.", "not sure"),
        (("1", "2"), "2.", "2"),
        (("-1", "0", "1"), "-1", "-1"),
        (("50%", "5%"), "50%", "50%"),
        (("👍", "👎"), "👎 too expensive", "👎"),
        (("Buy", "Sell"), "sell", "Sell"),
        (TREND_ZH, "漲。", "漲"),
        (TREND_ZH, "我認為會漲，因為需求增加。", "漲"),
        (TREND_ZH, "答案是「跌」，理由是漲不動。", "跌"),
        (TREND_ZH, "標籤：跌。因為上漲乏力", "跌"),
        (TREND_ZH, "應該持平", "持平"),
        (WILL_ZH, "不會，因為太貴。", "不會"),
        (WILL_ZH, "它不會漲", "不會"),
        (WILL_ZH, "會。", "會"),
    ],
)
def test_a_label_is_found(labels: tuple[str, ...], text: str, label: str) -> None:
    """What opens the text counts, else the only label that it affirms; as it was asked for."""
    assert read_label(labels, text) == label


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (TREND, ""),
        (TREND, "upward"),
        (TREND, "Nobody knows."),
        (TREND, "It will not go up."),
        (TREND, "It won't go up."),
        (TREND, "Up or down, who knows?"),
        (TREND, "Prices are up or down"),
        (YES_NO, "Yes and no"),
        (YES_NO, "I know nothing."),
        (("1", "2"), "1.5 is right"),
        (TREND_ZH, "不會漲"),
        (TREND_ZH, "漲或跌都有可能"),
    ],
)
def test_no_label_is_guessed(labels: tuple[str, ...], text: str) -> None:
    """A part of a word, a denied label, or several labels are no answer."""
    with pytest.raises(NoValue):
        read_label(labels, text)


@given(st.text(), st.sampled_from([TREND, TREND_ZH, YES_NO, ("a", "b.", "(c)", "*")]))
def test_any_text_is_read_or_refused(text: str, labels: tuple[str, ...]) -> None:
    """Whatever a model writes, the result is one of the labels or NoValue."""
    with suppress(NoValue):
        assert read_label(labels, text) in labels


@pytest.mark.parametrize(
    ("unit", "text", "number"),
    [
        ("USD", "$3.5 million", "3500000"),
        ("USD", "It was $1,900 in 2024.", "1900"),
        ("USD", "5", "5"),
        ("USD", "-$5", "-5"),
        ("USD", "minus 5 dollars", "-5"),
        ("", "3½", "3.5"),
        ("", "3 ¼ of them", "3.25"),
        ("", "½", "0.5"),
        ("", "二〇二三", "2023"),
        ("", "二十三", "23"),
        ("million USD", "$5 million", "5"),
        ("million USD", "5", "5"),
        ("million USD", "5 million", "5"),
        ("USD/oz", "$1,900 per ounce", "1900"),
        ("ETH", "5 ETH", "5"),
        ("TWD", "新台幣三萬元", "30000"),
        ("億", "兩億三千萬", "2.3"),
        ("萬", "12萬", "12"),
        ("%", "百分之五", "5"),
        ("%", "5 percent of 20 people", "5"),
        ("days", "One week", "7"),
        ("days", "There are seven days.", "7"),
        ("minutes", "It takes 1 hour and 30 minutes.", "90"),
        ("km", "1 mile", "1.609344"),
        ("°C", "212 °F", "100"),
        ("°C", "零下五攝氏度", "-5"),
        ("people", "about 1,200 people", "1200"),
        ("", "7. There are 7 days in 1 week", "7"),
        ("", "-12.50", "-12.5"),
        ("", "3e2", "300"),
        ("", "1.5E-3", "0.0015"),
        ("", "7 days", "7"),
        ("", "一百二十三", "123"),
        ("", "七。", "7"),
        ("", "0.10", "0.1"),
        ("", "0", "0"),
    ],
)
def test_a_number_is_found(unit: str, text: str, number: str) -> None:
    """In the unit that was asked for, exact, with scales and written numbers."""
    assert read_number(unit, text, "How much?") == number


def test_what_the_question_says_is_not_the_answer() -> None:
    """Numbers of the question that are repeated leave the new one."""
    assert read_number("", "2 + 2 = 4", "What is 2 + 2?") == "4"
    assert read_number("", "9 - 4 = 5", "What is 9 - 4?") == "5"
    assert read_number("", "9 - 4 is 5", "What is 9 - 4?") == "5"
    assert read_number("", "In 12 months it grew to 40", "How far in 12 months?") == "40"
    assert read_number("", "It is 2.", "What is 2 times 1?") == "2"  # the only one there is


@pytest.mark.parametrize(
    ("unit", "text", "why"),
    [
        ("", "nobody knows", "no number"),
        ("", "", "no number"),
        ("USD", "It costs 5 euros", "no number in USD"),
        ("USD", "In 2024 it cost €5", "no number in USD"),
        ("hours", "20 minutes", "no decimal of 18 digits"),
        ("", "1e99", "no decimal of 18 digits"),
        ("", "1e999999999", "no decimal of 18 digits"),
        ("", "9" * 19, "no decimal of 18 digits"),
        ("", "5 to 10", "a range of numbers"),
        ("%", "5-10%", "a range of numbers"),
        ("", "5 或 6", "a range of numbers"),
        ("USD", "$5-6", "a range of numbers"),
        ("USD", "$5 – $6", "a range of numbers"),
        ("USD", "USD 5~6 each", "a range of numbers"),
        ("TWD", "新台幣 5 至 6", "a range of numbers"),
        ("USD", "$5-$6", "a range of numbers"),
        ("", "5 - 6", "a range of numbers"),
        ("天", "兩三天", "a range of numbers"),
        ("", "二十三四個", "a range of numbers"),
        ("", "1/2", "no plain number"),
        ("", "10:30", "no plain number"),
        ("", "12,5", "no plain number"),
        ("", "5.6.7", "no plain number"),
        ("", "5 × 10^3", "no plain number"),
        ("", "2.1×10⁷", "no plain number"),
        ("", "⅓", "no plain number"),
        ("", "There are 365 days in 12 months", "several numbers"),
    ],
)
def test_no_number_is_guessed(unit: str, text: str, why: str) -> None:
    """Another currency, a fraction without a decimal, a range, or several numbers are none."""
    with pytest.raises(NoValue) as caught:
        read_number(unit, text, "How much?")
    assert str(caught.value) == why


@given(st.text(), st.sampled_from(["", "USD", "%", "days", "萬", "million USD"]))
def test_a_number_that_is_read_is_canonical(text: str, unit: str) -> None:
    """Whatever a model writes, the result is a canonical decimal or NoValue."""
    try:
        found = read_number(unit, text, "")
    except NoValue:
        return
    assert decimals.read(found) is not None


@given(st.integers(-(10**9), 10**9), st.integers(0, 6))
def test_every_plain_decimal_is_read_as_it_is(digits: int, places: int) -> None:
    """A number written in digits is that number, exactly."""
    value = Fraction(digits, 10**places)
    text = f"{digits / 10**places:.{places}f}"
    assert Fraction(read_number("", text, "")) == value


def test_words_are_tidied() -> None:
    """Quotation marks and a final stop are not part of a short text; its case is."""
    assert read_words(' "New  York". ') == "New York"
    assert read_words("「臺北」。") == "臺北"
    for text in ("", " . ", '""', "word " * 20):
        with pytest.raises(NoValue):
            read_words(text)
