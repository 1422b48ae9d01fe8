"""Questions that offer a choice, "in water or in air?", and which one an answer takes; pure."""

import re
from functools import lru_cache

from inference.analysis import Analysis, Part
from inference.lexicon import concepts
from inference.wording import FUNCTION_WORDS

_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_HAN_CHOICE = re.compile("([㐀-鿿]{1,6})还是([㐀-鿿]{1,6})")
_HAN_WHICH = re.compile("([㐀-鿿]{2,4})(?:和|与|跟|、)([㐀-鿿]{2,4})(?:哪|何者|谁)")
_HAN_GLUE = re.compile("^[在是该要应去会选]+|[呢吗的]+$")
# "faster in water than in air" takes the first of the two that it names.
_RATHER = re.compile(
    r"\b(?:than|rather than|instead of|not|before|outweighs?|exceeds?|beats?|surpass(?:es)?|"
    r"outperforms?|outranks?|outnumbers?)\b|比|而不是|而非|不是|胜过|优于|高于|大于|多于|超过"
)


def choices_differ(question: Analysis, a: Analysis, b: Analysis) -> tuple[str, str] | None:
    """The choices that two answers take, if the question offers two and they differ."""
    offered = _offered(question.whole)
    if offered is None:
        return None
    taken_a, taken_b = (_taken(question.whole, offered, x.sentences[0]) for x in (a, b))
    if taken_a and taken_b and taken_a != taken_b:
        return taken_a, taken_b
    return None


@lru_cache(maxsize=1_024)
def _offered(question: Part) -> tuple[str, str] | None:
    plain = question.plain
    if match := _HAN_CHOICE.search(plain):
        first, second = (_HAN_GLUE.sub("", side) for side in match.groups())
        # 該買還是該賣: what both have in common is not the choice.
        while len(first) > 1 and len(second) > 1 and first[-1] == second[-1]:
            first, second = first[:-1], second[:-1]
        return (first[-2:], second[:2]) if first and second else None
    if match := _HAN_WHICH.search(plain):
        return match[1], match[2]
    before, found, behind = plain.partition(" or ")
    if not found:
        return None
    left = [w for w in _WORD.findall(before) if w not in FUNCTION_WORDS]
    right = [w for w in _WORD.findall(behind) if w not in FUNCTION_WORDS]
    return (left[-1], right[0]) if left and right else None


def _taken(question: Part, offered: tuple[str, str], answer: Part) -> str:
    """The one that the sentence takes; empty if neither, or both alike.

    What is called the shorter one where the longer was asked for is the one not taken.
    """
    plain = answer.plain
    places = [_place(choice, answer, plain) for choice in offered]
    if places[0] < 0 and places[1] < 0:
        return ""
    if answer.reading.denies:
        return ""
    if min(places) < 0:
        turned = _speaks_of_the_other_end(question, answer)
        return offered[(places[0] < 0) != turned]
    first, second = sorted(places)
    if _RATHER.search(plain[first:second]):
        return offered[places.index(first)]
    return ""


def _speaks_of_the_other_end(question: Part, answer: Part) -> bool:
    asked, said = question.reading.sides, answer.reading.sides
    return any(asked[axis][0] != said[axis][0] for axis in asked.keys() & said.keys())


def _place(choice: str, answer: Part, plain: str) -> int:
    if not choice.isascii():
        return plain.find(choice)
    if concepts(choice).isdisjoint(answer.concepts):
        return -1
    for match in _WORD.finditer(plain):
        if not concepts(match[0]).isdisjoint(concepts(choice)):
            return match.start()
    return -1
