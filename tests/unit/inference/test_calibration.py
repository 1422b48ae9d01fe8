"""The map from cosines and evidence to basis points: whole numbers, monotone, without cliffs."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.analysis import analyse
from inference.calibration import Likeness, calibration_for
from inference.evidence import Evidence, gather

MODELS = [
    ("packaged:all-minilm-l6-v2", False),
    ("packaged:all-minilm-l6-v2", True),
    ("packaged:multilingual-e5-small", False),
]
_COSINE = st.integers(-2_000, 10_000)
_LOGIT = st.integers(-80_000, 80_000)
_EVIDENCE = st.builds(Evidence, **{field.name: st.integers(0, 1000) for field in fields(Evidence)})


@pytest.mark.parametrize(("model", "reads"), MODELS)
@given(
    alone=_COSINE, completed=_COSINE, weakest=_COSINE, same=_LOGIT, opposed=_LOGIT,
    evidence=_EVIDENCE,
)  # fmt: skip
def test_a_little_noise_moves_the_similarity_a_little(  # as drawn
    model: str,
    reads: bool,
    alone: int,
    completed: int,
    weakest: int,
    same: int,
    opposed: int,
    evidence: Evidence,
) -> None:
    """An error of one ten-thousandth in all that models measure stays within the stated slope."""
    calibration = calibration_for(model, reads=reads)
    here = calibration.similarity_bp(Likeness(alone, completed, weakest, same, opposed), evidence)
    for step in (-1, 1):
        moved_by = (value + step for value in (alone, completed, weakest, same, opposed))
        noisy = Likeness(*moved_by)
        moved = calibration.similarity_bp(noisy, evidence)
        assert abs(moved - here) <= calibration.slope_bp()
    assert calibration.slope_bp() <= 20


@pytest.mark.parametrize(("model", "reads"), MODELS)
@given(low=_COSINE, high=_COSINE, evidence=_EVIDENCE)
def test_a_greater_cosine_never_lowers_the_similarity(
    model: str, reads: bool, low: int, high: int, evidence: Evidence
) -> None:
    """With the same evidence; words that replace each other weigh more in nearer texts."""
    low, high = sorted((low, high))
    plain = Evidence(
        **{f.name: getattr(evidence, f.name) for f in fields(Evidence)} | {"replaced": 0}
    )
    calibration = calibration_for(model, reads=reads)
    assert calibration.similarity_bp(Likeness(low, low, low), plain) <= calibration.similarity_bp(
        Likeness(high, high, high), plain
    )


_TEXT = st.text(alphabet="ab cPa不漲跌 5%.,", max_size=40)


@given(_TEXT, _TEXT, _TEXT)
def test_evidence_does_not_depend_on_the_order(question: str, a: str, b: str) -> None:
    """The nodes may list the answers in any order."""
    asked, x, y = analyse(question), analyse(a), analyse(b)
    assert gather(asked, x, y) == gather(asked, y, x)
