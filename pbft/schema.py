"""Bounds written into the types of wire fields, and how to read them back from annotations.

Annotations never change, so what was read from one is remembered: it is asked for with every record
of every document. Equal annotations are one; `test_schema` says what that means for `A | B`.
"""

from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, NewType, TypeVar, Union, get_args, get_origin
from typing import get_type_hints as _get_type_hints


@dataclass(frozen=True, slots=True)
class AtMost:
    """Longest allowed value: bytes for `str` (in UTF-8), elements for tuples."""

    maximum: int


@dataclass(frozen=True, slots=True)
class Exactly:
    """The one allowed length in bytes."""

    length: int


Hash = Annotated[bytes, Exactly(32)]
Signature = Annotated[bytes, Exactly(64)]
PublicKey = Annotated[bytes, Exactly(32)]


@cache
def unwrap(annotation: Any) -> tuple[Any, AtMost | Exactly | None]:
    """Strips `NewType` and `Annotated`: the type itself and its bound.

    A `NewType` of `bytes` is one of the digests in `pbft.types`, 32 bytes.
    """
    bound = None
    while True:
        if isinstance(annotation, NewType):
            annotation = annotation.__supertype__
            bound = bound or (Exactly(32) if annotation is bytes else None)
        elif get_origin(annotation) is Annotated:
            annotation, bound = get_args(annotation)[:2]
        else:
            return annotation, bound


@cache
def field_types(record: Any) -> tuple[tuple[str, Any], ...] | None:
    """Names and annotations of a dataclass's fields, in order; None if it is no dataclass.

    `Signed[X]` is understood: its type variable is replaced by X.
    """
    kind = get_origin(record) or record
    if not is_dataclass(kind):
        return None
    hints = _get_type_hints(kind, include_extras=True)
    bindings = get_args(record)
    return tuple(
        (field.name, bindings[0] if isinstance(hints[field.name], TypeVar) else hints[field.name])
        for field in fields(kind)
    )


@cache
def element_type(bare: Any) -> Any:
    """T of `tuple[T, ...]`; None for other types."""
    return get_args(bare)[0] if get_origin(bare) is tuple else None


@cache
def optional_type(bare: Any) -> Any:
    """T of `T | None`, T being a union or not; None for other types."""
    if get_origin(bare) not in (Union, UnionType) or NoneType not in get_args(bare):
        return None
    return Union[tuple(a for a in get_args(bare) if a is not NoneType)]  # noqa: UP007  # computed


@cache
def alternatives(bare: Any) -> tuple[Any, ...]:
    """The dataclasses of `A | B | …`, in the order of their numbers on the wire; empty for other
    types."""
    if get_origin(bare) not in (Union, UnionType) or NoneType in get_args(bare):
        return ()
    return get_args(bare)


def alternative_name(alternative: Any) -> str:
    """What a document calls an alternative."""
    name: str = (get_origin(alternative) or alternative).__name__
    return name


def is_enumeration(bare: Any) -> bool:
    return isinstance(bare, type) and issubclass(bare, StrEnum)
