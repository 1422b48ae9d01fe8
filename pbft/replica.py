"""One replica: its state and the dispatch of events, nothing else.

Where to read on: `requests`, `answering` and `observation` (commitment, seal, reveal), `proposing`
and `normal_case` (pre-prepare, prepare, commit), `execution` (replies, ledger, catching up),
`checkpoint`, `view_change`, `motions` and `epochs` (changes of membership and policy), `state`
(what follows from the ledger), `outcome` (from answers to an answer), `certificate` (what users
take away).
"""

from collections.abc import Callable, Iterable
from typing import Any

from pbft import digest
from pbft.checkpoint import Checkpoints
from pbft.context import NOBODY, Configuration, Context
from pbft.early import Early
from pbft.effects import Apply, Compact, Effect, Persist, RecordEpoch, Rejected, Reply
from pbft.epochs import Epochs
from pbft.events import (
    AnswerDeadline,
    AnswerReady,
    AnswersCompared,
    BatchesDue,
    CatchUp,
    ChangeEndorsed,
    Event,
    HeldReveals,
    MotionsDue,
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
    ViewChangesDue,
)
from pbft.execution import Execution, Tip
from pbft.history import History
from pbft.judging import Judging
from pbft.keyring import Keyring
from pbft.log import MessageLog
from pbft.measuring import Measurements
from pbft.messages import (
    Accusation,
    AnswerCommitment,
    AnswerReveal,
    BatchContent,
    BatchWanted,
    Checkpoint,
    Commit,
    DecidedSlot,
    EndorsedChange,
    Endorsement,
    EpochCertificate,
    Height,
    LedgerWanted,
    NewView,
    Prepare,
    Proposal,
    Request,
    Seal,
    Signed,
    ViewChange,
    ViewChangesWanted,
    WireMessage,
)
from pbft.motions import Motions
from pbft.normal_case import NormalCase
from pbft.observation import Observation
from pbft.records import (
    AnswerDrawn,
    Decided,
    Endorsed,
    EpochBegun,
    EpochEnded,
    Forgot,
    Prepared,
    ProposalAccepted,
    Record,
    RequestAccepted,
    Sealed,
    StableCheckpoint,
    ViewChangeNamed,
    ViewEntered,
    ViewLeft,
    epoch_of,
)
from pbft.round import Rounds
from pbft.state import State
from pbft.types import CHECKPOINT_INTERVAL, Epoch, ReplicaId, SequenceNumber, View
from pbft.view_change import ViewChanges
from pbft.watch import Watch

REPEATED = (Persist, Apply, Reply, RecordEpoch, Rejected)
"""Effects of recovery that the driver may have missed."""

FOR_ALL = (DecidedSlot, EpochCertificate, Height, Checkpoint, LedgerWanted, BatchWanted)
"""Messages that a replica reads even if it may not take part."""

GENESIS = Tip()
"""Nothing is applied yet; the first slot is number 1."""


