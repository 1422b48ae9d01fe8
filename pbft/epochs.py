"""Epochs: how the members and the policy change while the network runs.

Upon applying the checkpoint at which a pending change takes effect, a replica signs that
checkpoint as a member of the old epoch, and goes on in view 0 of the new one: nothing above the
checkpoint was proposed in the old epoch, so that nothing has to be carried over. Upon holding a
quorum of the old epoch's signatures for that checkpoint, it has the *epoch certificate*: the old
members vouch for the new ones. From the genesis file, a chain of these proves the members of every
epoch, offline.

Until then it stays connected with the old members too, because their signatures may be needed. A
replica that is no member any more retires when the certificate is complete.

Deviation from the paper, which leaves the set of replicas fixed: the rule is that of Lamport's
stoppable state machines (Lamport, Malkhi and Zhou, "Stoppable Paxos", 2008): the last command of a
configuration stops it, and the next one starts from its state.
"""

from pbft import digest
from pbft.context import NOBODY, Context
from pbft.effects import MembersChanged, Persist, RecordEpoch, Retired, Send
from pbft.item import Rules
from pbft.membership import Member, Membership
from pbft.messages import Checkpoint, EpochCertificate, Signed
from pbft.policy import Policy
from pbft.records import EpochEnded
from pbft.state import State
from pbft.types import Digest, Epoch, ReplicaId


def certificate_fault(certificate: EpochCertificate, rules: Rules) -> str | None:
    """Why it does not prove the epoch after that of `rules`, in one sentence; None if it does."""
    old, new = rules.membership, certificate.membership
    if new.epoch != old.epoch + 1 or new.start <= old.start or not new.members:
        return f"The change to epoch {new.epoch} does not follow epoch {old.epoch}."
    state = digest.state_digest(
        digest.configuration_digest(new, certificate.policy), certificate.rest
    )
    replicas = [checkpoint.message.replica for checkpoint in certificate.checkpoints]
    if replicas != sorted(set(replicas)) or len(replicas) < old.quorum:
        return f"The change to epoch {new.epoch} is not signed by {old.quorum} different members."
    for checkpoint in certificate.checkpoints:
        message = checkpoint.message
        if (message.epoch, message.sequence_number, message.state) != (
            old.epoch,
            new.start,
            state,
        ) or not rules.is_genuine(checkpoint):
            return f"A signature under the change to epoch {new.epoch} is wrong."
    return None


class Epochs:
    """The epochs that are proven, and those that still have to be."""

    def __init__(self, context: Context, proven: EpochCertificate | None) -> None:
        """`proven` is the newest certificate that the driver keeps."""
        self._context = context
        first = context.configuration
        self._proven: tuple[Membership, Policy] = (
            (proven.membership, proven.policy) if proven else (first.membership, first.policy)
        )
        self._ended: dict[Epoch, EpochEnded] = {}
        """By the epoch that ended; of those whose successor is not proven."""
        self._votes: dict[Epoch, dict[ReplicaId, Signed[Checkpoint]]] = {}
        self._left = False
        """We were a member once."""

    @property
    def proven(self) -> Epoch:
        return self._proven[0].epoch

    def end(self, state: State, checkpoint: Signed[Checkpoint]) -> None:
        """Our checkpoint ends the epoch, and `state` begins the next. On disk before the ledger is
        there: afterwards nobody could tell any more who the old members were."""
        ended = EpochEnded(
            checkpoint,
            self._context.members,
            state.membership,
            state.policy,
            Digest(state.rest_digest),
        )
        self._context.emit(Persist(ended))
        self.restore(ended)

    def begin(self, old: Membership, votes: dict[ReplicaId, Signed[Checkpoint]]) -> None:
        """The context holds the first state of a new epoch. `votes` are the checkpoints of the old
        one at its end that are here already."""
        self._left = (
            self._left or old.replica_of(self._context.configuration.public_key) is not None
        )
        ended = self._ended.get(old.epoch)
        if ended is not None:
            self._votes[old.epoch].update(
                (replica, vote)
                for replica, vote in votes.items()
                if vote.message.state == ended.checkpoint.message.state
            )
        self._certify()
        self.announce()

    def resume(self) -> None:
        """Recovery is over."""
        self._certify()
        if self._context.epoch:
            self.announce()

    def on_checkpoint(self, source: ReplicaId, signed: Signed[Checkpoint]) -> None:
        """Of an ended epoch, at its end."""
        message = signed.message
        ended = self._ended.get(message.epoch)
        if ended is None:
            return  # proven long ago
        rules = self._context.rules_for(ended.membership, self._context.policy)
        own = ended.checkpoint.message
        if message.sequence_number != own.sequence_number or message.state != own.state:
            self._context.refuse(source, "checkpoint")
        elif not rules.is_genuine(signed):
            self._context.refuse(source, "signature")
        else:
            self._votes[message.epoch][message.replica] = signed
            self._certify()

    def _certify(self) -> None:
        """One epoch after the other: each certificate is checked against the one before."""
        ended = self._ended.get(self.proven)
        if ended is None:
            return
        votes = self._votes[self.proven]
        if len(votes) < ended.membership.quorum:
            return
        self._take(
            EpochCertificate(
                ended.next_membership,
                ended.next_policy,
                ended.rest,
                tuple(votes[replica] for replica in sorted(votes)),
            )
        )

    def on_certificate(self, source: ReplicaId, certificate: EpochCertificate) -> None:
        """From a peer who has it already."""
        if certificate.membership.epoch <= self.proven:
            return
        if certificate_fault(certificate, self._context.rules_for(*self._proven)):
            self._context.refuse(source, "epoch-proof")
        else:
            self._take(certificate)

    def _take(self, certificate: EpochCertificate) -> None:
        self._context.emit(RecordEpoch(certificate))
        self._ended.pop(self.proven, None)
        self._votes.pop(self.proven, None)
        self._proven = (certificate.membership, certificate.policy)
        self._certify()
        self.announce()

    def announce(self) -> None:
        """Tells the driver whom to be connected with: the members, and those whose signatures an
        ended epoch may need, or who may need them."""
        context = self._context
        if context.recovering:
            return
        wanted: dict[bytes, Member] = {}
        for ended in self._ended.values():
            wanted |= {member.public_key: member for member in ended.membership.members}
        wanted |= {member.public_key: member for member in context.members.members}
        context.emit(MembersChanged(tuple(wanted.values())))
        if self._left and context.me == NOBODY and self.proven == context.epoch:
            context.emit(Retired())

    def resend(self, replica: ReplicaId) -> None:
        for epoch in sorted(self._ended):
            self._context.emit(Send(replica, self._ended[epoch].checkpoint))

    def restore(self, ended: EpochEnded) -> None:
        checkpoint = ended.checkpoint.message
        key = self._context.configuration.public_key
        self._left = self._left or ended.membership.replica_of(key) is not None
        if checkpoint.epoch >= self.proven:  # else others have proven it already
            self._ended[checkpoint.epoch] = ended
            self._votes[checkpoint.epoch] = {checkpoint.replica: ended.checkpoint}

    def live_records(self) -> list[EpochEnded]:
        return [self._ended[epoch] for epoch in sorted(self._ended)]
