"""What makes fields and values right."""

from dataclasses import replace
from typing import Any

import pytest

from pbft import decimals
from pbft.answering import abstention
from pbft.fields import fields_fault, values_fault
from pbft.item import request_fault
from pbft.messages import Field, Kind
from pbft.policy import Policy
from pbft.types import VALUE_BYTES_MAX
from tests.support import forge
from tests.support.cluster import answer
from tests.support.typed import (
    ASK_LABEL,
    ASK_NUMBER,
    ASK_SCHEMA,
    label_field,
    number_field,
    text_field,
    valued,
)


def schema(*fields: Field) -> dict[str, Any]:
    return {"kind": Kind.SCHEMA, "fields": fields}


MANY_LABELS = tuple(f"{n:02}" for n in range(64))
RIGHT: list[tuple[str, dict[str, Any]]] = [
    ("text", {}),
    ("label", ASK_LABEL),
    ("number", ASK_NUMBER),
    ("schema", ASK_SCHEMA),
    ("bare number", {"kind": Kind.NUMBER, "fields": (number_field(unit=""),)}),
    ("long unit", {"kind": Kind.NUMBER, "fields": (number_field(unit="u" * 16),)}),
    ("64 labels", {"kind": Kind.LABEL, "fields": (label_field(labels=MANY_LABELS),)}),
    ("long label", {"kind": Kind.LABEL, "fields": (label_field(labels=("x" * 64, "y")),)}),
    ("Chinese labels", {"kind": Kind.LABEL, "fields": (label_field(labels=("漲", "跌")),)}),
    ("long name", schema(number_field("a" * 32))),
    ("16 fields", schema(*(number_field(f"n_{n}") for n in range(16)))),
]
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("fields of a text", {"fields": (number_field(),)}, "A question for text has no fields."),
    ("no field", {"kind": Kind.LABEL}, "one field of that kind"),
    ("another name", {"kind": Kind.NUMBER, "fields": (number_field("price"),)}, "'answer'"),
    ("another kind", {"kind": Kind.NUMBER, "fields": (label_field(),)}, "one field of that kind"),
    ("two labels", {"kind": Kind.LABEL, "fields": (label_field(),) * 2}, "one field of that kind"),
    ("empty schema", schema(), "from 1 to 16 fields, not 0"),
    ("17 fields", schema(*(number_field(f"n{n}") for n in range(17))), "not 17"),
    ("a schema inside", schema(Field("x", Kind.SCHEMA, (), "")), "'x' must be a label"),
    ("twice", schema(number_field("x"), label_field("x")), "Two fields are called 'x'."),
    ("no name", schema(number_field("")), "is no name"),
    ("a capital", schema(number_field("Price")), "'Price' is no name"),
    ("a digit first", schema(number_field("1st")), "is no name"),
    ("a line break", schema(number_field("a\n")), "is no name"),
    ("a Chinese name", schema(number_field("價格")), "is no name"),
    ("a long name", schema(number_field("a" * 33)), "is no name"),
    ("one label", schema(label_field("x", ("up",))), "'x' needs from 2 to 64 labels"),
    ("65 labels", schema(label_field("x", (*MANY_LABELS, "64"))), "from 2 to 64 labels"),
    ("blank label", schema(label_field("x", ("up", ""))), "one line of at most 64 bytes"),
    ("padded label", schema(label_field("x", ("up", " down"))), "without spaces at its ends"),
    ("long label", schema(label_field("x", ("up", "漲" * 22))), "at most 64 bytes"),
    ("half a character", schema(label_field("x", ("up", "\ud800"))), "one line"),
    ("same label", schema(label_field("x", ("up", "down", "up"))), "'up'"),
    ("same but for case", schema(label_field("x", ("Up", "down", "UP"))), "case or width"),
    ("same but for width", schema(label_field("x", ("Up", "Ｕｐ"))), "case or width"),
    ("unit of a label", schema(replace(label_field("x"), unit="%")), "has no unit"),
    ("unit of a text", schema(replace(text_field("x"), unit="%")), "has no unit"),
    ("labels of a number", schema(replace(number_field("x"), labels=("a", "b"))), "choose from"),
    ("long unit", schema(number_field("x", "u" * 17)), "The unit of 'x'"),
    ("unit in two lines", schema(number_field("x", "US\nD")), "The unit of 'x'"),
    ("half a unit", schema(number_field("x", "\udfff")), "The unit of 'x'"),
    (
        "too much to read",
        schema(*(label_field(f"f{i}", tuple(f"{n:064}" for n in range(64))) for i in range(3))),
        "8192 fit",
    ),
]


