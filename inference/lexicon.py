"""What two words have to do with each other: the same, synonyms, antonyms, siblings; pure.

English comes from WordNet 3.0 (Miller 1995), cut to common words by ``tools/make_lexicon.py``.
WordNet says which words share a sense, which are antonyms, and which have one hypernym ("gold" and
"silver" are metals). It also brings irregular forms, so that "sold" is found under "sell". Han
characters are folded to their simplified forms with OpenCC's table, so that both scripts meet.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache, lru_cache
from importlib.resources import files

_SUFFIXES: tuple[tuple[str, str, str], ...] = (
    # part of speech, ending, replacement (Morphy's rules of detachment)
    ("n", "ies", "y"),
    ("n", "ses", "s"),
    ("n", "xes", "x"),
    ("n", "ches", "ch"),
    ("n", "shes", "sh"),
    ("n", "s", ""),
    ("v", "ies", "y"),
    ("v", "es", "e"),
    ("v", "es", ""),
    ("v", "s", ""),
    ("v", "ed", "e"),
    ("v", "ed", ""),
    ("v", "ied", "y"),
    ("v", "ing", "e"),
    ("v", "ing", ""),
    ("a", "er", ""),
    ("a", "est", ""),
    ("a", "er", "e"),
    ("a", "est", "e"),
    ("a", "ier", "y"),
    ("a", "iest", "y"),
    ("r", "ly", ""),
    ("r", "ily", "y"),
)
_NEGATIVE_PREFIXES = ("un", "in", "im", "il", "ir", "dis", "non", "mis", "de", "anti")
_BRITISH = re.compile(
    r"is(?=(?:e|es|ed|ing|ation|ations)$)|(?<=\w{2})our(?=s?$|ed$|ing$|able$|ite$)"
)
_DERIVED_SHARE_PERCENT = 60
_DERIVED_LETTERS_MIN = 5


class Relation(IntEnum):
    """How two words are related; the greater, the nearer."""

    ANTONYM = -1
    NONE = 0
    SIBLING = 1
    NEAR = 2
    SYNONYM = 3
    SAME = 4


@dataclass(slots=True)
class _Tables:
    senses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    hypernym: dict[str, str] = field(default_factory=dict)
    head: dict[str, str] = field(default_factory=dict)
    antonyms: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    irregular: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


@cache
def _tables() -> _Tables:
    tables = _Tables()
    text = (files("inference") / "data" / "wordnet.tsv").read_text(encoding="ascii")
    for line in text.splitlines():
        mark, _, rest = line.partition(" ")
        fields = rest.split(" ")
        if mark == "w":
            tables.senses[fields[0]] = tuple(fields[1:])
        elif mark == "h":
            tables.hypernym[fields[0]] = fields[1]
        elif mark == "s":
            tables.head[fields[0]] = fields[1]
        elif mark == "a":
            tables.antonyms[fields[0]].add(fields[1])
            tables.antonyms[fields[1]].add(fields[0])
        elif mark == "x":
            tables.irregular[fields[0]].add(fields[1])
    return tables


@lru_cache(maxsize=65_536)
def lemmas(word: str) -> frozenset[str]:
    """The dictionary forms that a lower-case word may be a form of; itself if it is unknown."""
    tables = _tables()
    found = set(tables.irregular.get(word, ()))
    if word in tables.senses:
        found.add(word)
    for part, ending, replacement in _SUFFIXES:
        if word.endswith(ending) and len(word) > len(ending) + 1:
            stem = word[: -len(ending)]
            candidates = [stem + replacement]
            if not replacement and len(stem) > 2 and stem[-1] == stem[-2]:
                candidates.append(stem[:-1])  # stopped
            found.update(
                candidate
                for candidate in candidates
                if any(sense[0] == part for sense in tables.senses.get(candidate, ()))
            )
    if word.endswith("ly") and word[:-2] in tables.senses:
        found.add(word[:-2])
    if not found:
        american = _american(word)
        return lemmas(american) if american != word else frozenset({word})
    return frozenset(found)


def _american(word: str) -> str:
    """The spelling that WordNet has for "utilised" or "colour"."""
    return _BRITISH.sub(lambda match: "iz" if match[0] == "is" else "or", word)


@lru_cache(maxsize=65_536)
def relation(a: str, b: str) -> Relation:
    """How two lower-case English words are related, in any of their forms and common senses."""
    if a > b:
        return relation(b, a)
    forms_a, forms_b = lemmas(a), lemmas(b)
    if forms_a & forms_b:
        return Relation.SAME
    if _are_antonyms(forms_a, forms_b):
        return Relation.ANTONYM
    tables = _tables()
    senses_a = [sense for form in sorted(forms_a) for sense in tables.senses.get(form, ())]
    senses_b = [sense for form in sorted(forms_b) for sense in tables.senses.get(form, ())]
    if set(senses_a) & set(senses_b):
        return Relation.SYNONYM
    above_a = {tables.hypernym.get(sense) for sense in senses_a} - {None}
    above_b = {tables.hypernym.get(sense) for sense in senses_b} - {None}
    heads_a = {tables.head.get(sense, sense) for sense in senses_a if sense[0] == "a"}
    heads_b = {tables.head.get(sense, sense) for sense in senses_b if sense[0] == "a"}
    if above_a & set(senses_b) or above_b & set(senses_a) or heads_a & heads_b or _derived(a, b):
        return Relation.NEAR
    # Verbs have few and wide hypernyms: "use" and "run" exclude each other no more than "go".
    shared = {sense for sense in above_a & above_b if sense is not None and sense[0] == "n"}
    return Relation.SIBLING if shared else Relation.NONE


def is_known(word: str) -> bool:
    """Whether WordNet's table has the word in some form."""
    return any(form in _tables().senses for form in lemmas(word))


