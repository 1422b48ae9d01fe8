"""From the bytes of a request to checked values: each bad input has its sentence."""

import json
from typing import Any

import pytest

from daemon.http.requests import BODY_BYTES_MAX, parse_query, parse_request_id
from daemon.queries import Query, QueryError
from pbft.messages import Kind
from pbft.types import PROMPT_BYTES_MAX
from tests.support.typed import ASK_SCHEMA, label_field, number_field


def body(**fields: Any) -> bytes:
    return json.dumps({"question": "Capital of France?", **fields}).encode()


def refusal(data: bytes, status: int = 400) -> str:
    with pytest.raises(QueryError) as caught:
        parse_query(data)
    assert caught.value.status == status
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith((".", ")."))
    return str(caught.value)


def test_a_question_alone_has_defaults() -> None:
    """Everything else may be left out."""
    assert parse_query(body()) == Query("Capital of France?")
    assert Query("").mode == "consensus"


def test_every_field_is_taken() -> None:
    """As given."""
    data = body(mode="single", language="zh-TW", max_tokens=5, timeout_s=2, question="法國？")
    assert parse_query(data) == Query("法國？", "single", "zh-TW", 5, 2.0)
    assert parse_query(body(language=None, timeout_s=None)).language is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"question",
        b"\xff\xfe",
        b'{"question": "a"} {}',
        b'{"question": "a",}',
        b'{"question": NaN}',
        b'{"question": "a", "timeout_s": Infinity}',
        b'{"question": "a", "timeout_s": -Infinity}',
        b'{"question": "a", "question": "b"}',
        b'{"question": "a", "mode": {"a": 1, "a": 1}}',
        b'{"question": "a\nb"}',
        b'{"question": "a", "max_tokens": ' + b"9" * 5_000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    ],
)
def test_what_is_not_json_is_refused(data: bytes) -> None:
    """Also what Python's reader would let pass: NaN, repeated keys, endless nesting."""
    assert "not valid JSON" in refusal(data)


@pytest.mark.parametrize("data", [b"[]", b"1", b'"question"', b"null", b"true"])
def test_what_is_not_an_object_is_refused(data: bytes) -> None:
    """JSON of another shape."""
    assert "not a JSON object" in refusal(data)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"question": ""}, "The question is empty"),
        ({"question": " \n\t\u3000"}, "The question is empty"),
        ({"question": None}, '"question" must be text'),
        ({"question": 1}, '"question" must be text'),
        ({"question": ["a"]}, '"question" must be text'),
        ({"question": "a\ud800b"}, "not valid Unicode"),
        ({"question": "\udfff"}, "not valid Unicode"),
        ({"mode": "anarchy"}, '"mode" must be'),
        ({"mode": None}, '"mode" must be'),
        ({"mode": ["consensus"]}, '"mode" must be'),
        ({"mode": {}}, '"mode" must be'),
        ({"mode": "Consensus"}, '"mode" must be'),
        ({"language": "de"}, '"language" must be'),
        ({"language": ""}, '"language" must be'),
        ({"language": {"en": 1}}, '"language" must be'),
        ({"max_tokens": 0}, '"max_tokens" must be'),
        ({"max_tokens": -1}, '"max_tokens" must be'),
        ({"max_tokens": 32_769}, '"max_tokens" must be'),
        ({"max_tokens": True}, '"max_tokens" must be'),
        ({"max_tokens": 1.0}, '"max_tokens" must be'),
        ({"max_tokens": "1"}, '"max_tokens" must be'),
        ({"max_tokens": None}, '"max_tokens" must be'),
        ({"timeout_s": 0}, '"timeout_s" must be'),
        ({"timeout_s": 0.09}, '"timeout_s" must be'),
        ({"timeout_s": 601}, '"timeout_s" must be'),
        ({"timeout_s": True}, '"timeout_s" must be'),
        ({"timeout_s": "3"}, '"timeout_s" must be'),
        ({"timeout_s": 10**400}, '"timeout_s" must be'),
        ({"temperature": 1}, "'temperature' is unknown"),
        ({"Question": "x"}, "'Question' is unknown"),
        ({"": 1}, "'' is unknown"),
        ({"\ud800" * 100: 1}, "is unknown"),
        ({"x" * 50_000: 1}, "is unknown"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], words: str) -> None:
    """One sentence with the field and what it may be."""
    sentence = refusal(body(**fields))
    assert words in sentence
    assert len(sentence) < 700


