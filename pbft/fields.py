"""What makes the fields of a request, and the values of an answer to it, right.

- A question for text has no fields. One for a label or a number has one, called `answer`. A schema
  has up to 16 of the kinds label, number and text.
- A label is one of the request's, byte for byte. A number is a decimal in canonical form
  (`pbft.decimals`), without the unit. A text is at most 64 bytes on one line, tidied
  (`pbft.folding`).
- A value may be empty: a model that knows two fields of three has a say in these two. An answer
  without any value is none, and its replica has to abstain.
"""

import re

from pbft import decimals
from pbft.folding import fold, is_line, tidy
from pbft.messages import Answer, Field, Finish, Kind, Request
from pbft.types import (
    FIELD_NAME_BYTES_MAX,
    FIELDS_BYTES_MAX,
    FIELDS_MAX,
    LABELS_MAX,
    UNIT_BYTES_MAX,
    VALUE_BYTES_MAX,
)

ANSWER = "answer"
"""The one field of a question for a label or a number."""

LABELS_MIN = 2

_NAME = re.compile(rf"[a-z][a-z0-9_]{{0,{FIELD_NAME_BYTES_MAX - 1}}}", re.ASCII)
_IN_A_SCHEMA = (Kind.LABEL, Kind.NUMBER, Kind.TEXT)


def fields_fault(request: Request) -> str | None:
    """Why the request's fields make no sense, in one sentence; None if they do."""
    fields = request.fields
    match request.kind:
        case Kind.TEXT:
            return "A question for text has no fields." if fields else None
        case Kind.LABEL | Kind.NUMBER:
            if len(fields) != 1 or fields[0].name != ANSWER or fields[0].kind is not request.kind:
                return f"A question for a {request.kind} has one field of that kind, {ANSWER!r}."
        case Kind.SCHEMA:
            if not 1 <= len(fields) <= FIELDS_MAX:
                return f"A schema has from 1 to {FIELDS_MAX} fields, not {len(fields)}."
    names = [field.name for field in fields]
    if fault := next(filter(None, map(_field_fault, fields)), None):
        return fault
    size = sum(_bytes(field.name, field.unit, *field.labels) for field in fields)
    if twice := [name for name in names if names.count(name) > 1]:
        return f"Two fields are called {twice[0]!r}."
    if size > FIELDS_BYTES_MAX:
        return f"The fields have {size} bytes of names, labels and units; {FIELDS_BYTES_MAX} fit."
    return None


def _field_fault(field: Field) -> str | None:
    if not _NAME.fullmatch(field.name):
        return (
            f"{field.name[:FIELD_NAME_BYTES_MAX]!r} is no name for a field; it takes a small "
            f"letter, then small letters, digits and _, at most {FIELD_NAME_BYTES_MAX} in all."
        )
    if field.kind not in _IN_A_SCHEMA:
        return f"The field {field.name!r} must be a label, a number or a text."
    if field.unit and field.kind is not Kind.NUMBER:
        return f"The field {field.name!r} is no number and has no unit."
    if field.labels and field.kind is not Kind.LABEL:
        return f"The field {field.name!r} is no label and has nothing to choose from."
    if field.unit and not (is_line(field.unit) and _bytes(field.unit) <= UNIT_BYTES_MAX):
        return f"The unit of {field.name!r} must be one line of at most {UNIT_BYTES_MAX} bytes."
    return _labels_fault(field) if field.kind is Kind.LABEL else None


def _labels_fault(field: Field) -> str | None:
    labels = field.labels
    if not LABELS_MIN <= len(labels) <= LABELS_MAX:
        return f"The field {field.name!r} needs from {LABELS_MIN} to {LABELS_MAX} labels."
    if not all(is_line(label) and _bytes(label) <= VALUE_BYTES_MAX for label in labels):
        return (
            f"Each label of {field.name!r} must be one line of at most {VALUE_BYTES_MAX} bytes, "
            "without spaces at its ends."
        )
    folded = [fold(label) for label in labels]
    if twice := [label for label in labels if folded.count(fold(label)) > 1]:
        return f"Two labels of {field.name!r} are the same but for case or width: {twice[0]!r}."
    return None


def _bytes(*texts: str) -> int:
    """In UTF-8; the texts have passed `is_line`, so that they can be encoded."""
    return sum(len(text.encode()) for text in texts)


def values_fault(request: Request, answer: Answer) -> str | None:
    """Why the values are no answer to the request, in a few words; None if they are one."""
    expected = 0 if answer.finish is Finish.ABSTAINED else len(request.fields)
    if len(answer.values) != expected:
        return "wrong number of values"
    if expected and not any(answer.values):
        return "no value"
    for field, value in zip(request.fields, answer.values, strict=False):
        if value and not is_value(field, value):
            return f"not a value of {field.name}"
    return None


def is_value(field: Field, value: str) -> bool:
    """Whether the text is a value of the field, in its one form."""
    if field.kind is Kind.LABEL:
        return value in field.labels
    if field.kind is Kind.NUMBER:
        return decimals.read(value) is not None
    return is_line(value) and value == tidy(value) and len(value.encode()) <= VALUE_BYTES_MAX