class Replica:
    """One replica as a pure state machine (Castro and Liskov 1999, §4).

    Args:
        configuration: network, own key, members and policy of the genesis file.
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
        context = self._context = Context(configuration, keyring, tip.state)
        log = MessageLog()
        history = History()
        self._compacting = False
        log.begin_epoch(context.members.start)
        self._checkpoints = Checkpoints(context, log, self._on_stable)
        self._epochs = Epochs(context, tip.epoch)
        rounds = Rounds(context, history)
        measurements = Measurements(context)
        self._measurements = measurements
        self._watch = Watch(context, rounds, self._on_suspect)
        self._observation = Observation(context, history, rounds, measurements, self._watch)
        judging = Judging(context, log, self._observation, measurements, self._watch, history)
        self._motions = Motions(context, judging, self._on_suspect)
        self._normal_case = NormalCase(
            context, log, self._observation, judging, self._motions, history
        )
        self._execution = Execution(
            context,
            log,
            self._observation,
            self._normal_case,
            self._checkpoints,
            self._epochs,
            history,
            tip,
            self._on_suspect,
            self._begin_epoch,
        )
        self._early = Early(context, log, self._on_message)
        self._view_changes = ViewChanges(
            context,
            log,
            self._checkpoints,
            self._observation,
            self._normal_case,
            self._early,
        )
        self._handlers: dict[type, Callable[[ReplicaId, Any], None]] = {
            Request: self._observation.requests.on_request,
            AnswerCommitment: self._observation.on_commitment,
            Seal: self._observation.on_seal,
            AnswerReveal: self._observation.on_reveal,
            Proposal: self._normal_case.on_proposal,
            Prepare: self._normal_case.on_prepare,
            Commit: self._normal_case.on_commit,
            BatchWanted: self._normal_case.fetching.on_wanted,
            BatchContent: self._normal_case.fetching.on_content,
            DecidedSlot: self._on_decided_slot,
            Height: self._on_height,
            LedgerWanted: self._execution.on_ledger_wanted,
            EpochCertificate: self._epochs.on_certificate,
            Checkpoint: self._on_checkpoint,
            Endorsement: self._motions.on_endorsement,
            Accusation: self._motions.on_accusation,
            ViewChange: self._view_changes.on_view_change,
            NewView: self._view_changes.on_new_view,
            ViewChangesWanted: self._view_changes.on_view_changes_wanted,
        }
        self._timers: dict[type, Callable[[Any], None]] = {
            SealGrace: self._observation.on_seal_grace,
            RevealGrace: self._observation.on_reveal_grace,
            AnswerDeadline: self._observation.answering.on_deadline,
            HeldReveals: self._watch.on_held_reveals,
            PrimaryDue: self._watch.on_primary_due,
            NewViewDue: self._view_changes.on_new_view_due,
            MotionsDue: lambda _: self._motions.on_due(),
            ViewChangesDue: lambda _: self._view_changes.on_view_changes_due(),
            BatchesDue: lambda _: self._normal_case.fetching.on_due(),
            CatchUp: lambda _: self._on_look(),
        }
        self._latest = Epoch(0)
        """The latest epoch that the log speaks of."""
        self._restorers = self._make_restorers()
        for record in records:
            self._restore(record)
        if self._latest > context.epoch and context.forgotten is None:
            # The ledger was lost and the log was not: what we signed is of an epoch to come, and
            # whatever we sign after that one leaves its mark in the log.
            context.forget(digest.plain_digest(b"lost ledger", str(self._latest).encode()))
        # The driver has done or will hear again whatever recovery brought up, but for the slots
        # that its ledger lacks.
        self._recovered = [e for e in context.take_effects() if isinstance(e, REPEATED)]

    @property
    def view(self) -> View:
        return self._context.view

    @property
    def active(self) -> bool:
        """Whether the view was entered."""
        return self._context.active

    @property
    def applied(self) -> SequenceNumber:
        return self._context.applied

    @property
    def state(self) -> State:
        """What follows from the ledger so far."""
        return self._context.state

    @property
    def changes(self) -> tuple[EndorsedChange, ...]:
        """What members want to change in this epoch, with who endorsed it so far."""
        return self._motions.changes

    @property
    def me(self) -> ReplicaId | None:
        """This replica's number; None while it is no member."""
        return None if self._context.me == NOBODY else self._context.me

    @property
    def takes_part(self) -> bool:
        """Whether this replica is a member and votes."""
        return self._context.takes_part

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
                self._observation.answering.on_ready(event)
            case AnswersCompared():
                self._measurements.take(event)
                self._observation.on_compared(event)
                self._normal_case.on_compared()
                self._motions.on_compared()
            case Submitted(request):
                self._observation.requests.submit(request)
            case ChangeEndorsed(change):
                self._motions.endorse(change)
            case PeerDown(replica):
                self._context.away.add(replica)
                self._view_changes.on_peer_down(replica)
                self._observation.on_peer_down(replica)
                self._execution.on_peer_down(replica)
            case PeerUp(replica):
                self._on_peer_up(replica)
            case Started():
                self._on_started()
        self._settle()
        return self._context.take_effects()

    def _settle(self) -> None:
        """Hand finished items to the primary's proposals, and decided slots to execution."""
        while True:
            for evidence in self._context.take_found():
                self._motions.found(evidence)
            self._normal_case.proposing.propose_ready()
            decided = self._normal_case.take_decided()
            if not decided:
                break
            for slot in decided:
                self._decided(slot)
        self._motions.watch()
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
        self._motions.on_applied()
        interval = self._context.policy.rotation_slots
        if before // interval != self.applied // interval:
            self._view_changes.rotate()
        if before // CHECKPOINT_INTERVAL != self.applied // CHECKPOINT_INTERVAL:
            self._early.release()

    def _on_message(self, source: ReplicaId, message: WireMessage) -> None:
        kind = type(message.message) if isinstance(message, Signed) else type(message)
        if self._early.keep(source, message):
            return
        if self._context.takes_part or kind in FOR_ALL:
            self._handlers[kind](source, message)

    def _on_checkpoint(self, source: ReplicaId, signed: Signed[Checkpoint]) -> None:
        if signed.message.epoch < self._context.epoch:
            self._epochs.on_checkpoint(source, signed)
        elif signed.message.epoch > self._context.epoch:
            self._context.refuse(source, "epoch")
        else:
            self._checkpoints.on_checkpoint(source, signed)

    def _begin_epoch(self, state: State) -> None:
        """The last slot of an epoch was applied (`epochs`)."""
        context = self._context
        old = context.members
        votes = self._checkpoints.begin_epoch(state.applied)
        context.take_state(state)
        context.remember()
        self._view_changes.begin_epoch()
        self._normal_case.begin_epoch()
        self._motions.begin_epoch()
        self._epochs.begin(old, votes)
        self._observation.begin_epoch()
        self._compacting = True
        if not context.recovering:
            self._motions.ask_for_renewal()
            self._early.release()

    def _on_height(self, source: ReplicaId, signed: Signed[Height]) -> None:
        if self._execution.on_height(source, signed):
            self._view_changes.on_peer_view(source, signed.message.epoch, signed.message.view)

    def _on_look(self) -> None:
        self._view_changes.on_look()
        self._normal_case.fetching.send_again()
        self._execution.on_catch_up()

    def _on_peer_up(self, replica: ReplicaId) -> None:
        self._context.away.discard(replica)
        self._execution.on_peer_up(replica)
        self._view_changes.on_peer_up(replica)
        self._observation.resend(replica)
        self._normal_case.resend(replica)
        self._motions.resend(replica)

    def _on_started(self) -> None:
        self._context.emit(*self._recovered)
        self._recovered = []
        self._context.recovering = False
        self._view_changes.resume()
        self._observation.resume()
        self._normal_case.resume()
        self._execution.arm_catch_up()
        self._motions.ask_for_renewal()
        self._epochs.resume()

    def _on_suspect(self) -> None:
        self._view_changes.suspect()

    def _on_stable(self) -> None:
        self._compacting = True

    def _live_records(self) -> list[Record]:
        """All that the log must hold from now on, in an order that can be read back."""
        records: list[Record] = []
        if self._context.forgotten is not None:
            records.append(Forgot(self._context.forgotten))
        if self._context.epoch:
            records.append(EpochBegun(self._context.epoch))
        records += self._epochs.live_records()
        records += self._motions.live_records()
        if self._checkpoints.proof:
            records.append(StableCheckpoint(self._checkpoints.proof))
        entered, left = self._view_changes.live_records()
        records += entered
        records += self._observation.live_records()
        records += self._normal_case.live_records()
        records += left
        return records

    def _restore(self, record: Record) -> None:
        epoch = epoch_of(record)
        self._latest = max(self._latest, epoch or Epoch(0))
        if epoch is None or epoch == self._context.epoch:
            # What was said in another epoch binds nobody in this one.
            self._restorers[type(record)](record)

    def _restore_forgetting(self, record: Forgot) -> None:
        self._context.forget(record.salt)
        self._context.remember()

    def _make_restorers(self) -> dict[type, Callable[[Any], None]]:
        """One for each of `records.RECORD_KINDS`."""
        return {
            RequestAccepted: self._observation.requests.restore,
            AnswerDrawn: self._observation.answering.restore,
            Sealed: lambda record: self._observation.restore_seal(record.seal),
            ProposalAccepted: lambda record: self._normal_case.restore_proposal(record.proposal),
            Prepared: self._normal_case.restore_prepared,
            Decided: lambda record: self._execution.restore(record.slot),
            StableCheckpoint: lambda record: self._checkpoints.restore(record.proof),
            ViewLeft: lambda record: self._view_changes.restore_left(record.view_change),
            ViewChangeNamed: lambda record: self._view_changes.restore_named(record.view_change),
            ViewEntered: lambda record: self._view_changes.restore_entered(record.new_view),
            Endorsed: lambda record: self._motions.restore(record.endorsement),
            EpochEnded: self._epochs.restore,
            Forgot: self._restore_forgetting,
            EpochBegun: lambda _: None,
        }
