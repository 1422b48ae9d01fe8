"""Fields and values as documents: from a user's JSON to fields, from outcomes to JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from pbft.fields import ANSWER
from pbft.messages import Answer, Field, Kind
from pbft.outcome import FieldOutcome, Outcome, Status
from pbft.types import FULL_BP, ReplicaId

KINDS = ("text", "label", "number", "schema")
_FIELD_KEYS = ("name", "kind", "labels", "unit")


class BadFields(Exception):
    """What a user asks for makes no sense; `str()` is a sentence that names the field."""


# --- asking ------------------------------------------------------------------------------------


def parse_fields(kind: Any, labels: Any, unit: Any, fields: Any) -> tuple[Kind, tuple[Field, ...]]:
    """The kind and the fields that a question asks for, from its JSON; None stands for what was
    not given. Raises BadFields for wrong types and for what does not belong to the kind; whether
    the fields make sense is for `pbft.fields` to say."""
    if kind not in KINDS:
        raise BadFields(f'The field "kind" must be one of {", ".join(KINDS)}.')
    found = Kind(kind)
    for name, value, owner in (
        ("labels", labels, Kind.LABEL),
        ("unit", unit, Kind.NUMBER),
        ("fields", fields, Kind.SCHEMA),
    ):
        if value is not None and found is not owner:
            raise BadFields(f'The field "{name}" is for questions of the kind {owner}.')
    match found:
        case Kind.LABEL:
            return found, (Field(ANSWER, found, _labels(labels, "labels"), ""),)
        case Kind.NUMBER:
            return found, (Field(ANSWER, found, (), _unit(unit, "unit")),)
        case Kind.SCHEMA:
            if not isinstance(fields, list) or not fields:
                raise BadFields('The field "fields" must be a list with at least one field.')
            return found, tuple(_field(field, place) for place, field in enumerate(fields))
    return found, ()


def _field(document: Any, place: int) -> Field:
    where = f"fields[{place}]"
    if not isinstance(document, dict):
        raise BadFields(f'"{where}" must be an object such as {{"name": …, "kind": …}}.')
    if unknown := [key for key in document if key not in _FIELD_KEYS]:
        known = ", ".join(_FIELD_KEYS)
        raise BadFields(f'"{where}" has the unknown key {unknown[0][:32]!r}; it takes {known}.')
    name, kind = document.get("name"), document.get("kind")
    if not isinstance(name, str):
        raise BadFields(f'"{where}.name" must be text.')
    if kind not in (Kind.LABEL, Kind.NUMBER, Kind.TEXT):
        raise BadFields(f'"{where}.kind" must be label, number or text.')
    labels = document.get("labels")
    return Field(
        name,
        Kind(kind),
        _labels(labels, f"{where}.labels") if kind == Kind.LABEL or labels is not None else (),
        _unit(document.get("unit"), f"{where}.unit"),
    )


def _labels(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        raise BadFields(f'The field "{where}" must be a list of texts to choose from.')
    return tuple(value)


def _unit(value: Any, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadFields(f'The field "{where}" must be text such as "USD".')
    return value


# --- showing -----------------------------------------------------------------------------------


def agreed_values(
    fields: Sequence[Field], outcome: Outcome, names: Mapping[ReplicaId, str]
) -> dict[str, dict[str, Any]]:
    """What was agreed in each field, by its name; empty for text."""
    return {
        field.name: _agreed_value(field, decided, names)
        for field, decided in zip(fields, outcome.fields, strict=True)
    }


def _agreed_value(
    field: Field, decided: FieldOutcome, names: Mapping[ReplicaId, str]
) -> dict[str, Any]:
    agreed = decided.status is not Status.NO_AGREEMENT
    return {
        "kind": str(field.kind),
        "status": str(decided.status),
        "value": decided.value if agreed else None,
        "leading": decided.value or None,
        "unit": field.unit or None,
        "quartiles": [decided.lower_quartile, decided.upper_quartile]
        if decided.lower_quartile
        else None,
        "agreement_rate": decided.agreement_rate_bp / FULL_BP,
        "confidence": decided.confidence_bp / FULL_BP,
        "excluded": [
            {"name": names[exclusion.replica], "reason": str(exclusion.reason)}
            for exclusion in decided.excluded
        ],
    }


def said_values(fields: Sequence[Field], answer: Answer | None) -> dict[str, str | None]:
    """One member's values by field; empty for text and for who said nothing."""
    return single_values(fields, answer.values if answer else ())


def single_values(fields: Sequence[Field], values: Sequence[str]) -> dict[str, str | None]:
    """Values by field, None where there is none."""
    return {field.name: value or None for field, value in zip(fields, values, strict=False)}