def test_a_number_beyond_floating_point_is_refused() -> None:
    """1e999 reads as infinity."""
    assert '"timeout_s" must be' in refusal(b'{"question": "a", "timeout_s": 1e999}')


def test_a_missing_question_is_named() -> None:
    """An empty object asks nothing."""
    assert '"question" must be text' in refusal(b"{}")


def test_a_question_of_the_greatest_length_fits() -> None:
    """In every spelling that JSON allows, the body limit included; one byte more is 413."""
    for character in ("a", "é", "臺", "😀", "\x00", '"'):
        text = character * (PROMPT_BYTES_MAX // len(character.encode()))
        data = json.dumps({"question": text, "mode": "consensus"}).encode()
        assert len(data) <= BODY_BYTES_MAX
        assert parse_query(data).question == text
    sentence = refusal(body(question="a" * (PROMPT_BYTES_MAX + 1)), status=413)
    assert "16385 bytes; at most 16384" in sentence


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "0" * 63,
        "0" * 65,
        "A" * 64,
        "g" * 64,
        " " + "0" * 63,
        "00 " * 32,
        "é" * 64,
        "0x" * 32,
    ],
)
def test_what_is_no_request_id(text: str) -> None:
    """64 hexadecimal digits in small letters, and nothing around them."""
    with pytest.raises(QueryError, match="64 hexadecimal digits"):
        parse_request_id(text)


def test_a_request_id() -> None:
    """The 32 bytes."""
    assert parse_request_id("ab" * 32) == b"\xab" * 32


# --- kinds -------------------------------------------------------------------------------------


def test_the_kinds_of_answers() -> None:
    """Text unless said otherwise; a label, a number, or a schema with its fields."""
    assert parse_query(body(kind="text")) == parse_query(body())
    label = parse_query(body(kind="label", labels=["up", "跌"]))
    assert (label.kind, label.fields) == (Kind.LABEL, (label_field(labels=("up", "跌")),))
    number = parse_query(body(kind="number", unit="USD"))
    assert (number.kind, number.fields) == (Kind.NUMBER, (number_field(),))
    assert parse_query(body(kind="number")).fields == (number_field(unit=""),)
    schema = parse_query(
        body(
            kind="schema",
            fields=[
                {"name": "direction", "kind": "label", "labels": ["up", "down", "flat"]},
                {"name": "price", "kind": "number", "unit": "USD"},
                {"name": "city", "kind": "text"},
            ],
        )
    )
    assert {"kind": schema.kind, "fields": schema.fields} == ASK_SCHEMA


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "song"}, '"kind" must be one of text, label, number, schema'),
        ({"kind": None}, '"kind" must be'),
        ({"kind": ["label"]}, '"kind" must be'),
        ({"labels": ["a", "b"]}, '"labels" is for questions of the kind label'),
        ({"kind": "label"}, '"labels" must be a list'),
        ({"kind": "label", "labels": "a,b"}, '"labels" must be a list'),
        ({"kind": "label", "labels": ["a", 1]}, '"labels" must be a list of texts'),
        ({"kind": "label", "labels": ["a", "b"], "unit": "%"}, '"unit" is for questions'),
        ({"kind": "number", "unit": 5}, '"unit" must be text'),
        ({"kind": "number", "fields": []}, '"fields" is for questions of the kind schema'),
        ({"kind": "schema"}, '"fields" must be a list'),
        ({"kind": "schema", "fields": []}, '"fields" must be a list with at least one'),
        ({"kind": "schema", "fields": {}}, '"fields" must be a list'),
        ({"kind": "schema", "fields": ["a"]}, '"fields[0]" must be an object'),
        ({"kind": "schema", "fields": [{"kind": "number"}]}, '"fields[0].name" must be text'),
        ({"kind": "schema", "fields": [{"name": "a"}]}, '"fields[0].kind" must be label'),
        (
            {"kind": "schema", "fields": [{"name": "a", "kind": "schema"}]},
            '"fields[0].kind" must be label',
        ),
        (
            {"kind": "schema", "fields": [{"name": "a", "kind": "text", "size": 5}]},
            "unknown key 'size'",
        ),
        (
            {"kind": "schema", "fields": [{"name": "a", "kind": "label"}]},
            '"fields[0].labels" must be a list',
        ),
        (
            {"kind": "schema", "fields": [{"name": "a", "kind": "number", "unit": []}]},
            '"fields[0].unit" must be text',
        ),
    ],
)
def test_fields_of_a_wrong_form(fields: dict[str, Any], words: str) -> None:
    """Each has its sentence, which names the field."""
    assert words in refusal(body(**fields))
