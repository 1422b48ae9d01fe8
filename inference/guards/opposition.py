"""Guards on opposites and denials: poles of an axis, antonyms, the same clause denied."""

from functools import lru_cache
from itertools import product

from inference.analysis import Analysis, Part
from inference.antonyms import Axis, english_poles
from inference.entities import capitalised_names, opening_names
from inference.guards.objection import Objection
from inference.lexicon import opposites
from inference.overlap import PERMILLE, aligned, best_pairs, covered, overlap_permille
from inference.polarity import denies_by_word
from inference.wording import content_terms

# Two clauses say the same, but for a negation, if they share this much.
_SAME_CLAUSE_PERMILLE = 660
# Two clauses are about one thing if they share this much besides the words for its direction.
_SAME_THING_PERMILLE = 750
_SAME_CLAUSE_THING_PERMILLE = 330
# Nearly one sentence, but for an antonym.
_ALIKE_PERMILLE = 600


def opposite_poles(_question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """The answers take opposite sides on an axis, negation taken into account.

    An answer that names both sides of an axis takes none. A comparison whose arguments changed
    places is turned round: "A is larger than B" agrees with "B is smaller than A".
    """
    for x, y in aligned(a, b):
        sides_x, sides_y = x.reading.sides, y.reading.sides
        for axis in _shared_axes(x, y):
            (pole_x, word_x), (pole_y, word_y) = sides_x[axis], sides_y[axis]
            if pole_x == pole_y or (axis.kind == "comparative" and _arguments_swapped(x, y)):
                continue
            if axis.kind == "share" and x.reading.denies != y.reading.denies:
                continue
            if axis.kind == "roles" and _parties_named(x, y):
                continue
            if _agrees_elsewhere(axis, sides_x, sides_y, word_x, word_y):
                continue
            return Objection("direction", word_x, word_y)
    return None


def opposite_clauses(_question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """As ``opposite_poles``, for clauses that say nearly the same.

    "Only water is needed, oxygen is not needed" takes both sides as a whole, but not by clauses.
    """
    for x, y in _clause_pairs(a, b):
        if x.reading.axes.isdisjoint(y.reading.axes):
            continue
        if not _about_one_thing(x, y, _SAME_CLAUSE_THING_PERMILLE):
            continue
        if found := _opposed_sides(x, y):
            return found
    return None


def opposite_ends(_question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """Of one and the same thing opposite sides are said, in whichever clauses that is.

    "The dollar weakens, the yen gains" takes both sides of an axis, so only what else stands in the
    clause says who does which.
    """
    for x, y in aligned(a, b):
        if x.reading.axes.isdisjoint(y.reading.axes) or len(x.clauses) == len(y.clauses) == 1:
            continue
        for one, other in product(x.clauses, y.clauses):
            if one.reading.axes.isdisjoint(other.reading.axes):
                continue
            if not _about_one_thing(one, other, _SAME_THING_PERMILLE):
                continue
            if found := _opposed_sides(one, other):
                return found
    return None


def _opposed_sides(x: Part, y: Part) -> Objection | None:
    """The words by which two clauses about one thing take opposite sides of an axis."""
    sides_x, sides_y = x.reading.sides, y.reading.sides
    for axis in _shared_axes(x, y):
        (pole_x, word_x), (pole_y, word_y) = sides_x[axis], sides_y[axis]
        if pole_x == pole_y or axis.kind:
            continue
        if not _agrees_elsewhere(axis, sides_x, sides_y, word_x, word_y):
            return Objection("direction", word_x, word_y)
    return None


def _shared_axes(x: Part, y: Part) -> list[Axis]:
    """The axes on which both take one side, in order."""
    sides_x, sides_y = x.reading.sides, y.reading.sides
    return sorted(axis for axis in sides_x if axis in sides_y)


def _about_one_thing(x: Part, y: Part, floor: int) -> bool:
    """Whether two clauses have this much in common besides the words for a side of an axis."""
    thing, other = x.besides_poles, y.besides_poles
    return PERMILLE * len(thing & other) >= floor * max(1, len(thing | other))


def negation(_question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """One answer denies what the other one states in nearly the same words."""
    for x, y in _clause_pairs(a, b):
        reading_x, reading_y = x.reading, y.reading
        if reading_x.denies == reading_y.denies or bool(reading_x.stance) != bool(reading_y.stance):
            continue
        stated, denied = (reading_y, reading_x) if reading_x.denies else (reading_x, reading_y)
        if denies_by_word(stated.rest) != denies_by_word(denied.rest):
            continue
        if overlap_permille(x, y) < _SAME_CLAUSE_PERMILLE:
            continue
        said = ("stated", "denied")
        return Objection("negation", said[reading_x.denies], said[reading_y.denies])
    return None


def antonyms(_question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """Nearly the same words, but one of them is replaced by its antonym."""
    for x, y in aligned(a, b):
        if overlap_permille(x, y) < _ALIKE_PERMILLE or x.reading.denies != y.reading.denies:
            continue
        opposed_x = [w for w in x.words if not covered(w, y) and _opposed(w, y)]
        opposed_y = [w for w in y.words if not covered(w, x) and _opposed(w, x)]
        if opposed_x and opposed_y:
            return Objection("antonym", opposed_x[0], opposed_y[0])
    return None


@lru_cache(maxsize=16_384)
def _clause_pairs(a: Analysis, b: Analysis) -> tuple[tuple[Part, Part], ...]:
    """Clauses of aligned sentences that say nearly the same, negation apart."""
    found: list[tuple[Part, Part]] = []
    for x, y in aligned(a, b):
        if len(x.clauses) == len(y.clauses) == 1:
            found.append((x, y))
        else:
            found += best_pairs(x.clauses, y.clauses, _SAME_CLAUSE_PERMILLE)
    return tuple(found)


def _opposed(word: str, part: Part) -> bool:
    if english_poles(word):  # decided with its negation and its place by ``opposite_poles``
        return False
    return not opposites(word).isdisjoint(part.lemmas)


def _parties_named(a: Part, b: Part) -> bool:
    """Whether both texts name a party of the act, in which case ``roles`` decides."""
    if a.han and b.han:
        return True
    return bool(capitalised_names(a.text) | opening_names(a.text)) and bool(
        capitalised_names(b.text) | opening_names(b.text)
    )


def _agrees_elsewhere(
    axis: Axis,
    sides_x: dict[Axis, tuple[int, str]],
    sides_y: dict[Axis, tuple[int, str]],
    word_x: str,
    word_y: str,
) -> bool:
    """Whether the same two words agree on another axis that both stand on."""
    return any(
        other != axis
        and other.kind != "coarse"
        and sides_x[other][1] == word_x
        and sides_y[other][1] == word_y
        and sides_x[other][0] == sides_y[other][0]
        for other in sides_x.keys() & sides_y.keys()
    )


def _arguments_swapped(a: Part, b: Part) -> bool:
    """Whether the first and the last content term that both texts share changed order."""
    terms_a, terms_b = content_terms(a.text), content_terms(b.text)
    shared = [term for term in terms_a if term in terms_b]
    return len(shared) >= 2 and terms_b.index(shared[0]) > terms_b.index(shared[-1])
