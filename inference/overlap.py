"""How much of one text occurs in another, by words, synonyms and characters; pure integers."""

from collections.abc import Iterator
from functools import lru_cache

from inference.analysis import Analysis, Part
from inference.lexicon import concepts, nearby

PERMILLE = 1000
ALIGNED_PERMILLE = 300
"""Two sentences are about the same thing if they share this much of the shorter one."""


def covered(word: str, part: Part) -> bool:
    """Whether a content word, or a synonym of it, occurs in the part."""
    return not concepts(word).isdisjoint(part.concepts)


@lru_cache(maxsize=16_384)
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


def likeness_permille(a: Part, b: Part) -> int:
    """About the share of the shorter text's words that the other one has, synonyms apart."""
    fewer = min(a.mask_bits, b.mask_bits)
    return PERMILLE * (a.mask & b.mask).bit_count() // fewer if fewer else 0


@lru_cache(maxsize=16_384)
def aligned(a: Analysis, b: Analysis) -> tuple[tuple[Part, Part], ...]:
    """Pairs of sentences about the same thing; the whole texts, if both are one sentence."""
    if len(a.sentences) == len(b.sentences) == 1:
        return ((a.whole, b.whole),)
    return tuple(best_pairs(a.sentences, b.sentences, ALIGNED_PERMILLE))


@lru_cache(maxsize=16_384)
def aligned_apart(a: Analysis, b: Analysis) -> tuple[tuple[Part, Part], ...]:
    """As ``aligned``, without sentences that are in both: nothing can be set against itself."""
    return tuple((x, y) for x, y in aligned(a, b) if x is not y)


def best_pairs(
    xs: tuple[Part, ...], ys: tuple[Part, ...], floor: int
) -> Iterator[tuple[Part, Part]]:
    """Pairs in which each is the other's best match, with at least ``floor`` in common."""
    masks = [(y.mask, y.mask_bits or 1) for y in ys]
    # ``likeness_permille`` of each with each, written out: guards spend most of their time here.
    table = [
        [
            PERMILLE * (mask & other).bit_count() // (bits if bits < other_bits else other_bits)  # noqa: FURB136  # min() takes longer
            for other, other_bits in masks
        ]
        for mask, bits in ((x.mask, x.mask_bits or 1) for x in xs)
    ]
    columns = list(map(max, *table)) if len(table) > 1 else table[0]
    for x, row in zip(xs, table, strict=True):
        best = max(row)
        if best >= floor:
            # Of equally good matches all count, so that the order of the texts does not matter.
            for y, value, column in zip(ys, row, columns, strict=True):
                if value == best == column:
                    yield x, y


@lru_cache(maxsize=16_384)
def overlap_permille(a: Part, b: Part) -> int:
    """Share of the shorter text that occurs in the other one; 0 if either has no content."""
    found_a, total_a = coverage(a, b)
    found_b, total_b = coverage(b, a)
    if not total_a or not total_b:
        return 0
    return max(PERMILLE * found_a // total_a, PERMILLE * found_b // total_b)
