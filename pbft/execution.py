"""From decided slots to answers and to the ledger, and catching up with what was missed.

Slots may be decided in any order; the reply to the asker does not wait. The ledger does: slots are
applied in sequence order, without gaps.

A replica that was away learns what it missed from peers. When a connection comes up, and every few
seconds, replicas say how far they have applied the ledger, and whoever is ahead sends the next
slots. A slot comes with its quorum of commits and proves itself, so that it does not matter who
sends it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pbft import digest
from pbft.certificate import check_commits
from pbft.checkpoint import Checkpoints
from pbft.context import Context
from pbft.effects import Apply, ArmTimer, Persist, Reply, Send, SendLedger
from pbft.errors import InvalidCertificate
from pbft.events import CatchUp
from pbft.history import History
from pbft.log import MessageLog
from pbft.messages import DecidedSlot, Height, Request, Signed
from pbft.normal_case import NormalCase
from pbft.observation import Observation
from pbft.records import Decided
from pbft.types import WINDOW, Digest, ReplicaId, SequenceNumber

CATCH_UP_SLOTS = 32
"""Slots sent in answer to one `Height`; the receiver asks on."""

GAP_RETRY_MS = 1_000
GAP_RETRIES_MAX = 4
"""After so many the primary is suspected: it may have skipped a number, and a new view fills it."""

HEIGHT_INTERVAL_MS = 5_000


NOTHING_APPLIED = SequenceNumber(0)


@dataclass(frozen=True, slots=True)
class Tip:
    """Where the driver's ledger ends, at the start."""

    applied: SequenceNumber = NOTHING_APPLIED
    state: Digest = digest.DIGEST_ZERO
    requests: tuple[Request, ...] = ()
    """Decided requests, oldest first, as many as `history` remembers."""


class Execution:
    """The end of the pipeline: decided slots by sequence number, applied up to `applied`."""

    def __init__(
        self,
        context: Context,
        log: MessageLog,
        observation: Observation,
        normal_case: NormalCase,
        checkpoints: Checkpoints,
        history: History,
        tip: Tip,
        on_suspect: Callable[[], None],
    ) -> None:
        self._context = context
        self._log = log
        self._observation = observation
        self._normal_case = normal_case
        self._checkpoints = checkpoints
        self._history = history
        self._pending: dict[SequenceNumber, DecidedSlot] = {}
        self._on_suspect = on_suspect
        self._gap_seen = 0
        """How often in a row a number was missing that nobody could send."""
        self._state = tip.state
        self.applied = normal_case.applied = tip.applied
        for request in tip.requests:
            history.add(request)

    def on_decided(self, slot: DecidedSlot) -> None:
        """A slot was decided here, or was proven to be decided elsewhere."""
        if slot.sequence_number <= self.applied or slot.sequence_number in self._pending:
            return
        for index, item in enumerate(slot.batch):
            request = item.request.message
            request_id = digest.request_id(request)
            self._history.add(request)
            self._observation.close(request)
            self._context.emit(Reply(request_id, slot, index))
        self._pending[slot.sequence_number] = slot
        self._apply()

    def _apply(self) -> None:
        while (slot := self._pending.pop(SequenceNumber(self.applied + 1), None)) is not None:
            self._gap_seen = 0
            self.applied = self._normal_case.applied = slot.sequence_number
            self._state = digest.state_digest(self._state, slot.commits[0].message.digest)
            self._context.emit(Apply(self.applied, slot, self._state))
            self._checkpoints.on_applied(self.applied, self._state)

    # --- catching up ---------------------------------------------------------------------------

    def on_peer_up(self, replica: ReplicaId) -> None:
        self._context.emit(Send(replica, self._height()))
        for sequence_number in sorted(self._pending):
            self._context.emit(Send(replica, self._pending[sequence_number]))
        for checkpoint in self._checkpoints.resend():
            self._context.emit(Send(replica, checkpoint))

    def on_catch_up(self) -> None:
        """From time to time, also when nothing happens: whoever is behind finds out."""
        self._context.broadcast(self._height())
        self.arm_catch_up()
        self._gap_seen = self._gap_seen + 1 if self._pending else 0
        if self._gap_seen > GAP_RETRIES_MAX:
            self._gap_seen = 0
            self._on_suspect()

    def arm_catch_up(self) -> None:
        behind = self._pending or self.applied < self._log.low_watermark
        self._context.emit(ArmTimer(CatchUp(), GAP_RETRY_MS if behind else HEIGHT_INTERVAL_MS))

    def _height(self) -> Signed[Height]:
        context = self._context
        return context.sign(Height(context.network, self.applied, context.view, context.me))

    def on_height(self, source: ReplicaId, signed: Signed[Height]) -> bool:
        """True if the height is genuine; sends what the peer lacks."""
        if signed.message.replica != source or not self._context.is_genuine(signed):
            self._context.refuse(source, "signature")
            return False
        if signed.message.applied < self.applied:
            first = SequenceNumber(signed.message.applied + 1)
            last = SequenceNumber(min(self.applied, first + CATCH_UP_SLOTS - 1))
            self._context.emit(SendLedger(source, first, last))
        return True

    def on_decided_slot(self, source: ReplicaId, slot: DecidedSlot) -> None:
        """Upon receiving a slot with its proof: take it if the proof holds and it is missing."""
        try:
            check_commits(slot, self._context.rules)
        except InvalidCertificate:
            self._context.refuse(source, "proof")
            return
        number = slot.sequence_number
        if not self.applied < number <= self.applied + WINDOW or number in self._pending:
            return
        self._context.emit(Persist(Decided(slot)))
        self._normal_case.restore_decided(slot)
        before = self.applied
        self.on_decided(slot)
        if before // CATCH_UP_SLOTS != self.applied // CATCH_UP_SLOTS:
            self._context.emit(Send(source, self._height()))

    def restore(self, slot: DecidedSlot) -> None:
        """From the log: what the ledger holds already is only remembered as decided."""
        self._normal_case.restore_decided(slot)
        if slot.sequence_number > self.applied:
            self.on_decided(slot)
            return
        for item in slot.batch:
            self._history.add(item.request.message)
            self._observation.close(item.request.message)
