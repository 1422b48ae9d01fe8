"""Fit the weights of the calibrated similarity on the development pairs; prints the JSON file.

    python eval/fit.py > calibration.json && mv calibration.json inference/data/

The committed file is what this prints: ``make fit`` shows whether it still is.

Logistic regression with an L2 penalty by Newton's method, one fit for each kind of embedder. Beside
the pairs of the files it uses every other combination of the same texts (each opposing answer with
each agreeing one, answers to two questions), and answers beside themselves in a frame or with
common words exchanged, at a lower weight. ``--cross-validate`` prints, by question-wise 8-fold
cross-validation (all pairs of a question are in one fold), what shares are accepted at several
thresholds instead; each language is measured by its own embedder.
"""

import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.analysis import analyse
from inference.calibration import UNIT, Cosines, features
from inference.embedding import EmbedderSettings, Vectors, load_embedder
from inference.equivalence import measure
from inference.evidence import gather
from inference.guards import first_objection

PAIRS = tuple(
    Path(__file__).parent / name
    for name in ("pairs-dev.jsonl", "pairs-dev-2.jsonl", "pairs-dev-3.jsonl", "pairs-dev-4.jsonl")
)
MODELS = {"minilm": "packaged:all-minilm-l6-v2", "e5": "packaged:multilingual-e5-small"}
ACCEPT = 0.3
"""Where pairs are accepted, in logits: chosen by cross-validation, so that more than 85 % of the
same are, with as few contradictions as that allows."""
ACCEPT_UNASKED = 0.9
"""Where pairs without a question are accepted: captions of nearly the same words differ in one."""
PENALTY = 4.0
FOLDS = 8
Floats = npt.NDArray[np.float64]
Row = dict[str, Any]


def _texts(rows: list[Row]) -> dict[str, dict[str, set[str]]]:
    """The texts of each question by their relation to the answers that mean the same."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    asked = [row for row in rows if row["question"]]
    for row in asked:
        if row["same"]:
            found[row["question"]]["same"].update((row["a"], row["b"]))
    for row in asked:
        if not row["same"]:
            texts = found[row["question"]]
            texts[row["relation"]].update({row["a"], row["b"]} - texts["same"])
    return found


# What changes about an answer without changing what it says: a frame around it, other common words.
_FRAMES = {
    "en": ("The answer is: {}", "**{}**", "{} I hope this helps.", "Sure! {}", "In short: {}"),
    "zh": ("答案是：{}", "**{}**", "{}希望對你有幫助。", "簡單來說，{}", "根據資料，{}"),
}
_SYNONYMS = {
    "en": "about|around because|since needs|requires need|require use|utilise main|primary "
    "big|large begin|start show|display get|obtain help|assist many|numerous "
    "roughly|approximately currently|presently buy|purchase",
    "zh": "大約|約 因為|由於 需要|須 目前|現在 可以|能夠 建議|推薦 所有|全部 使用|採用 因此|所以 "
    "認為|覺得 大概|約莫 相當|十分",
}


def rephrased(rows: list[Row]) -> list[Row]:
    """Pairs of an answer and itself in a frame, or with common words exchanged, at weight 0.4."""
    found = []
    texts = {(row["question"], row[key]): row for row in rows if row["same"] for key in "ab"}
    for place, ((question, text), row) in enumerate(sorted(texts.items(), key=lambda t: t[0])):
        language = row["language"][:2]
        frames = _FRAMES[language]
        variants = [frames[(place + shift) % len(frames)].format(text) for shift in (0, 2)]
        other = text
        for pair in _SYNONYMS[language].split():
            one, two = pair.split("|")
            edge = r"\b" if language == "en" else ""
            other = re.sub(f"{edge}{one}{edge}", two, other)
        if other != text:
            variants.append(other)
        found += [
            row | {"question": question, "a": text, "b": variant, "weight": 0.4, "category": "",
                   "key": question or text}
            for variant in variants
        ]  # fmt: skip
    return found


def expanded(rows: list[Row]) -> list[Row]:
    """The rows and all other pairs of the same texts whose label follows, at weight 0.4."""
    by_question = _texts(rows)
    known = {(row["question"], *sorted((row["a"], row["b"]))) for row in rows}
    found = [row | {"weight": 1.0, "key": row["question"] or row["a"]} for row in rows]
    questions = sorted(by_question)
    languages = {row["question"]: row["language"][:2] for row in rows}

    def add(question: str, a: str, b: str, relation: str) -> None:
        if (question, *sorted((a, b))) not in known:
            found.append(
                {"question": question, "a": a, "b": b, "same": False, "relation": relation,
                 "language": languages[question], "weight": 0.4, "key": question, "category": ""}
            )  # fmt: skip

    for question in questions:
        texts = by_question[question]
        for relation in ("contradict", "different"):
            for a, b in product(sorted(texts["same"]), sorted(texts[relation])):
                add(question, a, b, relation)
        for a, b in product(sorted(texts["contradict"]), sorted(texts["different"])):
            add(question, a, b, "different")
    for place, question in enumerate(questions):
        other = questions[(place + 7) % len(questions)]
        if languages[question] == languages[other]:
            a, b = (min(by_question[q]["same"]) for q in (question, other))
            add(question, a, b, "different")
    return found


class _Remembering:
    """Embeds each text once, all in one call, which is many times faster than pair by pair."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.seen: dict[str, int] = {}
        self.vectors: Vectors | None = None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """The vectors; before ``load``, unit vectors that mean nothing."""
        rows = [self.seen.setdefault(text, len(self.seen)) for text in texts]
        if self.vectors is None:
            return np.eye(1, 8, dtype=np.float32).repeat(len(rows), axis=0)
        return self.vectors[rows]

    def load(self) -> None:
        self.vectors = load_embedder(EmbedderSettings(self.model, threads=1)).embed(list(self.seen))


