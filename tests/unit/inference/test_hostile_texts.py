"""Texts that nobody means: a guard neither raises on them nor works on them for minutes."""

import pytest

from inference.analysis import PIECES_MAX, analyse
from inference.guards import first_objection
from inference.validator import abnormality, inspect_prompt
from inference.wording import normalise

ANSWER_BYTES = 16 * 1024
ODD = (
    "三一十月五日", "〇廿點", "half past ፩", "9" * 5_000, "half past " + "9" * 5_000,
    "123," * 3_000 + "123", "0." + "9" * 5_000, "9" * 5_000 + " years and a half", "九" * 5_000,
    "民國" + "9" * 5_000 + "年", "²³ years",
)  # fmt: skip
LONG = (
    "(", ",", "，", "「", "7 pm ", "12:30 ", "\n", "![", "1,", "not ", "Hello. ", "a; ", "不", " ",
    "- ", "but ", "5% ", "「漲」", "3到", "$", "and ", "one hundred and ", "No, ",
)  # fmt: skip


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_odd_numerals_are_no_error(odd: str) -> None:
    for question in ("", odd):
        first_objection(question, odd, "No.")
        first_objection(question, f"No, {odd}.", f"Yes, {odd}5.")
    inspect_prompt(odd)
    abnormality("What is it?", odd)


@pytest.mark.parametrize("unit", LONG)
def test_the_longest_answers_are_judged(unit: str) -> None:
    """That it does not take minutes shows in the time that the tests take as a whole."""
    text = unit * (ANSWER_BYTES // len(unit.encode()))
    first_objection("", text, text[: -len(unit)] + "x")
    first_objection(text, "Yes.", "No.")
    inspect_prompt(text)
    abnormality("What is it?", text)


@pytest.mark.parametrize("hidden", ["\u200b", "\u00ad", "\u2060", "\U000e0064"])
def test_a_word_with_something_invisible_in_it_is_that_word(hidden: str) -> None:
    """A person who reads the certificate sees "not"; so do the guards."""
    plain = "The bridge is safe to cross."
    denied = plain.replace("is", f"is n{hidden}ot")
    assert first_objection("", plain, denied) is not None
    assert first_objection("", plain, plain.replace("safe", f"sa{hidden}fe")) is None


def test_the_rest_of_many_sentences_is_one() -> None:
    found = analyse("The price rises. " * 500)
    assert len(found.sentences) == PIECES_MAX
    assert len(found.sentences[-1].text) > 1_000


@pytest.mark.parametrize(
    "short", ["**Yes**", "**B**", "C++", "$5.", "5%.", '"No."', "「漲」", "(b)"]
)
def test_marks_around_a_short_answer_are_nothing_odd(short: str) -> None:
    assert abnormality("Which one?", short) is None


@pytest.mark.parametrize(
    "digits", ["3.14159265" * 12, "2,3,5,7,11,13," * 10 + "1", "三一四一五九" * 12]
)
def test_long_numerals_that_differ_at_their_end_are_not_the_same(digits: str) -> None:
    last = "二" if digits[-1] > "9" else "7"
    assert first_objection("", digits, digits) is None
    assert normalise(digits) != normalise(digits[:-1] + last)
    assert normalise(f"{digits}.") == f"{normalise(digits)}."
