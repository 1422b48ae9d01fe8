"""What the guards and the similarity need to know of one text, worked out once; pure.

Answers are compared pairwise, so whatever depends on one text alone is kept: sixteen answers have
120 pairs but only sixteen analyses. A text is freed of its markup and cut into sentences, because
one sentence of a long answer may contradict one of the other while the rest agrees.
"""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from zlib import crc32

from inference.antonyms import english_poles, han_poles
from inference.double_negation import affirmed
from inference.invisible import visible
from inference.language import HAN
from inference.lexicon import concepts, fold_han, lemmas, nearby, opposites
from inference.moments import Moment, split_moments
from inference.numerals import quantities
from inference.polarity import HAN_NEGATOR, Reading, is_negator, read
from inference.quantity import Quantity
from inference.wording import FUNCTION_WORDS, has_han, normalise

_MASK_BITS = 1024
_VERDICT_UNITS_MAX = 2
_STANCE_UNITS_MAX = 6  # "The short answer is: No."
# What a chatting model opens with; it is no yes.
_PLEASANTRY = re.compile(
    r"^\W*(?:sure|certainly|of course|great question|good question|happy to help)!\s+(?=\S)",
    re.IGNORECASE,
)
_CODE_FENCE = re.compile(r"```[\w+-]*\n?")
_LIST_MARK = re.compile(r"(?m)^[^\S\n]*(?:[-*+•]|\d{1,2}[.)、]|#{1,6})\s+")
# 1. … 2. … in one line is a list too, but "exit 7. The police" is none.
_INLINE_LIST_MARK = re.compile(r"(?:(?<=[:：;；。\s])|^)(\d{1,2})[.)、]\s+(?=\D)")
_MARKUP = re.compile(r"[*_`~]{1,3}(?=\S)|(?<=\S)[*_`~]{1,3}")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
_SENTENCE_END = re.compile(
    r"(?<=[!?;])\s+|(?<=[^\d\s.]{2}\.)\s+(?=[^a-z])|(?<=\d\.)\s+(?=[A-Z])|(?<=[！？。；])|\n+"
)
PIECES_MAX = 128
"""Sentences of an answer, and clauses of a sentence, that are looked at one by one."""
_WORD = re.compile(r"[^\W_]+(?:['’.&-][^\W_]+)*|%")
_CLAUSE_END = re.compile(
    r"[,，;；:：、](?!\d)|\s(?:and|but|while|whereas|although|though|because|since|so|which|yet)\s(?!\w+\s*$)|"
    r"\s[-–—]\s|而且|並且|并且|但是|不過|不过|但"
)
_TOKEN = re.compile(rf"[{HAN}]|#|[^\W_{HAN}]+(?:['’.&-][^\W_{HAN}]+)*")
_ARTICLES = re.compile(r"\b(?:the|an?)\b")
_HAN_RUN = re.compile(f"[{HAN}]+")
# Characters that hold a sentence together; their absence is no difference in meaning.
HAN_FUNCTION = frozenset(
    "的了是在为与和及或而也都就这那它他她我你会将把于之其个吗呢吧啊所以因此则已着被"
)
HAN_FUNCTION_WORDS = re.compile(
    "答案|应该|可以|就是|因为|所以|由于|这个|那个|一个|它们|他们|我们|以及|或者|并且|如果|目前|现在|"
    "大约|大概|约为|约|左右|总共|共有|一共|属于|进行|来说|来看|通常|一般"
)