def _are_antonyms(forms_a: frozenset[str], forms_b: frozenset[str]) -> bool:
    antonyms = _tables().antonyms
    if any(antonyms.get(form, frozenset()) & forms_b for form in forms_a):
        return True
    return any(_negates(x, y) or _negates(y, x) for x in forms_a for y in forms_b)


def _negates(longer: str, word: str) -> bool:
    """Whether ``longer`` is the word behind a negative prefix, or "-less" against "-ful"."""
    if len(word) >= 4 and any(longer == prefix + word for prefix in _NEGATIVE_PREFIXES):
        return is_known(word)
    return (
        longer.endswith("less")
        and len(longer) > 7
        and word in (longer[:-4], longer[:-4] + "ful", longer[:-4] + "y")
    )


def _derived(a: str, b: str) -> bool:
    """Whether the words begin alike for most of their length: "recycle" and "recyclable"."""
    common = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        common += 1
    longer = max(len(a), len(b))
    return common >= _DERIVED_LETTERS_MIN and 100 * common >= _DERIVED_SHARE_PERCENT * longer


@cache
def _folding() -> dict[int, int]:
    text = (files("inference") / "data" / "han-folding.txt").read_text(encoding="utf-8")
    _, traditional, simplified = text.splitlines()
    return {ord(a): ord(b) for a, b in zip(traditional, simplified, strict=True)}


def fold_han(text: str) -> str:
    """The text with simplified characters in place of traditional ones; as long as before."""
    return text if text.isascii() else text.translate(_folding())


@lru_cache(maxsize=65_536)
def concepts(word: str) -> frozenset[str]:
    """Dictionary forms and common senses of a word; synonyms have one in common."""
    forms = lemmas(word)
    senses = _tables().senses
    return forms.union(*(senses.get(form, ()) for form in forms))


@lru_cache(maxsize=65_536)
def nearby(word: str) -> frozenset[str]:
    """The word's concepts, with their hypernyms, adjective heads and the first letters."""
    tables = _tables()
    own = concepts(word)
    above = {tables.hypernym[sense] for sense in own if sense in tables.hypernym}
    heads = {tables.head[sense] for sense in own if sense in tables.head}
    # Derived words begin alike: "recycle" and "recyclable".
    beginnings = {f"{form[:6]}-" for form in lemmas(word) if len(form) >= 6}
    return own | above | heads | beginnings


@lru_cache(maxsize=65_536)
def opposites(word: str) -> frozenset[str]:
    """Dictionary forms of the word's antonyms, by WordNet and by negative prefixes."""
    antonyms = _tables().antonyms
    found: set[str] = set()
    for form in lemmas(word):
        found |= antonyms.get(form, set())
        for prefix in _NEGATIVE_PREFIXES:
            bare = form.removeprefix(prefix)
            if bare != form and len(bare) >= 4 and is_known(bare):
                found.add(bare)
            if len(form) >= 4 and is_known(prefix + form):
                found.add(prefix + form)
        if form.endswith("less") and len(form) > 7:
            found |= {form[:-4], form[:-4] + "ful", form[:-4] + "y"}
        elif form.endswith("ful") and len(form) > 6:
            found.add(form[:-3] + "less")
    return frozenset(found)
