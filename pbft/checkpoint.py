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
from pbft.effects import Persist, Send
from pbft.item import Rules
from pbft.log import MessageLog
from pbft.messages import Checkpoint, Signed
from pbft.records import StableCheckpoint
from pbft.state import State
from pbft.types import CHECKPOINT_INTERVAL, ReplicaId, SequenceNumber


class Checkpoints:
    """Votes for checkpoints above the stable one."""

    def __init__(self, context: Context, log: MessageLog, on_stable: Callable[[], None]) -> None:
        self._context = context
        self._log = log
        self._on_stable = on_stable
        self._votes: dict[SequenceNumber, dict[ReplicaId, Signed[Checkpoint]]] = {}
        self.proof: tuple[Signed[Checkpoint], ...] = ()
        """Of the stable checkpoint at the low watermark; empty at the beginning."""

    def make(self, state: State) -> Signed[Checkpoint] | None:
        """Our checkpoint at this state, in the epoch that leads up to it."""
        context = self._context
        if state.applied % CHECKPOINT_INTERVAL or not context.takes_part:
            return None
        return context.sign(
            Checkpoint(
                network=context.network,
                epoch=context.epoch,
                sequence_number=state.applied,
                state=state.digest,
                replica=context.me,
            )
        )

    def begin_epoch(self, start: SequenceNumber) -> dict[ReplicaId, Signed[Checkpoint]]:
        """The checkpoint at the start of an epoch is where everybody in it begins, and needs no
        proof. Returns the votes for it: they belong to the epoch before."""
        votes = self._votes.get(start, {})
        self._votes.clear()
        self.proof = ()
        self._log.begin_epoch(start)
        return votes

    def on_checkpoint(self, source: ReplicaId, signed: Signed[Checkpoint]) -> None:
        message = signed.message
        if message.sequence_number <= self._log.low_watermark:
            self._prove(source, message)
            return
        # Whoever catches up by the ledger is above its watermarks, until a checkpoint is stable.
        highest = max(self._log.high_watermark, self._context.applied + CHECKPOINT_INTERVAL)
        if message.sequence_number % CHECKPOINT_INTERVAL or message.sequence_number > highest:
            self._context.refuse(source, "watermarks")
        elif message.replica in self._votes.get(message.sequence_number, ()):
            return
        elif not self._context.is_genuine(signed):
            self._context.refuse(source, "signature")
        else:
            self.add(signed)

    def _prove(self, source: ReplicaId, message: Checkpoint) -> None:
        """A peer has come to our stable checkpoint late. It missed the votes that made it stable,
        and without them its watermarks stay where they are, however much it applies."""
        stable = message.sequence_number == self._log.low_watermark
        if stable and message.replica == source and message.epoch == self._context.epoch:
            # Its own vote and ours would only be answered in turn.
            parties = (source, self._context.me)
            self._context.emit(
                *(Send(source, vote) for vote in self.proof if vote.message.replica not in parties)
            )

    def add(self, signed: Signed[Checkpoint]) -> None:
        """A vote that is genuine, or our own."""
        message = signed.message
        votes = self._votes.setdefault(message.sequence_number, {})
        votes.setdefault(message.replica, signed)
        own = votes.get(self._context.me)
        if own is None:
            return
        equal = [votes[r] for r in sorted(votes) if votes[r].message.state == own.message.state]
        if len(equal) >= self._context.quorum:
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
    """Whether a quorum vouches for one state at this number; the start of an epoch needs no
    proof."""
    if sequence_number == rules.membership.start:
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
