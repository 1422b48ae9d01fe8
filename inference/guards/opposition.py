"""Guards on opposites and denials: poles of an axis, antonyms, the same clause denied."""

import re
from collections.abc import Iterator
from functools import cache, lru_cache

from inference.analysis import Analysis, Part
from inference.antonyms import Axis, english_poles, han_poles
from inference.entities import capitalised_names, opening_names
from inference.guards.objection import Objection
from inference.lexicon import opposites
from inference.overlap import PERMILLE, aligned_apart, best_pairs, covered, overlap_permille
from inference.polarity import CIRCUMSTANCE, CONDITION, STATED, Reading, Sides, denies_by_word
from inference.wording import content_terms

# Two clauses say the same, but for a negation, if they share this much.
_SAME_CLAUSE_PERMILLE = 660
# Two clauses are about one thing if they share this much besides the words for its direction.
_SAME_THING_PERMILLE = 330
# So many words may differ in sentences that are the same but for a condition.
_EXCHANGED_MAX = 3
_AGAINST = re.compile(r"\b(?:against|versus|relative to|compared (?:to|with))\b|[对兑]")
# Nearly one sentence, but for an antonym.
_ALIKE_PERMILLE = 600


def opposite_poles(_question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """The answers take opposite sides on an axis, negation taken into account.

    An answer that names both sides of an axis takes none. A comparison whose arguments changed
    places is turned round: "A is larger than B" agrees with "B is smaller than A".
    """
    for x, y in aligned_apart(a, b):
        if x.reading.axes.isdisjoint(y.reading.axes):
            continue
        if under := next(_opposed(x, y, CONDITION), None):
            # "Falls when rates rise" is what "rises when rates fall" says.
            if _alike_but_for_words(x, y) and not next(_opposed(x, y, STATED), None):
                return Objection("condition", *under)
            continue
        if _advise_alike(x.reading, y.reading):
            continue
        if _few_against_most(x.reading, y.reading):
            continue
        for place in (STATED, CIRCUMSTANCE):
            for word_x, word_y in _opposed(x, y, place):
                return Objection("direction", word_x, word_y)
    return None


def _opposed(x: Part, y: Part, place: int) -> Iterator[tuple[str, str]]:
    """The words by which two sentences take opposite sides of an axis in this place.

    What one states and the other one only mentions as a circumstance counts if it is said but once.
    """
    sides_x, sides_y = x.reading.sides_at(place), y.reading.sides_at(place)
    if place == CIRCUMSTANCE:
        once_x, once_y = x.reading.said_once, y.reading.said_once
        sides_x, sides_y = {**once_x, **sides_x}, {**once_y, **sides_y}
    for axis in sorted(sides_x.keys() & sides_y.keys()):
        (pole_x, word_x), (pole_y, word_y) = sides_x[axis], sides_y[axis]
        if pole_x == pole_y or (axis.kind in ("comparative", "roles") and _arguments_swapped(x, y)):
            continue
        if _told_from_other_sides(x, y):
            continue
        if axis.kind == "share" and x.reading.denies != y.reading.denies:
            continue
        if axis.kind == "roles" and _parties_named(x, y):
            continue
        if not _agrees_elsewhere(axis, sides_x, sides_y, word_x, word_y):
            yield word_x, word_y


def _alike_but_for_words(x: Part, y: Part) -> bool:
    """Whether two sentences have the same words but for a few."""
    ours, theirs = set(x.tokens), set(y.tokens)
    return max(len(ours - theirs), len(theirs - ours)) <= _EXCHANGED_MAX < len(ours & theirs)


def _told_from_other_sides(x: Part, y: Part) -> bool:
    """ "The euro fell against the dollar" and "the dollar rose against the euro"."""
    if not all(_AGAINST.search(part.plain) for part in (x, y)):
        return False
    return _openings_swapped(x, y)


def opposite_clauses(_question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """As ``opposite_poles``, for clauses that say nearly the same.

    "Only water is needed, oxygen is not needed" takes both sides as a whole, but not by clauses.
    """
    if all(x.reading.axes.isdisjoint(y.reading.axes) for x, y in aligned_apart(a, b)):
        return None
    for x, y in (*_clause_pairs(a, b), *_clauses_of_one_thing(a, b)):
        if x.reading.axes.isdisjoint(y.reading.axes):
            continue
        if not _about_one_thing(x, y, _SAME_THING_PERMILLE):
            continue
        if next(_opposed(x, y, CONDITION), None) or _told_from_other_sides(x, y):
            continue
        if found := _opposed_sides(x, y):
            return found
    return None


@lru_cache(maxsize=16_384)
def _clauses_of_one_thing(a: Analysis, b: Analysis) -> tuple[tuple[Part, Part], ...]:
    """Clauses that have the same besides their words for a side: "the dollar fell, gold rose".

    Each is cut off its sentence, in which both sides of the axis are taken.
    """
    found = []
    for x, y in aligned_apart(a, b):
        if len(x.clauses) == 1 or len(y.clauses) == 1:
            continue
        for one in x.clauses:
            thing = one.besides_poles
            if thing and one.reading.sides:
                found += [(one, other) for other in y.clauses if other.besides_poles == thing]
    return tuple(found)


def _opposed_sides(x: Part, y: Part) -> Objection | None:
    """The words by which two clauses about one thing take opposite sides of an axis."""
    sides_x, sides_y = x.reading.stated, y.reading.stated
    for axis in sorted(sides_x.keys() & sides_y.keys()):
        (pole_x, word_x), (pole_y, word_y) = sides_x[axis], sides_y[axis]
        if pole_x == pole_y or axis.kind:
            continue
        if not _agrees_elsewhere(axis, sides_x, sides_y, word_x, word_y):
            return Objection("direction", word_x, word_y)
    return None


def _about_one_thing(x: Part, y: Part, floor: int) -> bool:
    """Whether two clauses have this much in common besides the words for a side of an axis."""
    thing, other = x.besides_poles, y.besides_poles
    return PERMILLE * len(thing & other) >= floor * max(1, len(thing | other))


def negation(_question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """One answer denies what the other one states in nearly the same words."""
    if not any(part.reading.negations or part.reading.stance for part in (a.whole, b.whole)):
        return None
    for x, y in _clause_pairs(a, b):
        reading_x, reading_y = x.reading, y.reading
        denies_x = reading_x.denies_beside(reading_y)
        denies_y = reading_y.denies_beside(reading_x)
        if denies_x == denies_y or bool(reading_x.stance) != bool(reading_y.stance):
            continue
        stated, denied = (reading_y, reading_x) if denies_x else (reading_x, reading_y)
        if denies_by_word(stated.rest) != denies_by_word(denied.rest):
            continue
        if overlap_permille(x, y) < _SAME_CLAUSE_PERMILLE:
            continue
        said = ("stated", "denied")
        return Objection("negation", said[denies_x], said[denies_y])
    return None


def antonyms(_question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """Nearly the same words, but one of them is replaced by its antonym."""
    for x, y in aligned_apart(a, b):
        if x.opposites.isdisjoint(y.lemmas) or y.opposites.isdisjoint(x.lemmas):
            continue
        if overlap_permille(x, y) < _ALIKE_PERMILLE or x.reading.denies != y.reading.denies:
            continue
        opposed_x = [w for w in x.words if not covered(w, y) and _has_opposite(w, y)]
        opposed_y = [w for w in y.words if not covered(w, x) and _has_opposite(w, x)]
        if opposed_x and opposed_y:
            return Objection("antonym", opposed_x[0], opposed_y[0])
    return None


@lru_cache(maxsize=16_384)
def _clause_pairs(a: Analysis, b: Analysis) -> tuple[tuple[Part, Part], ...]:
    """Clauses of aligned sentences that say nearly the same, negation apart."""
    found: list[tuple[Part, Part]] = []
    for x, y in aligned_apart(a, b):
        if len(x.clauses) == len(y.clauses) == 1:
            found.append((x, y))
        else:
            found += best_pairs(x.clauses, y.clauses, _SAME_CLAUSE_PERMILLE)
    return tuple(found)


def _has_opposite(word: str, part: Part) -> bool:
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


def _advise_alike(x: Reading, y: Reading) -> bool:
    """Whether one advises an act and the other advises against its opposite: sell, do not hold."""
    sides_x, sides_y = x.stated, y.stated
    advised = [axis for axis in sides_x.keys() & sides_y.keys() if axis.kind == "advice"]
    if all(sides_x[axis][0] == sides_y[axis][0] for axis in advised):
        return False
    turned = frozenset().union(*x.turned, *y.turned)
    for axis in sorted(x.axes & y.axes & _dealings() - turned):
        if axis not in sides_x or axis not in sides_y or sides_x[axis][0] != sides_y[axis][0]:
            return True
    return False


def _few_against_most(x: Reading, y: Reading) -> bool:
    """Whether the share and what is said of it are both turned: few are hit, most are spared."""
    opposed = [
        axis for axis in x.stated.keys() & y.stated.keys() if x.stated[axis][0] != y.stated[axis][0]
    ]
    shares = [axis for axis in opposed if axis.kind == "share"]
    return bool(shares) and len(opposed) > len(shares)


@cache
def _dealings() -> frozenset[Axis]:
    """The axes of what is advised in markets."""
    english = (pole.axis for word in ("buy", "hold") for pole in english_poles(word))
    return frozenset((*english, *(pole.axis for pole in han_poles("买入")[0][2])))


def _agrees_elsewhere(
    axis: Axis,
    sides_x: Sides,
    sides_y: Sides,
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


def _openings_swapped(a: Part, b: Part) -> bool:
    """Whether the first two content terms that both texts share changed order."""
    terms_a, terms_b = content_terms(a.text), content_terms(b.text)
    places = [terms_b.index(term) for term in terms_a if term in terms_b][:2]
    return len(places) == 2 and places[0] > places[1]
