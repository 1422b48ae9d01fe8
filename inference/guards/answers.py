"""Guards on what an answer as a whole takes a stand for: refusal, yes or no, a choice, a name."""

import re
from functools import lru_cache

from inference.analysis import Analysis, Part
from inference.antonyms import Axis
from inference.asked import is_plain
from inference.choices import choices_differ
from inference.entities import name_mismatch
from inference.guards.objection import Objection
from inference.lexicon import Relation, concepts, relation
from inference.overlap import covered, likeness_permille
from inference.refusals import disowned, standing
from inference.stance import asks_yes_or_no, side_taken

_CORE_WORDS_MAX = 3
# Long answers name many things besides what was asked for.
_NAMED_WORDS_MAX = 60
# A longer answer in other words may name the one to speak of the other.
_CHOSEN_WORDS_MAX = 2
_ALIKE_PERMILLE = 450
_RIVALS = frozenset({Relation.ANTONYM, Relation.SIBLING, Relation.NEAR})
_SUPERLATIVE = re.compile(r"\w(?:est)$|^(?:first|last|best|worst|most|least)$|^最")
_ASKS_FOR_ONE = re.compile(
    r"^\W*(?:which|who|whom|whose|where|in which|to which|what "
    r"(?!is (?:a|an)\b|(?:are|does|do|did|will|would|can|could|should|has|have)\b|happen)"
    r"(?:\w+ )?\w+)"
)


def refusal(_question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """One side refuses, knows nothing, or speaks of instructions; the other one answers."""
    standing_a, standing_b = standing(a), standing(b)
    if standing_a == standing_b:
        return None
    return Objection("refusal", standing_a, standing_b)


def disowning(question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """One answer takes back what it states ("However, the opposite is true"), the other does not.

    Nothing is said about what follows then; such a text only never agrees with a plain one.
    """
    yes_or_no = asks_yes_or_no(question)
    back_a, back_b = (disowned(answer, asked_yes_or_no=yes_or_no) for answer in (a, b))
    if bool(back_a) == bool(back_b):
        return None
    return Objection("disowned", back_a or "stated", back_b or "stated")


def yes_or_no(question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """One answer affirms and the other denies, by an opening word or by what it states.

    "No." against "Water is wet." counts if the statement restates the question.
    """
    stance_a, stance_b = a.whole.reading.stance, b.whole.reading.stance
    if not (stance_a or stance_b):
        return None
    side_a, side_b = side_taken(question, a), side_taken(question, b)
    if side_a * side_b >= 0:
        return None
    return Objection("stance", _named(side_a), _named(side_b))


def other_choice(question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """The question offers two things, and the answers take different ones."""
    if (
        min(len(a.whole.words), len(b.whole.words)) > _CHOSEN_WORDS_MAX
        and likeness_permille(a.whole, b.whole) < _ALIKE_PERMILLE
    ):
        return None  # "Superior is the shallower one" says that Baikal is deeper
    differ = choices_differ(question, a, b)
    return Objection("choice", differ[0], differ[1]) if differ else None


def opposite_of_asked(question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """One answer speaks of the other end than the question: the smallest for the largest."""
    for axis, (pole, word) in _ends_asked(question):
        sides = [answer.whole.reading.sides.get(axis) for answer in (a, b)]
        turned = [side is not None and side[0] != pole for side in sides]
        if turned[0] != turned[1]:
            said = [side[1] if side else word for side in sides]
            return Objection("direction", said[0], said[1])
    return None


@lru_cache(maxsize=1_024)
def _ends_asked(question: Analysis) -> tuple[tuple[Axis, tuple[int, str]], ...]:
    """The ends of axes that a question asks for: the largest, the cheapest."""
    if asks_yes_or_no(question) or not is_plain(question):
        return ()
    asked = question.whole.reading.sides
    return tuple(
        (axis, asked[axis]) for axis in sorted(asked) if _SUPERLATIVE.search(asked[axis][1])
    )


def different_names(question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
    """Each short answer names something that neither the other one nor the question names."""
    if max(len(a.whole.ordered), len(b.whole.ordered)) > _NAMED_WORDS_MAX:
        return None
    asked = (
        question.is_han or not question.whole.plain or _ASKS_FOR_ONE.search(question.whole.plain)
    )
    brief = max(len(a.whole.words), len(b.whole.words)) <= _CORE_WORDS_MAX
    if not (asked or brief) and likeness_permille(a.whole, b.whole) < _ALIKE_PERMILLE:
        return None  # of a reason or a verdict, names are details
    if a.is_han and b.is_han and a.whole.quantities and b.whole.quantities:
        return None  # a measure was asked for
    mismatch = name_mismatch(question.whole.text, a.whole.text, b.whole.text)
    if mismatch is None:
        return None
    return Objection("entity", mismatch[0], mismatch[1])


def different_cores(question: Analysis, a: Analysis, b: Analysis) -> Objection | None:
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
    return Objection("entity", " ".join(core_a), " ".join(core_b))


@lru_cache(maxsize=8_192)
def _core(question: Part, answer: Part) -> list[str]:
    """Content words that the question does not have, without figures and formulas."""
    return [
        word
        for word in dict.fromkeys(answer.words)
        if concepts(word).isdisjoint(question.concepts) and word.isalpha()
    ]


def _named(side: int) -> str:
    return "yes" if side > 0 else "no"
