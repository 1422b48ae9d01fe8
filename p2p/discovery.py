"""Where members can be reached: configuration, signed records, and hints from mDNS.

Records come with each hello and by exchange: a node tells a newly connected peer all it knows,
and passes on what is new to it, so knowing one member is enough to find all. A record for a key
that is not a member's is ignored; one that does not verify is the sender's fault.
"""

import time
from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from p2p.addresses import Address, parse_dialable
from p2p.envelope import public_bytes
from p2p.records import ADDRESSES_MAX, COUNTER_MAX, AddressBook, AddressRecord, make_record
from p2p.settings import Member

# Two processes with one key would answer each other's records forever.
_REISSUES_MAX = 8


class Discovery:
    """What we know of addresses, our own included."""

    def __init__(
        self, private_key: Ed25519PrivateKey, network_id: bytes, announced: Iterable[Address]
    ) -> None:
        self._private_key = private_key
        self._network_id = network_id
        self._our_key = public_bytes(private_key)
        self._announced = tuple(announced)
        self._book = AddressBook()
        self._hints: dict[bytes, list[Address]] = {}
        self._last_good: dict[bytes, Address] = {}
        self._reissues_left = _REISSUES_MAX
        self._issue(int(time.time() * 1000))

    def our_record(self) -> AddressRecord:
        """Return our newest record."""
        return self._ours

    def records(self) -> list[AddressRecord]:
        """Return all records to pass on, ours included."""
        return self._book.all()

    def learn(self, record: AddressRecord) -> AddressRecord | None:
        """Take a member's record; return the one to pass on, None if nothing is new.

        Raises `BadSignature`. A record of our own from an earlier life, dated ahead of our clock,
        makes us issue a newer one.
        """
        if record.public_key == self._our_key:
            if record.counter <= self._ours.counter or not self._reissues_left:
                return None
            record.verify(self._network_id)
            if record.counter >= COUNTER_MAX:
                return None
            self._reissues_left -= 1
            self._issue(record.counter + 1)
            return self._ours
        held = self._book.get(record.public_key)
        if held is not None and held.counter >= record.counter:
            return None
        record.verify(self._network_id)
        self._book.learn(record)
        return record

    def hint(self, public_key: bytes, address: Address) -> bool:
        """Note that someone says the member is there; True if that is new."""
        hints = self._hints.setdefault(public_key, [])
        if address in hints:
            return False
        hints.append(address)
        del hints[:-ADDRESSES_MAX]
        return True

    def worked(self, public_key: bytes, address: Address) -> None:
        """Note that dialling `address` reached the member: it is tried first next time."""
        self._last_good[public_key] = address

    def candidates(self, member: Member) -> list[Address]:
        """Return the addresses to try, the likeliest first; a bounded number."""
        record = self._book.get(member.public_key)
        fresh = record.addresses if record is not None else ()
        last_good = self._last_good.get(member.public_key)
        configured = [parse_dialable(text).without_peer_id for text in member.addresses]
        hints = self._hints.get(member.public_key, [])
        ordered = dict.fromkeys([*fresh, *configured, *hints, *([last_good] if last_good else [])])
        if last_good is not None and (last_good in fresh or not fresh):
            ordered = dict.fromkeys([last_good, *ordered])
        return list(ordered)

    def forget(self, public_key: bytes) -> None:
        """Drop what is known of one who is no longer a member."""
        self._book.forget(public_key)
        self._hints.pop(public_key, None)
        self._last_good.pop(public_key, None)

    def _issue(self, counter: int) -> None:
        self._ours = make_record(self._private_key, self._network_id, counter, self._announced)
        self._book.learn(self._ours)
