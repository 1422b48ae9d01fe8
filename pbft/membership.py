"""Who the members are: one epoch's list, from which everything about counting follows."""

from dataclasses import dataclass

from pbft.types import Epoch, ReplicaId, View, faults_tolerated, quorum_size


@dataclass(frozen=True, slots=True)
class Membership:
    """The members of one epoch; a replica's id is its position in `public_keys`."""

    epoch: Epoch
    public_keys: tuple[bytes, ...]
    """Raw Ed25519 keys, 32 bytes each, in the order of the genesis file."""

    @property
    def n(self) -> int:
        return len(self.public_keys)

    @property
    def f(self) -> int:
        return faults_tolerated(self.n)

    @property
    def quorum(self) -> int:
        return quorum_size(self.n)

    @property
    def replicas(self) -> range:
        return range(self.n)

    def primary(self, view: View) -> ReplicaId:
        """p = v mod n (§4.1)."""
        return ReplicaId(view % self.n)

    def public_key(self, replica: ReplicaId) -> bytes | None:
        """None for a number that is nobody's, which a peer may well send."""
        return self.public_keys[replica] if replica < self.n else None
