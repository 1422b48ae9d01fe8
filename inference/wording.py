"""The words of an answer, and which of them the question did not already contain; pure.

An answer is read in the light of its question: of "The capital of France is Paris." only "Paris"
is new. That part is the *core*. Chinese is not written with spaces, so there a run of characters
counts as its overlapping pairs, after the characters that only hold a sentence together are cut
out.
"""

import re
import unicodedata
from hashlib import sha256

from inference.language import HAN
from inference.lexicon import fold_han

_TOKEN = re.compile(rf"[{HAN}]+|[^\W_]+(?:[.,][0-9]+)*(?:['’][^\W\d_]+)?")
_IS_HAN = re.compile(f"[{HAN}]")


def listed(words: str) -> tuple[str, ...]:
    """Words of a table, written as one string of words separated by spaces."""
    return tuple(words.split())


FUNCTION_WORDS = frozenset(
    listed(
        "a an the this that these those it its it's there here he she they we you i his her their "
        "our your my me him them us who whom whose which what when where why how is are was were "
        "be been being am do does did done has have had having will would shall should can could "
        "may might must of in on at by for from to with as into about over under between and or "
        "but so if then than also too very just only such same own s t re ve ll d m yes no not "
        "answer called known named"
    )
)
# Longest first: they are cut out of a run of Han characters in this order.
_FUNCTION_HAN = (
    "答案|應該|应该|可以|就是|因為|因为|所以|這個|这个|那個|那个|一個|一个|它們|它们|他們|他们|我們|我们|"
    "以及|或者|並且|并且|"
    "[是的了在為为與与和及或而也都就這这那它他她我你有會会將将被把於于之其個个嗎吗呢吧啊位叫做]"
)
_HAN_BREAK = re.compile(_FUNCTION_HAN)

# A numeral longer than anybody means: arithmetic on it takes long, and Python refuses it.
_HAN_DIGIT = "[零〇一二三四五六七八九十百千万萬亿億]"
# Only from the start of a run: from each of its places it would take the square of its length.
_OVERLONG = re.compile(
    rf"(?<![\d,.])([\d,.]{{60}})([\d,.]*\d)|(?<!{_HAN_DIGIT})({_HAN_DIGIT}{{60}})({_HAN_DIGIT}+)"
)

_DECIMALS = {
    "½": ".5", "¼": ".25", "¾": ".75", "⅕": ".2", "⅖": ".4", "⅗": ".6", "⅘": ".8",
    "⅛": ".125", "⅜": ".375", "⅝": ".625", "⅞": ".875", "⅒": ".1",
}  # fmt: skip
_VULGAR = re.compile(r"(?:(?P<whole>\d+)[ \u00a0\u202f]?)?(?P<part>[¼-¾⅐-⅞↉])")

_SUFFIXES = ("ingly", "edly", "ing", "ies", "ied", "ed", "es", "ly", "s")


def normalise(text: str) -> str:
    """Compatibility form (full-width becomes ASCII), lower case, straight apostrophes."""
    text = _VULGAR.sub(_decimal, text) if not text.isascii() else text
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _OVERLONG.sub(_shortened, folded).replace("’", "'").replace("‘", "'")


def _decimal(match: re.Match[str]) -> str:
    """3½ as 3.5; the compatibility form would be 31⁄2."""
    whole, part = match["whole"] or "", _DECIMALS.get(match["part"])
    return f"{whole or 0}{part}" if part else f"{whole} {match['part']}"


def _shortened(match: re.Match[str]) -> str:
    """Its end becomes a few digits that tell it from every other end: numerals that differ there
    are still different."""
    start, rest = (match[1], match[2]) if match[1] else (match[3], match[4])
    tail = int.from_bytes(sha256(rest.encode()).digest()[:8])
    return start + (
        str(tail) if match[1] else "".join("零一二三四五六七八九"[int(d)] for d in str(tail))
    )


def words(text: str) -> list[str]:
    """Words of a text in order, normalised, function words included; Han runs whole."""
    return [match[0] for match in _TOKEN.finditer(normalise(text))]


def stem(word: str) -> str:
    """Cut the commonest English endings: enough to match "rises" with "rise", no more."""
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            cut = word[: -len(suffix)]
            return cut + "y" if suffix in ("ies", "ied") else cut.rstrip("e")
    return word.rstrip("e") if len(word) > 3 else word


def content_terms(text: str) -> list[str]:
    """Stems of content words, and pairs of folded Han characters, in order, with repetitions."""
    terms: list[str] = []
    for word in words(fold_han(text)):
        if _IS_HAN.match(word):
            for run in _HAN_BREAK.sub(" ", word).split():
                terms.extend(run[i : i + 2] for i in range(max(1, len(run) - 1)))
        elif word not in FUNCTION_WORDS and word.split("'")[0] not in FUNCTION_WORDS:
            terms.append(stem(word.removesuffix("'s")))
    return terms


def core_terms(question: str, answer: str) -> frozenset[str]:
    """Content terms of the answer that the question does not contain."""
    return frozenset(content_terms(answer)) - frozenset(content_terms(question))


ALIGNED_TOKENS_MAX = 600
"""Sentences of more tokens are not laid beside each other token by token: that takes the square of
their length."""


class Spotter:
    """A pattern that is looked for only in texts with one of its key words, which costs a hundredth
    of a search. Every match must contain one of them."""

    def __init__(self, keys: str, pattern: str) -> None:
        """``keys`` are separated by spaces."""
        self._keys = listed(keys)
        self.pattern = re.compile(pattern)

    def search(self, text: str) -> re.Match[str] | None:
        """The first match."""
        if not any(key in text for key in self._keys):
            return None
        return self.pattern.search(text)

    def findall(self, text: str) -> tuple[str, ...]:
        """What matches, whole."""
        if not any(key in text for key in self._keys):
            return ()
        return tuple(match[0] for match in self.pattern.finditer(text))


def has_han(text: str) -> bool:
    """Whether any character of the text is Chinese."""
    return _IS_HAN.search(text) is not None
