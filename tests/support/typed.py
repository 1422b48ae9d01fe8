"""Questions for a label, a number or several values, and answers to them."""

from dataclasses import replace
from typing import Any

from pbft.messages import Answer, Field, Kind
from tests.support.cluster import answer

LABELS = ("up", "down", "flat")


def label_field(name: str = "answer", labels: tuple[str, ...] = LABELS) -> Field:
    return Field(name, Kind.LABEL, labels, "")


def number_field(name: str = "answer", unit: str = "USD") -> Field:
    return Field(name, Kind.NUMBER, (), unit)


def text_field(name: str) -> Field:
    return Field(name, Kind.TEXT, (), "")


ASK_LABEL: dict[str, Any] = {"kind": Kind.LABEL, "fields": (label_field(),)}
ASK_NUMBER: dict[str, Any] = {"kind": Kind.NUMBER, "fields": (number_field(),)}
ASK_SCHEMA: dict[str, Any] = {
    "kind": Kind.SCHEMA,
    "fields": (label_field("direction"), number_field("price"), text_field("city")),
}
"""What a request for each kind has beside its prompt."""


def valued(text: str) -> Answer:
    """Of "up 5 Paris" an answer with these words as values; a `-` stands for no value."""
    values = tuple("" if word == "-" else word for word in text.split())
    return replace(answer(text), values=values)
