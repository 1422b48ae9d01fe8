"""Vetoes: reasons why two answers cannot mean the same, however similar they look; pure.

A guard is a function of the question and two answers that returns a reason or None. It uses no
float, no model and no clock, so every node finds the same reasons. It errs on the side of
silence: a missed contradiction is left to the similarity and to the vote, a false one splits
honest nodes.

A reason is a code, a colon and a detail with both sides in the order of the answers. Whether there
is a reason does not depend on that order. To add a guard, write the function and put it in
``GUARDS``; the first reason found is the one reported.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from inference.analysis import Analysis, Part, analyse
from inference.antonyms import Axis, english_poles
from inference.bounds import bounds_differ
from inference.choices import choices_differ
from inference.entities import capitalised_names, name_mismatch, opening_names
from inference.lexicon import Relation, concepts, opposites, relation
from inference.moments import Moment, moments_differ
from inference.numerals import Quantity, comparable, same_amount
from inference.overlap import (
    aligned,
    best_pairs,
    covered,
    overlap_permille,
)
from inference.polarity import denies_by_word
from inference.quantifiers import quantifiers_differ
from inference.refusals import disowned, standing
from inference.replaced import replacement
from inference.roles import roles_swapped
from inference.sequence import order_differs
from inference.stance import asks_yes_or_no, side_taken
from inference.twins import twin_difference
from inference.units import PLAIN
from inference.wording import content_terms

Guard = Callable[[Analysis, Analysis, Analysis], str | None]

_DETAIL_CHARACTERS_MAX = 40
_CORE_WORDS_MAX = 3
# Long answers name many things besides what was asked for.
_NAMED_WORDS_MAX = 60
_RIVALS = frozenset({Relation.ANTONYM, Relation.SIBLING, Relation.NEAR})
_ASKS_FOR_ONE = re.compile(
    r"^\W*(?:which|who|whom|whose|where|in which|to which|what "
    r"(?!is (?:a|an)\b|(?:are|does|do|did|will|would|can|could|should|has|have)\b|happen)"
    r"(?:\w+ )?\w+)"
)
# Two clauses say the same, but for a negation, if they share this much.
_SAME_CLAUSE_PERMILLE = 660
# Nearly one sentence: a word in it was replaced.
_ALIKE_PERMILLE = 600
_YEARS = range(1000, 2200)


def first_objection(question: str, a: str, b: str) -> str | None:
    """The first guard's reason against calling the two answers the same, or None."""
    if a == b:
        return None
    asked, first, second = analyse(question), analyse(a), analyse(b)
    if first.whole.plain == second.whole.plain:
        return None
    return next((reason for guard in GUARDS if (reason := guard(asked, first, second))), None)


def refusal(_question: Analysis, a: Analysis, b: Analysis) -> str | None:
    """One side refuses, knows nothing, or speaks of instructions; the other one answers."""
    standing_a, standing_b = standing(a), standing(b)
    if standing_a == standing_b:
        return None
    return f"refusal: {standing_a} / {standing_b}"


def disowning(question: Analysis, a: Analysis, b: Analysis) -> str | None:
    """One answer takes back what it states ("However, the opposite is true"), the other does not.

    Nothing is said about what follows then; such a text only never agrees with a plain one.
    """
    yes_or_no = asks_yes_or_no(question)
    back_a, back_b = (disowned(answer, asked_yes_or_no=yes_or_no) for answer in (a, b))
    if bool(back_a) == bool(back_b):
        return None
    return f"disowned: {_clipped(back_a or 'stated')} / {_clipped(back_b or 'stated')}"


def yes_or_no(question: Analysis, a: Analysis, b: Analysis) -> str | None:
    """One answer affirms and the other denies, by an opening word or by what it states.

    "No." against "Water is wet." counts if the statement restates the question.
    """
    stance_a, stance_b = a.whole.reading.stance, b.whole.reading.stance
    if not (stance_a or stance_b):
        return None
    side_a, side_b = side_taken(question, a), side_taken(question, b)
    if side_a * side_b >= 0:
        return None
    return f"stance: {_named(side_a)} / {_named(side_b)}"


def different_moments(question: Analysis, a: Analysis, b: Analysis) -> str | None:
    """Each answer names a date or time that fits none of the other's."""
    for x, y in aligned(a, b):
        moments_x, moments_y = _moments(x, y), _moments(y, x)
        asked = question.whole.moments
        for kind in (_is_time, _is_weekday, _is_date):
            in_x = [m for m in moments_x if kind(m) and not _restated(m, asked, moments_y)]
            in_y = [m for m in moments_y if kind(m) and not _restated(m, asked, moments_x)]
            odd_x = [m for m in in_x if in_y and all(moments_differ(m, other) for other in in_y)]
            odd_y = [m for m in in_y if in_x and all(moments_differ(m, other) for other in in_x)]
            if odd_x and odd_y:
                return f"date: {_clipped(odd_x[0].surface)} / {_clipped(odd_y[0].surface)}"
    return None


