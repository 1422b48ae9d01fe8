"""Extract the small table of English words that the guards use from the files of WordNet 3.0.

    python tools/make_lexicon.py /usr/share/wordnet > inference/data/wordnet.tsv

On Debian the files come with the package wordnet-base. The table keeps the words that occur in
WordNet's sense-tagged texts, or that have an antonym, because the guards are about everyday words:

    w <lemma> <sense> …     a word and its commonest senses, each a part of speech and a number
    h <sense> <sense>       the second is the direct hypernym of the first (nouns and verbs)
    s <sense> <sense>       the first adjective is similar to the second, the head of its cluster
    a <lemma> <lemma> <pos> antonyms
    x <form> <lemma>        an irregular form
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

_PARTS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
_SENSES_MAX = {"n": 4, "v": 5, "a": 4, "r": 3}


def main(folder: Path) -> None:
    antonyms, hypernyms, heads = _relations(folder)
    tagged = {
        line.split("%")[0]
        for line in (folder / "cntlist.rev").read_text(encoding="ascii").splitlines()
    }
    pairs = _spelled_out(folder, antonyms)
    kept = {word for word in tagged if word.isalpha()} | {w for pair in pairs for w in pair[:2]}
    senses: dict[str, list[str]] = defaultdict(list)
    for name, part in _PARTS.items():
        for line in (folder / f"index.{name}").read_text(encoding="ascii").splitlines():
            fields = line.split()
            if line.startswith(" ") or fields[0] not in kept:
                continue
            count = int(fields[2])
            offsets = fields[-count:][: _SENSES_MAX[part]]
            senses[fields[0]] += [part + offset for offset in offsets]
    used = {sense for found in senses.values() for sense in found}
    numbers = {sense: f"{sense[0]}{n:x}" for n, sense in enumerate(sorted(used))}
    _print(folder, kept, senses, numbers, (hypernyms, heads), pairs)


def _relations(
    folder: Path,
) -> tuple[set[tuple[str, str, str]], dict[str, str], dict[str, str]]:
    """Antonyms as (word, place of the other word, part of speech), hypernyms, adjective heads."""
    antonyms: set[tuple[str, str, str]] = set()
    hypernyms: dict[str, str] = {}
    heads: dict[str, str] = {}
    for name, part in _PARTS.items():
        for offset, words, pointers in _synsets(folder / f"data.{name}"):
            here = part + offset
            for symbol, target, target_part, source_word, target_word in pointers:
                there = ("a" if target_part == "s" else target_part) + target
                if symbol == "!" and source_word and "_" not in words[source_word - 1]:
                    antonyms.add((words[source_word - 1], f"{there}/{target_word}", part))
                elif symbol == "@":
                    hypernyms.setdefault(here, there)
                elif symbol == "&":
                    heads.setdefault(here, there)
    return antonyms, hypernyms, heads


def _spelled_out(folder: Path, antonyms: set[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
    spelled = {
        part + offset: words
        for name, part in _PARTS.items()
        for offset, words, _ in _synsets(folder / f"data.{name}")
    }
    pairs = set()
    for word, place, part in antonyms:
        there, _, position = place.partition("/")
        other = spelled[there][int(position) - 1]
        if "_" not in other:
            first, second = sorted((word, other))
            pairs.add((first, second, part))
    return pairs


def _print(
    folder: Path,
    kept: set[str],
    senses: dict[str, list[str]],
    numbers: dict[str, str],
    tables: tuple[dict[str, str], dict[str, str]],
    pairs: set[tuple[str, str, str]],
) -> None:
    print("# From WordNet 3.0, Copyright 2006 by Princeton University; see wordnet-LICENSE.txt.")
    for word in sorted(senses):
        print("w", word, *(numbers[sense] for sense in senses[word]))
    for mark, table in zip("hs", tables, strict=True):
        for source in sorted(table):
            # A hypernym that no word of the table names still makes its hyponyms siblings.
            if source in numbers:
                print(mark, numbers[source], numbers.get(table[source], table[source]))
    for first, second, part in sorted(pairs):
        print("a", first, second, part)
    for name in _PARTS:
        for line in (folder / f"{name}.exc").read_text(encoding="ascii").splitlines():
            form, *lemmas = line.split()
            if form.isalpha() and lemmas and lemmas[0] in kept and form != lemmas[0]:
                print("x", form, lemmas[0])


def _synsets(
    path: Path,
) -> Iterator[tuple[str, list[str], list[tuple[str, str, str, int, int]]]]:
    """Offset, words and pointers of each synset; the format is in wndb(5WN)."""
    for line in path.read_text(encoding="ascii").splitlines():
        if line.startswith(" "):
            continue
        fields = line.partition(" |")[0].split()
        count = int(fields[3], 16)
        words = [word.partition("(")[0].lower() for word in fields[4 : 4 + 2 * count : 2]]
        at = 4 + 2 * count
        pointers = []
        for n in range(int(fields[at])):
            symbol, target, part, places = fields[at + 1 + 4 * n : at + 5 + 4 * n]
            pointers.append((symbol, target, part, *_places(places)))
        yield fields[0], words, pointers


def _places(field: str) -> tuple[int, int]:
    """Numbers of the source word and the target word, two hexadecimal digits each."""
    source, target = bytes.fromhex(field)
    return source, target


if __name__ == "__main__":
    main(Path(sys.argv[1]))
