"""Nearly the same sentence with a word replaced: the cheapest way to turn a meaning; pure.

Two people who mean the same seldom write the same sentence but for one word, unless that word is a
synonym. So the two sentences are laid side by side; where both have something in the gap between
common stretches, the two fillings are compared.
"""

from difflib import SequenceMatcher
from functools import lru_cache
from typing import NamedTuple

from inference.analysis import HAN_FUNCTION, HAN_FUNCTION_WORDS, Part
from inference.antonyms import english_poles
from inference.entities import are_one_name, capitalised_names, opening_names
from inference.lexicon import Relation, concepts, nearby, opposites, relation
from inference.wording import ALIGNED_TOKENS_MAX, FUNCTION_WORDS, has_han, listed

PERMILLE = 1000
_ALIKE_PERMILLE = 500
_CROSSED_PERMILLE = 800
_GAP_TOKENS_MAX = 8
_HAN_PHRASE_MIN = 3
_PHRASE_ALIKE_PERMILLE = 450
# Function words that turn a meaning when they replace each other.
_TURNING = tuple(
    frozenset(pair.split("|"))
    for pair in listed(
        "before|after into|out in|out on|off up|down with|without to|from over|under above|below "
        "inside|outside onto|off toward|away for|against all|some all|none every|some every|no "
        "always|never and|or more|less i|you he|she his|her him|her can|cannot must|may "
        "should|could only|also first|last 前|后 上|下 左|右 内|外 进|出 来|去 大|小 多|少 高|低 "
        "长|短 快|慢 强|弱 好|坏 新|旧 男|女 早|晚 开|关 升|降 涨|跌 买|卖 增|减 是|否 有|无 要|别 "
        "不|很 可|勿 须|勿 能|难 热|冷 真|假 胜|败 赢|输 正|负 加|减 收|付 借|还 东|西 南|"
        "北 古|今 生|死 "
        "日|夜 主|客 公|私 轻|重 深|浅 远|近 亲|疏 始|终 得|失 利|害 吉|凶 善|恶 优|劣 美|"
        "丑 贫|富 奇|偶 "
        "阴|阳 天|地 问|答 攻|守 进|退 存|取 首|末 先|后 全|部"
    )
)
# Of these a thing has one only; WordNet has colours as near to each other.
_EXCLUSIVE = tuple(
    frozenset(words.split("|"))
    for words in (
        "red|blue|green|yellow|black|white|brown|orange|purple|pink|grey|gray",
        "红|蓝|绿|黄|黑|白|灰|紫|橙|棕",
    )
)
_CONNECTIVES = frozenset(
    listed("because since as therefore thus hence however while whereas though")
)
_TURNING_WORDS = frozenset().union(*_TURNING)


class Replacement(NamedTuple):
    """``alike`` is how alike the sentences are; ``turns``: the fillings cannot both hold."""

    alike: int
    ours: str
    theirs: str
    turns: bool
    named: bool = False
    """Both fillings are names."""
    alone: bool = False
    """It is the only difference, and one English content word stands on each side."""


@lru_cache(maxsize=16_384)
def replacement(a: Part, b: Part) -> Replacement | None:
    """The first gap whose fillings do not mean the same, if the sentences are alike enough."""
    tokens_a, tokens_b = _sorted_pairs(a.tokens), _sorted_pairs(b.tokens)
    if not tokens_a or not tokens_b or max(len(tokens_a), len(tokens_b)) > ALIGNED_TOKENS_MAX:
        return None
    if 2 * len(frozenset(tokens_a) & frozenset(tokens_b)) < min(
        len(frozenset(tokens_a)), len(frozenset(tokens_b))
    ):
        return None
    matcher = SequenceMatcher(None, tokens_a, tokens_b, autojunk=False)
    blocks = matcher.get_opcodes()
    equal = sum(i2 - i1 for tag, i1, i2, _, _ in blocks if tag == "equal")
    alike = 2 * PERMILLE * equal // (len(tokens_a) + len(tokens_b))
    if alike < _ALIKE_PERMILLE:
        return None
    found: Replacement | None = None
    gaps = [
        (tokens_a[i1:i2], tokens_b[j1:j2]) for tag, i1, i2, j1, j2 in blocks if tag == "replace"
    ]
    for ours, theirs in gaps:
        # "… the Sun, less the Moon" against "… the Moon, less the Sun".
        if (theirs, ours) in gaps and any(map(_meaningful, ours)) and any(map(_meaningful, theirs)):
            return Replacement(
                max(alike, _CROSSED_PERMILLE), " ".join(ours), " ".join(theirs), True
            )
    names = _names(a.text), _names(b.text)
    for ours, theirs in gaps:
        verdict = _fillings(ours, theirs)
        named = False
        if verdict is False and _all_names(ours, names[0]) and _all_names(theirs, names[1]):
            verdict = named = not _aliased(ours, theirs)
        if verdict is not None and (found is None or verdict > found.turns):
            glue = "" if has_han("".join(ours)) else " "
            alone = len(blocks) - len(gaps) == sum(tag == "equal" for tag, *_ in blocks)
            alone = alone and len(gaps) == 1 and _is_one_word(ours) and _is_one_word(theirs)
            found = Replacement(alike, glue.join(ours), glue.join(theirs), verdict, named, alone)
    return found


