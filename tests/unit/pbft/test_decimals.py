"""Decimals as whole numbers, against `fractions.Fraction` and `decimal.Decimal` as oracles."""

from decimal import Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbft import decimals

LARGEST = decimals.ONE * decimals.ONE - 1
scaled = st.integers(-LARGEST, LARGEST)

CANONICAL = [
    ("0", Fraction(0)),
    ("7", Fraction(7)),
    ("-12.5", Fraction(-25, 2)),
    ("0.001", Fraction(1, 1000)),
    ("100", Fraction(100)),
    ("9" * 18 + "." + "9" * 18, Fraction(LARGEST, decimals.ONE)),
    ("-0." + "0" * 17 + "1", Fraction(-1, decimals.ONE)),
]
OTHERS = [
    "", " ", "-", "-0", "-0.0", "+1", "01", "-01", "1.", ".5", "1.50", "1.0", "0.0", "1e3", "1E3",
    "1,000", "1_000", "0x10", " 1", "1 ", "1\n", "--1", "1.2.3", "NaN", "inf", "½", "１", "٣", "一",
    "1" * 19, "0." + "0" * 18 + "1", "1\u2212", "\u22121",
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), CANONICAL, ids=[text for text, _ in CANONICAL])
def test_reads_and_writes_exactly(text: str, value: Fraction) -> None:
    """A canonical text is the number it spells, and that number is written as this text."""
    found = decimals.read(text)
    assert found is not None
    assert Fraction(found, decimals.ONE) == value
    assert decimals.write(found) == text


@pytest.mark.parametrize("text", OTHERS, ids=repr)
def test_refuses_every_other_form(text: str) -> None:
    """A number has one spelling: any other is no number, however clear its meaning."""
    assert decimals.read(text) is None


@given(scaled)
def test_every_number_survives_writing(number: int) -> None:
    """Reading what was written gives the same number, and the text means it to other readers."""
    text = decimals.write(number)
    assert decimals.read(text) == number
    assert Fraction(text) == Fraction(number, decimals.ONE)
    assert Decimal(text).normalize(Context(prec=40)) == Decimal(text)


@given(st.text(alphabet="0123456789.-", max_size=40))
def test_reading_agrees_with_an_independent_reader(text: str) -> None:
    """What is read is what `Fraction` reads, and writing it gives back the very text."""
    found = decimals.read(text)
    if found is not None:
        assert Fraction(text) * decimals.ONE == found
        assert decimals.write(found) == text


@given(scaled, scaled)
def test_equal_numbers_have_equal_texts(a: int, b: int) -> None:
    """The text is as good as the number for telling whether two are equal."""
    assert (decimals.write(a) == decimals.write(b)) == (a == b)


@given(st.fractions(max_denominator=10**6))
def test_a_fraction_is_written_only_if_it_is_a_decimal(value: Fraction) -> None:
    """A fraction gets its exact text or none; a denominator with another prime has none."""
    text = decimals.from_ratio(value.numerator, value.denominator)
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1 or abs(value) >= 10**18:
        assert text is None
    elif text is not None:
        assert Fraction(text) == value
        assert decimals.read(text) is not None
    else:
        assert (value * decimals.ONE).denominator != 1


@pytest.mark.parametrize(
    ("numerator", "denominator", "text"),
    [
        (1, 3, None),
        (10**18, 1, None),
        (-(10**18), 1, None),
        (10**18 - 1, 1, "9" * 18),
        (1, 10**19, None),
        (5, 2, "2.5"),
        (-6, 3, "-2"),
        (0, 7, "0"),
    ],
)
def test_fractions_by_hand(numerator: int, denominator: int, text: str | None) -> None:
    """Digits end at 18 on each side, and nothing is rounded to fit."""
    assert decimals.from_ratio(numerator, denominator) == text
