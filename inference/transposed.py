"""The same words with two of them exchanged: "A sued B" against "B sued A"; pure.

Nothing has to be known of the words. Two sentences in the very same words, of which two stand in
each other's place, say something else, unless what is between them does not care for the order: "A
and B", "A is B", "A met B".
"""

from functools import lru_cache

from inference.analysis import Part
from inference.wording import has_han, listed

_TOKENS_MAX = 80
_COPULAS = frozenset(listed("is are was were be been being means named called 是 为 即 叫 以"))
_SYMMETRIC = frozenset(
    listed(
        "and or nor with versus vs between equals equal same similar different differs both met "
        "meet meets married resembles beside near next 和 与 及 跟 同 或 等"
    )
)
"""Words on whose two sides things can change places."""


@lru_cache(maxsize=16_384)
def exchanged(a: Part, b: Part) -> tuple[str, str] | None:
    """The parts that stand in each other's place, or None."""
    ours, theirs = a.tokens, b.tokens
    if len(ours) != len(theirs) or len(ours) > _TOKENS_MAX or ours == theirs:
        return None
    if "、" in a.text or sorted(ours) != sorted(theirs):
        return None  # a list may have any order
    ahead = _common(ours, theirs)
    behind = _common(ours[::-1], theirs[::-1])
    x, y = ours[ahead : len(ours) - behind], theirs[ahead : len(theirs) - behind]
    if any(y == x[at:] + x[:at] for at in range(1, len(x))):
        return None  # a part was moved: "in March they met" against "they met in March"
    first, between, last = _around(x, y) or _renamed(x, y) or ((), (), ())
    if _SYMMETRIC & set(between) or _COPULAS.issuperset(between):
        return None
    glue = "" if has_han("".join((*first, *last))) else " "
    return glue.join(first), glue.join(last)


_Parts = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]


def _around(x: tuple[str, ...], y: tuple[str, ...]) -> _Parts | None:
    """A, s and B if ``x`` is A s B where ``y`` is B s A."""
    for end in range(1, len(x) - 1):
        if y[-end:] != x[:end]:
            continue
        for start in range(end + 1, len(x)):
            between, last = x[end:start], x[start:]
            if y[:-end] == last + between:
                return x[:end], between, last
    return None


def _renamed(x: tuple[str, ...], y: tuple[str, ...]) -> _Parts | None:
    """Where every token of ``x`` that differs stands, ``y`` has its partner, and the reverse."""
    partners: dict[str, str] = {}
    for ours, theirs in zip(x, y, strict=True):
        if partners.setdefault(ours, theirs) != theirs or partners.setdefault(theirs, ours) != ours:
            return None
    return (x[0],), tuple(token for token in x if partners[token] == token), (y[0],)


def _common(ours: tuple[str, ...], theirs: tuple[str, ...]) -> int:
    """How many tokens both begin with."""
    differing = (at for at, (x, y) in enumerate(zip(ours, theirs, strict=True)) if x != y)
    return next(differing, len(ours))
