"""When two short texts are the same to the letter: width, case and spaces do not count.

Every replica must fold a text to the same bytes, but the tables of Unicode differ between versions
of Python. They only ever grow: what was assigned once keeps its normalisation and its case
folding. So compatibility forms come from the fixed tables of version 3.2, which Python carries for
such uses, and the case of a character that those tables do not know is left alone.
"""

from unicodedata import ucd_3_2_0 as _unicode

_UNASSIGNED = "Cn"
_INVISIBLE = frozenset(("Cc", "Cs", "Zl", "Zp"))


def tidy(text: str) -> str:
    """Normalised (NFKC), with single spaces and none at the ends; the case stays. Idempotent."""
    return " ".join(_unicode.normalize("NFKC", text).split())


def fold(text: str) -> str:
    """What two texts have in common if they are the same to the letter."""
    lower = "".join(
        character if _unicode.category(character) == _UNASSIGNED else character.casefold()
        for character in tidy(text)
    )
    return tidy(lower)


def is_line(text: str) -> bool:
    """Whether the text is some visible characters on one line, without spaces at its ends."""
    return (
        text != ""
        and text == text.strip()
        and not any(_unicode.category(character) in _INVISIBLE for character in text)
    )
