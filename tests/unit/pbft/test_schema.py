"""Reading bounds back from annotations."""

from dataclasses import dataclass, is_dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_origin

import pytest

from pbft import messages, records
from pbft.messages import Finish, Item, Prepare, Proposal, Request, Signed
from pbft.schema import (
    AtMost,
    Exactly,
    Hash,
    alternatives,
    element_type,
    field_types,
    is_enumeration,
    optional_type,
    unwrap,
)
from pbft.types import Digest, ReplicaId, View


@pytest.mark.parametrize(
    ("annotation", "bare", "bound"),
    [
        (int, int, None),
        (View, int, None),
        (Hash, bytes, Exactly(32)),
        (Digest, bytes, Exactly(32)),
        (Annotated[str, AtMost(5)], str, AtMost(5)),
        (Annotated[tuple[View, ...], AtMost(2)], tuple[View, ...], AtMost(2)),
    ],
)
def test_unwrap(annotation: Any, bare: Any, bound: Any) -> None:
    """Names and bounds come off, and the bound is the one written."""
    assert unwrap(annotation) == (bare, bound)


def test_the_fields_of_a_signed_message_have_its_type() -> None:
    """`Signed[X]` has an X, not a type variable."""
    assert field_types(Signed[Prepare]) is not None
    assert dict(field_types(Signed[Prepare]) or ())["message"] is Prepare


def test_fields_come_in_the_order_of_the_class() -> None:
    """The order is the encoding."""
    names = [name for name, _ in field_types(Request) or ()]
    assert names[:4] == ["network", "replica", "number", "kind"]
    assert field_types(int) is None


def test_containers() -> None:
    """Elements of tuples and the inside of options are found; other types have none."""
    assert element_type(tuple[int, ...]) is int
    assert element_type(int) is None
    assert optional_type(ReplicaId | None) is ReplicaId
    assert optional_type(int) is None
    assert is_enumeration(Finish)
    assert not is_enumeration(str)
    assert not is_enumeration(tuple[int, ...])


@dataclass(frozen=True)
class _Unbounded:
    text: str


@pytest.mark.parametrize("kind", [Item, Proposal, Request])
def test_everything_variable_on_the_wire_is_bounded(kind: Any) -> None:
    """Each text and each array of a message has a greatest length, at every depth."""
    assert _unbounded(kind) == []
    assert _unbounded(_Unbounded) == ["text"]


def _unbounded(annotation: Any, path: str = "") -> list[str]:
    bare, bound = unwrap(annotation)
    found = [path] if bare in (str, bytes) and bound is None else []
    if inner := element_type(bare):
        found += [path] * (bound is None) + _unbounded(inner, path)
    elif inner := optional_type(bare):
        found += _unbounded(inner, path)
    else:
        for name, hint in field_types(bare) or ():
            found += _unbounded(hint, f"{path}.{name}".lstrip("."))
    return found


def test_the_same_alternatives_stand_in_the_same_order_everywhere() -> None:
    """`A | B` equals `B | A`, and what is read from one is remembered for both: on the wire they
    would have each other's numbers."""
    written: list[Any] = [*vars(messages).values(), *vars(records).values()]
    hints = [found for found in written if get_origin(found) in (Union, UnionType)]
    for found in written:
        if is_dataclass(found) and found is not Signed:
            hints += [unwrap(hint)[0] for _, hint in field_types(found) or ()]
    unions: dict[Any, tuple[Any, ...]] = {}
    for options in filter(None, map(alternatives, hints)):
        assert unions.setdefault(frozenset(options), options) == options
    assert len(unions) > 3
