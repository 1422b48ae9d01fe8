"""Axes with two opposite poles, in English and Chinese: the tables and their lookup; pure.

The words are in ``data/opposites-en.txt`` and ``data/opposites-zh.txt``, which also say how they
are written. An English word stands for all its forms ("rise" for "rose"); Chinese is compared in
simplified characters, after ``lexicon.fold_han``. A word may lie on several axes ("lose" is the
opposite of "gain" and of "win").
"""

import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import Literal, NamedTuple

from inference.lexicon import fold_han, lemmas

Pole = Literal[1, -1]
Kind = Literal["", "advice", "coarse", "comparative", "roles", "share", "valence"]
_KINDS: tuple[Kind, ...] = ("advice", "coarse", "comparative", "roles", "share", "valence")


class Axis(NamedTuple):
    """One line of a table.

    The poles of a ``comparative`` one change places with the things compared; in one of ``roles``
    ("buyer", "seller") the poles alone say little once a party is named; those of ``share``
    ("most", "few") change sides with a denial: most are not what few are; one of ``valence``
    ("safe", "dangerous") answers questions for advice; one of ``advice`` ("recommend", "avoid")
    does so too, but says little without its object: to advise selling is to advise against holding.
    """

    number: int
    kind: Kind = ""

    @property
    def judges(self) -> bool:
        """Whether its words judge what was asked about."""
        return self.kind in ("valence", "advice")


class PoleWord(NamedTuple):
    """A word that stands for one pole of an axis."""

    axis: Axis
    pole: Pole


@cache
def _table(name: str) -> dict[str, tuple[PoleWord, ...]]:
    """Poles by word; phrases are joined by underscores, Chinese is folded."""
    found: dict[str, list[PoleWord]] = {}
    # The two languages do not share axes: their numbers may not meet.
    number = 0 if name == "en" else 1000
    text = (files("inference") / "data" / f"opposites-{name}.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        number += 1
        positive, negative, *rest = (part.split() for part in line.split("|"))
        marks = rest[0] if rest else []
        kind: Kind = next((kind for kind in _KINDS if kind in marks), "")
        axis = Axis(number, kind)
        sides: tuple[tuple[Pole, list[str]], ...] = ((1, positive), (-1, negative))
        for pole, words in sides:
            for word in words:
                key = fold_han(word) if name == "zh" else word
                poles = found.setdefault(key, [])
                if all(known.axis != axis for known in poles):
                    poles.append(PoleWord(axis, pole))
    return {word: tuple(poles) for word, poles in found.items()}


@cache
def _phrases() -> re.Pattern[str]:
    phrases = sorted((word for word in _table("en") if "_" in word), key=lambda w: (-len(w), w))
    return re.compile(r"\b(?:" + "|".join(p.replace("_", r"\s+") for p in phrases) + r")\b")


@cache
def _han_words() -> re.Pattern[str]:
    words = sorted(_table("zh"), key=lambda word: (-len(word), word))
    return re.compile("|".join(words))


def join_phrases(plain: str) -> str:
    """A normalised English text in which each phrase of the table is one word."""
    return _phrases().sub(lambda match: re.sub(r"\s+", "_", match[0]), plain)


@lru_cache(maxsize=65_536)
def english_poles(word: str) -> tuple[PoleWord, ...]:
    """The poles that a lower-case English word, or a joined phrase, stands for in any form."""
    table = _table("en")
    found = {pole.axis: pole for pole in reversed(table.get(word, ()))}
    # A comparative in the table says what it compares: "lower than expected" is not "low".
    if not found or not word.endswith(("er", "est")):
        for form in sorted(lemmas(word)):
            for pole in table.get(form, ()):
                found.setdefault(pole.axis, pole)
    return tuple(sorted(found.values()))


def han_poles(folded: str) -> list[tuple[int, str, tuple[PoleWord, ...]]]:
    """Pole words of a folded Chinese text with their positions, the longest first."""
    table = _table("zh")
    return [(m.start(), m[0], table[m[0]]) for m in _han_words().finditer(folded)]


def words_of(language: str, axis: int, pole: int) -> list[str]:
    """The words on one side of an axis, in the table's order, without phrases."""
    return [
        word
        for word, poles in _table(language).items()
        if "_" not in word and any(p.axis.number == axis and p.pole == pole for p in poles)
    ]
