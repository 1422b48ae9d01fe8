"""What is read in one text: markup, moments, sides, and relations between words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.analysis import analyse
from inference.lexicon import Relation, fold_han, lemmas, relation
from inference.moments import Moment, moments_differ, split_moments
from inference.polarity import read
from inference.wording import normalise


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("**Paris**", "Paris"),
        ("# Answer\nParis", "Answer Paris"),
        ("- red\n- green", "red green"),
        ("1. Stop it\n2. Start it", "Stop it Start it"),
        ("`git status`", "git status"),
        ("```sh\nls\n```", "ls"),
        ("[a page](http://x.y/z)", "a page"),
    ],
)
def test_markup_says_nothing(marked: str, plain: str) -> None:
    """Numbers of list items are not numbers of the answer either."""
    assert analyse(marked).whole.text == plain
    assert analyse(marked).whole.quantities == ()


@given(st.text())
def test_any_text_can_be_analysed(text: str) -> None:
    """Whatever it is."""
    found = analyse(text)
    assert found.sentences
    for part in (found.whole, *found.sentences):
        assert part.mask >= 0
        assert part.tokens is not None
        assert part.reading.sides is not None


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("It renews on 14 March 2025.", "2025-03-14"),
        ("March 14th, 2025", "2025年3月14日"),
        ("on July 20, 1969", "20 July 1969"),
        ("3:30 PM", "15:30"),
        ("下午三點半", "15:30"),
        ("half past nine in the morning", "9:30 a.m."),
        ("noon", "12:00"),
        ("every Wednesday", "星期三"),
        ("11/8 02:00", "十一月八號凌晨 2 點"),
    ],
)
def test_a_moment_is_one_in_every_notation(a: str, b: str) -> None:
    """And leaves no number behind."""
    (moments_a, rest_a), (moments_b, rest_b) = (split_moments(normalise(t)) for t in (a, b))
    assert moments_a
    assert moments_b
    assert not any(
        moments_differ(x, y)
        for x in moments_a
        for y in moments_b
        if x.is_time == y.is_time and x.is_weekday == y.is_weekday
    )
    assert not any(c.isdigit() for c in rest_a + rest_b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("14 March 2025", "14 May 2025"),
        ("9:30 a.m.", "9:30 p.m."),
        ("上午三點半", "下午三點半"),
        ("on Wednesday", "on Thursday"),
        ("at noon", "at midnight"),
        ("in July 1969", "in June 1969"),
    ],
)
def test_different_moments_differ(a: str, b: str) -> None:
    """Within one kind."""
    (x,), (y,) = (split_moments(normalise(text))[0] for text in (a, b))
    assert moments_differ(x, y)
    assert moments_differ(y, x)


def test_what_a_moment_leaves_open_does_not_differ() -> None:
    """A month of a year and a day in it; 9:30 on either half of the day."""
    assert not moments_differ(Moment("", 1969, 7), Moment("", None, 7, 20))
    assert not moments_differ(
        Moment("", minutes=570, half_known=False), Moment("", minutes=570 + 720)
    )


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("rises", "rose", Relation.SAME),
        ("stopped", "stop", Relation.SAME),
        ("kid", "children", Relation.SYNONYM),
        ("rise", "fell", Relation.ANTONYM),
        ("safe", "unsafe", Relation.ANTONYM),
        ("harmless", "harmful", Relation.ANTONYM),
        ("nitrogen", "oxygen", Relation.SIBLING),
        ("recyclable", "recycle", Relation.NEAR),
        ("banana", "inflation", Relation.NONE),
    ],
)
def test_words_are_related_as_wordnet_says(a: str, b: str, expected: Relation) -> None:
    """In any form and either order."""
    assert relation(a, b) == relation(b, a) == expected


def test_an_unknown_word_is_its_own_lemma() -> None:
    """Names and inventions are not cut."""
    assert lemmas("qubicses") == {"qubicses"}


def test_both_scripts_meet() -> None:
    """Traditional characters are folded to simplified ones, one for one."""
    assert fold_han("漲跌萬億") == "涨跌万亿"
    assert fold_han("涨跌万亿") == "涨跌万亿"


@pytest.mark.parametrize(
    ("text", "stance"),
    [
        ("Yes.", 1),
        ("No, it is not.", -1),
        ("It isn't. Bats can see.", -1),
        ("It can: n = 4 gives f = 1.", 1),
        ("Probably not.", -1),
        ("I don't think so.", -1),
        ("It's unlikely to vanish.", -1),
        ("No account is needed.", 0),
        ("No man is lifting weights.", 0),
        ("It is possible to undo it.", 0),
        ("不能，要四個。", -1),
        ("可以。", 1),
        ("是的。", 1),
        ("是一種金屬。", 0),
    ],
)
def test_a_stance_opens_an_answer(text: str, stance: int) -> None:
    """Only where it stands for a yes or no."""
    assert read(text).stance == stance
