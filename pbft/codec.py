"""Strict canonical CBOR (RFC 8949 §4.2): one message, one encoding, and back.

The codec is derived from the type annotations of `pbft.messages`: a dataclass is the array of its
fields in order, a tuple an array, integers are unsigned 64-bit, `X | None` adds null, and a value
of `X | Y` is preceded by the number of its alternative. There are no maps, floats, tags or
indefinite lengths on the wire, because general decoders accept several encodings of those, and a
signature over one of several encodings is worth little.

Decoding bounds the size first, then the nesting, refuses everything above, checks every field
against its annotation, and finally encodes the result again and compares the bytes.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from operator import attrgetter
from typing import Any, NoReturn, TypeVar, get_origin

import cbor2

from pbft import messages
from pbft.errors import Malformed
from pbft.schema import (
    AtMost,
    Exactly,
    Signature,
    alternatives,
    element_type,
    field_types,
    is_enumeration,
    optional_type,
    unwrap,
)
from pbft.types import MESSAGE_BYTES_MAX, U64_MAX

_DEPTH_MAX = 16

_SIGNED: tuple[type, ...] = (
    messages.Request,
    messages.AnswerCommitment,
    messages.Seal,
    messages.AnswerReveal,
    messages.PrePrepare,
    messages.Prepare,
    messages.Commit,
    messages.Height,
    messages.Checkpoint,
    messages.ViewChange,
    messages.NewView,
    messages.Endorsement,
)
_CONTAINERS: tuple[type, ...] = (
    messages.Proposal,
    messages.DecidedSlot,
    messages.BatchWanted,
    messages.BatchContent,
    messages.LedgerWanted,
    messages.EpochCertificate,
    messages.Accusation,
)

MESSAGE_CODES: dict[type, int] = {kind: code for code, kind in enumerate(_SIGNED + _CONTAINERS, 1)}
"""The number that names a message type on the wire and under a signature."""

_KINDS = {code: kind for kind, code in MESSAGE_CODES.items()}

_Encoder = Callable[[Any], Any]
_Decoder = Callable[[Any, str], Any]
T = TypeVar("T")


def signing_bytes(message: messages.SignedMessage) -> bytes:
    """What a signature over `message` covers: its type and every field."""
    return cbor2.dumps((MESSAGE_CODES[type(message)], _encoder(type(message))(message)))


def encode(wire: messages.WireMessage) -> bytes:
    """One frame."""
    if isinstance(wire, messages.Signed):
        kind = type(wire.message)
        return cbor2.dumps((MESSAGE_CODES[kind], _encoder(kind)(wire.message), wire.signature))
    return cbor2.dumps((MESSAGE_CODES[type(wire)], _encoder(type(wire))(wire)))


def decode(frame: bytes) -> messages.WireMessage:
    """The message in a frame; `Malformed` says what is wrong with it."""
    array = _load(frame)
    if not isinstance(array, list) or not array or type(array[0]) is not int:
        raise Malformed("a message is an array that starts with its type")
    kind = _KINDS.get(array[0])
    if kind is None or kind is messages.PrePrepare:
        raise Malformed(f"message type {array[0]} is unknown")
    signed = kind in _SIGNED
    if len(array) != (3 if signed else 2):
        raise Malformed(f"{kind.__name__} has {len(array)} parts")
    message = _decoder(kind)(array[1], kind.__name__)
    if signed:
        signature = _decoder(Signature)(array[2], "signature")
        message = messages.Signed(message, signature)
    if encode(message) != frame:
        raise Malformed(f"{kind.__name__} is not in canonical form")
    return message  # type: ignore[no-any-return]  # built from `kind`, which mypy can't follow


def encode_value(value: Any, annotation: Any = None) -> bytes:
    """Canonical bytes of any value made of the types above, for digests and for the log."""
    return cbor2.dumps(_encoder(annotation or type(value))(value))


def decode_value(data: bytes, annotation: type[T], bytes_max: int = MESSAGE_BYTES_MAX) -> T:
    """Inverse of `encode_value`; raises `Malformed`."""
    plain = _load(data, bytes_max)
    value = _decoder(annotation)(plain, getattr(annotation, "__name__", "value"))
    if encode_value(value, annotation) != data:
        raise Malformed("not in canonical form")
    return value  # type: ignore[no-any-return]  # built from `annotation`


def to_plain(value: Any, annotation: Any = None) -> Any:
    """The arrays, integers, strings and byte strings that `encode_value` would encode."""
    return _encoder(annotation or type(value))(value)


def from_plain(plain: Any, annotation: type[T]) -> T:
    """Inverse of `to_plain`, with all checks but the comparison of bytes."""
    value: T = _decoder(annotation)(plain, getattr(annotation, "__name__", "value"))
    return value


def _refuse(*_: object) -> NoReturn:
    raise Malformed("tags and maps are not used in messages")


# cbor2 decodes these tags by itself unless told otherwise; tag 35 would compile a regular
# expression, 28 and 29 build cyclic lists.
_BUILT_IN_TAGS = (0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 260, 261, 1004)
_TAGS = dict.fromkeys((*_BUILT_IN_TAGS, 43000, 55799), _refuse)


def _load(data: bytes, bytes_max: int = MESSAGE_BYTES_MAX) -> Any:
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


# --- from annotations to functions -------------------------------------------------------------


def _identity(value: Any) -> Any:
    return value


def _encoder(annotation: Any) -> _Encoder:
    found = _ENCODERS.get(annotation)
    if found is None:
        found = _ENCODERS[annotation] = _make_encoder(annotation)
    return found


def _decoder(annotation: Any) -> _Decoder:
    found = _DECODERS.get(annotation)
    if found is None:
        found = _DECODERS[annotation] = _make_decoder(annotation)
    return found


# One entry per annotation in the source, none per message.
_ENCODERS: dict[Any, _Encoder] = {}
_DECODERS: dict[Any, _Decoder] = {}


def _make_encoder(annotation: Any) -> _Encoder:
    bare, _ = unwrap(annotation)
    if bare in (int, str, bytes):
        return _identity
    if is_enumeration(bare):
        return str
    if inner := element_type(bare):
        element = _encoder(inner)
        return list if element is _identity else lambda value: [element(v) for v in value]
    if inner := optional_type(bare):
        present = _encoder(inner)
        return lambda value: None if value is None else present(value)
    if options := alternatives(bare):
        encoders_by_type = {
            get_origin(option) or option: (number, _encoder(option))
            for number, option in enumerate(options)
        }

        def encode_alternative(value: Any) -> list[Any]:
            number, encode_option = encoders_by_type[type(value)]
            return [number, encode_option(value)]

        return encode_alternative
    if (hints := field_types(bare)) is not None:
        return _record_encoder(hints)
    raise TypeError(f"no encoding for {annotation!r}")


def _record_encoder(hints: Sequence[tuple[str, Any]]) -> _Encoder:
    """Most fields are encoded as they are: one call fetches all of them."""
    if len(hints) < 2:
        few = [(name, _encoder(hint)) for name, hint in hints]
        return lambda value: [encode(getattr(value, name)) for name, encode in few]
    fetch = attrgetter(*(name for name, _ in hints))
    encoders = [(position, _encoder(hint)) for position, (_, hint) in enumerate(hints)]
    changed = [(position, encode) for position, encode in encoders if encode is not _identity]
    if not changed:
        return lambda value: list(fetch(value))

    def encode_record(value: Any) -> list[Any]:
        plain = list(fetch(value))
        for position, encode in changed:
            plain[position] = encode(plain[position])
        return plain

    return encode_record


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
        return _array(_decoder(inner), bound)
    if inner := optional_type(bare):
        present = _decoder(inner)
        return lambda plain, path: None if plain is None else present(plain, path)
    if options := alternatives(bare):
        return _alternative([_decoder(option) for option in options])
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
    decoders = [(_decoder(hint), f"{kind.__name__}.{name}") for name, hint in hints]

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