def different_numbers(question: Analysis, a: Analysis, b: Analysis) -> str | None:
    """Each answer has a number that the other lacks, and the two could measure the same thing.

    More numbers on one side only are more detail: "1945" against "2 September 1945". Numbers that
    an answer repeats from the question do not count, unless it has no others ("5 % or 50 %?").
    """
    for x, y in aligned(a, b):
        all_x, all_y = _numbers(a), _numbers(b)
        in_x, in_y = _answered(question, x), _answered(question, y)
        # A bare number answers the question even if the question has it too.
        seen_x = in_x if _is_bare(a) or _is_bare(b) else all_x
        seen_y = in_y if _is_bare(a) or _is_bare(b) else all_y
        only_x = [n for n in in_x if not any(same_amount(n, other) for other in seen_y)]
        only_y = [n for n in in_y if not any(same_amount(n, other) for other in seen_x)]
        for n in only_x:
            for other in only_y:
                if comparable(n, other):
                    return f"number: {_clipped(n.surface)} / {_clipped(other.surface)}"
    return None


def opposite_poles(_question: Analysis, a: Analysis, b: Analysis) -> str | None:
    """The answers take opposite sides on an axis, negation taken into account.

    An answer that names both sides of an axis takes none. A comparison whose arguments changed
    places is turned round: "A is larger than B" agrees with "B is smaller than A".
    """
    for x, y in aligned(a, b):
        sides_x, sides_y = x.reading.sides, y.reading.sides
        for axis in sorted(sides_x.keys() & sides_y.keys()):
            (pole_x, word_x), (pole_y, word_y) = sides_x[axis], sides_y[axis]
            if pole_x == pole_y or (axis.kind == "comparative" and _arguments_swapped(x, y)):
                continue
            if axis.kind == "roles" and _parties_named(x, y):
                continue
            if _agrees_elsewhere(axis, sides_x, sides_y, word_x, word_y):
                continue
            return f"direction: {_clipped(word_x)} / {_clipped(word_y)}"
    return None


def opposite_clauses(_question: Analysis, a: Analysis, b: Analysis) -> str | None:
    """As ``opposite_poles``, for clauses that say nearly the same.

    "Only water is needed, oxygen is not needed" takes both sides as a whole, but not by clauses.
    """
    for x, y in _clause_pairs(a, b):
        sides_x, sides_y = x.reading.sides, y.reading.sides
        for axis in sorted(sides_x.keys() & sides_y.keys()):
            (pole_x, word_x), (pole_y, word_y) = sides_x[axis], sides_y[axis]
            if pole_x != pole_y and not axis.kind:
                return f"direction: {_clipped(word_x)} / {_clipped(word_y)}"
    return None


def opposite_bounds(_question: Analysis, a: Analysis, b: Analysis) -> str | None:
    """One amount is a lower bound in one answer and an upper bound in the other."""
    for x, y in aligned(a, b):
        if differ := bounds_differ(x, y):
            return f"bound: {_clipped(differ[0])} / {_clipped(differ[1])}"
    return None


def replaced_word(_question: Analysis, a: Analysis, b: Analysis) -> str | None:
    """Nearly the same sentence, with a word replaced by one that excludes it."""
    for x, y in aligned(a, b):
        found = replacement(x, y)
        if found is None or x.reading.denies != y.reading.denies:
            continue
        if found.turns and found.alike >= _ALIKE_PERMILLE:
            code = "entity" if found.named else "replaced"
            return f"{code}: {_clipped(found.ours)} / {_clipped(found.theirs)}"
    return None


def twins(_question: Analysis, a: Analysis, b: Analysis) -> str | None:
    """Word for word the same but for a negation, an opposite, or a number."""
    for x, y in aligned(a, b):
        if differ := twin_difference(x, y):
            return f"{differ[0]}: {_clipped(differ[1])} / {_clipped(differ[2])}"
    return None


def different_quantifiers(_question: Analysis, a: Analysis, b: Analysis) -> str | None:
    """None against some, some against all, of the same thing."""
    for x, y in aligned(a, b):
        if differ := quantifiers_differ(x, y):
            return f"quantifier: {_clipped(differ[0])} / {_clipped(differ[1])}"
    return None


def opposite_order(_question: Analysis, a: Analysis, b: Analysis) -> str | None:
    """The same two acts, one before the other and the other way round."""
    for x, y in aligned(a, b):
        if order_differs(x.text, y.text):
            return f"order: {_clipped(x.text)} / {_clipped(y.text)}"
    return None


def different_cores(question: Analysis, a: Analysis, b: Analysis) -> str | None:
    """A question for one thing, and two answers that name different ones."""
    if not _ASKS_FOR_ONE.search(question.whole.plain):
        return None
    core_a, core_b = (_core(question.whole, answer.whole) for answer in (a, b))
    if not core_a or not core_b or min(len(core_a), len(core_b)) > 1:
        return None
    if a.whole.quantities or b.whole.quantities or a.is_han or b.is_han:
        return None
    if max(len(core_a), len(core_b)) > _CORE_WORDS_MAX:
        return None
    short, other = (core_a, b) if len(core_a) <= len(core_b) else (core_b, a)
    longer = core_b if short is core_a else core_a
    word = short[0]
    if covered(word, other.whole) or not concepts(word).isdisjoint(other.whole.concepts):
        return None
    if not any(relation(word, rival) in _RIVALS for rival in longer):
        return None
    return f"entity: {_clipped(' '.join(core_a))} / {_clipped(' '.join(core_b))}"


