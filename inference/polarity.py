"""Polarity: yes and no, negation, and the sides that a text takes on axes of opposites; pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from inference.antonyms import Axis, Pole, PoleWord, english_poles, han_poles, join_phrases
from inference.double_negation import affirmed
from inference.lexicon import fold_han
from inference.openings import HAN_STANCE, STANCE
from inference.wording import content_terms, has_han, listed, normalise

_WORDS = re.compile(r"[^\W_]+(?:['_.-][^\W_]+)*|[,;:.!?，；：。！？、]")
_NEGATORS = frozenset(
    listed(
        "not no never neither nor cannot without hardly barely scarcely none nobody nothing "
        "nowhere rather_than instead_of far_from no_longer no_one seldom rarely non "
        "by_no_means in_no_way anything_but nowhere_near nothing_like"
    )
)
_LOCAL_NEGATORS = frozenset({"nor", "rather_than", "instead_of", "without", "seldom", "rarely"})
_NOBODY = frozenset(listed("none nobody nothing nowhere no_one"))
_PREPOSITIONS = frozenset(listed("for of in on at with from by about"))
_NEGATOR_PHRASES = re.compile(
    r"\b(?:rather than|instead of|far from|no longer|no one|not any ?more|by no means|in no way|"
    r"anything but|nowhere near|nothing like)\b"
)
# "not only A but B" asserts A; "no doubt" affirms; "no matter" is indifferent.
_NOT_NEGATING = re.compile(
    r"\bnot (?:only|just|merely|simply|to mention|least)\b|\bno (?:doubt|matter|wonder|later|"
    r"more than|less than|fewer than|sooner)\b|\bwithout (?:a )?doubt\b|"
    r"\bno longer than\b|\bwhether or not\b|\bnothing but\b|\bno\.\s*\d|\bnot yet clear\b"
)
# Words that deny by themselves: "it is impossible to fly" agrees with "it cannot fly".
_DENYING = re.compile(
    r"\b(?:impossible|unable|incapable|fail(?:s|ed)?|lack(?:s|ed|ing)?|refus(?:e|es|ed)|"
    r"avoid(?:s|ed)?|forbidden|prohibited|banned|illegal|false|incorrect|wrong|unlikely|absent|"
    r"missing|excluded?|excludes|exempt|except|stops?|stopped|refrain|prevents?|out|"
    r"without|free of|against|insufficient|"
    r"unsafe|dangerous|only|lost|loses?|few|little|un\w{4,}|in(?:active|complete|valid))\b|"
    "缺乏|缺少|排除|除外|例外|禁止|拒绝|避免|失败|错误|停止|停摆|免|零|反对|只有|才|不再"
)
# How far, in words, a negator reaches forward; a comma ends it earlier.
_REACH = 4

HAN_NEGATOR = re.compile(
    "没有|不是|不会|不能|不可|不得|不应|并非|绝非|从未|从不|无法|没办法|"
    "切勿|请勿|不要|不用|不必|不需要?|无需|无须|毋须|未必|[不没未勿莫非无别毋否]"
)
HAN_NOT_NEGATING = re.compile(
    "不明|不敌|不时|不等|不良|不法|不动产|不定期|不止|不慎|不妨|不料|不满|不特定|不稳定|不确定性|不但|不仅|不只|不过|不同|不错|不断|不久|差不多|"
    "不少|不得不|不论|不管|无论|"
    "无数|非常|除非|未来|是非|非洲|莫斯科|不丹|没关系|毫无疑问|特别|别的|级别|类别|识别|分别|"
    "个别|性别|区别|是否|否则|无疑|无线|不可或缺|缺一不可|"
    "[会能是可好要用]不[会能是可好要用]|有没有|不锈钢|不足|不便|无限|无人机|无所谓"
)
# To advise waiting is to advise against it.
_HAN_ADVISES_NOT = re.compile(
    "(?:建议|推荐|最好|宜|应该)(?=.{0,4}?(?:观望|避免|暂缓|停止|等待|再等|等一等|出场|离场|远离|谨慎))|"
    "(?:观望|避免|暂缓|停止|等待|再等等|等一等|先等|谨慎|不动|按兵不动)(?:会|比较|较)?(?:为宜|为佳|为妙|为上|较好|较佳|较妥|比较好)"
)
# How well something sells is no advice to sell.
_HAN_SELLS_WELL = re.compile("卖得|卖相|热卖|卖点|卖座|大卖")
_HAN_REACH = 5
_HAN_NONE = re.compile("没有(?:任何|哪一?|一)[个名户位人次家款件天条项]?")
_HAN_NONE_REACH = 14
"""The same behind a negated subject, as in 沒有哪一次跨行提款會被收手續費."""
# What opens a clause that is not what the sentence states: a condition, or a cause or a time.
_CONDITIONS = frozenset(listed("if when whenever once unless until till provided_that as_long_as"))
_CIRCUMSTANCES = frozenset(
    listed(
        "because since after before despite although though amid due_to thanks_to because_of "
        "owing_to in_spite_of as_a_result_of on_account_of even_though given_that driven_by "
        "helped_by hurt_by supported_by as_soon_as"
    )
)
_CLAUSE_PHRASES = re.compile(
    r"\b(?:(?:due|thanks|owing) to|(?:because|in spite|on account|as a result) of|even though|"
    r"given that|provided that|as long as|as soon as|(?:driven|helped|hurt|supported) by)\b"
)
# "as" opens a clause only before a subject: not in "as low as", "seen as", "as a rule".
_AS = re.compile(
    r"(?:(?<=, )|(?<=\w ))as(?= (?:the|it|they|he|she|we|there|these|those|more|fewer|most|"
    r"demand|supply|prices|investors|traders|rates|inflation|central|banks|people)\b)"
)
# "Up.", "Down about 8 %": elsewhere the two words belong to verbs.
_VERDICTS = {"up": "increase", "down": "decrease"}
_VERDICT = re.compile(
    r"(?:(?<=^)|(?<=^\*\*)|(?<=(?:is|re) )|(?<=(?:was|are) )|(?<=were ))(?:up|down)"
    r"(?=\W*(?:[.,;:!*]|$)|\s+(?:by|about|around|roughly|some|nearly|sharply|"
    r"slightly|strongly|a little|\d))"
)
# "Costs pushed profits down": the verb by itself has no direction.
_MOVED = re.compile(
    r"\b(?:push|pushes|pushed|driv(?:e|es|ing)|drove|drag(?:s|ged)?|send|sends|sent|"
    r"pull(?:s|ed)?|"
    r"bring|brings|brought|force[sd]?)\s+((?:[^\W\d]+\s+){1,4}?)(up|down)\b"
)
_HAN_CONDITION = re.compile(
    "如果|若是|假如|要是|只要|一旦|除非|当(?=.{1,12}(?:时|的话))|[若当](?!前|然|日|天|地|局|场|选|中|干)"
)
_HAN_CIRCUMSTANCE = re.compile(
    "因为|由于|虽然|尽管|随着|即使|即便|在于|原因是|因(?!此|而|应)|受(?!到?影响)(?=.{1,10}影响)"
)
_HAN_STOP = re.compile("[，。；、！？,;.!?]|但|而是|却")
_HAN_CLAUSE_END = re.compile("[，。；！？,;.!?]|但|却|就|便(?!宜|利)|则|时|所以|因此")
Sides = dict[Axis, tuple[int, str]]
STATED, CONDITION, CIRCUMSTANCE = range(3)


@dataclass(frozen=True)
class Reading:
    """How a text takes sides.

    ``stance`` is an opening "yes" (1) or "no" (-1), 0 without one; the other fields are about the
    text after it. ``denials`` counts negators that are not already part of a pole. ``poles`` are
    the sides taken on axes of opposites, turned round where negated, with the words as written;
    the last number says where: in what is stated (0), in a condition (1), in a cause, a time or a
    concession (2).
    """

    stance: int
    rest: str
    denials: int
    poles: tuple[tuple[PoleWord, str, int], ...]
    turned: tuple[frozenset[Axis], ...] = ()
    """For each negator that turned a word round, the axes of that word."""

    @property
    def denies(self) -> bool:
        """Whether the statement is negative; two negations cancel out."""
        return self.denials % 2 == 1

    @property
    def negations(self) -> int:
        """How many negators the text has, those that turn a word round among them."""
        return self.denials + len(self.turned)

    def denies_beside(self, other: "Reading") -> bool:
        """Whether the statement is negative to one who does not see the axes that only it is on.

        "It cannot be undone" turns "undone" round, which says nothing to a text without an opposite
        of "undone": to that it is a plain denial.
        """
        unseen = sum(axes.isdisjoint(other.axes) for axes in self.turned)
        return (self.denials + unseen) % 2 == 1

    @cached_property
    def axes(self) -> frozenset[Axis]:
        """The axes that the text touches, on one side or on both."""
        return frozenset(found.axis for found, _, _ in self.poles)

    @cached_property
    def sides(self) -> Sides:
        """The axes on which the text takes exactly one side, with the word that does.

        What is stated counts before what stands in a condition or a cause: "prices fall when rates
        rise" is about falling.
        """
        return {**self.sides_at(CIRCUMSTANCE), **self.sides_at(CONDITION), **self.stated}

    @cached_property
    def stated(self) -> Sides:
        """The sides taken by what the text states, conditions and causes apart."""
        return self.sides_at(STATED)

    @cached_property
    def said_once(self) -> Sides:
        """The sides of axes that the text touches in one place only, conditions apart."""
        places: dict[Axis, set[int]] = {}
        for found, _, where in self.poles:
            places.setdefault(found.axis, set()).add(where)
        return {
            axis: side
            for axis, side in self.sides.items()
            if len(places[axis]) == 1 and CONDITION not in places[axis]
        }

    def sides_at(self, place: int) -> Sides:
        """The axes on which the text takes exactly one side in this place."""
        return self._sides_by_place[place]

    @cached_property
    def _sides_by_place(self) -> tuple[Sides, Sides, Sides]:
        taken: tuple[Sides, Sides, Sides] = ({}, {}, {})
        undecided: set[tuple[int, Axis]] = set()
        for found, word, place in self.poles:
            known = taken[place].setdefault(found.axis, (found.pole, word))
            if known[0] != found.pole:
                undecided.add((place, found.axis))
        for place, axis in undecided:
            del taken[place][axis]
        return taken


class _Found(NamedTuple):
    """What ``Reading`` has of one language."""

    denials: int
    poles: list[tuple[PoleWord, str, int]]
    turned: list[frozenset[Axis]]


@lru_cache(maxsize=8_192)
def read(text: str) -> Reading:
    """Read the polarity of an answer."""
    plain = affirmed(fold_han(normalise(text)))
    opening = STANCE.match(plain) or HAN_STANCE.match(plain)
    stance = 0
    if opening:
        stance = 1 if opening["yes"] else -1
        plain = plain[opening.end() :]
    found = _read_english(_NOT_NEGATING.sub(" ", plain))
    if has_han(plain):
        han = _read_han(HAN_NOT_NEGATING.sub("，", plain))
        found = _Found(found[0] + han[0], found[1] + han[1], found[2] + han[2])
    return Reading(stance, plain, found.denials, tuple(found.poles), tuple(found.turned))


def denies_by_word(plain: str) -> bool:
    """Whether a normalised text has a word that denies without a negator, such as "unable"."""
    return _DENYING.search(fold_han(plain)) is not None


def shared_terms(a: str, b: str) -> tuple[int, int]:
    """Content terms in both texts, and in the text that has fewer; negators do not count."""
    terms_a, terms_b = (_asserted_terms(text) for text in (a, b))
    return len(terms_a & terms_b), min(len(terms_a), len(terms_b))


@lru_cache(maxsize=8_192)
def _asserted_terms(text: str) -> frozenset[str]:
    plain = HAN_NEGATOR.sub(" ", fold_han(normalise(text))) if has_han(text) else text
    return frozenset(
        term
        for term in content_terms(plain)
        if term not in _NEGATORS and not term.endswith("n't") and term != "never"
    )


def is_negator(word: str) -> bool:
    """Whether a lower-case English word negates by itself."""
    return word in _NEGATORS or word.endswith("n't")


def _read_english(plain: str) -> _Found:
    plain = _MOVED.sub(lambda match: f"{_VERDICTS[match[2]]} {match[1]}", plain)
    joined = _VERDICT.sub(lambda match: _VERDICTS[match[0]], _AS.sub("because", plain))
    for phrases in (_NEGATOR_PHRASES, _CLAUSE_PHRASES):
        joined = phrases.sub(lambda match: match[0].replace(" ", "_"), joined)
    words = _WORDS.findall(join_phrases(joined))
    open_negators: list[int] = []
    consumed: set[int] = set()
    negators: set[int] = set()
    poles: list[tuple[PoleWord, str, int]] = []
    turned: list[frozenset[Axis]] = []
    place = STATED
    for position, word in enumerate(words):
        if not word[0].isalnum():
            open_negators.clear()
            place = STATED
        elif word in _PREPOSITIONS and open_negators and words[open_negators[-1]] in _NOBODY:
            open_negators.clear()  # "nothing changes for the free plan"
        elif word in _CONDITIONS:
            place = CONDITION
        elif word in _CIRCUMSTANCES:
            place = CIRCUMSTANCE
        elif is_negator(word):
            # "nor" repeats a negation; "rather than B" is about B only and leaves the rest stated.
            if word not in _LOCAL_NEGATORS:
                negators.add(position)
            open_negators.append(position)
        elif found := english_poles(word):
            reaching = [at for at in open_negators if position - at <= _reach(found)]
            if reaching:
                consumed.add(reaching[-1])
                open_negators.remove(reaching[-1])
                # "Never more than ten" is a bound and "rather than B" leaves the rest stated.
                if reaching[-1] in negators and all(
                    pole.axis.kind != "comparative" for pole in found
                ):
                    turned.append(frozenset(pole.axis for pole in found))
                found = tuple(map(_turned, found))
                word = f"not {word}"
            poles.extend((pole, word.replace("_", " "), place) for pole in found)
    return _Found(len(negators - consumed), poles, turned)


def _read_han(plain: str) -> _Found:
    plain = _HAN_ADVISES_NOT.sub("不建议", _HAN_SELLS_WELL.sub("〇〇", plain))
    negators = {match.span() for match in HAN_NEGATOR.finditer(plain)}
    consumed: set[tuple[int, int]] = set()
    poles: list[tuple[PoleWord, str, int]] = []
    turned: list[frozenset[Axis]] = []
    places = _han_places(plain)
    for position, word, found in han_poles(plain):
        # 無罪 and 非法 are poles of their own; their first character is not a negator.
        # 無需 is a pole and a negator: it says that something is needless.
        end = position + len(word)
        consumed |= {
            span for span in negators if position <= span[0] < end and span != (position, end)
        }
        before = sorted(_reaching(plain, negators - consumed, position)) if _reach(found) else []
        place = max((at for start, end, at in places if start <= position < end), default=STATED)
        if before:
            consumed.add(before[-1])
            turned.append(frozenset(pole.axis for pole in found))
            phrase = plain[before[-1][0] : position + len(word)]
            poles.extend((_turned(pole), phrase, place) for pole in found)
        else:
            poles.extend((pole, word, place) for pole in found)
    return _Found(len(negators - consumed), poles, turned)


def _han_places(plain: str) -> list[tuple[int, int, int]]:
    """Where conditions and circumstances stand: from the opening word to the clause's end."""
    found = []
    for place, opening in ((CONDITION, _HAN_CONDITION), (CIRCUMSTANCE, _HAN_CIRCUMSTANCE)):
        for match in opening.finditer(plain):
            stop = _HAN_CLAUSE_END.search(plain, match.end())
            found.append((match.start(), stop.start() if stop else len(plain), place))
    return found


def _reaching(
    plain: str, negators: set[tuple[int, int]], position: int
) -> Iterator[tuple[int, int]]:
    for start, end in negators:
        between = plain[end:position]
        reach = _HAN_NONE_REACH if _HAN_NONE.match(plain, start) else _HAN_REACH
        if end <= position and len(between) <= reach and not _HAN_STOP.search(between):
            yield start, end


def _reach(found: tuple[PoleWord, ...]) -> int:
    """How far back a negator may stand that turns these words round. Those for parties are not
    turned: "not sold to B" says nothing of who would be the buyer."""
    return 0 if all(pole.axis.kind == "roles" for pole in found) else _REACH


def _turned(found: PoleWord) -> PoleWord:
    pole: Pole = 1 if found.pole == -1 else -1
    return found._replace(pole=pole)
