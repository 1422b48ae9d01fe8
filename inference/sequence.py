"""What comes first: "stop it, then update" against "update, then stop it"; pure.

A text that orders two acts is cut at its marker into what comes first and what comes second. Two
texts disagree if what one puts first is what the other one puts second, and the other way round.
"""

import re
from functools import lru_cache

from inference.lexicon import fold_han
from inference.wording import content_terms, normalise

_THEN = re.compile(
    r"\b(?:and then|then|afterwards|after that|and only then|only then|followed by|"
    r"subsequently|next)\b|"
    r"(?:然后|接着|随后|之后)(?:才能|才可以|再|才)?|再|才能|才可以|才轮到"
)
_FIRST = re.compile(r"\bfirst\b|先(?!前|生|进|天|锋)")
_CLAUSE_END = re.compile("[,，;；。]")
_AFTER = re.compile(r"\b(?:only )?(?:after|once|as soon as|following)\b")
_BEFORE = re.compile(r"\b(?:before|prior to|ahead of)\b")
_HAN_BEFORE = re.compile("(?:之前|以前|前)(?=[，,]?[^，。]*[先要必请])")
_HAN_AFTER = re.compile("(?:之后|以后|后)[，,]?(?:再|才|就|即)?")
_TIME_CLAUSE = re.compile(
    r"\b(?:(?P<before>before|prior to|ahead of)|after|once|when|as soon as|following)\b"
    r"(?P<clause>[^,;.:!?]+)"
)
_TERMS_MIN = 1


def order_differs(a: str, b: str) -> bool:
    """Whether the two texts put the same two things in opposite orders."""
    order_a, order_b = _order(a), _order(b)
    if order_a is None or order_b is None:
        return False
    (first_a, second_a), (first_b, second_b) = order_a, order_b
    straight = len(first_a & first_b) + len(second_a & second_b)
    crossed = len(first_a & second_b) + len(second_a & first_b)
    both = bool(first_a & second_b) and bool(second_a & first_b)
    return both and crossed > straight


def times_differ(a: str, b: str) -> bool:
    """Whether one text puts something before what the other one puts it after.

    "Before the vote is closed" against "when the vote is closed"; the same clause must follow.
    """
    clauses_a, clauses_b = _timed(a), _timed(b)
    for before, after in ((clauses_a[0], clauses_b[1]), (clauses_b[0], clauses_a[1])):
        for one in before:
            for other in after:
                if one and 3 * len(one & other) >= 2 * max(len(one), len(other)):
                    return True
    return False


@lru_cache(maxsize=8_192)
def _timed(text: str) -> tuple[list[frozenset[str]], list[frozenset[str]]]:
    """Content terms of the clauses behind "before", and of those behind "after" or "when"."""
    found: tuple[list[frozenset[str]], list[frozenset[str]]] = ([], [])
    for match in _TIME_CLAUSE.finditer(normalise(text)):
        found[0 if match["before"] else 1].append(frozenset(content_terms(match["clause"])))
    return found


@lru_cache(maxsize=8_192)
def _order(text: str) -> tuple[frozenset[str], frozenset[str]] | None:
    """Content terms of what comes first and of what comes second; None without an order."""
    plain = fold_han(normalise(text))
    if len(_THEN.findall(plain)) > 1:
        return None  # three acts or more
    if match := _THEN.search(plain):
        first, second = plain[: match.start()], plain[match.end() :]
        # "First A, then B, ...": what stands before "first" and behind B has no part in the order.
        if opening := list(_FIRST.finditer(first)):
            first, second = first[opening[-1].end() :], _CLAUSE_END.split(second.strip(" ,，"))[0]
        return _parts(first, second)
    for marker, ours_first in ((_AFTER, False), (_BEFORE, True)):
        match = marker.search(plain)
        if match is None:
            continue
        before, behind = plain[: match.start()], plain[match.end() :]
        if not re.search(r"\w", before):  # "After you stop it, update."
            inner, _, outer = behind.partition(",")
            before, behind = outer, inner
        return _parts(before, behind) if ours_first else _parts(behind, before)
    if match := _HAN_BEFORE.search(plain):
        return _parts(plain[match.end() :], plain[: match.start()])
    if match := _HAN_AFTER.search(plain):
        return _parts(plain[: match.start()], plain[match.end() :])
    return None


def _parts(first: str, second: str) -> tuple[frozenset[str], frozenset[str]] | None:
    one, two = frozenset(content_terms(first)), frozenset(content_terms(second))
    if len(one - two) < _TERMS_MIN or len(two - one) < _TERMS_MIN:
        return None
    return one - two, two - one
