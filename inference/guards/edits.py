"""Guards on sentences that are alike but for their order, their roles, or a word."""

from inference.analysis import Analysis
from inference.guards.objection import Objection
from inference.overlap import aligned_apart
from inference.replaced import edited_middles, replaced_phrase, replacement
from inference.roles import roles_swapped
from inference.sequence import order_differs, times_differ
from inference.transposed import exchanged
from inference.twins import twin_difference

# Nearly the same sentence: a word in it was replaced.
_ALIKE_PERMILLE = 600
# Sentences in the same words, and how many tokens each must have to be no common phrase.
_COPIED_SENTENCES = 2
_COPIED_TOKENS = 5
# The same sentence but for one word, which is no synonym.
_EDITED_PERMILLE = 800


def opposite_order(_question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """The same two acts, one before the other and the other way round."""
    for x, y in aligned_apart(a, b):
        if order_differs(x.text, y.text) or times_differ(x.text, y.text):
            return Objection("order", x.text, y.text)
    return None


def swapped_roles(_question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """Who did it to whom: the same names in the same act, with their places changed."""
    for x, y in aligned_apart(a, b):
        if swapped := roles_swapped(x, y):
            return Objection("roles", swapped[0], swapped[1])
    return None


def exchanged_parts(_question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """The same words, two of them in each other's place."""
    for x, y in aligned_apart(a, b):
        if found := exchanged(x, y):
            return Objection("roles", *found)
    return None


def replaced_word(_question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """Nearly the same sentence, with a word replaced by one that excludes it."""
    for x, y in aligned_apart(a, b):
        if phrases := replaced_phrase(x, y):
            return Objection("replaced", *phrases)
        found = replacement(x, y)
        if found is None or x.reading.denies != y.reading.denies:
            continue
        if found.turns and found.alike >= _ALIKE_PERMILLE:
            code = "entity" if found.named else "replaced"
            return Objection(code, found.ours, found.theirs)
        if found.alone and found.alike >= _EDITED_PERMILLE:
            return Objection("replaced", found.ours, found.theirs)
    return None


def edited_copy(_question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """Whole sentences in the very same words, and one that was changed: no two models write so, and
    what was changed in a copy is what it was made for."""
    ours, theirs = a.sentence_tokens, b.sentence_tokens
    common = [tokens for tokens in ours & theirs if len(tokens) >= _COPIED_TOKENS]
    if len(common) < _COPIED_SENTENCES:
        return None
    left_a = [s for s in a.sentences if s.tokens not in theirs]
    left_b = [s for s in b.sentences if s.tokens not in ours]
    if len(left_a) != 1 or len(left_b) != 1:
        return None
    edited = edited_middles(left_a[0], left_b[0])
    return Objection("replaced", *edited) if edited else None


def twins(_question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """Word for word the same but for a negation, an opposite, or a number."""
    for x, y in aligned_apart(a, b):
        if differ := twin_difference(x, y):
            return Objection(*differ)
    return None
