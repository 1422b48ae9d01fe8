"""From cosines and evidence to one similarity in basis points, by a map of integers.

A cosine alone does not tell whether two answers agree, so the similarity is the output of a small
logistic model: a weighted sum of three cosines, of a reader's verdict if there is one (``reader``)
and of the integer evidence of ``evidence``, put through the logistic curve.
The weights are fitted by ``eval/fit.py`` on the development pairs and stored as integers in
``data/calibration.json``, one set for each kind of embedder, because a cosine of 0.9 means much to
one and little to another. The sum is shifted so
that 8,500 basis points, the policy's usual threshold, is where pairs should be accepted.

Cosines are rounded to ten-thousandths, and all arithmetic after that is exact: two nodes whose
embedders agree give the same similarity, and an error of one ten-thousandth in every cosine
changes it by at most a few basis points (``slope_bp``).
"""

import json
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files
from itertools import pairwise
from math import ceil

from inference.evidence import Evidence
from inference.wording import listed

BASIS_POINTS = 10_000
UNIT = 10_000
"""One, in the scale of features and cosines."""

# ln(p / (1 - p)) in thousandths, for p at the steps of the curve; straight lines between them.
_CURVE: tuple[tuple[int, int], ...] = (
    (-9210, 1), (-6907, 10), (-5293, 50), (-4595, 100), (-3892, 200), (-2944, 500), (-2197, 1000),
    (-1735, 1500), (-1386, 2000), (-847, 3000), (-405, 4000), (0, 5000), (405, 6000), (847, 7000),
    (1099, 7500), (1386, 8000), (1735, 8500), (2197, 9000), (2944, 9500), (3892, 9800),
    (4595, 9900), (5293, 9950), (6907, 9990), (9210, 9999),
)  # fmt: skip
_ACCEPTED_MILLI = 1735  # where the curve reaches 8,500


@dataclass(frozen=True, slots=True)
class Likeness:
    """What a model measures of a pair, in ten-thousandths.

    Three cosines: ``alone`` compares the answers, ``completed`` the answers behind their question,
    ``weakest`` is the least likeness of any sentence to its best match in the other answer.
    ``read_same`` and ``read_opposed`` are a reader's logits (log-odds) that they say the same and
    that they contradict each other; 0 without a reader.
    """

    alone: int
    completed: int
    weakest: int
    read_same: int = 0
    read_opposed: int = 0


@dataclass(frozen=True, slots=True)
class Calibration:
    """Weights in thousandths of a logit for each feature at 1."""

    bias: int
    weights: dict[str, int]

    def similarity_bp(self, likeness: Likeness, evidence: Evidence) -> int:
        """0 to 10,000; 8,500 is the threshold that the weights were shifted to."""
        found = features(likeness, evidence)
        total = sum(weight * found[name] for name, weight in self.weights.items())
        return _curve((self.bias + _ACCEPTED_MILLI) * UNIT + total)

    def slope_bp(self) -> int:
        """By how much the similarity can move if all that models measure moves by one
        ten-thousandth.

        Each feature of ``_FROM_MODELS`` moves by at most one ten-thousandth then, and the curve
        rounds once, at its end: so no more than its steepest piece allows, rounded up.
        """
        moved = sum(abs(self.weights.get(name, 0)) for name in _FROM_MODELS)
        steepest = max(
            Fraction(high_bp - low_bp, high - low)
            for (low, low_bp), (high, high_bp) in pairwise(_CURVE)
        )
        return ceil(moved * steepest / UNIT)


def features(likeness: Likeness, evidence: Evidence) -> dict[str, int]:
    """All features of a pair, in ten-thousandths."""
    plain = {name: 10 * getattr(evidence, name) for name in _LINEAR}
    replaced = _beyond(10 * evidence.replaced, 4500)
    han = evidence.han // 1000
    return plain | {
        "alone": likeness.alone,
        "completed": likeness.completed,
        "weakest": likeness.weakest,
        "replaced": replaced,
        "replaced_alike": replaced * likeness.alone // UNIT,
        "substituted": _beyond(10 * evidence.substituted, 4000),
        "covered_much": _beyond(10 * evidence.covered, 6000),
        "covered_little": min(10 * evidence.covered, 4000),
        "unasked": UNIT if evidence.unasked else 0,
        "core_han": 10 * evidence.core * han,
        "contained_han": 10 * evidence.contained * han,
        "read_same": likeness.read_same,
        "read_opposed": likeness.read_opposed,
    }


_FROM_MODELS = ("alone", "completed", "weakest", "replaced_alike", "read_same", "read_opposed")
_LINEAR = listed(
    "han contained covered subset core named core_conflict reordered numbers_shared "
    "numbers_conflict numbers_one_sided asked_missing poles_agree poles_conflict denial stance "
    "antonym names_shared names_conflict length"
)


def calibration_for(embedder: str, *, reads: bool = False) -> Calibration:
    """The weights for an embedding model by its name, such as ``packaged:all-minilm-l6-v2``, and
    for the reader made of it.

    Models of the E5 family squeeze their cosines between 0.7 and 1, all others are taken to be
    like MiniLM.
    """
    kind = "e5" if "e5" in embedder.lower() else "minilm"
    return _table()[f"{kind} reader" if reads else kind]


@cache
def _table() -> dict[str, Calibration]:
    text = (files("inference") / "data" / "calibration.json").read_text(encoding="utf-8")
    kinds = json.loads(text)["kinds"]
    return {name: Calibration(kind["bias"], kind["weights"]) for name, kind in kinds.items()}


def _beyond(value: int, start: int) -> int:
    """0 up to ``start``, then rising to 1 at 1."""
    return max(0, value - start) * UNIT // (UNIT - start)


def _curve(total: int) -> int:
    """The logistic curve, in straight pieces; ``total`` in thousandths of a logit by ``UNIT``.

    A sum rounded to thousandths would make steps of three basis points in the middle.
    """
    if total <= _CURVE[0][0] * UNIT:
        return 0
    for (low, low_bp), (high, high_bp) in pairwise(_CURVE):
        if total <= high * UNIT:
            return low_bp + (high_bp - low_bp) * (total - low * UNIT) // ((high - low) * UNIT)
    return BASIS_POINTS - 1
