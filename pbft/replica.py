"""One replica: its state and the dispatch of events, nothing else.

Where to read on: `observation` (commitment, seal, reveal), `normal_case` (pre-prepare, prepare,
commit), `execution` (replies, ledger, catching up), `checkpoint`, `view_change`, `outcome` (from
answers to an answer), `certificate` (what users take away).
"""

from collections.abc import Callable, Iterable
from typing import Any

from pbft.checkpoint import Checkpoints
from pbft.context import Configuration, Context
from pbft.effects import Apply, Compact, Effect, Reply
from pbft.events import (
    AnswerDeadline,
    AnswerReady,
    AnswersCompared,
    BatchesDue,
    CatchUp,
    Event,
    HeldReveals,
    NewViewDue,
    PeerDown,
    PeerUp,
    PrimaryDue,
    Received,
    RevealGrace,
    SealGrace,
    Started,
    Submitted,
    TimerFired,
)
from pbft.execution import Execution, Tip
from pbft.history import History
from pbft.judging import Judging
from pbft.keyring import Keyring
from pbft.log import MessageLog
from pbft.messages import (
    AnswerCommitment,
    AnswerReveal,
    BatchContent,
    BatchWanted,
    Checkpoint,
    Commit,
    DecidedSlot,
    Height,
    NewView,
    Prepare,
    Proposal,
    Request,
    Seal,
    Signed,
    ViewChange,
    WireMessage,
)
from pbft.normal_case import NormalCase
from pbft.observation import Observation
from pbft.records import (
    AnswerDrawn,
    Decided,
    Prepared,
    ProposalAccepted,
    Record,
    RequestAccepted,
    Sealed,
    StableCheckpoint,
    ViewEntered,
    ViewLeft,
)
from pbft.round import Rounds
from pbft.types import ReplicaId, SequenceNumber, View
from pbft.view_change import ViewChanges
from pbft.watch import Watch

REPEATED = (Apply, Reply)
"""Effects of recovery that the driver may have missed."""

GENESIS = Tip()
"""Nothing is applied yet; the first slot is number 1."""