def other_choice(question: Analysis, a: Analysis, b: Analysis) -> str | None:
    """The question offers two things, and the answers take different ones."""
    differ = choices_differ(question, a, b)
    return f"choice: {_clipped(differ[0])} / {_clipped(differ[1])}" if differ else None


def antonyms(_question: Analysis, a: Analysis, b: Analysis) -> str | None:
    """Nearly the same words, but one of them is replaced by its antonym."""
    for x, y in aligned(a, b):
        if overlap_permille(x, y) < _ALIKE_PERMILLE or x.reading.denies != y.reading.denies:
            continue
        opposed_x = [w for w in x.words if not covered(w, y) and _opposed(w, y)]
        opposed_y = [w for w in y.words if not covered(w, x) and _opposed(w, x)]
        if opposed_x and opposed_y:
            return f"antonym: {_clipped(opposed_x[0])} / {_clipped(opposed_y[0])}"
    return None


def negation(_question: Analysis, a: Analysis, b: Analysis) -> str | None:
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
        return "negation: denied / stated" if reading_x.denies else "negation: stated / denied"
    return None


def swapped_roles(_question: Analysis, a: Analysis, b: Analysis) -> str | None:
    """Who did it to whom: the same names in the same act, with their places changed."""
    for x, y in aligned(a, b):
        if swapped := roles_swapped(x, y):
            return f"roles: {_clipped(swapped[0])} / {_clipped(swapped[1])}"
    return None


def different_names(question: Analysis, a: Analysis, b: Analysis) -> str | None:
    """Each short answer names something that neither the other one nor the question names."""
    if max(len(a.whole.ordered), len(b.whole.ordered)) > _NAMED_WORDS_MAX:
        return None
    mismatch = name_mismatch(question.whole.text, a.whole.text, b.whole.text)
    if mismatch is None:
        return None
    return f"entity: {_clipped(mismatch[0])} / {_clipped(mismatch[1])}"


GUARDS: tuple[Guard, ...] = (
    refusal,
    disowning,
    yes_or_no,
    other_choice,
    different_moments,
    different_numbers,
    opposite_poles,
    opposite_clauses,
    opposite_bounds,
    different_quantifiers,
    negation,
    antonyms,
    opposite_order,
    swapped_roles,
    different_names,
    different_cores,
    replaced_word,
    twins,
)


def _core(question: Part, answer: Part) -> list[str]:
    """Content words that the question does not have, without figures and formulas."""
    return [
        word
        for word in dict.fromkeys(answer.words)
        if concepts(word).isdisjoint(question.concepts) and word.isalpha()
    ]


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


def _is_bare(answer: Analysis) -> bool:
    """Whether the answer is a number and hardly anything else."""
    return len(answer.whole.words) + len(answer.whole.han_pairs) <= 1


def _numbers(answer: Analysis) -> tuple[Quantity, ...]:
    return answer.whole.quantities


def _answered(question: Analysis, part: Part) -> list[Quantity]:
    asked, given = question.whole.quantities, part.quantities
    new = [x for x in given if not any(x.unit == y.unit and same_amount(x, y) for y in asked)]
    return new or list(given)


def _moments(part: Part, other: Part) -> list[Moment]:
    """The moments of a part; a plain year counts if the other part has a date with a year."""
    found = list(part.moments)
    if any(moment.year is not None for moment in other.moments):
        found += [
            Moment(number.surface, year=int(number.value))
            for number in part.quantities
            if number.unit == PLAIN and number.value in _YEARS
        ]
    return found


def _restated(moment: Moment, asked: tuple[Moment, ...], _others: list[Moment]) -> bool:
    return moment in asked


def _is_time(moment: Moment) -> bool:
    return moment.is_time


def _is_weekday(moment: Moment) -> bool:
    return moment.is_weekday


def _is_date(moment: Moment) -> bool:
    return not (moment.is_time or moment.is_weekday)


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
        and sides_x[other][1] == word_x
        and sides_y[other][1] == word_y
        and sides_x[other][0] == sides_y[other][0]
        for other in sides_x.keys() & sides_y.keys()
    )


def _named(side: int) -> str:
    return "yes" if side > 0 else "no"


def _arguments_swapped(a: Part, b: Part) -> bool:
    """Whether the first and the last content term that both texts share changed order."""
    terms_a, terms_b = content_terms(a.text), content_terms(b.text)
    shared = [term for term in terms_a if term in terms_b]
    return len(shared) >= 2 and terms_b.index(shared[0]) > terms_b.index(shared[-1])


def _clipped(text: str) -> str:
    return text if len(text) <= _DETAIL_CHARACTERS_MAX else text[: _DETAIL_CHARACTERS_MAX - 1] + "…"
