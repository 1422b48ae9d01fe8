"""Negation: which words of a text are denied, and whether the text as a whole denies; pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from inference.antonyms import PoleWord, english_pole, han_poles
from inference.wording import content_terms, has_han, listed, normalise

_WORDS = re.compile(r"[^\W_]+(?:'[^\W_]+)?|[,;:.!?，；：。！？、]")
_NEGATORS = frozenset(
    listed("not no never neither nor cannot without hardly barely none nobody nothing nowhere")
)
# "not only A but B" asserts A; "no doubt" affirms; "no matter" is indifferent.
_NOT_NEGATING = re.compile(
    r"\bnot (?:only|just|merely|simply|to mention|least)\b|\bno (?:doubt|matter|wonder|later|"
    r"longer than|more than|less than|fewer than|sooner)\b|\bwithout (?:a )?doubt\b|"
    r"\bwhether or not\b|\bnothing but\b|\bno\.\s*\d"
)
# Words that deny by themselves: "it is impossible to fly" agrees with "it cannot fly".
_DENYING = re.compile(
    r"\b(?:impossible|unable|incapable|fail(?:s|ed)?|lack(?:s|ed|ing)?|refus(?:e|es|ed)|"
    r"avoid(?:s|ed)?|forbidden|prohibited|banned|illegal|false|incorrect|wrong|unlikely|absent|missing)\b|"
    "缺乏|缺少|禁止|拒絕|拒绝|避免|失敗|失败|錯誤|错误"
)
# How far, in words, a negator reaches forward; a comma ends it earlier.
_REACH = 4

_HAN_NEGATOR = re.compile(
    "沒有|没有|不是|不會|不会|不能|不可|不得|不應|不应|並非|并非|絕非|绝非|從未|从未|從不|从不|"
    "無法|无法|[不沒没未勿莫非無无]"
)
_HAN_NOT_NEGATING = re.compile(
    "不但|不僅|不仅|不只|不過|不过|不同|不錯|不错|不斷|不断|不久|差不多|不少|不得不|不論|不论|不管|無論|无论|"
    "無數|无数|非常|除非|未來|未来|是非|非洲|莫斯科|不丹|沒關係|没关系|毫無疑問|毫无疑问|"
    "無疑|无疑|無線|无线|不可或缺|"
    "[會能是可好要]不[會能是可好要]|有沒有|有没有|不銹鋼|不锈钢|不足|不便|無限|无限|無人機|无人机"
)
_HAN_REACH = 5
_HAN_STOP = re.compile("[，。；、！？,;.!?]|但|而是")
_STANCE = re.compile(
    r"^\W*(?:(?P<yes>yes|yeah|yep|correct|true|certainly|absolutely|indeed|of course|right)\b|"
    r"(?P<no>no|nope|incorrect|false|wrong|not really|definitely not|absolutely not)\b)"
    r"(?!\s+(?:one|doubt|matter|longer|more|less|wonder))[\s,.;:!-]*"
)
# A bare verb is a stance only when the sentence stops there: 是 opens many statements.
_HAN_STANCE = re.compile(
    r"^\W*(?:(?P<yes>是的|對的|对的|沒錯|没错|正確|正确|當然|当然|可以|會的|会的|能夠|(?:是|對|对|會|会|能|有)(?=[，。！,.!\s]|$))|"
    r"(?P<no>不是的|不對|不对|不正確|不正确|錯誤|错误|並非如此|并非如此|(?:不|否|不是|不會|不会|不能|不可以|沒有|没有)(?=[，。！,.!\s]|$)))[\W]*"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a text takes sides.

    ``stance`` is an opening "yes" (1) or "no" (-1), 0 without one; the other fields are about the
    text after it. ``denials`` counts negators that are not already part of a pole. ``poles`` are
    the sides taken in pairs of opposites, turned round where negated, with the words as written.
    """

    stance: int
    rest: str
    denials: int
    poles: tuple[tuple[PoleWord, str], ...]

    @property
    def denies(self) -> bool:
        """Whether the statement is negative; two negations cancel out."""
        return self.denials % 2 == 1


def read(text: str) -> Reading:
    """Read the polarity of an answer."""
    plain = normalise(text)
    opening = _STANCE.match(plain) or _HAN_STANCE.match(plain)
    stance = 0
    if opening:
        stance = 1 if opening["yes"] else -1
        plain = plain[opening.end() :]
    english_denials, english_poles = _read_english(_NOT_NEGATING.sub(" ", plain))
    han_denials, han_found = _read_han(_HAN_NOT_NEGATING.sub("，", plain))
    return Reading(stance, plain, english_denials + han_denials, (*english_poles, *han_found))


def denies_by_word(plain: str) -> bool:
    """Whether a normalised text has a word that denies without a negator, such as "unable"."""
    return _DENYING.search(plain) is not None


def shared_terms(a: str, b: str) -> tuple[int, int]:
    """Content terms in both texts, and in the text that has fewer; negators do not count."""
    terms_a, terms_b = (_asserted_terms(text) for text in (a, b))
    return len(terms_a & terms_b), min(len(terms_a), len(terms_b))


def _asserted_terms(text: str) -> frozenset[str]:
    plain = _HAN_NEGATOR.sub(" ", normalise(text)) if has_han(text) else text
    return frozenset(
        term
        for term in content_terms(plain)
        if term not in _NEGATORS and not term.endswith("n't") and term != "never"
    )


def _read_english(plain: str) -> tuple[int, list[tuple[PoleWord, str]]]:
    words = _WORDS.findall(plain)
    open_negators: list[int] = []
    consumed: set[int] = set()
    negators: set[int] = set()
    poles: list[tuple[PoleWord, str]] = []
    for position, word in enumerate(words):
        if not word[0].isalnum():
            open_negators.clear()
        elif word in _NEGATORS or word.endswith("n't"):
            negators.add(position)
            open_negators.append(position)
        elif (found := english_pole(word)) is not None:
            reaching = [at for at in open_negators if position - at <= _REACH]
            if reaching:
                consumed.add(reaching[-1])
                open_negators.remove(reaching[-1])
                found = _turned(found)
                word = f"not {word}"
            poles.append((found, word))
    return len(negators - consumed), poles


def _read_han(plain: str) -> tuple[int, list[tuple[PoleWord, str]]]:
    negators = {match.span() for match in _HAN_NEGATOR.finditer(plain)}
    consumed: set[tuple[int, int]] = set()
    poles: list[tuple[PoleWord, str]] = []
    for position, word, found in han_poles(plain):
        # 無罪 and 非法 are poles of their own; their first character is not a negator.
        consumed |= {span for span in negators if position <= span[0] < position + len(word)}
        before = sorted(_reaching(plain, negators - consumed, position))
        if before:
            consumed.add(before[-1])
            poles.append((_turned(found), plain[before[-1][0] : position + len(word)]))
        else:
            poles.append((found, word))
    return len(negators - consumed), poles


def _reaching(
    plain: str, negators: set[tuple[int, int]], position: int
) -> Iterator[tuple[int, int]]:
    for start, end in negators:
        between = plain[end:position]
        if end <= position and len(between) <= _HAN_REACH and not _HAN_STOP.search(between):
            yield start, end


def _turned(found: PoleWord) -> PoleWord:
    return found._replace(pole=1 if found.pole == -1 else -1)