@lru_cache(maxsize=16_384)
def replaced_phrase(a: Part, b: Part) -> tuple[str, str] | None:
    """The phrases in one place of two Chinese sentences that are the same before and behind it.

    Only phrases of some length that hardly share a character: shorter ones may be synonyms.
    """
    ours, theirs = a.tokens, b.tokens
    if not (a.han and b.han) or a.reading.denies != b.reading.denies:
        return None
    ahead = _alike_ahead(ours, theirs)
    behind = _alike_ahead(ours[ahead:][::-1], theirs[ahead:][::-1])
    middles = ["".join(tokens[ahead : len(tokens) - behind]) for tokens in (ours, theirs)]
    content = [set(HAN_FUNCTION_WORDS.sub("", middle)) - HAN_FUNCTION for middle in middles]
    if min(map(len, content)) < _HAN_PHRASE_MIN or "#" in content[0] | content[1]:
        return None
    kept = 2 * PERMILLE * (ahead + behind)
    if not ahead or kept < _PHRASE_ALIKE_PERMILLE * (len(ours) + len(theirs)):
        return None
    if 3 * len(content[0] & content[1]) >= min(map(len, content)):
        return None
    return middles[0], middles[1]


@lru_cache(maxsize=4_096)
def edited_middles(a: Part, b: Part) -> tuple[str, str] | None:
    """What stands in the same place of two sentences that begin or end in the same words, if each
    has words there for which the other has none of like meaning."""
    ours, theirs = a.tokens, b.tokens
    ahead = _alike_ahead(ours, theirs)
    behind = _alike_ahead(ours[ahead:][::-1], theirs[ahead:][::-1])
    if 4 * (ahead + behind) < max(len(ours), len(theirs)):
        return None
    middle_a, middle_b = (tokens[ahead : len(tokens) - behind] for tokens in (ours, theirs))
    if a.han and b.han:
        content = [set("".join(middle)) - HAN_FUNCTION for middle in (middle_a, middle_b)]
        odd = [content[0] - content[1], content[1] - content[0]]
        if min(map(len, odd)) < _HAN_PHRASE_MIN:
            return None
        return "".join(middle_a), "".join(middle_b)
    odd_a = [word for word in middle_a if _meaningful(word) and not _occurs(word, middle_b)]
    odd_b = [word for word in middle_b if _meaningful(word) and not _occurs(word, middle_a)]
    return (" ".join(middle_a), " ".join(middle_b)) if odd_a and odd_b else None


def _alike_ahead(ours: tuple[str, ...], theirs: tuple[str, ...]) -> int:
    """How many tokens both begin with."""
    differing = (at for at, (x, y) in enumerate(zip(ours, theirs, strict=False)) if x != y)
    return next(differing, min(len(ours), len(theirs)))


def _is_one_word(filling: tuple[str, ...]) -> bool:
    """Whether there is one English content word beside function words, or a Chinese phrase.

    There is no list of synonyms by which to tell what a Chinese word may be exchanged for, but most
    of them share a character, and few are as long as this.
    """
    content = [word for word in filling if _meaningful(word)]
    if has_han("".join(content)):
        return len(content) >= _HAN_PHRASE_MIN
    return len(content) == 1


def _names(text: str) -> frozenset[str]:
    return capitalised_names(text) | opening_names(text)


def _all_names(filling: tuple[str, ...], names: frozenset[str]) -> bool:
    content = [word for word in filling if _meaningful(word)]
    return bool(content) and all(word in names for word in content)


def _aliased(ours: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    return are_one_name(" ".join(ours), " ".join(theirs))


def _fillings(ours: tuple[str, ...], theirs: tuple[str, ...]) -> bool | None:
    """Whether two fillings exclude each other; None if they may well mean the same."""
    if len(ours) > _GAP_TOKENS_MAX or len(theirs) > _GAP_TOKENS_MAX:
        return None
    turning_a, turning_b = set(ours) & _TURNING_WORDS, set(theirs) & _TURNING_WORDS
    if (
        any(
            pair & turning_a and pair & turning_b and pair & turning_a != pair & turning_b
            for pair in _TURNING
        )
        and max(len(ours), len(theirs)) <= 3
    ):
        return True
    for rivals in _EXCLUSIVE:
        if len(rivals & set(ours)) == len(rivals & set(theirs)) == 1:
            return rivals.isdisjoint(set(ours) & set(theirs))
    if "#" in ours and "#" in theirs:
        return None  # numbers are compared elsewhere
    left_a = [w for w in ours if _meaningful(w) and not _occurs(w, theirs)]
    left_b = [w for w in theirs if _meaningful(w) and not _occurs(w, ours)]
    if not left_a or not left_b:
        return None
    for x in left_a:
        for y in left_b:
            if english_poles(x) and english_poles(y):
                return None  # decided with their negation by the guard of opposite poles
            if len(left_a) == len(left_b) == 1 and relation(x, y) is Relation.ANTONYM:
                return True
            if opposites(x) & concepts(y):
                return True
    return False


def _meaningful(word: str) -> bool:
    return word not in FUNCTION_WORDS and word not in _CONNECTIVES and word != "#"


def _occurs(word: str, others: tuple[str, ...]) -> bool:
    if word in others:
        return True
    # What merely has a kind in common with it, as Spanish with Portuguese, is something else.
    return any(
        not nearby(word).isdisjoint(concepts(other))
        or not nearby(other).isdisjoint(concepts(word))
        or relation(word, other) is Relation.NEAR
        for other in others
        if len(other) > 1
    )


def _sorted_pairs(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """The tokens with the two words beside each "and" or "or" in alphabetical order."""
    if "and" not in tokens and "or" not in tokens:
        return tokens
    ordered = list(tokens)
    for at in range(1, len(ordered) - 1):
        if ordered[at] in ("and", "or") and ordered[at - 1] > ordered[at + 1]:
            ordered[at - 1], ordered[at + 1] = ordered[at + 1], ordered[at - 1]
    return tuple(ordered)
