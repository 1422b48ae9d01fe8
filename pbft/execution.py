"""From decided slots to answers and to the ledger, and catching up with what was missed.

Slots may be decided in any order; the reply to the asker does not wait. The ledger does: slots are
applied in sequence order, without gaps.

A replica that was away learns what it missed from peers. When a connection comes up, both sides
say how far they have applied the ledger, and the one ahead sends the next slots. A slot comes
with its quorum of commits and proves itself, so that it does not matter who sends it.
"""

from pbft import digest
from pbft.certificate import check_commits
from pbft.context import Context
from pbft.effects import Apply, ArmTimer, Persist, Reply, Send, SendLedger
from pbft.errors import InvalidCertificate
from pbft.events import CatchUp
from pbft.history import History
from pbft.log import WINDOW, MessageLog
from pbft.messages import DecidedSlot, Height, Signed
from pbft.observation import Observation
from pbft.records import Decided
from pbft.types import ReplicaId, SequenceNumber

CATCH_UP_SLOTS = 32
"""Slots sent in answer to one `Height`; the receiver asks on."""

CATCH_UP_RETRY_MS = 2_000


class Execution:
    """The end of the pipeline: decided slots by sequence number, applied up to `applied`."""

    def __init__(
        self,
        context: Context,
        log: MessageLog,
        observation: Observation,
        history: History,
        applied: SequenceNumber,
    ) -> None:
        self._context = context
        self._log = log
        self._observation = observation
        self._history = history
        self._pending: dict[SequenceNumber, DecidedSlot] = {}
        self._retry_armed = False
        self.applied = applied
        log.advance(applied)

    def on_decided(self, slot: DecidedSlot) -> None:
        """A slot was decided here, or was proven to be decided elsewhere."""
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
            self.applied = slot.sequence_number
            self._context.emit(Apply(self.applied, slot))
        self._log.advance(self.applied)
        self.watch()

    def watch(self) -> None:
        """Keeps a timer while others seem to have decided what this replica has not."""
        if not self._retry_armed and self._is_behind():
            self._retry_armed = True
            self._context.emit(ArmTimer(CatchUp(), CATCH_UP_RETRY_MS))

    def _is_behind(self) -> bool:
        # f + 1 commits: an honest replica is prepared, and somebody may have decided.
        return bool(self._pending) or any(
            not slot.decided and len(slot.commits) > self._context.members.f for slot in self._log
        )

    # --- catching up ---------------------------------------------------------------------------

    def on_peer_up(self, replica: ReplicaId) -> None:
        self._context.emit(Send(replica, self._height()))
        for sequence_number in sorted(self._pending):
            self._context.emit(Send(replica, self._pending[sequence_number]))

    def on_catch_up(self) -> None:
        """Something between the applied and the decided slots is still missing."""
        self._retry_armed = False
        if self._is_behind():
            self._context.broadcast(self._height())
            self._apply()

    def _height(self) -> Signed[Height]:
        context = self._context
        return context.sign(Height(context.network, self.applied, context.me))

    def on_height(self, source: ReplicaId, signed: Signed[Height]) -> None:
        if signed.message.replica != source or not self._context.is_genuine(signed):
            self._context.refuse(source, "signature")
        elif signed.message.applied < self.applied:
            first = SequenceNumber(signed.message.applied + 1)
            last = SequenceNumber(min(self.applied, first + CATCH_UP_SLOTS - 1))
            self._context.emit(SendLedger(source, first, last))

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
        self._log.slot(number).decided = True
        before = self.applied
        self.on_decided(slot)
        if before // CATCH_UP_SLOTS != self.applied // CATCH_UP_SLOTS:
            self._context.emit(Send(source, self._height()))

    def restore(self, slot: DecidedSlot) -> None:
        """From the log: what the ledger holds already is only remembered as decided."""
        if slot.sequence_number > self.applied:
            self.on_decided(slot)
            return
        for item in slot.batch:
            self._history.add(item.request.message)
            self._observation.close(item.request.message)
