"""Names in answers, and whether two answers name different things; pure.

English marks names by capitals, but also every first word. A first word counts as a name only if
the rest of its sentence is taken from the question, so "Lyon is the capital of France" names Lyon
and "Water boils at 100 °C" names nothing. Chinese marks nothing, so there a name is what a
question for a name ("誰", "哪裡", "首都") gets as its whole core.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from inference.language import HAN
from inference.lexicon import fold_han
from inference.wording import (
    FUNCTION_WORDS,
    content_terms,
    core_terms,
    has_han,
    listed,
    normalise,
    stem,
)

_SENTENCE = re.compile(r"[^.!?。！？\n]+(?:\.(?=\w)[^.!?。！？\n]+)*")
_WORD = re.compile(r"[^\W_]+(?:['’.&-][^\W_]+)*")
_NORMALISED_WORD = re.compile(r"[^\W_]+(?:['.&-][^\W_]+)*")
_DEGREES = re.compile(r"°\s*[CF]\b")
_ANSWER_WORDS_MAX = 40
_SHORT_WORDS_MAX = 14
_ALIASES = (
    frozenset(
        {"us", "usa", "u.s", "u.s.a", "united states", "united states of america", "america"}
    ),
    frozenset({"uk", "u.k", "united kingdom", "britain", "great britain"}),
    frozenset({"eu", "european union"}),
    frozenset({"un", "united nations"}),
    frozenset({"bitcoin", "btc"}),
    frozenset({"ethereum", "eth", "ether"}),
    frozenset({"fed", "federal reserve"}),
    frozenset({"facebook", "meta"}),
    frozenset({"google", "alphabet"}),
    frozenset({"twitter", "x"}),
    frozenset({"czechia", "czech republic"}),
    frozenset({"holland", "netherlands", "dutch"}),
    frozenset({"france", "french"}),
    frozenset({"greece", "greek"}),
    frozenset({"spain", "spanish"}),
    frozenset({"wales", "welsh"}),
    frozenset({"denmark", "danish"}),
    frozenset({"switzerland", "swiss"}),
    frozenset({"england", "english"}),
    frozenset({"ireland", "irish"}),
    frozenset({"turkey", "turkish", "türkiye"}),
    frozenset({"germany", "german"}),
    frozenset({"europe", "european"}),
)
# "Chile" and "Chilean", "Italy" and "Italian": the end of a country's name before its adjective's.
_ADJECTIVE_OF_NAME = re.compile(r"(?:n|an|ian|vian|ean|ese|ish|i|ic|er)$")
_SHARED_STEM_MIN = 4
# First words of orders, which are capitalised like names: "Run git reset".
_ORDERS = frozenset(
    listed(
        "use run add put take make write keep check try set open type call press click choose "
        "select install remove turn start stop create delete go divide multiply store enter"
    )
)
# Calendar names are compared as numbers; the others are not names.
_NOT_NAMES = frozenset(
    listed(
        "january february march april may june july august september october november december "
        "monday tuesday wednesday thursday friday saturday sunday yes no true false celsius "
        "et est edt pst pdt utc gmt cet qu "
        "usd eur gbp chf jpy cny twd ntd hkd krw inr "
        "fahrenheit i ok mr mrs dr bc ad bce ce am pm however therefore because although"
    )
)
_ASKS_FOR_NAME = re.compile(
    "誰|谁|哪|何處|何处|何地|首都|什麼名|什么名|叫什麼|叫什么|什麼地方|什么地方"
)
_HAN_RUN = re.compile(f"[{HAN}]+")
_ASKS_FOR_THING = re.compile("什麼|什么|甚麼|何種|何种")
_HAN_NAME_MAX = 8
_HAN_THING_MAX = 4
_HAN_PLACES = frozenset("前後后先上下左右內内外")


def names(question: str, answer: str) -> frozenset[str]:
    """Names in an English answer that the question does not contain, lower case, as spans."""
    asked = frozenset(content_terms(question))
    found: set[str] = set()
    for sentence in _SENTENCE.findall(_DEGREES.sub("", answer)):
        tokens = _WORD.findall(sentence)
        lower_rest = [token for token in tokens[1:] if not _capitalised(token)]
        restates = all(
            stem(token.lower()) in asked or token.lower() in FUNCTION_WORDS or token.isdecimal()
            for token in lower_rest
        )
        for span in _spans(sentence):
            opens = sentence.lstrip().startswith(span[0])
            kept = [token for token in span if _could_be_name(token)]
            no_name = not restates or span[0].lower() in _ORDERS
            if opens and len(span) == 1 and no_name and not span[0][1:2].isupper():
                continue
            if kept and not all(stem(token.lower()) in asked for token in kept):
                found.add(" ".join(kept).lower().replace("’", "'").removesuffix("'s"))
    return frozenset(found)


def name_mismatch(question: str, a: str, b: str) -> tuple[str, str] | None:
    """A name of each answer that the other lacks, or None; long answers are never compared."""
    if has_han(a) or has_han(b):
        return _han_mismatch(question, a, b)
    lengths = [len(_WORD.findall(text)) for text in (a, b)]
    if max(lengths) > _ANSWER_WORDS_MAX:
        return None
    names_a, names_b = names(question, a), names(question, b)
    only_a = sorted(name for name in names_a if not _occurs(name, names_b, b))
    only_b = sorted(name for name in names_b if not _occurs(name, names_a, a))
    if not only_a or not only_b:
        return None
    # Answers with a common name add others of their own; only replaced names differ there.
    if len(only_a) < len(names_a) or len(only_b) < len(names_b):
        return None
    return only_a[0], only_b[0]


def _occurs(name: str, others: frozenset[str], text: str) -> bool:
    """Whether the other answer has this name, a part of it, an acronym or a known alias."""
    parts = set(name.split())
    # The last word of a name is the one that a shorter form keeps ("Einstein").
    if name.split()[-1] in _NORMALISED_WORD.findall(normalise(text)):
        return True
    return any(
        set(other.split()) <= parts
        or other.rstrip("s") == name.rstrip("s")
        or _acronyms(name, other)
        or _aliases(name, other)
        for other in others
    )


def are_one_name(a: str, b: str) -> bool:
    """Whether two names in lower case are one: a part of the other, an acronym, a known alias."""
    parts_a, parts_b = set(a.split()), set(b.split())
    if a.rstrip("s") == b.rstrip("s"):
        return True
    return parts_a <= parts_b or parts_b <= parts_a or _acronyms(a, b) or _aliases(a, b)


def _acronyms(a: str, b: str) -> bool:
    short, long = sorted((a, b), key=lambda name: len(name.split()))
    letters = short.replace(".", "")
    initials = "".join(word[0] for word in long.split() if word not in FUNCTION_WORDS)
    return len(letters) >= 2 and letters == initials


def _aliases(a: str, b: str) -> bool:
    if any(a in group and b in group for group in _ALIASES):
        return True
    short, long = sorted((a, b), key=len)
    shared = next(
        (at for at, (x, y) in enumerate(zip(short, long, strict=False)) if x != y), len(short)
    )
    return (
        shared >= _SHARED_STEM_MIN
        and shared >= len(short) - 1
        and _ADJECTIVE_OF_NAME.fullmatch(long[shared:]) is not None
    )


def _capitalised(token: str) -> bool:
    return token[0].isupper()


def _could_be_name(token: str) -> bool:
    lower = token.lower()
    if len(token) > 1 and token.isupper() and lower not in _NOT_NAMES:
        return True  # US is a name, us is not
    return lower not in FUNCTION_WORDS and lower not in _NOT_NAMES


def _spans(sentence: str) -> Iterator[list[str]]:
    """Runs of capitalised words that nothing but a space separates; "of" may join them."""
    span: list[str] = []
    end = -1
    for match in _WORD.finditer(sentence):
        adjacent = not sentence[end : match.start()].strip() if end >= 0 else True
        if span and not adjacent:
            yield span
            span = []
        if _capitalised(match[0]) and (span or _could_be_name(match[0])):
            span.append(match[0])
        elif span:
            yield span
            span = []
        end = match.end()
    if span:
        yield span


def _han_mismatch(question: str, a: str, b: str) -> tuple[str, str] | None:
    """Different cores in answers to a Chinese question for a name."""
    if not (has_han(a) and has_han(b)):
        return None
    question, a, b = map(fold_han, (question, a, b))
    # What "什麼" asks for is often a whole clause; only a short one is a name.
    if _ASKS_FOR_NAME.search(question):
        longest = _HAN_NAME_MAX
    elif _ASKS_FOR_THING.search(question):
        longest = _HAN_THING_MAX
    else:
        return None
    core_a, core_b = (_han_core(question, text) for text in (a, b))
    if not core_a or not core_b or max(len(core_a), len(core_b)) > longest:
        return None
    asked = set(normalise(question))
    if all(
        core not in "".join(c for c in normalise(text) if c not in asked)
        for core, text in ((core_a, a), (core_b, b))
    ):
        return None  # gathered from several places: no name
    if _HAN_PLACES.issuperset(core_a + core_b):
        return None  # "A 在 B 之前" is what "B 在 A 之後" says
    # 淡水河 and 濁水溪 have a character in common, 莎士比亞 and 威廉·莎士比亞 a pair of them.
    if core_a in core_b or core_b in core_a or _pairs(core_a) & _pairs(core_b):
        return None
    return core_a, core_b


def _pairs(text: str) -> set[str]:
    return {text[i : i + 2] for i in range(len(text) - 1)}


def _han_core(question: str, answer: str) -> str:
    """The characters of the pairs that only the answer has, in order; empty if there are none."""
    core = core_terms(question, answer)
    asked = set(normalise(question))
    characters: list[str] = []
    for run in _HAN_RUN.findall(normalise(answer)):
        for pair in content_terms(run):
            if pair in core:
                characters.extend(
                    c for c in pair if c not in asked and (not characters or characters[-1] != c)
                )
    return "".join(characters)


@lru_cache(maxsize=8_192)
def capitalised_names(text: str) -> frozenset[str]:
    """Capitalised words that do not merely open a sentence, lower case; acronyms included."""
    found: set[str] = set()
    for sentence in _SENTENCE.findall(fold_han(text)):
        tokens = _WORD.findall(sentence)
        for at, token in enumerate(tokens):
            acronym = len(token) > 1 and token.isupper()
            if _capitalised(token) and (at > 0 or acronym) and _could_be_name(token):
                found.add(token.lower().replace("’", "'").removesuffix("'s"))
    return frozenset(found)


@lru_cache(maxsize=8_192)
def opening_names(text: str) -> frozenset[str]:
    """Capitalised first words of sentences, lower case; most of them are no names."""
    found = set()
    for sentence in _SENTENCE.findall(fold_han(text)):
        tokens = _WORD.findall(sentence)
        first = tokens[0] if tokens else ""
        if first and _capitalised(first) and _could_be_name(first) and first.lower() not in _ORDERS:
            found.add(first.lower())
    return frozenset(found)
