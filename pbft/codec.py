"""Messages as frames, and what their signatures cover: one message, one encoding.

There are no maps, floats, tags or indefinite lengths on the wire, because general decoders accept
several encodings of those, and a signature over one of several encodings is worth little. Whatever
is decoded is encoded again and the bytes compared (`pbft.decoding`, `pbft.encoding`).
"""

from pbft import messages
from pbft.decoding import decode_value, decoder, from_plain, load
from pbft.encoding import array, encode_value
from pbft.errors import Malformed
from pbft.schema import Signature

__all__ = [
    "MESSAGE_CODES",
    "decode",
    "decode_value",
    "encode",
    "encode_value",
    "from_plain",
    "signing_bytes",
]

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
    messages.ViewChangesWanted,
)

MESSAGE_CODES: dict[type, int] = {kind: code for code, kind in enumerate(_SIGNED + _CONTAINERS, 1)}
"""The number that names a message type on the wire and under a signature."""

_KINDS = {code: kind for kind, code in MESSAGE_CODES.items()}

_CODES = {kind: encode_value(code) for kind, code in MESSAGE_CODES.items()}


def signing_bytes(message: messages.SignedMessage) -> bytes:
    """What a signature over `message` covers: its type and every field."""
    return array(_CODES[type(message)], encode_value(message))


def encode(wire: messages.WireMessage) -> bytes:
    """One frame."""
    if isinstance(wire, messages.Signed):
        signature = encode_value(wire.signature, Signature)
        return array(_CODES[type(wire.message)], encode_value(wire.message), signature)
    return array(_CODES[type(wire)], encode_value(wire))


def decode(frame: bytes) -> messages.WireMessage:
    """The message in a frame; `Malformed` says what is wrong with it."""
    parts = load(frame)
    if not isinstance(parts, list) or not parts or type(parts[0]) is not int:
        raise Malformed("a message is an array that starts with its type")
    kind = _KINDS.get(parts[0])
    if kind is None or kind is messages.PrePrepare:
        raise Malformed(f"message type {parts[0]} is unknown")
    signed = kind in _SIGNED
    if len(parts) != (3 if signed else 2):
        raise Malformed(f"{kind.__name__} has {len(parts)} parts")
    message = decoder(kind)(parts[1], kind.__name__)
    if signed:
        message = messages.Signed(message, decoder(Signature)(parts[2], "signature"))
    if encode(message) != frame:
        raise Malformed(f"{kind.__name__} is not in canonical form")
    return message  # type: ignore[no-any-return]  # built from `kind`, which mypy can't follow