@dataclass(frozen=True, eq=False)
class Part:
    """A sentence, or a whole text, and what was read in it.

    ``plain`` is normalised, folded to simplified characters and without markup; ``written`` is the
    same with the characters as they came, so places in both are the same. ``words`` are the
    content words in order, lower case, without numbers; ``ordered`` also has the function words.
    ``han`` is the folded Chinese text, runs joined by spaces, without negators and the characters
    that only hold it together.
    """

    text: str
    written: str
    plain: str
    quantities: tuple[Quantity, ...]
    moments: tuple[Moment, ...]
    timeless: str
    """``plain`` with moments blanked; the numbers' places refer to it."""
    bare: str
    """``plain`` with moments and numbers blanked."""

    @cached_property
    def clauses(self) -> tuple["Part", ...]:
        """The pieces between commas and conjunctions that have content; itself if only one."""
        pieces = [piece for piece in _CLAUSE_END.split(self.text) if re.search(r"\w", piece)]
        return tuple(map(_part, _bounded(pieces))) if len(pieces) > 1 else (self,)

    @cached_property
    def affirmed(self) -> str:
        """``plain`` without negations that cancel each other."""
        return affirmed(self.plain)

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """Words in order without articles, numbers as ``#``, Han characters one by one."""
        return tuple(_TOKEN.findall(_ARTICLES.sub(" ", _mark_numbers(self))))

    @cached_property
    def reading(self) -> Reading:
        """Polarity; numbers and moments have none."""
        return read(self.text)

    @cached_property
    def ordered(self) -> tuple[str, ...]:
        found = (match[0].replace("’", "'") for match in _WORD.finditer(_without_han(self.bare)))
        return tuple(word.removesuffix("'s") for word in found)

    @cached_property
    def words(self) -> tuple[str, ...]:
        return tuple(
            word
            for word in self.ordered
            if word not in FUNCTION_WORDS and not is_negator(word) and word != "%"
        )

    @cached_property
    def word_set(self) -> frozenset[str]:
        return frozenset(self.words)

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each content word stands that occurs only once."""
        counts = Counter(self.words)
        return {word: at for at, word in enumerate(self.words) if counts[word] == 1}

    @cached_property
    def mask(self) -> int:
        """A bit for the dictionary form of each content word and for each pair of Han characters.

        Two masks share about as many bits as the texts share words, and cost nothing to compare.
        """
        keys = {min(lemmas(word)) for word in self.words} | self.han_pairs
        mask = 0
        for key in keys:
            mask |= 1 << crc32(key.encode()) % _MASK_BITS
        return mask

    @cached_property
    def mask_bits(self) -> int:
        """How many bits of the mask are set."""
        return self.mask.bit_count()

    @cached_property
    def concepts(self) -> frozenset[str]:
        """Concepts of all content words."""
        return frozenset().union(*map(concepts, self.words))

    @cached_property
    def nearby(self) -> frozenset[str]:
        """Concepts of all content words and what is near them."""
        return frozenset().union(*map(nearby, self.words))

    @cached_property
    def besides_poles(self) -> frozenset[str]:
        """Dictionary forms and pairs of characters, without the words for a side of an axis."""
        words = {min(lemmas(word)) for word in self.words if not english_poles(word)}
        han = self.han
        for _, word, _ in reversed(han_poles(han)):
            han = han.replace(word, " ")
        return frozenset(words) | {
            run[i : i + 2] for run in han.split() for i in range(max(1, len(run) - 1))
        }

    @cached_property
    def opposites(self) -> frozenset[str]:
        """Dictionary forms of antonyms of the content words."""
        return frozenset().union(*map(opposites, self.words))

    @cached_property
    def lemmas(self) -> frozenset[str]:
        """Dictionary forms of the content words."""
        return frozenset().union(*map(lemmas, self.words))

    @cached_property
    def han(self) -> str:
        folded = " ".join(_HAN_RUN.findall(self.bare))
        folded = HAN_NEGATOR.sub(" ", HAN_FUNCTION_WORDS.sub(" ", folded))
        cut = "".join(" " if character in HAN_FUNCTION else character for character in folded)
        return " ".join(cut.split())

    @cached_property
    def han_pairs(self) -> frozenset[str]:
        """Overlapping pairs of characters; a run of one character stands for itself."""
        return frozenset(
            run[i : i + 2] for run in self.han.split() for i in range(max(1, len(run) - 1))
        )

    @cached_property
    def han_characters(self) -> frozenset[str]:
        return frozenset(self.han) - {" "}


@dataclass(frozen=True, eq=False)
class Analysis:
    """A text as a whole, and its sentences (itself, if it is only one); ``text`` as it came."""

    text: str
    whole: Part
    sentences: tuple[Part, ...]

    @cached_property
    def place(self) -> str:
        """What answers are put in order by: the same in both scripts."""
        return fold_han(self.text)

    def as_written(self, words: str) -> str:
        """Words that were read in this text with its own characters for simplified ones."""
        return _HAN_RUN.sub(lambda run: self._characters(run[0]), words)

    def _characters(self, run: str) -> str:
        plain, written = self.whole.plain, self.whole.written
        if run in written:
            return run
        start = plain.find(run)
        if start >= 0:
            return written[start : start + len(run)]
        # Gathered from several places: character by character.
        places = ((character, plain.find(character)) for character in run)
        return "".join(written[at] if at >= 0 else character for character, at in places)

    @cached_property
    def sentence_tokens(self) -> frozenset[tuple[str, ...]]:
        """What each sentence consists of."""
        return frozenset(sentence.tokens for sentence in self.sentences)

    @property
    def is_han(self) -> bool:
        return bool(self.whole.han)


def strip_markup(text: str) -> str:
    """The text without Markdown (emphasis, headings, list marks, code fences, link targets) and
    without a model's "Sure!"."""
    text = _PLEASANTRY.sub("", _CODE_FENCE.sub("", text))
    text = _LINK.sub(r"\1", text)
    if {"1", "2"} <= {match[1] for match in _INLINE_LIST_MARK.finditer(text)}:
        text = _INLINE_LIST_MARK.sub("", text)
    text = _LIST_MARK.sub("", text)
    return _MARKUP.sub("", text)