def design(rows: list[Row], model: str) -> tuple[list[str], Floats]:
    """Feature names and values, shape (rows, features), in units."""
    embedder = _Remembering(model)
    for row in rows:
        measure(embedder, row["question"], (row["a"], row["b"]))
    embedder.load()
    names: list[str] = []
    values = []
    for row in rows:
        cosines: Cosines = measure(embedder, row["question"], (row["a"], row["b"]))
        texts = (analyse(row[key]) for key in ("question", "a", "b"))
        found = features(cosines, gather(*texts))
        del found["unasked"]
        names = list(found)
        values.append([found[name] / UNIT for name in names])
    return names, np.array(values)


def fitted(values: Floats, same: Floats, weight: Floats) -> Floats:
    """Bias and weights."""
    mean, spread = values.mean(axis=0), values.std(axis=0) + 1e-6
    scaled = np.c_[np.ones(len(values)), (values - mean) / spread]
    ridge = np.eye(scaled.shape[1]) * PENALTY
    ridge[0, 0] = 0
    beta = np.zeros(scaled.shape[1])
    for _ in range(40):
        chance = 1 / (1 + np.exp(-scaled @ beta))
        gradient = scaled.T @ (weight * (chance - same)) + ridge @ beta
        curvature = (scaled.T * (weight * chance * (1 - chance))) @ scaled + ridge
        beta -= np.linalg.solve(curvature, gradient)
    slopes = beta[1:] / spread
    found: Floats = np.r_[beta[0] - slopes @ mean, slopes]
    return found


def main() -> None:
    labelled = [
        json.loads(line) for path in PAIRS for line in path.read_text(encoding="utf-8").splitlines()
    ]
    rows = expanded(labelled) + rephrased(labelled)
    flagged = np.array(
        [first_objection(row["question"], row["a"], row["b"]) is not None for row in rows]
    )
    same = np.array([float(row["same"]) for row in rows])
    # A pair that a guard rejects need not be rejected by its similarity too.
    weight = np.array([row["weight"] for row in rows]) * np.where(flagged & (same == 0), 0.3, 1)
    weight *= np.where(same == 1, 2.2, 1)
    kinds = {}
    scores = {}
    for kind, model in MODELS.items():
        names, values = design(rows, model)
        if "--cross-validate" in sys.argv:
            scores[kind] = held_out(rows, values, same, weight)
            continue
        bias, *slopes = fitted(values, same, weight)
        weights = {n: round(1000 * s) for n, s in zip(names, slopes, strict=True)}
        # What is asked of captions is set, not fitted: there are too few of them.
        weights["unasked"] = round(1000 * (ACCEPT - ACCEPT_UNASKED))
        kinds[kind] = {"bias": round(1000 * (bias - ACCEPT)), "weights": weights}
    if kinds:
        print(json.dumps({"unit": "thousandths of a logit", "kinds": kinds}, indent=1))
    else:
        chinese = np.array([row["language"].startswith("zh") for row in rows])
        report(rows, flagged, np.where(chinese, scores["e5"], scores["minilm"]))


def held_out(rows: list[Row], values: Floats, same: Floats, weight: Floats) -> Floats:
    """The score of each row by weights fitted without its question, ``unasked`` not yet set."""
    keys = {key: n for n, key in enumerate(sorted({row["key"] for row in rows}))}
    fold = np.array([keys[row["key"]] % FOLDS for row in rows])
    score = np.zeros(len(rows))
    for one in range(FOLDS):
        inside = fold != one
        bias, *slopes = fitted(values[inside], same[inside], weight[inside])
        score[~inside] = values[~inside] @ np.array(slopes) + bias
    return score


def report(rows: list[Row], flagged: npt.NDArray[np.bool_], score: Floats) -> None:
    """Print the shares accepted at several thresholds, of the labelled pairs alone."""
    raised = np.array([0.0 if row["question"] else ACCEPT_UNASKED - ACCEPT for row in rows])
    groups: tuple[tuple[str, Callable[[Row], bool]], ...] = (
        ("all", lambda _: True),
        ("en", lambda row: bool(row["language"].startswith("en"))),
        ("zh", lambda row: bool(row["language"].startswith("zh"))),
        ("scene", lambda row: bool(row["category"] == "scene")),
        ("dev-2", lambda row: bool(row["id"].startswith("test"))),
        ("dev-3", lambda row: bool(row["id"].startswith("dev4"))),
    )
    print("threshold: accepted of same / contradict / different, in percent")
    for threshold in (-0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5):
        accepted = (score >= threshold + raised) & ~flagged
        shares = []
        for name, belongs in groups:
            parts = []
            for relation in ("same", "contradict", "different"):
                chosen = [
                    bool(accepted[n])
                    for n, row in enumerate(rows)
                    if row["weight"] == 1.0 and row["relation"] == relation and belongs(row)
                ]
                parts.append(f"{100 * np.mean(chosen):.1f}")
            shares.append(f"{name} {'/'.join(parts)}")
        print(f"{threshold:5.2f}  " + "  ".join(shares))


if __name__ == "__main__":
    main()
