"""Values to canonical CBOR (RFC 8949 §4.2): shortest heads, definite lengths, no maps.

The encoder is derived from the type annotations of `pbft.messages`: a dataclass is the array of its
fields in order, a tuple an array, integers are unsigned 64-bit, `X | None` adds null, and a value
of `X | Y` is preceded by the number of its alternative.

Of CBOR that is so little that it is written here: the encodings of parts are joined to that of the
whole, so that a part that was encoded before is not encoded again (`pbft.remembered`).
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, get_origin

from pbft.remembered import Remembered, once
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

_Encoder = Callable[[Any], bytes]

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY = 0, 1, 2, 3, 4
"""Major types (§3.1)."""
_NULL = b"\xf6"
_ARGUMENT_BYTES = ((24, 1), (25, 2), (26, 4), (27, 8))
"""What the initial byte says about an argument that does not fit into it (§3)."""


def encode_value(value: Any, annotation: Any = None) -> bytes:
    """Canonical bytes of any value made of wire types, for digests and for the log."""
    return _encoder(annotation or type(value))(value)


def array(*elements: bytes) -> bytes:
    """An array of what is encoded already."""
    return _head(_ARRAY, len(elements)) + b"".join(elements)


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes((major << 5 | argument,))
    for code, width in _ARGUMENT_BYTES:
        if argument < 1 << 8 * width:
            return bytes((major << 5 | code,)) + argument.to_bytes(width, "big")
    raise OverflowError("integers on the wire have 64 bits")


_SHORT_MAX = 255
_INTEGERS = tuple(_head(_UNSIGNED, argument) for argument in range(_SHORT_MAX + 1))
_ARRAYS = tuple(_head(_ARRAY, argument) for argument in range(_SHORT_MAX + 1))


def _encoder(annotation: Any) -> _Encoder:
    found = _ENCODERS.get(annotation)
    if found is None:
        found = _ENCODERS[annotation] = _make_encoder(annotation)
    return found


# One entry per annotation in the source, none per message.
_ENCODERS: dict[Any, _Encoder] = {}


def _make_encoder(annotation: Any) -> _Encoder:
    bare, bound = unwrap(annotation)
    if bare is int:
        return _integer
    if bare is bytes:
        return _byte_string(bound)
    if bare is str or is_enumeration(bare):
        return _text
    if inner := element_type(bare):
        return _array(_encoder(inner))
    if inner := optional_type(bare):
        present = _encoder(inner)
        return lambda value: _NULL if value is None else present(value)
    if options := alternatives(bare):
        return _alternative(options)
    if (hints := field_types(bare)) is not None:
        encode = _record(hints)
        kind = get_origin(bare) or bare
        return once("_encoding")(encode) if issubclass(kind, Remembered) else encode
    raise TypeError(f"no encoding for {annotation!r}")


def _integer(value: int) -> bytes:
    if 0 <= value <= _SHORT_MAX:
        return _INTEGERS[value]
    # What is below zero is for the receiver to refuse; it is encoded as it is.
    return _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)


def _text(value: str) -> bytes:
    data = value.encode()
    return _head(_TEXT, len(data)) + data


def _byte_string(bound: AtMost | Exactly | None) -> _Encoder:
    if not isinstance(bound, Exactly):
        raise TypeError("byte strings on the wire have a fixed length")
    length = bound.length
    head = _head(_BYTES, length)

    def encode_bytes(value: bytes) -> bytes:
        # A wrong length is for the receiver to refuse; it is encoded as it is.
        return (head if len(value) == length else _head(_BYTES, len(value))) + value

    return encode_bytes


def _array(element: _Encoder) -> _Encoder:
    def encode_array(value: Sequence[Any]) -> bytes:
        length = len(value)
        head = _ARRAYS[length] if length <= _SHORT_MAX else _head(_ARRAY, length)
        return head + b"".join([element(v) for v in value])

    return encode_array


def _alternative(options: tuple[Any, ...]) -> _Encoder:
    by_type = {
        get_origin(option) or option: (_ARRAYS[2] + _integer(number), _encoder(option))
        for number, option in enumerate(options)
    }

    def encode_alternative(value: Any) -> bytes:
        head, encode_option = by_type[type(value)]
        return head + encode_option(value)

    return encode_alternative


def _record(hints: Sequence[tuple[str, Any]]) -> _Encoder:
    encoders = [_encoder(hint) for _, hint in hints]
    head = _head(_ARRAY, len(hints))
    if len(hints) < 2:  # attrgetter of one name gives no tuple
        few = [
            (attrgetter(name), encode) for (name, _), encode in zip(hints, encoders, strict=True)
        ]
        return lambda value: head + b"".join([encode(fetch(value)) for fetch, encode in few])
    fetch_all = attrgetter(*(name for name, _ in hints))

    def encode_record(value: Any) -> bytes:
        values = fetch_all(value)
        return head + b"".join([e(v) for e, v in zip(encoders, values, strict=True)])

    return encode_record
