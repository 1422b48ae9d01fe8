"""The policy's ranges."""

from dataclasses import fields
from typing import Any

import pytest

from pbft.policy import INFERENCE_TIMEOUT_MS_MAX, TOKENS_MAX, Policy
from pbft.types import ANSWER_BYTES_MAX, PROMPT_BYTES_MAX

RANGES = {
    "similarity_threshold_bp": (1, 10_000),
    "similarity_tolerance_bp": (0, 10_000),
    "number_tolerance_bp": (0, 10_000),
    "confidence_threshold_bp": (0, 10_000),
    "seal_grace_ms": (0, 60_000),
    "reveal_grace_ms": (0, 60_000),
    "view_timeout_ms": (100, 60_000),
    "inference_timeout_ms": (100, INFERENCE_TIMEOUT_MS_MAX),
    "prompt_bytes_max": (1, PROMPT_BYTES_MAX),
    "answer_bytes_max": (1, ANSWER_BYTES_MAX),
    "tokens_max": (1, TOKENS_MAX),
    "requests_in_flight_max": (1, 4_096),
    "temperature_milli": (0, 2_000),
    "attempts_max": (1, 8),
}


def test_every_field_is_tested_here() -> None:
    """A new field of the policy needs a range and a line above."""
    tested = RANGES.keys() | {"vote_numerator", "vote_denominator", "rotation_slots"}
    assert {field.name for field in fields(Policy)} == tested


@pytest.mark.parametrize("field", RANGES)
def test_the_ends_of_a_range_are_allowed_and_no_more(field: str) -> None:
    """Both ends pass; one step beyond either names the field and the range."""
    low, high = RANGES[field]
    for value in (low, high):
        assert getattr(Policy(**{field: value}), field) == value
    for value in (low - 1, high + 1):
        with pytest.raises(
            ValueError, match=rf"policy\.{field} is {value}; .* from {low} to {high}"
        ):
            Policy(**{field: value})


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_only_whole_numbers(value: Any) -> None:
    """A bool, a float or text is no policy value, even where it equals a good one."""
    with pytest.raises(ValueError, match=r"policy\.temperature_milli"):
        Policy(temperature_milli=value)


@pytest.mark.parametrize(
    ("numerator", "denominator"), [(2, 3), (1, 1), (501, 1000), (3, 4), (51, 100)]
)
def test_a_vote_share_above_one_half_is_allowed(numerator: int, denominator: int) -> None:
    """More than half, up to all."""
    Policy(vote_numerator=numerator, vote_denominator=denominator)


@pytest.mark.parametrize(
    ("numerator", "denominator"), [(1, 2), (500, 1000), (1, 3), (4, 3), (2, 1), (0, 3), (2, 0)]
)
def test_two_clusters_can_never_both_win(numerator: int, denominator: int) -> None:
    """One half or less would let two clusters win; more than all could never be reached."""
    with pytest.raises(ValueError, match=r"policy\.vote_"):
        Policy(vote_numerator=numerator, vote_denominator=denominator)


@pytest.mark.parametrize("slots", [0, 63, 65, 100])
def test_the_primary_changes_at_checkpoints_only(slots: int) -> None:
    """A number of slots that is no multiple of the checkpoint interval is refused."""
    with pytest.raises(ValueError, match=r"policy\.rotation_slots"):
        Policy(rotation_slots=slots)
