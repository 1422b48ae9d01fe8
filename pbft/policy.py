"""The rules the members agreed on, from the genesis file.

Two kinds live here and must not be mixed up. The *quorum* (`types.quorum_size`) is about safety
and is not configurable. Everything below is a *quality policy* or a patience: it decides when a
set of answers counts as agreement and how long to wait, never who may decide.
"""

from dataclasses import dataclass, fields

from pbft.types import (
    ANSWER_BYTES_MAX,
    ATTEMPTS_MAX,
    CHECKPOINT_INTERVAL,
    FULL_BP,
    PROMPT_BYTES_MAX,
)

TOKENS_MAX = 32_768
INFERENCE_TIMEOUT_MS_MAX = 600_000


@dataclass(frozen=True, slots=True)
class Policy:
    """Values out of range raise `ValueError` with a sentence that names the field."""

    similarity_threshold_bp: int = 8_500
    """Two answers at least this similar, and not contradictory, are equivalent."""

    similarity_tolerance_bp: int = 200
    """How far a backup's own measurement may lie from the one the primary claims."""

    vote_numerator: int = 2
    vote_denominator: int = 3
    """The winning cluster must hold at least this share of the weight that answered."""

    confidence_threshold_bp: int = 7_500
    """Below it an agreed answer is typed `agreed_low_confidence`."""

    number_tolerance_bp: int = 200
    """How far a number may lie from the median, as a share of the median, and still stand behind
    it. Two per cent is what one figure rounded to two or three digits by different models spans,
    and as far as two hedged numbers in free text may differ (`inference.numerals`)."""

    seal_grace_ms: int = 1_500
    """How long the primary waits for the last commitments once it holds a quorum."""

    reveal_grace_ms: int = 1_500
    """How long the primary waits for the last reveals before it proposes or seals again."""

    view_timeout_ms: int = 2_000
    """How long the primary may do nothing although it could. Doubles with every view that does
    not come about, and goes back with every decision."""

    rotation_slots: int = 1_024
    """After so many decided slots the primary hands over; a multiple of the checkpoint interval."""

    inference_timeout_ms: int = 30_000
    """Upper bound of the time a replica may take to answer, unless the request says less."""

    prompt_bytes_max: int = PROMPT_BYTES_MAX
    answer_bytes_max: int = ANSWER_BYTES_MAX
    tokens_max: int = 1_024
    requests_in_flight_max: int = 256
    """Undecided requests per asking node; further ones are refused until some are decided."""

    temperature_milli: int = 300
    """Sampling temperature of the first attempt, in thousandths; halved with every further one."""

    attempts_max: int = 2
    """How often a request is put to the models if they do not agree with confidence."""

    def __post_init__(self) -> None:
        ranges = {
            "similarity_threshold_bp": (1, FULL_BP),
            "similarity_tolerance_bp": (0, FULL_BP),
            "vote_numerator": (1, 1_000),
            "vote_denominator": (1, 1_000),
            "confidence_threshold_bp": (0, FULL_BP),
            "number_tolerance_bp": (0, FULL_BP),
            "seal_grace_ms": (0, 60_000),
            "reveal_grace_ms": (0, 60_000),
            "view_timeout_ms": (100, 60_000),
            "rotation_slots": (CHECKPOINT_INTERVAL, 2**32),
            "inference_timeout_ms": (100, INFERENCE_TIMEOUT_MS_MAX),
            "prompt_bytes_max": (1, PROMPT_BYTES_MAX),
            "answer_bytes_max": (1, ANSWER_BYTES_MAX),
            "tokens_max": (1, TOKENS_MAX),
            "requests_in_flight_max": (1, 4_096),
            "temperature_milli": (0, 2_000),
            "attempts_max": (1, ATTEMPTS_MAX),
        }
        for field in fields(self):
            value = getattr(self, field.name)
            low, high = ranges[field.name]
            if type(value) is not int or not low <= value <= high:
                raise ValueError(
                    f"policy.{field.name} is {value!r}; it must be a whole number "
                    f"from {low} to {high}."
                )
        if self.rotation_slots % CHECKPOINT_INTERVAL:
            raise ValueError(f"policy.rotation_slots must be a multiple of {CHECKPOINT_INTERVAL}.")
        # At or below one half two clusters could both win.
        if not self.vote_denominator < 2 * self.vote_numerator <= 2 * self.vote_denominator:
            raise ValueError(
                "policy.vote_numerator / vote_denominator must be more than 1/2 and at most 1."
            )
