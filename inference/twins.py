"""Twin sentences: word for word the same but for one place; pure.

This is how a liar writes who wants to be similar: one negation put in, one number or one direction
changed. Between twins nothing has to be interpreted, so the rules can be simpler and stricter than
those for answers in general.
"""

from difflib import SequenceMatcher
from functools import lru_cache

from inference.analysis import Part
from inference.antonyms import english_poles, han_poles
from inference.lexicon import lemmas, opposites
from inference.polarity import is_negator
from inference.quantity import same_amount
from inference.wording import ALIGNED_TOKENS_MAX, FUNCTION_WORDS, has_han

PERMILLE = 1000
_ALIKE_PERMILLE = 700
_HAN_NEGATORS = frozenset("不没未无非勿别否莫毋")
_HAN_FILLERS = frozenset("有是会能可要应该并的地得了过")


@lru_cache(maxsize=16_384)
def twin_difference(a: Part, b: Part) -> tuple[str, str, str] | None:
    """The kind of the one difference between twins, and what stands there in each."""
    ours, theirs = a.tokens, b.tokens
    if (
        min(len(ours), len(theirs)) < 2
        or max(len(ours), len(theirs)) > ALIGNED_TOKENS_MAX
        or 2 * len(ours) < len(theirs)
        or 2 * len(theirs) < len(ours)
    ):
        return None
    blocks = SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes()
    equal = sum(i2 - i1 for tag, i1, i2, _, _ in blocks if tag == "equal")
    if 2 * PERMILLE * equal < _ALIKE_PERMILLE * (len(ours) + len(theirs)):
        return None
    gaps = [(ours[i1:i2], theirs[j1:j2]) for tag, i1, i2, j1, j2 in blocks if tag != "equal"]
    if not gaps:
        return _numbers(a, b)
    if len(gaps) > 1:
        return None
    (here, there) = gaps[0]
    for kind, differs in (("negation", _negates), ("direction", _opposes)):
        if differs(here, there):
            glue = "" if has_han("".join(ours)) else " "
            return kind, glue.join(here) or "–", glue.join(there) or "–"
    return None


def _numbers(a: Part, b: Part) -> tuple[str, str, str] | None:
    """The first numbers that differ between texts that are the same but for their numbers."""
    if len(a.quantities) != len(b.quantities):
        return None
    for x, y in zip(a.quantities, b.quantities, strict=True):
        if not same_amount(x, y):
            return "number", x.surface, y.surface
    return None


def _negates(ours: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    """Whether the only difference is a negation."""
    negators = [sum(map(_is_negator, side)) for side in (ours, theirs)]
    if sorted(negators) != [0, 1]:
        return False
    rest = [
        [w for w in side if not _is_negator(w) and not _is_filler(w)] for side in (ours, theirs)
    ]
    return not rest[0] and not rest[1]


def _opposes(ours: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    """Whether one word was exchanged for its opposite."""
    if any(map(_is_negator, (*ours, *theirs))):
        return False
    if has_han("".join((*ours, *theirs))):
        x, y = (han_poles("".join(side)) for side in (ours, theirs))
        return any(
            p.axis == q.axis and p.pole != q.pole
            for _, _, ps in x
            for _, _, qs in y
            for p in ps
            for q in qs
        )
    left, right = ([w for w in side if w not in FUNCTION_WORDS] for side in (ours, theirs))
    if len(left) != 1 or len(right) != 1:
        return False
    if not opposites(left[0]).isdisjoint(lemmas(right[0])):
        return True
    return any(
        p.axis == q.axis and p.pole != q.pole
        for p in english_poles(left[0])
        for q in english_poles(right[0])
    )


def _is_negator(token: str) -> bool:
    return is_negator(token) or token in _HAN_NEGATORS


def _is_filler(token: str) -> bool:
    """Words that come and go with a negation: "does not", "不會"."""
    return token in FUNCTION_WORDS or token in _HAN_FILLERS or token in ("any", "at", "all")
