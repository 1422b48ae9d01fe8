"""Checkpoints and garbage collection (Castro and Liskov 1999, §4.3).

Upon applying a slot whose number is a multiple of the interval, a replica broadcasts a checkpoint
with the digest of its state. Upon holding a quorum of equal ones, its own among them, the
checkpoint is *stable*: the replica moves its watermarks up, forgets the slots below and compacts
its log.

Deviation from the paper: the state is the ledger itself, a chain of slots each of which carries
its own proof. A replica that is behind fetches and checks the slots (`execution`), so that no
snapshot has to be trusted or transferred; q checkpoints rather than f + 1 make stability.
"""

from collections.abc import Callable, Sequence

from pbft.context import Context
from pbft.effects import Persist
from pbft.item import Rules
from pbft.log import MessageLog
from pbft.messages import Checkpoint, Signed
from pbft.records import StableCheckpoint
from pbft.types import CHECKPOINT_INTERVAL, Digest, ReplicaId, SequenceNumber


class Checkpoints:
    """Votes for checkpoints above the stable one."""

    def __init__(self, context: Context, log: MessageLog, on_stable: Callable[[], None]) -> None:
        self._context = context
        self._log = log
        self._on_stable = on_stable
        self._votes: dict[SequenceNumber, dict[ReplicaId, Signed[Checkpoint]]] = {}
        self.proof: tuple[Signed[Checkpoint], ...] = ()
        """Of the stable checkpoint at the low watermark; empty at the beginning."""

    def on_applied(self, sequence_number: SequenceNumber, state: Digest) -> None:
        if sequence_number % CHECKPOINT_INTERVAL:
            return
        context = self._context
        checkpoint = context.sign(
            Checkpoint(
                network=context.network,
                epoch=context.members.epoch,
                sequence_number=sequence_number,
                state=state,
                replica=context.me,
            )
        )
        context.broadcast(checkpoint)
        self._add(checkpoint)

    def on_checkpoint(self, source: ReplicaId, signed: Signed[Checkpoint]) -> None:
        message = signed.message
        if message.sequence_number <= self._log.low_watermark:
            return
        if message.sequence_number % CHECKPOINT_INTERVAL or not self._log.in_window(
            message.sequence_number
        ):
            self._context.refuse(source, "watermarks")
        elif message.epoch != self._context.members.epoch:
            self._context.refuse(source, "epoch")
        elif not self._context.is_genuine(signed):
            self._context.refuse(source, "signature")
        else:
            self._add(signed)

    def _add(self, signed: Signed[Checkpoint]) -> None:
        message = signed.message
        votes = self._votes.setdefault(message.sequence_number, {})
        votes.setdefault(message.replica, signed)
        own = votes.get(self._context.me)
        if own is None:
            return
        equal = [votes[r] for r in sorted(votes) if votes[r].message.state == own.message.state]
        if len(equal) >= self._context.members.quorum:
            self._stabilise(tuple(equal))

    def _stabilise(self, proof: tuple[Signed[Checkpoint], ...]) -> None:
        self._context.emit(Persist(StableCheckpoint(proof)))
        self.restore(proof)
        self._on_stable()

    def restore(self, proof: tuple[Signed[Checkpoint], ...]) -> None:
        sequence_number = proof[0].message.sequence_number
        self.proof = proof
        self._log.advance(sequence_number)
        for passed in [s for s in self._votes if s <= sequence_number]:
            del self._votes[passed]

    def resend(self) -> list[Signed[Checkpoint]]:
        """Own checkpoints that are not stable yet: a peer may have missed them."""
        me = self._context.me
        return [self._votes[s][me] for s in sorted(self._votes) if me in self._votes[s]]


def proves(
    proof: Sequence[Signed[Checkpoint]], sequence_number: SequenceNumber, rules: Rules
) -> bool:
    """Whether a quorum vouches for one state at this number; the beginning needs no proof."""
    if sequence_number == 0:
        return not proof
    replicas = [checkpoint.message.replica for checkpoint in proof]
    return (
        replicas == sorted(set(replicas))
        and len(replicas) >= rules.membership.quorum
        and all(
            checkpoint.message.sequence_number == sequence_number
            and checkpoint.message.epoch == rules.membership.epoch
            and checkpoint.message.state == proof[0].message.state
            and rules.is_genuine(checkpoint)
            for checkpoint in proof
        )
    )
