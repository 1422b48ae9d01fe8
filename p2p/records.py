"""Signed address records: where a member says that it can be reached.

A record is written and signed by its owner and passed on by anyone. The newest counter wins, so
a node that restarts on another port replaces its old addresses everywhere. Only members' records
are kept, one each, so the book is bounded by the membership.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from p2p import wire
from p2p.addresses import ADDRESS_CHARACTERS_MAX, Address, parse_dialable
from p2p.envelope import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, public_bytes, sign, verify
from p2p.errors import BadAddress, BadMessage

ADDRESSES_MAX = 8
COUNTER_MAX = 2**63 - 1
RECORD_BYTES_MAX = 4096
RECORDS_PER_FRAME_MAX = 64
RECORDS_FRAME_BYTES_MAX = RECORDS_PER_FRAME_MAX * (RECORD_BYTES_MAX + 8)
NETWORK_ID_BYTES = 32
_CONTEXT = b"p2p/address-record"


@dataclass(frozen=True, slots=True)
class AddressRecord:
    """A member's addresses; `counter` is milliseconds since 1970 or one above its last."""

    public_key: bytes
    counter: int
    addresses: tuple[Address, ...]
    signature: bytes

    def encode(self) -> bytes:
        """Return the record as it travels."""
        texts: list[wire.Item] = [str(address) for address in self.addresses]
        return wire.encode([self.public_key, self.counter, texts, self.signature])

    def verify(self, network_id: bytes) -> None:
        """Return if the owner signed this for that network; raise `BadSignature`."""
        payload = _signed_bytes(network_id, self.public_key, self.counter, self.addresses)
        verify(self.public_key, _CONTEXT, payload, self.signature)


def make_record(
    private_key: Ed25519PrivateKey,
    network_id: bytes,
    counter: int,
    addresses: Iterable[Address],
) -> AddressRecord:
    """Return our own record, signed; of more than `ADDRESSES_MAX` addresses the first are kept."""
    kept = tuple(address.without_peer_id for address in addresses)[:ADDRESSES_MAX]
    public_key = public_bytes(private_key)
    payload = _signed_bytes(network_id, public_key, counter, kept)
    return AddressRecord(public_key, counter, kept, sign(private_key, _CONTEXT, payload))


def decode_record(data: bytes) -> AddressRecord:
    """Return a record whose signature is still to be verified; raise `BadMessage`.

    Apart, because a verification costs 0.1 ms, and most records that arrive are known already.
    """
    if len(data) > RECORD_BYTES_MAX:
        raise BadMessage("a record is too long")
    items = wire.decode_array(data, 4)
    public_key = wire.as_bytes(items[0], PUBLIC_KEY_BYTES, PUBLIC_KEY_BYTES)
    counter = wire.as_uint(items[1], COUNTER_MAX)
    texts = [
        wire.as_text(item, ADDRESS_CHARACTERS_MAX)
        for item in wire.as_array(items[2], ADDRESSES_MAX)
    ]
    signature = wire.as_bytes(items[3], SIGNATURE_BYTES, SIGNATURE_BYTES)
    try:
        addresses = tuple(parse_dialable(text) for text in texts)
    except BadAddress as error:
        raise BadMessage("a record holds an address that cannot be dialled") from error
    if any(str(address) != text for address, text in zip(addresses, texts, strict=True)):
        raise BadMessage("a record holds an address that is not in its plain form")
    return AddressRecord(public_key, counter, addresses, signature)


def encode_records(records: Iterable[AddressRecord]) -> list[bytes]:
    """Return the bodies of the frames that carry `records`, each within the bounds."""
    encoded: list[wire.Item] = [record.encode() for record in records]
    return [
        wire.encode(encoded[start : start + RECORDS_PER_FRAME_MAX])
        for start in range(0, len(encoded), RECORDS_PER_FRAME_MAX)
    ]


def split_records(body: bytes) -> list[bytes]:
    """Return the encoded records in a frame's body, unverified; raise `BadMessage`."""
    if len(body) > RECORDS_FRAME_BYTES_MAX:
        raise BadMessage("a frame of records is too long")
    items = wire.as_array(wire.decode(body), RECORDS_PER_FRAME_MAX)
    return [wire.as_bytes(item, 1, RECORD_BYTES_MAX) for item in items]


class AddressBook:
    """The newest record of each member."""

    def __init__(self) -> None:
        self._records: dict[bytes, AddressRecord] = {}

    def learn(self, record: AddressRecord) -> bool:
        """Keep a verified record; True if it is newer than the one held."""
        held = self._records.get(record.public_key)
        if held is not None and held.counter >= record.counter:
            return False
        self._records[record.public_key] = record
        return True

    def get(self, public_key: bytes) -> AddressRecord | None:
        """Return the record held for that key."""
        return self._records.get(public_key)

    def forget(self, public_key: bytes) -> None:
        """Drop the record of one who is no longer a member."""
        self._records.pop(public_key, None)

    def all(self) -> list[AddressRecord]:
        """Return the records held, sorted by key."""
        return [self._records[key] for key in sorted(self._records)]


def _signed_bytes(
    network_id: bytes, public_key: bytes, counter: int, addresses: tuple[Address, ...]
) -> bytes:
    texts: list[wire.Item] = [str(address) for address in addresses]
    return wire.encode([network_id, public_key, counter, texts])
