"""Which side an answer takes on a question that is answered by yes or no; pure."""

import re
from functools import lru_cache
from itertools import pairwise

from inference.analysis import Analysis, Part
from inference.asked import is_plain
from inference.lexicon import concepts
from inference.overlap import PERMILLE, coverage
from inference.polarity import HAN_NEGATOR, HAN_NOT_NEGATING, is_negator
from inference.wording import FUNCTION_WORDS

_YES_OR_NO = re.compile(
    r"^\W*(?:is|are|was|were|do|does|did|can|could|will|would|should|has|have|had|may|must)\b|"
    "吗\\W*$|[会能是可有要需]不[会能是可要需]|有没有"
)
# "Should I …?" and "Is it safe to …?" are answered by words that judge.
_ASKS_FOR_ADVICE = re.compile(
    r"\b(?:should|advis|recommend|ok(?:ay)? to|good idea|worth|can i|may i|safe|wise)|"
    "应该|建议|适合|可以|值得|安全|要不要|该不该|好吗|合适"
)
_HAN_ASKS = re.compile("吗\\W*$|[会能是可有要需该]不[会能是可有要需该]|有没有")
_HAN_MODAL = re.compile(
    r"^\W*(?:(?P<no>不(?:会|能|可|要|用|必|需|该|行|支持|允许|适合|值得|建议)|无法|无需|无须|毋须|用不着|"
    r"别(?!的|人|名)|切勿|绝不|(?:千万|绝对|万万)(?:别|不))|(?P<yes>会(?!议|员|计|场|长|谈|面)|能(?!源|力|量|见)|可以|要(?!是|求|点|素)|需要|必须|"
    r"应该|值得|适合|支持(?!者|度)|允许))(?!.*\?)"
)
# A clause that forbids, at the end of what was said for it: "…, 所以都別放進去".
_HAN_FORBIDS = re.compile(
    r"[,，;；](?:所以|因此|那就|最好|请|都|就|还是|千万|绝对){0,3}(?:别(?!的|人|名|说)|切勿|不要|请勿)[^,，;；]*$"
)
# A statement that has this much of a question restates it.
_RESTATES_PERMILLE = 800
_RESTATES_LOOSELY_PERMILLE = 600
# How many characters behind a Chinese negator are looked at.
_HAN_BEHIND = 4


@lru_cache(maxsize=1_024)
def asks_yes_or_no(question: Analysis) -> bool:
    """Whether the question can be answered by yes or no."""
    return _YES_OR_NO.search(question.whole.plain) is not None


@lru_cache(maxsize=4_096)
def side_taken(question: Analysis, answer: Analysis) -> int:
    """1 for affirming the question, -1 for denying it, 0 for neither or unknown.

    A statement answers with yes or no if it takes a side on an axis that the question names
    ("Is it safe?" – "It is dangerous."), or if it restates the question.
    """
    stance = answer.whole.reading.stance
    if stance:
        return stance
    asked, first = question.whole, answer.sentences[0]
    if not (asked.words or asked.han) or asked.reading.denies:
        return 0
    if side := _side_by_modal(asked, first):
        return side
    judged = 0
    if _ASKS_FOR_ADVICE.search(asked.plain):
        judged = _judgement(first) * (_judgement(asked) or 1)
    if side := _side_by_axis(question, answer, judged=judged):
        return side
    if _denies_what_was_asked(asked, first):
        return -1
    if judged:
        return judged
    found, total = coverage(asked, first)
    denied = first.reading.denies_beside(asked.reading)
    # What denies a good part of a question denies it; what states it must state all of it.
    enough = _RESTATES_LOOSELY_PERMILLE if asked.han or denied else _RESTATES_PERMILLE
    if PERMILLE * found < enough * total:
        return 0
    return -1 if denied else 1


def _side_by_modal(asked: Part, first: Part) -> int:
    """The side of a Chinese answer that opens with the modal verb by which it was asked.

    "會被扣分" affirms "會被懲罰嗎？": a statement of its own would open with its subject.
    """
    if not asked.han or not _HAN_ASKS.search(asked.plain):
        return 0
    opening = _HAN_MODAL.match(first.plain)
    if not opening:
        return -1 if _HAN_FORBIDS.search(first.plain) else 0
    return -1 if opening["no"] else 1


def _side_by_axis(question: Analysis, answer: Analysis, *, judged: int) -> int:
    """The side on an axis of the question; judging words outweigh the other axes.

    An axis that does not judge decides only where a plain question meets a plain answer: "Will
    prices rise?" – "They will fall." In longer texts it is as often met by chance.
    """
    sides = question.whole.reading.sides
    first = answer.sentences[0]
    plain = is_plain(question) and len(answer.sentences) == 1 and not judged
    for clause in first.clauses:
        reading = clause.reading
        own = reading.sides
        for axis in sorted(sides.keys() & own.keys(), key=lambda axis: (not axis.kind, axis)):
            if axis.judges or (plain and not axis.kind and clause is first.clauses[0]):
                side = 1 if sides[axis][0] == own[axis][0] else -1
                return -side if reading.denies_beside(question.whole.reading) else side
    return 0


def _denies_what_was_asked(asked: Part, answer: Part) -> bool:
    """Whether a word of the question stands right behind a negator: "no visa is required"."""
    if not asked.han:
        words = [w for w in answer.ordered if w not in FUNCTION_WORDS or is_negator(w) or w == "no"]
        return any(
            (is_negator(word) or word == "no") and not concepts(behind).isdisjoint(asked.concepts)
            for word, behind in pairwise(words)
            if not is_negator(behind)
        )
    plain = HAN_NOT_NEGATING.sub("，", answer.plain)
    for match in HAN_NEGATOR.finditer(plain):
        behind = plain[match.end() : match.end() + _HAN_BEHIND]
        if any(behind[at : at + 2] in asked.han_pairs for at in range(len(behind) - 1)):
            return True
    return False


def _judgement(part: Part) -> int:
    """1 if a part judges well ("safe", "advisable"), -1 if badly, 0 if it does neither or both."""
    poles = {side[0] for axis, side in part.reading.sides.items() if axis.judges}
    return poles.pop() if len(poles) == 1 else 0
