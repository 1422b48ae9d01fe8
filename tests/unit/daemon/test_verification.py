"""Certificates checked offline: a right one tells its story, anything else has its reason."""

import json
import re
from pathlib import Path

import pytest

from daemon.errors import UsageError
from daemon.genesis import Genesis
from daemon.verification import verify_bytes, verify_file
from pbft.certificate import TEXT_BYTES_MAX
from pbft.errors import InvalidCertificate
from pbft.policy import Policy
from tests.support.founding import certificate_text, founded


@pytest.fixture(scope="module")
def genesis() -> Genesis:
    return founded(4)


@pytest.fixture(scope="module")
def text(genesis: Genesis) -> str:
    return certificate_text(genesis, ["Paris", "Paris of course", "Rome 羅馬", None])


def refusal(data: bytes, genesis: Genesis) -> str:
    with pytest.raises(InvalidCertificate) as caught:
        verify_bytes(data, genesis)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
    return str(caught.value)


def test_a_right_certificate_tells_its_story(genesis: Genesis, text: str, tmp_path: Path) -> None:
    """From the file as from the bytes."""
    (tmp_path / "c.json").write_text(text, encoding="utf-8")
    story = verify_file(tmp_path / "c.json", genesis)
    assert story == verify_bytes(text.encode(), genesis)
    assert story["answer"].startswith("Paris")
    assert len(story["signatures"]) >= 3


def test_no_byte_can_be_changed(genesis: Genesis, text: str) -> None:
    """Each seventh byte gets another value, is left out, or is doubled."""
    data = text.encode()
    for position in range(0, len(data), 7):
        before, byte, after = data[:position], data[position : position + 1], data[position + 1 :]
        other = bytes([byte[0] ^ (1 + position % 255)])
        refusal(before + other + after, genesis)
    for position in range(0, len(data), 97):
        before, byte, after = data[:position], data[position : position + 1], data[position + 1 :]
        refusal(before + after, genesis)
        refusal(before + byte + byte + after, genesis)


def test_another_genesis_file_proves_nothing(genesis: Genesis, text: str) -> None:
    """Other members or other rules are another network."""
    assert "another network" in refusal(text.encode(), founded(5))
    assert "another network" in refusal(text.encode(), founded(4, Policy(tokens_max=5)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b"{}",
        b'{"format": "qnode certificate 1"}',
        b'{"format": "qnode certificate 2"}',
        b"[" * 100_000,
        b'{"format": ' + b"9" * 5_000 + b"}",
        b'{"format": NaN}',
        b" " * (TEXT_BYTES_MAX + 1),
        b"{" * 1_000,
    ],
)
def test_what_is_no_certificate(genesis: Genesis, data: bytes) -> None:
    """Other files, other formats, endless ones."""
    refusal(data, genesis)


@pytest.mark.parametrize(
    "value", ["\ud800", 1.5, 1e400, True, None, [], {}, -1, 2**64, "x" * 70_000, "é", [[[[]]]]]
)
def test_every_field_may_hold_anything(genesis: Genesis, text: str, value: object) -> None:
    """Whatever stands in whatever place: an invalid certificate, never an error of ours."""
    document = json.loads(text)
    for path in paths(document):
        changed = json.loads(text)
        place = changed
        for step in path[:-1]:
            place = place[step]
        if place[path[-1]] == value and type(place[path[-1]]) is type(value):
            continue
        place[path[-1]] = value
        refusal((json.dumps(changed, ensure_ascii=True, indent=1) + "\n").encode(), genesis)


def paths(document: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The first of every list, every field of every object."""
    found = [path] if path else []
    if isinstance(document, dict):
        for key, value in document.items():
            found += paths(value, (*path, key))
    elif isinstance(document, list) and document:
        found += paths(document[0], (*path, 0))
    return found


def test_the_same_document_in_another_spelling_is_refused(genesis: Genesis, text: str) -> None:
    """Escapes, spaces and line ends: there is one form."""
    document = json.loads(text)
    for other in (
        json.dumps(document),
        json.dumps(document, indent=1, ensure_ascii=True) + "\n",
        text.rstrip("\n"),
        text + "\n",
        text.replace("\n", "\r\n"),
        "\ufeff" + text,
        re.sub(r'"(view|epoch)": 0', r'"\1": -0', text),
    ):
        assert other != text
        refusal(other.encode(), genesis)


def test_files_that_cannot_be_read_are_the_users_fault(genesis: Genesis, tmp_path: Path) -> None:
    """Not the certificate's: nothing is known about it."""
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            verify_file(path, genesis)