@lru_cache(maxsize=4_096)
def analyse(text: str) -> Analysis:
    """Analyse a text; the result is kept, as answers are compared with many others."""
    bare = strip_markup(visible(text))  # "n\u200bot" reads as "not"
    pieces = [piece.strip() for piece in _SENTENCE_END.split(bare) if re.search(r"\w", piece)]
    pieces = _bounded(_with_verdict(pieces))
    joined = " ".join(bare.split())
    whole = _part(joined)
    sentences = tuple(map(_part, pieces)) if len(pieces) > 1 else (whole,)
    return Analysis(text, whole, sentences)


def _bounded(pieces: list[str]) -> list[str]:
    """The last piece is the rest: each is compared with each, and an answer of 16 KiB may have
    thousands."""
    if len(pieces) <= PIECES_MAX:
        return pieces
    return [*pieces[: PIECES_MAX - 1], " ".join(pieces[PIECES_MAX - 1 :])]


def _with_verdict(pieces: list[str]) -> list[str]:
    """The sentences, the first one joined with the second if it is a mere verdict: "Sell.", "漲。".

    By itself it would have no counterpart in an answer that says the same in one sentence.
    """
    if len(pieces) < 2:
        return pieces
    first, second, *rest = pieces
    words = len(_WORD.findall(_HAN_RUN.sub(" ", first)))
    characters = sum(map(len, _HAN_RUN.findall(first)))
    longest = _STANCE_UNITS_MAX if read(first).stance else _VERDICT_UNITS_MAX
    if words + characters > longest:
        return pieces
    return [f"{first} {second}", *rest]


@lru_cache(maxsize=16_384)
def _part(text: str) -> Part:
    written = normalise(text)
    plain = fold_han(written)
    moments, timeless = split_moments(plain)
    # The one word that must be seen as it was written: 四週 is no 四周.
    numbers = tuple(quantities(timeless if "週" not in written else _masked(written, timeless)))
    bare = timeless if len(timeless) == len(normalise(timeless)) else normalise(timeless)
    for number in reversed(numbers):
        bare = f"{bare[: number.start]} {bare[number.end :]}"
    return Part(text, written, plain, numbers, tuple(moments), timeless, bare)


def _masked(written: str, timeless: str) -> str:
    """The text with the spaces that are in the other one."""
    return "".join(" " if b == " " else a for a, b in zip(written, timeless, strict=True))


def _mark_numbers(part: Part) -> str:
    timeless = part.timeless
    for number in reversed(part.quantities):
        timeless = f"{timeless[: number.start]} # {timeless[number.end :]}"
    return timeless


def _without_han(text: str) -> str:
    return _HAN_RUN.sub(" ", text) if has_han(text) else text
