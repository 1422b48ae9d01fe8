"""Groups of answers to one question: reading them, and the labelled pairs of their texts."""

import json
from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path
from random import Random
from typing import Any

from variants import with_variants

HERE = Path(__file__).parent
FILES = ("groups-en.jsonl", "groups-zh.jsonl", "groups-scenes.jsonl")


def rows(names: tuple[str, ...], *, chinese: bool) -> list[dict[str, Any]]:
    """The lines of some files that are in one language."""
    lines = [line for name in names for line in (HERE / name).read_text("utf-8").splitlines()]
    return [row for row in map(json.loads, lines) if row["language"].startswith("zh") == chinese]


STRANGERS = 2
"""So many answers to another question are set beside each group."""


def beside_strangers(
    found: list[dict[str, Any]],
) -> Iterator[tuple[dict[str, Any], list[str], list[tuple[int, int, str]]]]:
    """Each group, its texts and their labelled pairs, with answers to the next one's question,
    which nobody writes into a group: every second text is set against them."""
    for group, stranger in zip(found, found[1:] + found[:1], strict=True):
        texts, pairs = labelled(group)
        # A mere "Yes." fits any question.
        strange = [max(each, key=len) for each in stranger["classes"][:STRANGERS]]
        pairs += [
            (at, len(texts) + n, "different")
            for at, n in product(range(0, len(texts), 2), range(len(strange)))
        ]
        yield group, texts + strange, pairs


def labelled(group: dict[str, Any]) -> tuple[list[str], list[tuple[int, int, str]]]:
    """A group's texts, with variants (the same in every run), and their pairs by place: "same"
    within a class, "contradict" between two, "different" for what is under ``other``."""
    draw = Random(group["id"])  # noqa: S311  # the same in every run
    classes = with_variants(group["classes"], group["language"], draw)
    placed = [(text, n) for n, texts in enumerate(classes) for text in texts]
    placed += [(text, -1) for text in group["other"]]
    pairs = []
    for (i, (_, first)), (j, (_, second)) in combinations(enumerate(placed), 2):
        if max(first, second) >= 0:  # nothing is known of two that say something else
            between = "different" if min(first, second) < 0 else "contradict"
            pairs.append((i, j, "same" if first == second else between))
    return [text for text, _ in placed], pairs
