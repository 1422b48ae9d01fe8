"""The form of a certificate's text, for the second verifier (`tests/support/checker.py`).

A schema is a function from a JSON value to what is encoded in CBOR; it raises `Wrong` if the value
has another form. Bounds are those of docs/protocol.md §3 and §5a.
"""

import json
from typing import Any

U64 = 2**64 - 1
QUOTED = json.JSONEncoder(ensure_ascii=False).encode
DIGITS = frozenset("0123456789abcdef")


class Wrong(Exception):
    """The certificate proves nothing."""


def demand(condition: bool, why: str) -> None:
    if not condition:
        raise Wrong(why)


def number(value: Any) -> Any:
    demand(type(value) is int and 0 <= value <= U64, "no unsigned 64-bit integer")
    return value


def data(length: int) -> Any:
    def check_data(value: Any) -> bytes:
        demand(type(value) is str and len(value) == 2 * length, "no hexadecimal of that length")
        demand(DIGITS.issuperset(value), "no lower case hexadecimal")
        return bytes.fromhex(value)

    return check_data


def text(longest: int) -> Any:
    def check_text(value: Any) -> str:
        demand(type(value) is str, "no text")
        try:
            demand(len(value.encode()) <= longest, "text too long")
        except UnicodeEncodeError:
            raise Wrong("no Unicode") from None
        return value  # type: ignore[no-any-return]

    return check_text


def one_of(*words: str) -> Any:
    def check_word(value: Any) -> str:
        demand(type(value) is str and value in words, "unknown word")
        return value  # type: ignore[no-any-return]

    return check_word


def listed(schema: Any, longest: int) -> Any:
    def check_list(value: Any) -> list[Any]:
        demand(type(value) is list and len(value) <= longest, "no list of that length")
        return [schema(element) for element in value]

    return check_list


def optional(schema: Any) -> Any:
    return lambda value: None if value is None else schema(value)


def record(**fields: Any) -> Any:
    def check_record(value: Any) -> list[Any]:
        demand(type(value) is dict and list(value) == list(fields), "other fields")
        return [schema(value[name]) for name, schema in fields.items()]

    return check_record


def signed(schema: Any) -> Any:
    return record(message=schema, signature=data(64))


HASH = data(32)
KIND = one_of("text", "label", "number", "schema")
VALUE = text(64)
FIELD = record(name=text(32), kind=KIND, labels=listed(VALUE, 64), unit=text(16))
REQUEST = record(
    network=HASH, replica=number, number=number, kind=KIND, prompt=text(16_384),
    language=text(16), max_tokens=number, timeout_ms=number, fields=listed(FIELD, 16),
)  # fmt: skip
COMMITMENT = record(
    network=HASH, epoch=number, request_id=HASH, attempt=number, commitment=HASH, replica=number
)
SEAL = record(
    network=HASH, epoch=number, request_id=HASH, attempt=number, view=number, number=number,
    previous=HASH, commitments=listed(signed(COMMITMENT), 128), replica=number,
)  # fmt: skip
ANSWER = record(
    text=text(16_384), finish=one_of("stop", "length", "abstained"), model=text(128),
    output_tokens=number, elapsed_ms=number, note=text(128), values=listed(VALUE, 16),
)  # fmt: skip
REVEAL = record(
    network=HASH, epoch=number, request_id=HASH, attempt=number, answer=ANSWER, salt=HASH,
    replica=number,
)  # fmt: skip
STATUS = one_of("agreed", "agreed_low_confidence", "no_agreement")
EXCLUSION = record(replica=number, reason=one_of("outvoted", "outlier", "no_value"))
FIELD_OUTCOME = record(
    status=STATUS, value=VALUE, lower_quartile=VALUE, upper_quartile=VALUE,
    agreement_rate_bp=number, confidence_bp=number, excluded=listed(EXCLUSION, 128),
)  # fmt: skip
OUTCOME = record(
    status=STATUS,
    representative=optional(number), clusters=listed(listed(number, 128), 128),
    agreement_rate_bp=number, confidence_bp=number, distinct_models=number,
    fields=listed(FIELD_OUTCOME, 16),
)  # fmt: skip
PAIRS = 128 * 127 // 2
ITEM = record(
    request=signed(REQUEST), attempt=number, seals=listed(signed(SEAL), 16),
    reveals=listed(signed(REVEAL), 128), weights=listed(number, 128),
    similarities_bp=listed(number, PAIRS),
    contradictions=listed(record(first=number, second=number, reason=text(256)), PAIRS),
    outcome=OUTCOME,
)  # fmt: skip
CHECKPOINT = record(network=HASH, epoch=number, sequence_number=number, state=HASH, replica=number)
MEMBERSHIP = record(
    epoch=number, start=number,
    members=listed(record(replica=number, name=text(128), public_key=HASH,
                          addresses=listed(text(256), 16)), 128),
    next_replica=number,
)  # fmt: skip
RANGES = {
    "similarity_threshold_bp": (1, 10_000),
    "similarity_tolerance_bp": (0, 10_000),
    "vote_numerator": (1, 1_000),
    "vote_denominator": (1, 1_000),
    "confidence_threshold_bp": (0, 10_000),
    "number_tolerance_bp": (0, 10_000),
    "seal_grace_ms": (0, 60_000),
    "reveal_grace_ms": (0, 60_000),
    "view_timeout_ms": (100, 60_000),
    "rotation_slots": (64, 2**32),
    "inference_timeout_ms": (100, 600_000),
    "prompt_bytes_max": (1, 16_384),
    "answer_bytes_max": (1, 16_384),
    "tokens_max": (1, 32_768),
    "requests_in_flight_max": (1, 4_096),
    "temperature_milli": (0, 2_000),
    "attempts_max": (1, 8),
}
_POLICY = record(**dict.fromkeys(RANGES, number))


def policy_schema(value: Any) -> list[Any]:
    plain: list[Any] = _POLICY(value)
    for name, (low, high) in RANGES.items():
        demand(low <= value[name] <= high, "a policy out of range")
    demand(value["rotation_slots"] % 64 == 0, "a policy out of range")
    numerator, denominator = value["vote_numerator"], value["vote_denominator"]
    demand(numerator <= denominator < 2 * numerator, "a policy out of range")
    return plain


EPOCH = record(
    membership=MEMBERSHIP, policy=policy_schema, rest=HASH,
    checkpoints=listed(signed(CHECKPOINT), 128),
)  # fmt: skip
CERTIFICATE = record(
    format=one_of("qnode certificate 2"), network=HASH, epoch=number, view=number,
    sequence_number=number, index=number, entry_digests=listed(HASH, 64),
    commits=listed(record(replica=number, signature=data(64)), 128), item=ITEM,
    epochs=listed(EPOCH, 4_096),
)  # fmt: skip


def written(value: Any, margin: str = "\n") -> str:
    """A value of a document in its one form, as JSON indented by one space."""
    inner = margin + " "
    if isinstance(value, dict):
        parts = [f"{QUOTED(name)}: {written(part, inner)}" for name, part in value.items()]
        return "{" + inner + ("," + inner).join(parts) + margin + "}" if parts else "{}"
    if isinstance(value, list):
        parts = [written(part, inner) for part in value]
        return "[" + inner + ("," + inner).join(parts) + margin + "]" if parts else "[]"
    if isinstance(value, str):
        return QUOTED(value)
    return "null" if value is None else str(value)
