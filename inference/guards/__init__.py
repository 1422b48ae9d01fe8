"""Vetoes: reasons why two answers cannot mean the same, however similar they look; pure.

A guard is a function of the question and two answers that returns an objection or None. It uses no
float, no model and no clock, so every node finds the same reasons. It errs on the side of
silence: a missed contradiction is left to the similarity and to the vote, a false one splits
honest nodes.

A reason is a code, a colon and a detail with both sides in the order of the answers, in the
characters of each. What guards read is folded to simplified ones, so both scripts of a text are
judged alike. They always see the two answers in the order of their texts, so a reason cannot depend
on how the answers are listed. To add a guard, write the function and put it in ``GUARDS``; the
first reason found is the one reported.
"""

from collections.abc import Callable

from inference.analysis import Analysis, analyse
from inference.guards import amounts, answers, edits, opposition
from inference.guards.objection import Objection

Guard = Callable[[Analysis, Analysis, Analysis], Objection | None]

GUARDS: tuple[Guard, ...] = (
    answers.refusal,
    answers.disowning,
    answers.yes_or_no,
    answers.other_choice,
    amounts.different_moments,
    amounts.different_numbers,
    opposition.opposite_poles,
    opposition.opposite_clauses,
    amounts.opposite_bounds,
    amounts.different_quantifiers,
    opposition.negation,
    opposition.antonyms,
    edits.opposite_order,
    edits.swapped_roles,
    answers.opposite_of_asked,
    answers.different_names,
    answers.different_cores,
    edits.exchanged_parts,
    edits.replaced_word,
    edits.edited_copy,
    edits.twins,
)


def first_objection(question: str, a: str, b: str) -> str | None:
    """The first guard's reason against calling the two answers the same, or None."""
    return objection(analyse(question), analyse(a), analyse(b))


def objection(question: Analysis, a: Analysis, b: Analysis) -> str | None:
    """As ``first_objection``, for texts that are analysed already."""
    if a.whole.plain == b.whole.plain:
        return None
    turned = b.place < a.place
    first, second = (b, a) if turned else (a, b)
    for guard in GUARDS:
        if found := guard(question, first, second):
            ours, theirs = first.as_written(found.ours), second.as_written(found.theirs)
            told = Objection(found.code, ours, theirs)
            return str(told.turned() if turned else told)
    return None
