"""Who the members are, and how that changes.

Time is divided into *epochs*. The members and the policy of epoch 0 are in the genesis file; a
change that the ledger accepts ends an epoch at the next checkpoint and begins the next one there.
A member keeps its number as long as it is one, and nobody ever gets it after it.
"""

from dataclasses import dataclass, replace
from typing import Annotated

from pbft.policy import Policy
from pbft.schema import AtMost, Hash, PublicKey
from pbft.types import (
    ADDRESS_BYTES_MAX,
    ADDRESSES_MAX,
    EPOCHS_MAX,
    MEMBERS_MAX,
    NAME_BYTES_MAX,
    Epoch,
    ReplicaId,
    SequenceNumber,
    View,
    faults_tolerated,
    quorum_size,
)

Name = Annotated[str, AtMost(NAME_BYTES_MAX)]
Addresses = Annotated[tuple[Annotated[str, AtMost(ADDRESS_BYTES_MAX)], ...], AtMost(ADDRESSES_MAX)]


@dataclass(frozen=True, slots=True)
class Member:
    replica: ReplicaId
    name: Name
    public_key: PublicKey
    addresses: Addresses = ()
    """Where it said it can be reached, as multiaddrs; a hint, not needed to verify anything."""


@dataclass(frozen=True, slots=True)
class Membership:
    """The members of one epoch, in increasing order of replica."""

    epoch: Epoch
    start: SequenceNumber
    """The checkpoint at which the epoch began: its first slot is the one after it."""
    members: Annotated[tuple[Member, ...], AtMost(MEMBERS_MAX)]
    next_replica: ReplicaId
    """The number that the next one to join gets."""

    @classmethod
    def first(cls, members: tuple[Member, ...]) -> "Membership":
        """Of epoch 0; the members are numbered from 0."""
        return cls(Epoch(0), SequenceNumber(0), members, ReplicaId(len(members)))

    @property
    def n(self) -> int:
        return len(self.members)

    @property
    def f(self) -> int:
        return faults_tolerated(self.n)

    @property
    def quorum(self) -> int:
        return quorum_size(self.n)

    @property
    def disowning(self) -> int:
        """So many of these members can't be mistaken if they say that one of them has left: at
        least one of them is honest, and had heard of every epoch that a quorum has begun."""
        return self.n - self.quorum + self.f + 1

    @property
    def replicas(self) -> tuple[ReplicaId, ...]:
        return tuple(member.replica for member in self.members)

    def primary(self, view: View) -> ReplicaId:
        """p = v mod n (§4.1), counted along the list."""
        return self.members[view % self.n].replica

    def member(self, replica: ReplicaId) -> Member | None:
        """None for a number that is nobody's, which a peer may well send."""
        if replica < self.n and self.members[replica].replica == replica:
            return self.members[replica]  # nobody before it has left
        return next((member for member in self.members if member.replica == replica), None)

    def public_key(self, replica: ReplicaId) -> bytes | None:
        member = self.member(replica)
        return member.public_key if member else None

    def replica_of(self, public_key: bytes) -> ReplicaId | None:
        for member in self.members:
            if member.public_key == public_key:
                return member.replica
        return None


# --- changes -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Join:
    """A further member. It gets the next number."""

    name: Name
    public_key: PublicKey
    addresses: Addresses


@dataclass(frozen=True, slots=True)
class Leave:
    replica: ReplicaId


@dataclass(frozen=True, slots=True)
class ReplaceKey:
    """The member goes on under another key: the old one was lost, or is known to others."""

    replica: ReplicaId
    public_key: PublicKey


@dataclass(frozen=True, slots=True)
class SetPolicy:
    policy: Policy


@dataclass(frozen=True, slots=True)
class Renew:
    """The same members in a new epoch, because this one forgot what it has signed: its log was
    damaged. Nothing that it signed in the old epoch can be contradicted in the new one, so that it
    may take part again. Needs no endorsement but its own."""

    replica: ReplicaId
    salt: Hash
    """Of `records.Forgot`: an earlier renewal is none of what was forgotten since."""


Change = Join | Leave | ReplaceKey | SetPolicy | Renew


def change_fault(change: Change, membership: Membership, policy: Policy) -> str | None:
    """Why the change makes no sense for these members, in one sentence; None if it does."""
    if membership.epoch + 1 >= EPOCHS_MAX:
        return f"There have been {EPOCHS_MAX} epochs; begin a new network."
    keys = {member.public_key for member in membership.members}
    match change:
        case Join(name, public_key, _):
            if membership.n >= MEMBERS_MAX:
                return f"There are {membership.n} members; more than {MEMBERS_MAX} cannot be."
            if public_key in keys:
                return "A member has that key already."
            if not name:
                return "The new member needs a name."
            if name in {member.name for member in membership.members}:
                return f"A member is called {name!r} already; choose another name."
        case Leave(replica) | ReplaceKey(replica, _) | Renew(replica, _) if (
            membership.member(replica) is None
        ):
            return f"Nobody is member {replica}."
        case Leave() if membership.n == 1:
            return "The last member cannot leave."
        case ReplaceKey(_, public_key) if public_key in keys:
            return "A member has that key already."
        case SetPolicy(wanted) if wanted == policy:
            return "That is the policy already."
    return None


def changed(change: Change, membership: Membership, start: SequenceNumber) -> Membership:
    """The members of the next epoch. The change has no `change_fault`."""
    members = membership.members
    next_replica = membership.next_replica
    match change:
        case Join(name, public_key, addresses):
            members = (*members, Member(next_replica, name, public_key, addresses))
            next_replica = ReplicaId(next_replica + 1)
        case Leave(replica):
            members = tuple(member for member in members if member.replica != replica)
        case ReplaceKey(replica, public_key):
            members = tuple(
                replace(member, public_key=public_key) if member.replica == replica else member
                for member in members
            )
        case SetPolicy() | Renew():
            pass
    return Membership(Epoch(membership.epoch + 1), start, members, next_replica)


def endorsements_needed(change: Change, membership: Membership) -> int:
    return 1 if isinstance(change, Renew) else membership.quorum
