"""Who is connected as whom: members' keys, numbers and names, also of those who have left.

A number is never given twice, so that a name once learned for it stays right for old answers.
"""

from collections.abc import Iterable

from p2p.addresses import parse_dialable
from p2p.errors import BadAddress
from p2p.network import Member as Peer
from pbft.membership import Member
from pbft.types import ReplicaId


class Roster:
    """Built from the genesis file, kept up to date by `effects.MembersChanged`."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._names: dict[ReplicaId, str] = {}
        self.update(members)

    def update(self, members: Iterable[Member]) -> None:
        """These may be connected; of two keys of one member the later one is current."""
        self.members = tuple(members)
        self._replicas = {member.public_key: member.replica for member in self.members}
        self._keys = {member.replica: member.public_key for member in self.members}
        self._names |= {member.replica: member.name for member in self.members}

    def learn(self, members: Iterable[Member]) -> None:
        """Names only: members of some other epoch."""
        self._names |= {member.replica: member.name for member in members}

    def replica(self, public_key: bytes) -> ReplicaId | None:
        return self._replicas.get(public_key)

    def public_key(self, replica: ReplicaId) -> bytes | None:
        return self._keys.get(replica)

    def name(self, replica: ReplicaId) -> str:
        return self._names.get(replica, f"member {replica}")

    def peers(self) -> list[Peer]:
        """For the network. An address that came with a change and can't be dialled is left out:
        the node behind it announces others itself."""
        return [
            Peer(
                member.public_key,
                member.name,
                tuple(address for address in member.addresses if _is_dialable(address)),
            )
            for member in self.members
        ]


def _is_dialable(address: str) -> bool:
    try:
        parse_dialable(address)
    except BadAddress:
        return False
    return True
