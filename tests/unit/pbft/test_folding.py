"""Short texts: when two are the same to the letter."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbft.folding import fold, is_line, tidy

NEWER = "\U00010c80\U00010cc0"  # Old Hungarian, assigned in Unicode 8


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Paris", "PARIS"),
        ("New  York", " new\tyork "),
        ("ＡＢＣ", "abc"),
        ("臺北市", "臺北市"),
        ("Straße", "STRASSE"),
        ("e\u0301t\u00e9", "\u00e9te\u0301"),
        ("５", "5"),
    ],
)
def test_the_same_to_the_letter(a: str, b: str) -> None:
    """Case, width, composition and spaces make no difference."""
    assert fold(a) == fold(b)


@pytest.mark.parametrize(("a", "b"), [("Paris", "Lyon"), ("up", "u p"), ("漲", "跌"), ("a", "á")])
def test_different_words(a: str, b: str) -> None:
    """Anything else does."""
    assert fold(a) != fold(b)


def test_what_a_later_unicode_assigned_is_left_alone() -> None:
    """Replicas on different Pythons fold alike: a case pair that came later stays a pair."""
    upper, lower = NEWER
    assert upper.casefold() == lower
    assert fold(upper) != fold(lower)


@given(st.text())
def test_folding_and_tidying_twice_is_once(text: str) -> None:
    """Both are idempotent, and tidying does not change what a text folds to."""
    assert tidy(tidy(text)) == tidy(text)
    assert fold(fold(text)) == fold(text)
    assert fold(tidy(text)) == fold(text)


@given(st.text(alphabet=st.characters(categories=["Lu", "Ll", "Lo", "Nd", "Zs"], codec="utf-8")))
def test_old_characters_fold_as_in_this_python(text: str) -> None:
    """For characters that version 3.2 knows, the fixed tables give what this Python's give."""
    known = "".join(c for c in text if unicodedata.ucd_3_2_0.category(c) != "Cn")
    assert tidy(known) == " ".join(unicodedata.normalize("NFKC", known).split())


@pytest.mark.parametrize(
    "text",
    ["", " ", "up ", " up", "u\np", "u\x00p", "\u2028", "a\u0085b", "\ud800", "\t"],
    ids=ascii,
)
def test_no_line(text: str) -> None:
    """Nothing, spaces at an end, controls, line breaks and half characters are no line."""
    assert not is_line(text)


@pytest.mark.parametrize("text", ["up", "持平", "New York", "👍", "°C", "not  sure"])
def test_a_line(text: str) -> None:
    """Words in any script, and signs that came later."""
    assert is_line(text)
