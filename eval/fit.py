"""Fit the weights of the calibrated similarity on the development pairs; prints the JSON file.

    python eval/fit.py > calibration.json && mv calibration.json inference/data/

The committed file is what this prints: ``make fit`` shows whether it still is.

Logistic regression with an L2 penalty by Newton's method, one fit for each kind of model. The
readers are weighed on the groups of answers that were held out when they were taught (``train.py``)
and for which no rule was written, since what they say of pairs they have learnt is worth nothing;
and on the last file of development pairs, of which they learnt nothing either.
The cosines of an embedder that is not taught are weighed on the development pairs. Beside the pairs
of the files that fit uses every other combination of the same texts (each opposing answer with each
agreeing one, answers to two questions), and answers beside themselves in a frame or with common
words exchanged, at a lower weight. ``--cross-validate`` prints, by question-wise 8-fold
cross-validation (all pairs of a question are in one fold), what shares are accepted at several
thresholds instead; each language is measured by its own embedder.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from random import Random
from typing import Any

import groups
import numpy as np
import numpy.typing as npt
from variants import framed, reworded

from inference.analysis import Analysis, analyse
from inference.calibration import UNIT, Likeness, features
from inference.embedding import EmbedderSettings, Vectors, load_embedder
from inference.equivalence import measure
from inference.evidence import gather
from inference.guards import first_objection
from inference.reader import load_reader

PAIRS = ("pairs-dev.jsonl", "pairs-dev-2.jsonl", "pairs-dev-3.jsonl", "pairs-dev-4.jsonl")
UNLEARNT_PAIRS = ("pairs-dev-5.jsonl",)
"""Development pairs that no reader was taught."""
PAIR_COUNTS = 10
"""One of them counts as so many of the groups' pairs, of which there are fifty times as many: their
answers are more like what models write, those of the groups share as few words as their writers
could manage."""
MODELS = {"minilm": "packaged:all-minilm-l6-v2", "e5": "packaged:multilingual-e5-small"}
ACCEPT = 0.3
"""Where pairs are accepted, in logits: chosen by cross-validation, so that more than 85 % of the
same are, with as few contradictions as that allows."""
ACCEPT_UNASKED = 0.9
"""Where pairs without a question are accepted: captions of nearly the same words differ in one."""
ACCEPT_READ = 0.25
"""The same for readers, whose fit weighs pairs otherwise: chosen by cross-validation, where at most
about one in twenty contradictions of the development pairs is accepted."""
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


def rephrased(rows: list[Row]) -> list[Row]:
    """Pairs of an answer and itself in a frame, or with common words exchanged, at weight 0.4."""
    found = []
    texts = {(row["question"], row[key]): row for row in rows if row["same"] for key in "ab"}
    for (question, text), row in sorted(texts.items(), key=lambda t: t[0]):
        draw = Random(question + text)  # noqa: S311  # the same in every run
        language = row["language"]
        made = {framed(text, language, draw) for _ in range(3)} | {reworded(text, language)}
        found += [
            row | {"question": question, "a": text, "b": variant, "weight": 0.4, "category": "",
                   "key": question or text}
            for variant in sorted(made - {text})
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
        measure(embedder, row["question"], _answers(row), [(0, 1)])
    embedder.load()
    found = []
    for row in rows:
        (likeness,) = measure(embedder, row["question"], _answers(row), [(0, 1)])
        found.append(_features(row, likeness))
    names = [name for name in found[0] if name not in ("unasked", "read_same", "read_opposed")]
    return names, np.array([[one[name] / UNIT for name in names] for one in found])


def _answers(row: Row) -> list[Analysis]:
    return [analyse(row[key]) for key in "ab"]


def _features(row: Row, likeness: Likeness) -> dict[str, int]:
    return features(likeness, gather(analyse(row["question"]), *_answers(row)))


def unlearnt(*, chinese: bool) -> Iterator[tuple[Row, list[str], list[tuple[int, int, str]]]]:
    """What readers can be weighed on: what all pairs of some texts have in common, the texts, and
    labelled pairs of their places. Variants that nobody wrote count less."""
    kept = [group for group in groups.rows(groups.FILES, chinese=chinese) if group["held_out"]]
    for group, texts, pairs in groups.beside_strangers(kept):
        about = {
            "question": group["question"],
            "key": group["id"],
            "language": group["language"],
            "category": "" if group["question"] else "scene",
            "written": {text for each in [*group["classes"], group["other"]] for text in each},
        }
        yield about, texts, pairs
    for row in groups.rows(UNLEARNT_PAIRS, chinese=chinese):
        written = [row["a"], row["b"]]
        about = {**row, "key": row["question"], "written": set(written), "times": PAIR_COUNTS}
        draw = Random(row["id"])  # noqa: S311  # the same in every run
        texts = written + [framed(text, row["language"], draw) for text in written]
        yield about, texts, [(0, 1, row["relation"]), (0, 2, "same"), (1, 3, "same")]


def read(model: str, *, chinese: bool) -> tuple[list[str], Floats, list[Row]]:
    """Feature names, values and labels of all pairs of one language that the reader was not
    taught."""
    reader = load_reader(EmbedderSettings(model, threads=1))
    rows: list[Row] = []
    found: list[dict[str, int]] = []
    for about, texts, pairs in unlearnt(chinese=chinese):
        analyses = [analyse(text) for text in texts]
        measured = measure(reader, about["question"], analyses, [(i, j) for i, j, _ in pairs])
        for (i, j, relation), likeness in zip(pairs, measured, strict=True):
            row = about | {
                "a": texts[i],
                "b": texts[j],
                "same": relation == "same",
                "relation": relation,
                "weight": 1.0 if {texts[i], texts[j]} <= about["written"] else 0.4,
            }
            rows.append(row)
            found.append(_features(row, likeness))
    names = list(found[0])
    return names, np.array([[one[name] / UNIT for name in names] for one in found]), rows


def weigh_reader(kind: str) -> Row:
    """The calibration of a reader; with ``--cross-validate`` prints what it accepts instead."""
    names, values, rows = read(MODELS[kind], chinese=kind == "e5")
    same, weight, flagged = _weights(rows, same=1.8, different=0.5)
    if "--cross-validate" in sys.argv:
        print(f"{kind} reader, pairs that it did not learn")
        report(rows, flagged, held_out(rows, values, same, weight), 0.0)
    bias, *slopes = fitted(values, same, weight)
    return {
        "bias": round(1000 * (bias - ACCEPT_READ)),
        "weights": {n: round(1000 * s) for n, s in zip(names, slopes, strict=True)},
    }


def _weights(
    rows: list[Row], same: float, different: float
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Labels, weights, and which pairs a guard rejects: their similarity need not do it too.
    ``same`` and ``different`` are how much pairs of these relations count."""
    label = np.array([float(row["same"]) for row in rows])
    flagged = np.array(
        [first_objection(row["question"], row["a"], row["b"]) is not None for row in rows]
    )
    counts = {"same": same, "different": different, "contradict": 1.0}
    weight = np.array(
        [row["weight"] * row.get("times", 1) * counts[row["relation"]] for row in rows]
    )
    return label, weight * np.where(flagged & (label == 0), 0.3, 1.0), flagged


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
    labelled, others = (
        [row for chinese in (False, True) for row in groups.rows(files, chinese=chinese)]
        for files in (PAIRS, UNLEARNT_PAIRS)
    )
    rows = expanded(labelled) + rephrased(labelled)
    # Of these a question's two pairs are about different texts: nothing follows from one for the
    # other.
    rows += [row | {"weight": 1.0, "key": row["question"]} for row in others]
    same, weight, flagged = _weights(rows, same=2.2, different=1.0)
    kinds: dict[str, Row] = {}
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
    for kind in MODELS:
        kinds[f"{kind} reader"] = weigh_reader(kind)
    if "--cross-validate" not in sys.argv:
        print(json.dumps({"unit": "thousandths of a logit", "kinds": kinds}, indent=1))
    else:
        print("cosines, development pairs")
        chinese = np.array([row["language"].startswith("zh") for row in rows])
        report(
            rows,
            flagged,
            np.where(chinese, scores["e5"], scores["minilm"]),
            ACCEPT_UNASKED - ACCEPT,
        )


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


