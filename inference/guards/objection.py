"""What a guard returns: the kind of a contradiction, and what stands in each answer."""

from typing import NamedTuple

_DETAIL_CHARACTERS_MAX = 40


class Objection(NamedTuple):
    """``code`` names the guard's reason, ``ours`` and ``theirs`` quote the two answers in order."""

    code: str
    ours: str
    theirs: str

    def turned(self) -> "Objection":
        """The same objection to the same answers in the other order."""
        return Objection(self.code, self.theirs, self.ours)

    def __str__(self) -> str:
        """A code, a colon and a detail with both sides, clipped: "number: 5 % / 50 %"."""
        return f"{self.code}: {_clipped(self.ours)} / {_clipped(self.theirs)}"


def _clipped(text: str) -> str:
    return text if len(text) <= _DETAIL_CHARACTERS_MAX else text[: _DETAIL_CHARACTERS_MAX - 1] + "…"
