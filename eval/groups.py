"""Groups of answers to one question: reading them, and the labelled pairs of their texts."""

import json
from itertools import combinations
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
