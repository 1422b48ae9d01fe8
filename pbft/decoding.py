"""Canonical CBOR to values, for every type that `pbft.encoding` writes.

Decoding bounds the size first, then the nesting, refuses maps, floats, tags and indefinite lengths,
and checks every field against its annotation. Whether the bytes were in canonical form is for the
caller to find out, by encoding the result again.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, NoReturn, TypeVar, get_origin

import cbor2

from pbft.encoding import encode_value
from pbft.errors import Malformed
from pbft.schema import (
    AtMost,
    Exactly,
    alternatives,
    element_type,
    field_types,
    is_enumeration,
    optional_type,
    unwrap,
)
from pbft.types import MESSAGE_BYTES_MAX, U64_MAX

_DEPTH_MAX = 16

_Decoder = Callable[[Any, str], Any]
T = TypeVar("T")


def decode_value(data: bytes, annotation: type[T], bytes_max: int = MESSAGE_BYTES_MAX) -> T:
    """Inverse of `encode_value`; raises `Malformed`."""
    value = from_plain(load(data, bytes_max), annotation)
    if encode_value(value, annotation) != data:
        raise Malformed("not in canonical form")
    return value


def from_plain(plain: Any, annotation: type[T]) -> T:
    """A value from arrays, integers, strings and byte strings, every field checked."""
    value: T = decoder(annotation)(plain, getattr(annotation, "__name__", "value"))
    return value


def _refuse(*_: object) -> NoReturn:
    raise Malformed("tags and maps are not used in messages")


# cbor2 decodes these tags by itself unless told otherwise; tag 35 would compile a regular
# expression, 28 and 29 build cyclic lists.
_BUILT_IN_TAGS = (0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 260, 261, 1004)
_TAGS = dict.fromkeys((*_BUILT_IN_TAGS, 43000, 55799), _refuse)


def load(data: bytes, bytes_max: int = MESSAGE_BYTES_MAX) -> Any:
    """The arrays, integers, strings and byte strings in `data`; raises `Malformed`."""
    if len(data) > bytes_max:
        raise Malformed(f"{len(data)} bytes; at most {bytes_max} are read")
    try:
        return cbor2.loads(
            data,
            tag_hook=_refuse,
            object_hook=_refuse,
            semantic_decoders=_TAGS,
            max_depth=_DEPTH_MAX,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            strict_hashable_types=True,
        )
    except (cbor2.CBORError, Malformed, ValueError, RecursionError) as error:
        raise Malformed(f"not the CBOR of a message ({type(error).__name__})") from None


def decoder(annotation: Any) -> _Decoder:
    """Checks and converts what `load` gave; the second argument names the place in errors."""
    found = _DECODERS.get(annotation)
    if found is None:
        found = _DECODERS[annotation] = _make_decoder(annotation)
    return found


# One entry per annotation in the source, none per message.
_DECODERS: dict[Any, _Decoder] = {}


def _make_decoder(annotation: Any) -> _Decoder:
    bare, bound = unwrap(annotation)
    if bare is int:
        return _integer
    if bare is bytes:
        return _byte_string(bound)
    if bare is str:
        return _text(bound)
    if is_enumeration(bare):
        return _enumeration(bare)
    if inner := element_type(bare):
        return _array(decoder(inner), bound)
    if inner := optional_type(bare):
        present = decoder(inner)
        return lambda plain, path: None if plain is None else present(plain, path)
    if options := alternatives(bare):
        return _alternative([decoder(option) for option in options])
    if (hints := field_types(bare)) is not None:
        return _record(get_origin(bare) or bare, hints)
    raise TypeError(f"no decoding for {annotation!r}")


def _integer(plain: Any, path: str) -> int:
    # `type(...) is` because True is an instance of int.
    if type(plain) is not int or not 0 <= plain <= U64_MAX:
        raise Malformed(f"{path} is not an unsigned 64-bit integer")
    return plain


def _byte_string(bound: AtMost | Exactly | None) -> _Decoder:
    if not isinstance(bound, Exactly):
        raise TypeError("byte strings on the wire have a fixed length")
    length = bound.length

    def decode_bytes(plain: Any, path: str) -> bytes:
        if type(plain) is not bytes or len(plain) != length:
            raise Malformed(f"{path} is not {length} bytes")
        return plain

    return decode_bytes


def _text(bound: AtMost | Exactly | None) -> _Decoder:
    if not isinstance(bound, AtMost):
        raise TypeError("text on the wire has a greatest length")
    maximum = bound.maximum

    def decode_text(plain: Any, path: str) -> str:
        try:
            fits = type(plain) is str and len(plain) <= maximum >= len(plain.encode())
        except UnicodeEncodeError:  # JSON can spell half a surrogate pair
            fits = False
        if not fits:
            raise Malformed(f"{path} is not text of at most {maximum} bytes")
        return plain  # type: ignore[no-any-return]  # a str

    return decode_text


def _enumeration(kind: type[StrEnum]) -> _Decoder:
    values = {member.value: member for member in kind}

    def decode_enumeration(plain: Any, path: str) -> StrEnum:
        if type(plain) is not str or plain not in values:
            raise Malformed(f"{path} is not a {kind.__name__}")
        return values[plain]

    return decode_enumeration


def _array(element: _Decoder, bound: AtMost | Exactly | None) -> _Decoder:
    if not isinstance(bound, AtMost):
        raise TypeError("arrays on the wire have a greatest length")
    maximum = bound.maximum

    def decode_array(plain: Any, path: str) -> tuple[Any, ...]:
        if type(plain) is not list or len(plain) > maximum:
            raise Malformed(f"{path} is not an array of at most {maximum}")
        return tuple([element(value, path) for value in plain])

    return decode_array


def _alternative(decoders: Sequence[_Decoder]) -> _Decoder:
    def decode_alternative(plain: Any, path: str) -> Any:
        if type(plain) is not list or len(plain) != 2:
            raise Malformed(f"{path} is not a numbered alternative")
        number, value = plain
        if type(number) is not int or not 0 <= number < len(decoders):
            raise Malformed(f"{path} is of no known kind")
        return decoders[number](value, path)

    return decode_alternative


def _record(kind: Any, hints: Sequence[tuple[str, Any]]) -> _Decoder:
    decoders = [(decoder(hint), f"{kind.__name__}.{name}") for name, hint in hints]

    def decode_record(plain: Any, path: str) -> Any:
        if type(plain) is not list or len(plain) != len(decoders):
            raise Malformed(f"{path} is not an array of {len(decoders)} fields")
        values = [
            decode_field(value, name)
            for (decode_field, name), value in zip(decoders, plain, strict=True)
        ]
        try:
            return kind(*values)
        except ValueError as error:  # a record may check itself, as the policy does
            raise Malformed(f"{path}: {error}") from None

    return decode_record
