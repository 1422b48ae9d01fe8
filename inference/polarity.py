"""Polarity: yes and no, negation, and the sides that a text takes on axes of opposites; pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from inference.antonyms import Axis, Pole, PoleWord, english_poles, han_poles, join_phrases
from inference.lexicon import fold_han
from inference.wording import content_terms, has_han, listed, normalise

_WORDS = re.compile(r"[^\W_]+(?:['_.-][^\W_]+)*|[,;:.!?，；：。！？、]")
_NEGATORS = frozenset(
    listed(
        "not no never neither nor cannot without hardly barely scarcely none nobody nothing "
        "nowhere rather_than instead_of far_from no_longer no_one seldom rarely non"
    )
)
_LOCAL_NEGATORS = frozenset({"nor", "rather_than", "instead_of", "without", "seldom", "rarely"})
_NEGATOR_PHRASES = re.compile(
    r"\b(?:rather than|instead of|far from|no longer|no one|not any ?more)\b"
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
    r"missing|stops?|stopped|refrain|prevents?|out|without|free of|against|insufficient|"
    r"unsafe|dangerous|only|lost|loses?|few|little|un\w{4,}|in(?:active|complete|valid))\b|"
    "缺乏|缺少|禁止|拒绝|避免|失败|错误|停止|停摆|免|零|反对|只有|才|不再"
)
# How far, in words, a negator reaches forward; a comma ends it earlier.
_REACH = 4

HAN_NEGATOR = re.compile(
    "没有|不是|不会|不能|不可|不得|不应|并非|绝非|从未|从不|无法|没办法|"
    "切勿|请勿|不要|不用|不必|不需|无须|毋须|未必|[不没未勿莫非无别毋否]"
)
_HAN_NOT_NEGATING = re.compile(
    "不明|不时|不等|不良|不法|不动产|不定期|不止|不慎|不妨|不料|不满|不特定|不稳定|不确定性|不但|不仅|不只|不过|不同|不错|不断|不久|差不多|不少|不得不|不论|不管|无论|"
    "无数|非常|除非|未来|是非|非洲|莫斯科|不丹|没关系|毫无疑问|特别|别的|级别|类别|识别|分别|"
    "个别|性别|区别|是否|否则|无疑|无线|不可或缺|缺一不可|"
    "[会能是可好要用]不[会能是可好要用]|有没有|不锈钢|不足|不便|无限|无人机|无所谓"
)
# To advise waiting is to advise against it.
_HAN_ADVISES_NOT = re.compile(
    "(?:建议|推荐|最好)(?=.{0,4}?(?:观望|避免|暂缓|停止|等待|再等|出场|离场))"
)
_HAN_REACH = 5
_HAN_STOP = re.compile("[，。；、！？,;.!?]|但|而是|却")
_OPENING = r"^\W*(?:well|so|in short|short answer|answer|the answer is)?\W*"
_STANCE = re.compile(
    _OPENING + r"(?:"
    r"(?P<no>(?:no|nope|nah)(?=\s*(?:[.,;:!—–-]|$)|\s+(?:it|they|there|you|we|he|she|i|this|that|the|a|an|in|on)\b)|"
    r"incorrect|false|wrong|not (?:really|at all|entirely|quite|necessarily|"
    r"yet|exactly|anymore)|(?:definitely|absolutely|certainly|probably|surely|of course|"
    r"unfortunately|most likely|likely|generally) not|hardly|unlikely|i (?:do not|don't) think so|"
    r"(?:it|they|that|this|you|we|he|she|there|one) (?:certainly |definitely |probably |really )?"
    r"(?:isn't|aren't|can't|cannot|doesn't|don't|won't|wasn't|weren't|hasn't|haven't|shouldn't|"
    r"couldn't|wouldn't|didn't|(?:is|are|can|does|do|will|was|were|has|have|should|could|would|"
    r"did) not)(?=\s*(?:[.,;:!]|$))|"
    r"(?:it|that|this)(?:'s| is| seems| looks| appears) (?:very |highly |rather |quite |most )?"
    r"(?:unlikely|doubtful|improbable|impossible|untrue|false|incorrect|not (?:likely|"
    r"possible|true|"
    r"the case|correct)))\b|"
    r"(?P<yes>yes|yeah|yep|yup|correct|true|certainly|absolutely|definitely|indeed|of course|right|"
    r"sure|exactly|affirmative|probably(?: yes| so)?(?=\s*(?:[.,;:!]|$))|i think so|i believe so|"
    r"(?:it|they|that|this|you|we|he|she|there|one) (?:certainly |definitely |probably |really )?"
    r"(?:is|are|can|does|do|will|was|were|has|have|should|could|would|did)"
    r"(?=\s*(?:[.,;:!]|$))|"
    r"(?:it|that|this)(?:'s| is| seems| looks| appears) (?:very |highly |rather |quite |most )?"
    r"(?:likely|probable|possible|true|correct|the case|certain))(?=\s*(?:[.,;:!]|$))"
    r")(?!\s+(?:one|doubt|matter|longer|more|less|wonder|of the|answer))[\s,.;:!-]*"
)
# A bare verb is a stance only when the sentence stops there: 是 opens many statements.
_HAN_END = r"(?=[，。！；：,.!;:\s]|$)"
_HAN_STANCE = re.compile(
    r"^\W*(?:答案是|答[:：])?\W*(?:"
    rf"(?P<no>不是的|不对|不正确|错误|并非如此|不一定|当然不(?:是|会|能|可以|行)?|绝对不|恐怕不|"
    rf"(?:不|否|非也|不是|不会|不能|不可以|不行|没有|不要|不用|不必|不需要|不可|没办法|无法|不支持|不安全|"
    rf"不适合|不建议|不应该|不需|不宜|不必要|不对|不影响|不同意|不允许|别){_HAN_END})|"
    rf"(?P<yes>是的|对的|没错|正确|当然|(?:是|对|会|能|有|要|可以|可|行|好|应该|需要|必须|支持|安全|适合|建议|同意|"
    rf"允许|会的|能够|可以的|会影响|有的|确实|的确){_HAN_END})"
    r")\W*"
)


@dataclass(frozen=True)
class Reading:
    """How a text takes sides.

    ``stance`` is an opening "yes" (1) or "no" (-1), 0 without one; the other fields are about the
    text after it. ``denials`` counts negators that are not already part of a pole. ``poles`` are
    the sides taken on axes of opposites, turned round where negated, with the words as written.
    """

    stance: int
    rest: str
    denials: int
    poles: tuple[tuple[PoleWord, str], ...]

    @property
    def denies(self) -> bool:
        """Whether the statement is negative; two negations cancel out."""
        return self.denials % 2 == 1

    @cached_property
    def axes(self) -> frozenset[Axis]:
        """The axes that the text touches, on one side or on both."""
        return frozenset(found.axis for found, _ in self.poles)

    @cached_property
    def tone(self) -> int:
        """1 if everything said on axes of tone is bright, -1 if it is dark, else 0."""
        tones = {found.pole for found, _ in self.poles if found.axis.tone}
        return tones.pop() if len(tones) == 1 else 0

    @cached_property
    def sides(self) -> dict[Axis, tuple[int, str]]:
        """The axes on which the text takes exactly one side, with the word that does."""
        taken: dict[Axis, tuple[int, str]] = {}
        undecided: set[Axis] = set()
        for found, word in self.poles:
            known = taken.setdefault(found.axis, (found.pole, word))
            if known[0] != found.pole:
                undecided.add(found.axis)
        return {axis: side for axis, side in taken.items() if axis not in undecided}


@lru_cache(maxsize=8_192)
def read(text: str) -> Reading:
    """Read the polarity of an answer."""
    plain = fold_han(normalise(text))
    opening = _STANCE.match(plain) or _HAN_STANCE.match(plain)
    stance = 0
    if opening:
        stance = 1 if opening["yes"] else -1
        plain = plain[opening.end() :]
    english_denials, english_found = _read_english(_NOT_NEGATING.sub(" ", plain))
    if has_han(plain):
        han_denials, han_found = _read_han(_HAN_NOT_NEGATING.sub("，", plain))
    else:
        han_denials, han_found = 0, []
    return Reading(stance, plain, english_denials + han_denials, (*english_found, *han_found))


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


def _read_english(plain: str) -> tuple[int, list[tuple[PoleWord, str]]]:
    joined = _NEGATOR_PHRASES.sub(lambda match: match[0].replace(" ", "_"), plain)
    words = _WORDS.findall(join_phrases(joined))
    open_negators: list[int] = []
    consumed: set[int] = set()
    negators: set[int] = set()
    poles: list[tuple[PoleWord, str]] = []
    for position, word in enumerate(words):
        if not word[0].isalnum():
            open_negators.clear()
        elif is_negator(word):
            # "nor" repeats a negation; "rather than B" is about B only and leaves the rest stated.
            if word not in _LOCAL_NEGATORS:
                negators.add(position)
            open_negators.append(position)
        elif found := english_poles(word):
            reaching = [at for at in open_negators if position - at <= _REACH]
            if reaching:
                consumed.add(reaching[-1])
                open_negators.remove(reaching[-1])
                found = tuple(map(_turned, found))
                word = f"not {word}"
            poles.extend((pole, word.replace("_", " ")) for pole in found)
    return len(negators - consumed), poles


def _read_han(plain: str) -> tuple[int, list[tuple[PoleWord, str]]]:
    plain = _HAN_ADVISES_NOT.sub("不建议", plain)
    negators = {match.span() for match in HAN_NEGATOR.finditer(plain)}
    consumed: set[tuple[int, int]] = set()
    poles: list[tuple[PoleWord, str]] = []
    for position, word, found in han_poles(plain):
        # 無罪 and 非法 are poles of their own; their first character is not a negator.
        consumed |= {span for span in negators if position <= span[0] < position + len(word)}
        before = sorted(_reaching(plain, negators - consumed, position))
        if before:
            consumed.add(before[-1])
            phrase = plain[before[-1][0] : position + len(word)]
            poles.extend((_turned(pole), phrase) for pole in found)
        else:
            poles.extend((pole, word) for pole in found)
    return len(negators - consumed), poles


def _reaching(
    plain: str, negators: set[tuple[int, int]], position: int
) -> Iterator[tuple[int, int]]:
    for start, end in negators:
        between = plain[end:position]
        if end <= position and len(between) <= _HAN_REACH and not _HAN_STOP.search(between):
            yield start, end


def _turned(found: PoleWord) -> PoleWord:
    pole: Pole = 1 if found.pole == -1 else -1
    return found._replace(pole=pole)
