"""How much of one text occurs in another, by words, synonyms and characters; pure integers."""

from inference.analysis import Part
from inference.lexicon import concepts, nearby

PERMILLE = 1000


def covered(word: str, part: Part) -> bool:
    """Whether a content word, or a synonym of it, occurs in the part."""
    return not concepts(word).isdisjoint(part.concepts)


def coverage(a: Part, b: Part) -> tuple[int, int]:
    """How much of ``a`` occurs in ``b``: the units found and all units.

    A unit is a content word or a pair of Han characters. A word that is only near one of the
    other text (its hypernym, a word of the same origin) counts half, so counts are doubled.
    """
    found = total = 0
    for word in a.word_set:
        total += 2
        if not concepts(word).isdisjoint(b.concepts):
            found += 2
        elif not nearby(word).isdisjoint(b.nearby):
            found += 1
    if a.han:
        total += 2 * len(a.han_pairs)
        found += 2 * len(a.han_pairs & b.han_pairs)
    return found, total


def overlap_permille(a: Part, b: Part) -> int:
    """Share of the shorter text that occurs in the other one; 0 if either has no content."""
    found_a, total_a = coverage(a, b)
    found_b, total_b = coverage(b, a)
    if not total_a or not total_b:
        return 0
    return max(PERMILLE * found_a // total_a, PERMILLE * found_b // total_b)
