"""Encodings and digests are computed once for each message, and never for another."""

from dataclasses import dataclass, replace

import pytest

from pbft.codec import encode_value
from pbft.digest import request_id
from pbft.remembered import Remembered, once
from tests.support.forge import request

COUNTED: list[int] = []


@dataclass(frozen=True, slots=True)
class Number(Remembered):
    value: int


@once("_digest")
def counted(number: Number) -> bytes:
    COUNTED.append(number.value)
    return bytes([number.value])


def test_it_is_computed_once_for_each_object() -> None:
    """The second time, what was computed the first time is returned."""
    COUNTED.clear()
    first, second = Number(1), Number(1)
    assert [counted(first), counted(first), counted(second)] == [b"\1"] * 3
    assert COUNTED == [1, 1]


def test_what_is_kept_takes_no_part_in_comparisons() -> None:
    """Two equal messages are equal, whatever was computed from them."""
    first, second = Number(1), Number(1)
    counted(first)
    assert first == second
    assert hash(first) == hash(second)
    assert repr(first) == "Number(value=1)"


def test_a_changed_copy_has_its_own() -> None:
    """`replace` makes another object: nothing of the first is kept with it."""
    asked = request(number=1)
    other = replace(asked, number=2)
    assert request_id(asked) != request_id(other)
    assert encode_value(asked) != encode_value(other)
    assert request_id(replace(other, number=1)) == request_id(asked)


def test_a_failure_is_not_kept() -> None:
    """What cannot be encoded fails each time."""
    bad = request(prompt="\ud800")
    for _ in range(2):
        with pytest.raises(UnicodeEncodeError):
            request_id(bad)