def report(rows: list[Row], flagged: npt.NDArray[np.bool_], score: Floats, unasked: float) -> None:
    """Print the shares accepted at several thresholds, of the labelled pairs alone; more is asked
    of pairs without a question by ``unasked``."""
    raised = np.array([0.0 if row["question"] else unasked for row in rows])
    parts_of: tuple[tuple[str, Callable[[Row], bool]], ...] = (
        ("all", lambda _: True),
        ("en", lambda row: bool(row["language"].startswith("en"))),
        ("zh", lambda row: bool(row["language"].startswith("zh"))),
        ("scene", lambda row: bool(row["category"] == "scene")),
        ("dev-5", lambda row: bool(row.get("id", "").startswith("dev5"))),
    )
    print("threshold: accepted of same / contradict / different, in percent")
    for threshold in (-0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5):
        accepted = (score >= threshold + raised) & ~flagged
        shares = []
        for name, belongs in parts_of:
            if not any(belongs(row) for row in rows):
                continue
            parts = []
            for relation in ("same", "contradict", "different"):
                chosen = [
                    bool(accepted[n])
                    for n, row in enumerate(rows)
                    if row["weight"] == 1.0 and row["relation"] == relation and belongs(row)
                ]
                parts.append(f"{100 * np.mean(chosen):.1f}" if chosen else "–")
            shares.append(f"{name} {'/'.join(parts)}")
        print(f"{threshold:5.2f}  " + "  ".join(shares))


if __name__ == "__main__":
    main()