@pytest.mark.parametrize("asked", [asked for _, asked in RIGHT], ids=[name for name, _ in RIGHT])
def test_right_fields(asked: dict[str, Any]) -> None:
    """Every kind can be asked for, up to the bounds."""
    assert request_fault(forge.request(**asked), Policy()) is None


@pytest.mark.parametrize(
    ("asked", "words"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG]
)
def test_wrong_fields(asked: dict[str, Any], words: str) -> None:
    """Fields that make no sense are refused with one sentence that names the one at fault."""
    fault = fields_fault(forge.request(**asked))
    assert fault is not None
    assert words in fault
    assert fault.endswith(".")
    assert fault.count("\n") == 0
    assert request_fault(forge.request(**asked), Policy()) == fault


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (ASK_LABEL, "up"),
        (ASK_NUMBER, "-12.5"),
        (ASK_NUMBER, "9" * 18),
        (ASK_SCHEMA, "flat 5 Paris"),
        (ASK_SCHEMA, "flat - -"),
        (ASK_SCHEMA, "- - 臺北"),
    ],
)
def test_right_values(asked: dict[str, Any], said: str) -> None:
    """A label of the list, a canonical decimal, a short text; and a field of several left empty."""
    assert values_fault(forge.request(**asked), valued(said)) is None


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "up"),
        (ASK_LABEL, ""),
        (ASK_LABEL, "-"),
        (ASK_LABEL, "up down"),
        (ASK_LABEL, "Up"),
        (ASK_LABEL, "sideways"),
        (ASK_NUMBER, "up"),
        (ASK_NUMBER, "5.0"),
        (ASK_NUMBER, "+5"),
        (ASK_NUMBER, "1e3"),
        (ASK_NUMBER, "5USD"),
        (ASK_NUMBER, "1" * 19),
        (ASK_SCHEMA, "- - -"),
        (ASK_SCHEMA, "flat 5"),
        (ASK_SCHEMA, "5 flat Paris"),
        (ASK_SCHEMA, "flat 5 " + "x" * 65),
        (ASK_SCHEMA, "flat 5 Ｐａｒｉｓ"),
    ],
)
def test_wrong_values(asked: dict[str, Any], said: str) -> None:
    """Too few, too many, another form, another list, or nothing at all is no answer."""
    assert values_fault(forge.request(**asked), valued(said)) is not None


@pytest.mark.parametrize("value", ["New\nYork", " Paris", "a  b", "\x1b[31m"])
def test_a_short_text_is_tidy(value: str) -> None:
    """A text that folding would change in more than case, or that commands a terminal, is none."""
    request = forge.request(**schema(text_field("city")))
    assert values_fault(request, replace(answer("x"), values=(value,))) is not None


@pytest.mark.parametrize("asked", [{}, ASK_LABEL, ASK_SCHEMA])
def test_an_abstention_has_no_values(asked: dict[str, Any]) -> None:
    """Who abstains says nothing, in no field."""
    request = forge.request(**asked)
    nothing = abstention("out of time", 10)
    assert values_fault(request, nothing) is None
    assert values_fault(request, replace(nothing, values=("up",))) is not None


def test_a_value_has_room_for_every_number() -> None:
    """The longest canonical number fits the bound of a value, which the codec checks first."""
    longest = decimals.write(1 - decimals.ONE * decimals.ONE)
    assert len(longest) == 38
    assert len(longest) <= VALUE_BYTES_MAX