class Replica:
    """One replica as a pure state machine (Castro and Liskov 1999, §4).

    Args:
        configuration: network, own position, members, policy.
        keyring: signs for this replica and verifies the others.
        records: what an earlier life persisted, in order. Nothing that was signed then is ever
            contradicted.
        tip: how far the driver's ledger reaches.
    """

    def __init__(
        self,
        configuration: Configuration,
        keyring: Keyring,
        records: Iterable[Record] = (),
        tip: Tip = GENESIS,
    ) -> None:
        context = self._context = Context(configuration, keyring)
        log = MessageLog()
        history = History()
        self._compacting = False
        self._checkpoints = Checkpoints(context, log, self._on_stable)
        rounds = Rounds(context, history)
        self._watch = Watch(context, rounds, self._on_suspect)
        self._observation = Observation(context, history, rounds, self._watch)
        judging = Judging(context, log, self._observation, self._watch, history)
        self._normal_case = NormalCase(context, log, self._observation, judging, history)
        self._execution = Execution(
            context,
            log,
            self._observation,
            self._normal_case,
            self._checkpoints,
            history,
            tip,
            self._on_suspect,
        )
        self._view_changes = ViewChanges(
            context,
            log,
            self._checkpoints,
            self._observation,
            self._normal_case,
            self._on_message,
        )
        self._handlers: dict[type, Callable[[ReplicaId, Any], None]] = {
            Request: self._observation.on_request,
            AnswerCommitment: self._observation.on_commitment,
            Seal: self._observation.on_seal,
            AnswerReveal: self._observation.on_reveal,
            Proposal: self._normal_case.on_proposal,
            Prepare: self._normal_case.on_prepare,
            Commit: self._normal_case.on_commit,
            BatchWanted: self._normal_case.on_batch_wanted,
            BatchContent: self._normal_case.on_batch_content,
            DecidedSlot: self._on_decided_slot,
            Height: self._on_height,
            Checkpoint: self._checkpoints.on_checkpoint,
            ViewChange: self._view_changes.on_view_change,
            NewView: self._view_changes.on_new_view,
        }
        self._timers: dict[type, Callable[[Any], None]] = {
            SealGrace: self._observation.on_seal_grace,
            RevealGrace: self._observation.on_reveal_grace,
            AnswerDeadline: self._observation.on_answer_deadline,
            HeldReveals: self._watch.on_held_reveals,
            PrimaryDue: self._watch.on_primary_due,
            NewViewDue: self._view_changes.on_new_view_due,
            BatchesDue: lambda _: self._normal_case.on_batches_due(),
            CatchUp: lambda _: self._execution.on_catch_up(),
        }
        for record in records:
            self._restore(record)
        # The driver has done or will hear again whatever recovery brought up, but for the slots
        # that its ledger lacks.
        self._recovered = [e for e in context.take_effects() if isinstance(e, REPEATED)]

    @property
    def view(self) -> View:
        return self._context.view

    @property
    def applied(self) -> SequenceNumber:
        return self._execution.applied

    @property
    def primary(self) -> ReplicaId:
        return self._context.primary

    def step(self, event: Event) -> list[Effect]:
        """Apply one event; return the effects, to be performed in this order."""
        match event:
            case Received(source, message):
                self._on_message(source, message)
            case TimerFired(timer):
                if handler := self._timers.get(type(timer)):
                    handler(timer)
            case AnswerReady():
                self._observation.on_answer_ready(event)
            case AnswersCompared():
                self._observation.on_compared(event)
                self._normal_case.on_compared()
            case Submitted(request):
                self._observation.submit(request)
            case PeerDown(replica):
                self._context.away.add(replica)
                self._view_changes.on_peer_down(replica)
                self._observation.on_peer_down(replica)
            case PeerUp(replica):
                self._on_peer_up(replica)
            case Started():
                self._on_started()
        self._settle()
        return self._context.take_effects()

    def _settle(self) -> None:
        """Hand finished items to the primary's proposals, and decided slots to execution."""
        while True:
            self._normal_case.propose_ready()
            decided = self._normal_case.take_decided()
            if not decided:
                break
            for slot in decided:
                self._decided(slot)
        if self._compacting:
            self._compacting = False
            self._context.emit(Compact(tuple(self._live_records())))

    def _decided(self, slot: DecidedSlot) -> None:
        before = self.applied
        self._execution.on_decided(slot)
        self._progressed(before)

    def _on_decided_slot(self, source: ReplicaId, slot: DecidedSlot) -> None:
        before = self.applied
        self._execution.on_decided_slot(source, slot)
        if self.applied > before:
            self._progressed(before)

    def _progressed(self, before: SequenceNumber) -> None:
        self._view_changes.on_decided()
        interval = self._context.policy.rotation_slots
        if before // interval != self.applied // interval:
            self._view_changes.rotate()

    def _on_message(self, source: ReplicaId, message: WireMessage) -> None:
        if self._view_changes.keep_early(source, message):
            return
        kind = type(message.message) if isinstance(message, Signed) else type(message)
        self._handlers[kind](source, message)

    def _on_height(self, source: ReplicaId, signed: Signed[Height]) -> None:
        if self._execution.on_height(source, signed):
            self._view_changes.on_peer_view(source, signed.message.view)

    def _on_peer_up(self, replica: ReplicaId) -> None:
        self._context.away.discard(replica)
        self._execution.on_peer_up(replica)
        self._view_changes.on_peer_up(replica)
        self._observation.resend(replica)
        self._normal_case.resend(replica)

    def _on_started(self) -> None:
        self._context.emit(*self._recovered)
        self._recovered = []
        self._context.recovering = False
        self._view_changes.resume()
        self._observation.resume()
        self._normal_case.resume()
        self._execution.arm_catch_up()

    def _on_suspect(self) -> None:
        self._view_changes.suspect()

    def _on_stable(self) -> None:
        self._compacting = True

    def _live_records(self) -> list[Record]:
        """All that the log must hold from now on, in an order that can be read back."""
        records: list[Record] = []
        if self._checkpoints.proof:
            records.append(StableCheckpoint(self._checkpoints.proof))
        entered, left = self._view_changes.live_records()
        records += entered
        records += self._observation.live_records()
        records += self._normal_case.live_records()
        records += left
        return records

    def _restore(self, record: Record) -> None:
        match record:
            case RequestAccepted(request):
                self._observation.restore_request(request)
            case AnswerDrawn():
                self._observation.restore_answer(record)
            case Sealed(seal):
                self._observation.restore_seal(seal)
            case ProposalAccepted(proposal):
                self._normal_case.restore_proposal(proposal)
            case Prepared():
                self._normal_case.restore_prepared(record)
            case Decided(slot):
                self._execution.restore(slot)
            case StableCheckpoint(proof):
                self._checkpoints.restore(proof)
            case ViewLeft(vote):
                self._view_changes.restore_left(vote)
            case ViewEntered(new_view):
                self._view_changes.restore_entered(new_view)
