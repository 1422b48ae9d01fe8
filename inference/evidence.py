"""What speaks for and against two answers being the same, as integers from the texts alone; pure.

The embedder's cosine is one feature of the calibrated similarity; these are the others. Each is in
permille or a small count scaled to permille, does not depend on the order of the two answers, and
is equal on every node.
"""

from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import pairwise

from inference.analysis import Analysis, Part
from inference.asked import asks_for_number
from inference.entities import capitalised_names
from inference.lexicon import lemmas, nearby, opposites
from inference.overlap import PERMILLE, aligned, coverage
from inference.quantity import Quantity, comparable, same_amount
from inference.replaced import replacement
from inference.stance import side_taken

_COUNT_MAX = 3
_NAME_UNITS_MAX = 6


@dataclass(frozen=True, slots=True)
class Evidence:
    """Features of a pair; all in permille, 0 to 1000 unless said otherwise."""

    han: int
    """1000 if an answer has Chinese."""
    contained: int
    """Share of the answer with fewer words that occurs in the other."""
    covered: int
    """Share of the less covered answer that occurs in the other."""
    subset: int
    """``covered``, if one answer has nothing that the other one lacks."""
    core: int
    """``contained`` of what the answers add to the question; 500 if one adds nothing."""
    named: int
    """1000 if what the shorter answer adds to the question is a few words and all in the other."""
    core_conflict: int
    """1000 if both cores are short and have nothing in common."""
    substituted: int
    """How alike the most alike sentences are in which words were replaced by others."""
    replaced: int
    """How alike the sentences are, laid side by side, with a gap filled differently."""
    reordered: int
    """How alike the texts are, if the words that they share come in another order."""
    numbers_shared: int
    numbers_conflict: int
    numbers_one_sided: int
    asked_missing: int
    """1000 if a number or a date is asked for and only one answer has any."""
    poles_agree: int
    poles_conflict: int
    denial: int
    """``contained``, if one text denies and the other one does not."""
    stance: int
    """1000 if both answer the question with the same yes or no, -1000 if with opposite ones."""
    antonym: int
    """1000 if a word of one answer has an antonym in the other and neither has both."""
    names_shared: int
    names_conflict: int
    unasked: int
    """1000 if there is no question, as for two captions."""
    length: int
    """Length of the shorter answer as a share of the longer one."""


NAMES = tuple(field.name for field in fields(Evidence))


def gather(question: Analysis, a: Analysis, b: Analysis) -> Evidence:
    """The features of a pair of answers to a question."""
    # Laying texts side by side starts at the first one: always the same, however they are listed.
    a, b = sorted((a, b), key=lambda answer: answer.place)
    x, y = a.whole, b.whole
    found_x, total_x = coverage(x, y)
    found_y, total_y = coverage(y, x)
    share_x, share_y = _share(found_x, total_x), _share(found_y, total_y)
    contained = share_x if total_x < total_y else share_y
    if total_x == total_y:
        contained = max(share_x, share_y)
    core, named, conflict = _core(question.whole, x, y)
    shared, clash, one_sided = _numbers(question.whole, x, y)
    sides_x, sides_y = x.reading.sides, y.reading.sides
    on_both = sides_x.keys() & sides_y.keys()
    agree = sum(sides_x[axis][0] == sides_y[axis][0] for axis in on_both)
    stances = side_taken(question, a) * side_taken(question, b)
    denies = x.reading.denies_beside(y.reading) != y.reading.denies_beside(x.reading)
    names_x, names_y = (capitalised_names(part.text) for part in (x, y))
    return Evidence(
        han=PERMILLE if x.han or y.han else 0,
        contained=contained,
        covered=min(share_x, share_y),
        subset=min(share_x, share_y) if max(share_x, share_y) == PERMILLE else 0,
        core=core,
        named=named,
        core_conflict=conflict,
        substituted=max((_replaced(x, y) for x, y in aligned(a, b)), default=0),
        replaced=_side_by_side(a, b),
        reordered=_reordered(x, y) * min(share_x, share_y) // PERMILLE,
        numbers_shared=_count(shared),
        numbers_conflict=_count(clash),
        numbers_one_sided=_count(one_sided),
        asked_missing=PERMILLE if _misses_what_was_asked(question.whole, x, y) else 0,
        poles_agree=_count(agree),
        poles_conflict=_count(len(on_both) - agree),
        denial=contained if denies else 0,
        stance=PERMILLE * stances,
        antonym=PERMILLE if _has_antonym(x, y) else 0,
        names_shared=_count(len(names_x & names_y)),
        names_conflict=PERMILLE if names_x - names_y and names_y - names_x else 0,
        unasked=0 if question.whole.plain else PERMILLE,
        length=_share(min(total_x, total_y), max(total_x, total_y)),
    )


