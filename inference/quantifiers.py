"""How many of a thing: none, few, some, most, all; pure.

A quantifier belongs to the content word that follows it. "No critical issues" contradicts "three
critical issues", and "all validators" contradicts "some validators"; a text without a quantifier
says nothing about it.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from inference.analysis import Part
from inference.lexicon import lemmas
from inference.wording import FUNCTION_WORDS, has_han, listed

NONE, FEW, SOME, MOST, ALL = range(5)
_NAMES = ("none", "few", "some", "most", "all")
_ENGLISH: dict[str, int] = {
    **dict.fromkeys(listed("no zero neither none"), NONE),
    **dict.fromkeys(listed("few hardly scarcely little"), FEW),
    **dict.fromkeys(listed("some several certain various part partly parts half"), SOME),
    **dict.fromkeys(listed("most majority mostly"), MOST),
    **dict.fromkeys(listed("all every each entire whole both everyone everybody full"), ALL),
}
_REACH = 5
_THINGS_MAX = 2
_SKIPPED = frozenset(listed("of the these those our your its their one single"))
# "some" and "most" go together with each other's neighbours, not with the ends of the scale.
_EXCLUDES = {
    frozenset(pair)
    for pair in ((NONE, FEW), (NONE, SOME), (NONE, MOST), (NONE, ALL), (FEW, MOST), (FEW, ALL),
                 (SOME, ALL), (MOST, ALL))
}  # fmt: skip
_HAN = (
    (NONE, "没有任何|无人|没人|没有一个|无一|零个"),
    (FEW, "极少数|少数|很少"),
    (SOME, "部分|有些|某些|若干|一些|数个|几个"),
    (MOST, "大多数|多数|大部分|过半|大半"),
    (ALL, "所有|全部|全体|每一个|每个|全数|一切|整个|皆|均"),
)
_HAN_QUANTIFIER = re.compile("|".join(f"(?P<q{n}>{words})" for n, words in _HAN))
_OPENS_ONLY = re.compile(r"\W*+(?:only|nobody|no one|none|just|只有|仅|没有人|无人)")
_OPENS_ANY = re.compile(
    r"\W*+(?:any(?:one|body)|every(?:one|body)|all|任何人|人人|所有人|每个人|大家)"
)
_ONLY = re.compile(r"\bonly (?:to |for |on |in |by )?(?:the )?(\w+)|\b(\w+) only\b")
_EXCEPT = re.compile(
    r"\b(?:except(?: for)?|excluding|other than|apart from|(?:all|"
    r"every\w*)(?: \w+)? but) (?:the )?(\w+)"
)
_INCLUDED = re.compile(r"\b(\w+)(?: are| is)? included\b|\bincluding (\w+)")
_ONLY_THEN = re.compile(
    r"\bonly (?:be )?(?:\w+ )?(?:possible |allowed )?(?:at|in|during|on|after|before|when|while|if|"
    r"once|until|within|between|from)\b|只(?:能|有|可).{0,8}(?:才|时|后|前|期间|内)"
)
_ANY_TIME = re.compile(
    r"\b(?:at any (?:time|moment|point)|any ?time|whenever|at all times|always|around the clock|"
    r"at every moment)\b|随时|任何时[候间刻]|任何时点|全天候"
)
_NEGATED = re.compile(r"(?:not|n't|never|并非|不是|非)\s*$")
_TOKEN = re.compile(r"[a-z0-9#]+(?:['-][a-z]+)*|[,;:.!?]")


class _Counted(NamedTuple):
    """What was read in one text; ``things`` are quantifiers by the counted thing."""

    han: frozenset[int]
    only: frozenset[str]
    but: frozenset[str]
    opens_only: bool
    opens_any: bool
    things: dict[str, int]
    included: frozenset[str]
    only_then: bool
    at_any_time: bool


def quantifiers_differ(a: Part, b: Part) -> tuple[str, str] | None:
    """The quantifiers of a thing that both texts count, if they exclude each other."""
    read_a, read_b = _read(a), _read(b)
    if read_a is None or read_b is None:
        return None
    turned = (a.reading.negations - b.reading.negations) % 2 == 1
    if _agree_turned(a, b):
        return None
    if a.han and b.han:
        in_a, in_b = read_a.han, read_b.han
        if len(in_a) == len(in_b) == 1 and _exclude(min(in_a), min(in_b), turned=turned):
            return _NAMES[min(in_a)], _NAMES[min(in_b)]
    for differ in (_exceptions_differ, _openings_differ):
        if found := differ(read_a, read_b):
            return found
        if found := differ(read_b, read_a):
            return found[1], found[0]
    in_a_words, in_b_words = read_a.things, read_b.things
    for thing in sorted(in_a_words.keys() & in_b_words.keys()):
        x, y = in_a_words[thing], in_b_words[thing]
        if _exclude(x, y, turned=turned):
            return f"{_NAMES[x]} {thing}", f"{_NAMES[y]} {thing}"
    return None


def _exceptions_differ(x: _Counted, y: _Counted) -> tuple[str, str] | None:
    """Only a thing against all but it; all but a thing against all, and it included."""
    if shared := sorted(x.only & y.but):
        return f"only {shared[0]}", f"all but {shared[0]}"
    if shared := sorted(x.but & y.included):
        return f"all but {shared[0]}", f"{shared[0]} included"
    return None


def _openings_differ(x: _Counted, y: _Counted) -> tuple[str, str] | None:
    """Only some against anybody, only then against at any time."""
    if x.only_then and y.at_any_time and not (x.at_any_time or y.only_then):
        return "only then", "any time"
    if x.opens_only and y.opens_any:
        return "only some", "anybody"
    return None


def _agree_turned(a: Part, b: Part) -> bool:
    """Whether one text denies the opposite of what the other one states.

    "No member objected" says what "all members agreed" says.
    """
    x, y = a.reading, b.reading
    turned = frozenset().union(*x.turned) ^ frozenset().union(*y.turned)
    sides_x, sides_y = x.sides, y.sides
    shared = sides_x.keys() & sides_y.keys()
    return bool(shared & turned) and all(sides_x[axis][0] == sides_y[axis][0] for axis in shared)


def _exclude(x: int, y: int, *, turned: bool) -> bool:
    """Whether two amounts exclude each other; few that are leave most that are not (``turned``)."""
    pair = frozenset((x, y))
    return pair in _EXCLUDES and not (turned and pair == {FEW, MOST})


@lru_cache(maxsize=8_192)
def _read(part: Part) -> _Counted | None:
    """None if the text quantifies nothing."""
    plain = part.affirmed
    found = _Counted(
        han=_han(plain) if has_han(plain) else frozenset(),
        only=frozenset(w for m in _ONLY.finditer(plain) for w in (m[1] or m[2]).split()[-1:]),
        but=frozenset(w for m in _EXCEPT.finditer(plain) for w in m[1].split()[-1:]),
        opens_only=_OPENS_ONLY.match(plain) is not None,
        opens_any=_OPENS_ANY.match(plain) is not None,
        things={} if has_han(plain) else _counted_in(plain),
        included=frozenset(m[1] or m[2] for m in _INCLUDED.finditer(plain)),
        only_then=_ONLY_THEN.search(plain) is not None,
        at_any_time=_ANY_TIME.search(plain) is not None,
    )
    return found if any(found) else None


def _counted_in(plain: str) -> dict[str, int]:
    """Quantifier by the counted thing's dictionary form; things counted twice are left out."""
    tokens = _TOKEN.findall(plain)
    found: dict[str, int] = {}
    ambiguous: set[str] = set()
    for at, token in enumerate(tokens):
        amount = _ENGLISH.get(token)
        counts_all = at and (tokens[at - 1] in _SKIPPED or tokens[at - 1] in _ENGLISH)
        if amount is None and token.isdecimal() and int(token) > 0 and not counts_all:
            amount = SOME
        if amount is None:
            continue
        if at and _NEGATED.search(tokens[at - 1]):
            amount = SOME if amount == ALL else amount
        elif at and tokens[at - 1] == "only" and amount == ALL:
            continue
        counted = 0
        for word in tokens[at + 1 : at + 1 + _REACH]:
            if not word[0].isalnum() or word in _ENGLISH:
                break
            if word in _SKIPPED or word.isdecimal():
                continue
            if word in FUNCTION_WORDS or word == "per":
                break
            thing = min(lemmas(word))
            if found.setdefault(thing, amount) != amount:
                ambiguous.add(thing)
            counted += 1
            if counted == _THINGS_MAX:
                break
    return {thing: amount for thing, amount in found.items() if thing not in ambiguous}


def _han(folded: str) -> frozenset[int]:
    found = set()
    for match in _HAN_QUANTIFIER.finditer(folded):
        amount = next(n for n, _ in _HAN if match[f"q{n}"])
        if _NEGATED.search(folded[: match.start()]):
            amount = SOME if amount == ALL else amount
        found.add(amount)
    return frozenset(found)
