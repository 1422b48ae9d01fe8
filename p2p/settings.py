"""What the daemon says about the network, checked before anything is opened."""

from collections.abc import Iterable
from dataclasses import dataclass

from p2p.addresses import parse_dialable, parse_listenable
from p2p.envelope import PUBLIC_KEY_BYTES
from p2p.errors import BadSettings
from p2p.host import peer_id
from p2p.records import NETWORK_ID_BYTES

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Member:
    """One known validator; `addresses` are multiaddrs, with or without ``/p2p/<peer id>``."""

    public_key: bytes
    name: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """How this node listens, is found, and what it puts up with. `_s` is seconds.

    `announce` defaults to the listen addresses with their real ports; a 0.0.0.0 among them stands
    for each of the machine's addresses. `bootstrap` addresses may lack ``/p2p/<peer id>``.
    """

    network_id: bytes
    listen: tuple[str, ...]
    announce: tuple[str, ...] = ()
    bootstrap: tuple[str, ...] = ()
    mdns: bool = False
    frame_bytes_max: int = 4 * _MIB
    # Bytes that may wait to be sent to one peer, and to be read from one peer.
    outbox_bytes_max: int = 16 * _MIB
    inbox_bytes_max: int = 16 * _MIB
    heartbeat_s: float = 5.0
    heartbeat_misses_max: int = 3
    dial_timeout_s: float = 5.0
    # How long a connection may take to prove its key, and once more to exchange hellos.
    handshake_timeout_s: float = 10.0
    # How long the holder of a connection has to answer before a newcomer takes its place.
    probe_timeout_s: float = 2.0
    # How many distinct members must name us a duplicate before we believe it: f + 1.
    duplicate_refusals_needed: int = 1
    redial_min_s: float = 0.2
    redial_max_s: float = 15.0
    # Inbound connections that have not become a member's yet.
    pending_per_host_max: int = 16
    pending_max: int = 64
    close_timeout_s: float = 2.0

    def check(self) -> None:
        """Raise `BadSettings` or `BadAddress`."""
        if len(self.network_id) != NETWORK_ID_BYTES:
            raise BadSettings(f"A network id has {NETWORK_ID_BYTES} bytes.")
        if min(self.outbox_bytes_max, self.inbox_bytes_max) < self.frame_bytes_max + 1024:
            raise BadSettings(
                "outbox_bytes_max and inbox_bytes_max must leave room for one frame of "
                "frame_bytes_max: raise them."
            )
        if self.heartbeat_misses_max < 1 or self.duplicate_refusals_needed < 1:
            raise BadSettings(
                "heartbeat_misses_max and duplicate_refusals_needed must be at least 1."
            )
        for text in self.listen:
            parse_listenable(text)
        for text in (*self.announce, *self.bootstrap):
            parse_dialable(text)


def check_members(members: Iterable[Member]) -> dict[bytes, Member]:
    """Return the members by key; raise `BadSettings` or `BadAddress`."""
    by_key: dict[bytes, Member] = {}
    for member in members:
        if len(member.public_key) != PUBLIC_KEY_BYTES:
            raise BadSettings(f"The public key of member {member.name!r} must have 32 bytes.")
        if member.public_key in by_key:
            raise BadSettings(f"Member {member.name!r} has the same key as another member.")
        for text in member.addresses:
            if parse_dialable(text).peer_id not in ("", peer_id(member.public_key)):
                raise BadSettings(
                    f"The address {text!r} of member {member.name!r} ends in another node's peer "
                    f"id: it must be {peer_id(member.public_key)}."
                )
        by_key[member.public_key] = member
    return by_key