def _misses_what_was_asked(question: Part, x: Part, y: Part) -> bool:
    if not asks_for_number(question):
        return False
    return bool(x.quantities or x.moments) != bool(y.quantities or y.moments)


def _share(part: int, whole: int) -> int:
    return PERMILLE * part // whole if whole else 0


def _count(number: int) -> int:
    return PERMILLE * min(number, _COUNT_MAX) // _COUNT_MAX


def _core(question: Part, x: Part, y: Part) -> tuple[int, int, int]:
    """Overlap of what two answers add to the question, and whether a short core is all in the other
    answer, or short cores are disjoint."""
    new_x, new_y = _new(question, x), _new(question, y)
    shorter, longer = sorted((new_x, new_y), key=len)
    if not shorter:
        return PERMILLE // 2, 0, 0
    if len(new_x) == len(new_y):  # neither is shorter: the order of the answers must not matter
        found = max(_occurring(new_x, y), _occurring(new_y, x))
    else:
        other = y if shorter is new_x else x
        found = _occurring(shorter, other)
    conflict = not found and len(longer) <= 6
    # One word or pair of characters may be anything.
    named = found == 2 * len(shorter) and 2 <= len(shorter) <= _NAME_UNITS_MAX
    return (
        _share(found, 2 * len(shorter)),
        PERMILLE if named else 0,
        PERMILLE if conflict else 0,
    )


@lru_cache(maxsize=8_192)
def _new_units(question: Part, part: Part) -> frozenset[str]:
    words = {word for word in part.words if nearby(word).isdisjoint(question.concepts)}
    return frozenset(words | (part.han_pairs - question.han_pairs))


def _new(question: Part, part: Part) -> frozenset[str]:
    return _new_units(question, part)


def _occurring(units: frozenset[str], part: Part) -> int:
    """For each word or pair of characters 2 if it occurs, 1 if something near it does."""
    absent = units - part.han_pairs - part.word_set
    found = 2 * (len(units) - len(absent))
    concepts_there, near_there = part.concepts, part.nearby
    for unit in absent:
        if not lemmas(unit).isdisjoint(concepts_there):
            found += 2
        elif not nearby(unit).isdisjoint(near_there):
            found += 1
    return found


def _numbers(question: Part, x: Part, y: Part) -> tuple[int, int, int]:
    """Numbers in both, pairs of numbers that differ, numbers in one text only."""
    only_x = _unmatched(x.quantities, y.quantities)
    only_y = _unmatched(y.quantities, x.quantities)
    asked = question.quantities
    only_x, only_y = (_unmatched(tuple(only), asked) for only in (only_x, only_y))
    shared = len(x.quantities) - len(_unmatched(x.quantities, y.quantities))
    clash = sum(any(comparable(n, other) for other in only_y) for n in only_x)
    return (
        shared,
        clash,
        len(only_x) + len(only_y) - 2 * clash if clash else len(only_x) + len(only_y),
    )


def _unmatched(numbers: tuple[Quantity, ...], others: tuple[Quantity, ...]) -> list[Quantity]:
    exactly = {(other.unit, other.exact) for other in others}
    return [
        n
        for n in numbers
        if (n.unit, n.exact) not in exactly and not any(same_amount(n, other) for other in others)
    ]


def _side_by_side(a: Analysis, b: Analysis) -> int:
    found = (replacement(x, y) for x, y in aligned(a, b))
    return max((gap.alike for gap in found if gap is not None), default=0)


def _replaced(x: Part, y: Part) -> int:
    found_x, total_x = coverage(x, y)
    found_y, total_y = coverage(y, x)
    left_x, left_y = total_x - found_x, total_y - found_y
    if left_x < 2 or left_y < 2 or not total_x or not total_y:
        return 0
    return min(_share(found_x, total_x), _share(found_y, total_y))


def _reordered(x: Part, y: Part) -> int:
    """Inverted neighbours among the content words that occur once in both texts."""
    order = y.places
    once = x.places
    places = [order[word] for word in once if word in order]
    if len(places) < 2:
        return 0
    inverted = sum(first > second for first, second in pairwise(places))
    return PERMILLE * inverted // (len(places) - 1)


def _has_antonym(x: Part, y: Part) -> bool:
    for part, other in ((x, y), (y, x)):
        if part.opposites.isdisjoint(other.lemmas):
            continue
        for word in part.word_set - other.word_set:
            against = opposites(word) & other.lemmas
            if (
                against
                and against.isdisjoint(part.lemmas)
                and lemmas(word).isdisjoint(other.lemmas)
            ):
                return True
    return False
