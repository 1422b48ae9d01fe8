"""Vetoes: reasons why two answers cannot mean the same, however similar they look; pure.

A guard is a function of the question and two answers that returns a reason or None. It uses no
float, no model and no clock, so every node finds the same reasons. It errs on the side of
silence: a missed contradiction is left to the embedding and to the vote, a false one splits honest
nodes.

A reason is a code, a colon and a detail with both sides in the order of the answers. Whether there
is a reason does not depend on that order. To add a guard, write the function and put it in
``GUARDS``; the first reason found is the one reported.
"""

from collections.abc import Callable

from inference.antonyms import Opposites
from inference.entities import name_mismatch
from inference.numerals import Quantity, comparable, quantities, same_amount
from inference.polarity import Reading, denies_by_word, read, shared_terms
from inference.wording import content_terms

Guard = Callable[[str, str, str], str | None]

_DETAIL_CHARACTERS_MAX = 40


def first_objection(question: str, a: str, b: str) -> str | None:
    """The first guard's reason against calling the two answers the same, or None."""
    if a == b:
        return None
    return next((reason for guard in GUARDS if (reason := guard(question, a, b))), None)


def yes_or_no(question: str, a: str, b: str) -> str | None:
    """One answer affirms and the other denies, by an opening word or by what it states.

    "No." against "Water is wet." counts if the statement restates the question.
    """
    side_a, side_b = side_taken(question, a), side_taken(question, b)
    if not (read(a).stance or read(b).stance) or side_a * side_b >= 0:
        return None
    return f"stance: {_named(side_a)} / {_named(side_b)}"


def different_numbers(question: str, a: str, b: str) -> str | None:
    """Each answer has a number that the other lacks, and the two could measure the same thing.

    More numbers on one side only are more detail: "1945" against "2 September 1945". Numbers that
    an answer repeats from the question do not count, unless it has no others ("5 % or 50 %?").
    """
    in_a, in_b = _answered(question, a), _answered(question, b)
    only_a = [x for x in in_a if not any(same_amount(x, y) for y in in_b)]
    only_b = [y for y in in_b if not any(same_amount(x, y) for x in in_a)]
    for x in only_a:
        for y in only_b:
            if comparable(x, y):
                return f"number: {_clipped(x.surface)} / {_clipped(y.surface)}"
    return None


def opposite_poles(_question: str, a: str, b: str) -> str | None:
    """The answers take opposite sides in a pair of opposites, negation taken into account.

    An answer that names both sides of a pair takes none. A comparison whose arguments changed
    places is turned round: "A is larger than B" agrees with "B is smaller than A".
    """
    reading_a, reading_b = read(a), read(b)
    sides_a, sides_b = _sides(reading_a), _sides(reading_b)
    for pair in sorted(sides_a.keys() & sides_b.keys()):
        (pole_a, word_a), (pole_b, word_b) = sides_a[pair], sides_b[pair]
        swapped = pair.comparative and _arguments_swapped(a, b)
        if pole_a != pole_b and not swapped:
            return f"direction: {_clipped(word_a)} / {_clipped(word_b)}"
    return None


def negation(_question: str, a: str, b: str) -> str | None:
    """One answer denies what the other one states in nearly the same words."""
    reading_a, reading_b = read(a), read(b)
    if reading_a.denies == reading_b.denies:
        return None
    stated = reading_b if reading_a.denies else reading_a
    if denies_by_word(stated.rest):
        return None
    shared, fewer = shared_terms(reading_a.rest, reading_b.rest)
    if fewer == 0 or 3 * shared < 2 * fewer:
        return None
    return "negation: denied / stated" if reading_a.denies else "negation: stated / denied"


def different_names(question: str, a: str, b: str) -> str | None:
    """Each short answer names something that neither the other one nor the question names."""
    mismatch = name_mismatch(question, a, b)
    if mismatch is None:
        return None
    return f"entity: {_clipped(mismatch[0])} / {_clipped(mismatch[1])}"


GUARDS: tuple[Guard, ...] = (
    yes_or_no,
    different_numbers,
    opposite_poles,
    negation,
    different_names,
)


def _answered(question: str, answer: str) -> list[Quantity]:
    asked, given = quantities(question), quantities(answer)
    new = [x for x in given if not any(x.unit == y.unit and same_amount(x, y) for y in asked)]
    return new or given


def side_taken(question: str, answer: str) -> int:
    """1 for affirming the question, -1 for denying it, 0 for neither or unknown."""
    reading = read(answer)
    if reading.stance:
        return reading.stance
    asked = frozenset(content_terms(question))
    # Only a statement that restates the question answers it with yes or no.
    if not asked or not asked <= frozenset(content_terms(answer)) or read(question).denies:
        return 0
    return -1 if reading.denies else 1


def _named(side: int) -> str:
    return "yes" if side > 0 else "no"


def _sides(reading: Reading) -> dict[Opposites, tuple[int, str]]:
    """The pairs in which a text takes exactly one side."""
    taken: dict[Opposites, tuple[int, str]] = {}
    undecided: set[Opposites] = set()
    for found, word in reading.poles:
        known = taken.setdefault(found.pair, (found.pole, word))
        if known[0] != found.pole:
            undecided.add(found.pair)
    return {pair: side for pair, side in taken.items() if pair not in undecided}


def _arguments_swapped(a: str, b: str) -> bool:
    """Whether the first and the last content term that both texts share changed order."""
    terms_a, terms_b = content_terms(a), content_terms(b)
    shared = [term for term in terms_a if term in terms_b]
    return len(shared) >= 2 and terms_b.index(shared[0]) > terms_b.index(shared[-1])


def _clipped(text: str) -> str:
    return text if len(text) <= _DETAIL_CHARACTERS_MAX else text[: _DETAIL_CHARACTERS_MAX - 1] + "…"
