"""Fields told to a model, and its text read back into values."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.engine import INSTRUCTION_BYTES_MAX
from inference.structured import instruction, read
from pbft.fields import values_fault
from pbft.messages import Field, Kind
from pbft.types import FIELDS_BYTES_MAX, NAME_BYTES_MAX
from tests.support import forge
from tests.support.cluster import answer
from tests.support.typed import ASK_LABEL, ASK_NUMBER, ASK_SCHEMA, label_field, number_field

SCHEMA: tuple[Field, ...] = ASK_SCHEMA["fields"]


def test_text_needs_no_instruction() -> None:
    """A question for text is put as it is."""
    assert instruction((), "Why?", None) == ""


@pytest.mark.parametrize("fields", [a["fields"] for a in (ASK_LABEL, ASK_NUMBER, ASK_SCHEMA)])
def test_an_instruction_speaks_the_questions_language(fields: tuple[Field, ...]) -> None:
    """English by default, Chinese for a Chinese question or when it was asked for; all labels,
    units and names stand in it."""
    english = instruction(fields, "Which way?", None)
    chinese = instruction(fields, "哪個方向？", None)
    assert english.isascii()
    assert not chinese.isascii()
    assert instruction(fields, "Which way?", "zh-TW") == chinese
    assert instruction(fields, "哪個方向？", "en") == english
    for text in (english, chinese):
        for field in fields:
            assert all(label in text for label in field.labels)
            assert field.unit in text
            assert len(fields) == 1 or field.name in text


def test_the_longest_instruction_fits() -> None:
    """Whatever fields the core lets pass, the engine takes their instruction."""
    labels = tuple(f"{n:02}" + "漲" * 20 for n in range(64))
    wide = tuple(label_field(f"f{i}", labels) for i in range(2))
    narrow = tuple(label_field(f"n{i}", tuple(f"{j}" for j in range(64))) for i in range(16))
    for fields in (wide, narrow):
        size = sum(len(label.encode()) for field in fields for label in field.labels)
        assert size <= FIELDS_BYTES_MAX
        for language in ("en", "zh-TW"):
            told = instruction(fields, "?", language)  # type: ignore[arg-type]
            assert len(told.encode()) <= INSTRUCTION_BYTES_MAX


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"direction": "up", "price": 5.50, "city": "Paris"}', ("up", "5.5", "Paris")),
        ('{"price": 5, "city": "New York.", "direction": "UP", "x": 1}', ("up", "5", "New York")),
        ('```json\n{"Direction": "Down", "Price": "$3 million"}\n```', ("down", "3000000", "")),
        ('Well {not json} then {"direction": "flat"} ok', ("flat", "", "")),
        ("Direction: up\nPrice: $5\nCity: Paris.", ("up", "5", "Paris")),
        ("**direction**: flat, **price**: 3e2, city = New York", ("flat", "300", "New York")),
        ("direction：跌\n", ("", "", "")),
        ("I think it goes up, to 5 dollars", ("up", "5", "")),
        ('{"direction": "up", "price": 12', ("up", "12", "")),
        ('{"direction": "sideways", "price": "cheap", "city": ""}', ("", "", "")),
        ('{"direction": ["up"], "price": {"a": 1}, "city": null}', ("", "", "")),
        ('{"price": 1e999999999, "direction": "up"}', ("up", "", "")),
        ('{"price": NaN, "direction": "up"}', ("up", "", "")),
        ("{" * 5_000, ("", "", "")),
        ('{"direction": ' * 5_000, ("", "", "")),
        ("", ("", "", "")),
    ],
)
def test_several_fields(text: str, values: tuple[str, ...]) -> None:
    """From JSON among words, from lines, and what is missing stays empty."""
    assert read(SCHEMA, text, "?").values == values


def test_what_is_missing_is_said() -> None:
    """In few words that fit into an answer's note, with the field's name if there are several."""
    assert read(SCHEMA, '{"direction": "up"}', "?").why == "price: no number; city: not given"
    assert read(ASK_NUMBER["fields"], "who knows", "?").why == "no number"
    many = tuple(number_field(f"{'n' * 30}{i}") for i in range(16))
    assert len(read(many, "", "?").why.encode()) <= NAME_BYTES_MAX


def test_names_may_be_written_with_spaces() -> None:
    """A model writes "fair price" for fair_price."""
    fields = (number_field("fair_price"), number_field("fair"))
    assert read(fields, "Fair price: 5\nFair: 6", "?").values == ("5", "6")
    assert read(fields, '{"Fair Price": 5, "fair": 6}', "?").values == ("5", "6")


def test_chinese_text() -> None:
    """Labels and numbers in Chinese sentences, with full-width punctuation."""
    label = (label_field(labels=("漲", "跌")),)
    assert read(label, "跌。因為需求減少。", "會漲還是跌？").values == ("跌",)
    assert read(ASK_NUMBER["fields"], "大約三百萬美元。", "多少錢？").values == ("3000000",)


@given(st.text(), st.sampled_from([ASK_LABEL, ASK_NUMBER, ASK_SCHEMA]))
def test_whatever_is_read_is_acceptable(text: str, asked: dict[str, object]) -> None:
    """No text of a model makes its node send values that others would refuse."""
    request = forge.request(**asked)
    reading = read(request.fields, text, request.prompt)
    assert len(reading.values) == len(request.fields)
    if reading.has_values:
        assert values_fault(request, replace(answer("x"), values=reading.values)) is None


def test_a_field_of_a_schema_called_answer() -> None:
    """A schema may have one field only; it is read like the others."""
    fields = (Field("answer", Kind.TEXT, (), ""),)
    assert "JSON" in instruction(fields, "?", "en")
    assert read(fields, '{"answer": "Paris"}', "?").values == ("Paris",)
