"""The first frame on every stream, and the answer to it.

Whoever opens a stream sends `Hello`; whoever accepted it answers with a verdict on the same
stream: an empty reason for welcome, else one of `REASONS`.
"""

from dataclasses import dataclass

from p2p import wire
from p2p.records import NETWORK_ID_BYTES, RECORD_BYTES_MAX

PROTOCOL_VERSION = 1
INSTANCE_BYTES = 16
HELLO_BYTES_MAX = RECORD_BYTES_MAX + 256
_REASON_CHARACTERS_MAX = 32

PROTOCOL_VERSION_DIFFERS = "protocol-version"
WRONG_NETWORK = "wrong-network"
UNKNOWN_MEMBER = "unknown-member"
DUPLICATE_KEY = "duplicate-key"
ALREADY_CONNECTED = "already-connected"
BAD_HELLO = "bad-hello"
REASONS = frozenset(
    {
        PROTOCOL_VERSION_DIFFERS,
        WRONG_NETWORK,
        UNKNOWN_MEMBER,
        DUPLICATE_KEY,
        ALREADY_CONNECTED,
        BAD_HELLO,
    }
)


@dataclass(frozen=True, slots=True)
class Hello:
    """Who speaks: `instance` tells two processes with one key apart."""

    network_id: bytes
    instance: bytes
    record: bytes
    version: int = PROTOCOL_VERSION

    def encode(self) -> bytes:
        """Return the body of the hello frame."""
        return wire.encode([self.version, self.network_id, self.instance, self.record])


def decode_hello(body: bytes) -> Hello:
    """Return the hello, its record still encoded and unverified; raise `BadMessage`."""
    items = wire.decode_array(body, 4)
    return Hello(
        version=wire.as_uint(items[0], 2**32 - 1),
        network_id=wire.as_bytes(items[1], NETWORK_ID_BYTES, NETWORK_ID_BYTES),
        instance=wire.as_bytes(items[2], INSTANCE_BYTES, INSTANCE_BYTES),
        record=wire.as_bytes(items[3], 1, RECORD_BYTES_MAX),
    )


def encode_verdict(reason: str) -> bytes:
    """Return the body of a verdict: an empty `reason` welcomes."""
    return wire.encode([reason])


def decode_verdict(body: bytes) -> str:
    """Return the reason, empty for welcome; one that we do not know becomes "other"."""
    reason = wire.as_text(wire.decode_array(body, 1)[0], _REASON_CHARACTERS_MAX)
    return reason if reason in REASONS or not reason else "other"
