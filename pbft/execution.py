"""From decided slots to answers and to the ledger, and catching up with what was missed.

Slots may be decided in any order; the reply to the asker does not wait. The ledger does: slots are
applied in sequence order, without gaps, and the replicated state follows from them (`state`).

A replica that was away learns what it missed from peers. When a connection comes up, and every few
seconds, replicas say how far they have applied the ledger, and whoever is behind asks one that is
ahead for the next slots, and from time to time another one: a liar could say that it is ahead
before all others, and send one slot at a time. A slot comes with its quorum of commits and proves
itself, so that it does not matter who sends it; and so does whoever is no member yet, from the
genesis file on.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pbft import digest
from pbft.certificate import check_commits
from pbft.checkpoint import Checkpoints
from pbft.context import NOBODY, Context
from pbft.effects import EPOCHS_AT_ONCE_MAX, Apply, ArmTimer, Persist, Reply, Send, SendLedger
from pbft.epochs import Epochs
from pbft.errors import InvalidCertificate
from pbft.events import CatchUp
from pbft.history import History
from pbft.item import is_final
from pbft.log import MessageLog
from pbft.messages import (
    DecidedSlot,
    EpochCertificate,
    Height,
    Item,
    LedgerWanted,
    Request,
    Signed,
    items,
)
from pbft.normal_case import NormalCase
from pbft.observation import Observation
from pbft.records import Decided
from pbft.state import State, after
from pbft.types import U64_MAX, Epoch, ReplicaId, SequenceNumber

CATCH_UP_SLOTS = 32
"""Slots sent in answer to one `LedgerWanted`; the receiver asks on."""

GAP_RETRY_MS = 1_000
GAP_RETRIES_MAX = 4
"""After so many the primary is suspected: it may have skipped a number, and a new view fills it."""

HEIGHT_INTERVAL_MS = 5_000


@dataclass(frozen=True, slots=True)
class Tip:
    """Where the driver's ledger ends, at the start."""

    state: State | None = None
    """As the last `effects.Apply` gave it; None for an empty ledger."""
    requests: tuple[Request, ...] = ()
    """Requests whose last attempt is decided, oldest first, as many as `history` remembers."""
    epoch: EpochCertificate | None = None
    """The newest that `effects.RecordEpoch` gave."""


class Execution:
    """The end of the pipeline: decided slots by sequence number, applied as far as they reach.

    `on_epoch` is called with the state in which a new epoch begins, before anything else of it.
    """

    def __init__(
        self,
        context: Context,
        log: MessageLog,
        observation: Observation,
        normal_case: NormalCase,
        checkpoints: Checkpoints,
        epochs: Epochs,
        history: History,
        tip: Tip,
        on_suspect: Callable[[], None],
        on_epoch: Callable[[State], None],
    ) -> None:
        self._context = context
        self._log = log
        self._observation = observation
        self._normal_case = normal_case
        self._checkpoints = checkpoints
        self._epochs = epochs
        self._history = history
        self._pending: dict[SequenceNumber, DecidedSlot] = {}
        self._in_order: set[SequenceNumber] = set()
        """Slots that a new view took over, whose answers wait until they are applied: an attempt
        may stand in two of them, and everybody must hear the first."""
        self._on_suspect = on_suspect
        self._on_epoch = on_epoch
        self._gap_seen = 0
        """How often in a row a number was missing that nobody could send."""
        self._asked: ReplicaId | None = None
        """Whom we asked for slots; one at a time is enough."""
        self._goal = SequenceNumber(0)
        """How far it says it is."""
        self._asked_at = SequenceNumber(0)
        """Where we were then."""
        self._proven_at = Epoch(0)
        """Up to where epochs were proven then."""
        self._heights: dict[ReplicaId, tuple[SequenceNumber, Epoch]] = {}
        """How far members last said they were: slots, and the epoch."""
        self._served: dict[ReplicaId, tuple[int, int]] = {}
        """The last slot and epoch that each peer was sent since the last look."""
        self._unhelpful: deque[ReplicaId] = deque()
        """Asked last, and less came than they said they have: at most f, so that liars can't be the
        only ones asked."""
        for request in tip.requests:
            history.add(request)
        for open_request in context.state.open_requests:
            history.add_attempt(open_request.request_id, open_request.attempts)

    def on_decided(self, slot: DecidedSlot) -> None:
        """A slot was decided here, or was proven to be decided elsewhere."""
        if slot.sequence_number <= self._context.applied or slot.sequence_number in self._pending:
            return
        if slot.sequence_number <= self._context.taken_over:
            self._in_order.add(slot.sequence_number)
        else:
            self._take_items(slot)
        self._pending[slot.sequence_number] = slot
        self._apply()

    def _take_items(self, slot: DecidedSlot) -> None:
        for index, item in items(slot.batch):
            self._on_item(slot, index, item)

    def _on_item(self, slot: DecidedSlot, index: int, item: Item) -> None:
        request = item.request.message
        request_id = digest.request_id(request)
        final = is_final(item, self._context.policy)
        if final and self._history.is_decided_id(request_id):
            return  # it stands in another slot too, that a new view took over: see `State.finished`
        if final:
            self._observation.close(request)
            self._history.add(request)
        else:
            self._history.decide_attempt(request_id, item.attempt + 1)
            self._observation.close_attempt(request_id, item.attempt)
        self._context.emit(Reply(request_id, slot, index, final))

    def _apply(self) -> None:
        context = self._context
        while slot := self._pending.pop(SequenceNumber(context.applied + 1), None):
            self._gap_seen = 0
            if slot.sequence_number in self._in_order:
                self._in_order.remove(slot.sequence_number)
                self._take_items(slot)
            state = after(context.state, slot)
            self._try_again(slot, state)
            checkpoint = self._checkpoints.make(state)
            ends = state.membership.epoch != context.epoch
            if ends and checkpoint is not None:
                self._epochs.end(state, checkpoint)
            context.emit(Apply(state.applied, slot, state))
            if checkpoint is not None:
                context.broadcast(checkpoint)
            if ends:
                # Whatever is pending beyond was not decided in this epoch.
                self._pending.clear()
                self._in_order.clear()
                self._on_epoch(state)
                return
            context.take_state(state)
            if checkpoint is not None:
                self._checkpoints.add(checkpoint)

    def _try_again(self, slot: DecidedSlot, state: State) -> None:
        """Further attempts come in the ledger's order, so that no attempt stands before the one
        that it follows, and all replicas count the same."""
        for _, item in items(slot.batch):
            request_id = digest.request_id(item.request.message)
            attempts = state.attempts(request_id)
            if attempts == item.attempt + 1 and not self._history.is_decided_id(request_id):
                self._history.add_attempt(request_id, attempts)
                self._observation.requests.try_again(item.request, attempts)

    # --- catching up ---------------------------------------------------------------------------

    def on_peer_up(self, replica: ReplicaId) -> None:
        self._served.pop(replica, None)
        self._announce_to(replica)
        for sequence_number in sorted(self._pending):
            self._context.emit(Send(replica, self._pending[sequence_number]))
        for checkpoint in self._checkpoints.resend():
            self._context.emit(Send(replica, checkpoint))
        self._epochs.resend(replica)

    def on_peer_down(self, replica: ReplicaId) -> None:
        self._heights.pop(replica, None)
        if self._asked == replica:
            self._asked = None
            self._unhelpful.clear()
            self._ask_next(replica)

    def _announce_to(self, replica: ReplicaId) -> None:
        """How far we are; one that is no member cannot say it, and simply asks."""
        if self._context.me == NOBODY:
            self._ask(replica, SequenceNumber(U64_MAX))
        else:
            self._context.emit(Send(replica, self._height()))

    def on_catch_up(self) -> None:
        """From time to time, also when nothing happens: whoever is behind finds out."""
        self._pass_on_the_turn()
        self._served.clear()
        if self._context.me == NOBODY:
            self._context.broadcast(self._wanted())
        else:
            self._context.broadcast(self._height())
        self.arm_catch_up()
        self._gap_seen = self._gap_seen + 1 if self._pending else 0
        if self._gap_seen > GAP_RETRIES_MAX:
            self._gap_seen = 0
            self._on_suspect()

    def _pass_on_the_turn(self) -> None:
        """Whoever was asked had its time; the next one goes on."""
        asked, self._asked = self._asked, None
        if asked is None:
            self._unhelpful.clear()
            return
        if self._came_short():
            self._unhelpful.append(asked)
            while len(self._unhelpful) > self._context.members.f:
                self._unhelpful.popleft()
        self._ask_next(asked)

    def _came_short(self) -> bool:
        """Whether less came than one answer could have held, of what there is to be had."""
        applied = self._context.applied
        if (applied, self._epochs.proven) == (self._asked_at, self._proven_at):
            return True
        return applied < min(self._goal, self._asked_at + CATCH_UP_SLOTS)

    def _ask_next(self, after: ReplicaId) -> None:
        """In the order of their numbers, whoever was first to say that it is ahead."""
        ahead = [
            replica
            for replica, (applied, epoch) in sorted(self._heights.items())
            if applied > self._context.applied or epoch > self._epochs.proven
            if replica in self._context.members.replicas and replica not in self._unhelpful
        ]
        if ahead:
            chosen = next((replica for replica in ahead if replica > after), ahead[0])
            self._ask(chosen, self._heights[chosen][0])

    def arm_catch_up(self) -> None:
        behind = self._pending or self._context.applied < self._log.low_watermark
        self._context.emit(ArmTimer(CatchUp(), GAP_RETRY_MS if behind else HEIGHT_INTERVAL_MS))

    def _height(self) -> Signed[Height]:
        context = self._context
        return context.sign(
            Height(context.network, context.epoch, context.applied, context.view, context.me)
        )

    def on_height(self, source: ReplicaId, signed: Signed[Height]) -> bool:
        """True if the height is genuine; asks for what we lack."""
        message = signed.message
        if message.replica != source or not self._context.is_genuine(signed):
            self._context.refuse(source, "signature")
            return False
        self._heights[source] = message.applied, message.epoch
        if message.applied > self._context.applied or message.epoch > self._epochs.proven:
            self._ask_if_free(source, message.applied)
        return True

    def _ask_if_free(self, replica: ReplicaId, goal: SequenceNumber) -> None:
        if self._asked is None and replica not in self._unhelpful:
            self._ask(replica, goal)

    def _ask(self, replica: ReplicaId, goal: SequenceNumber) -> None:
        self._asked, self._goal = replica, goal
        self._asked_at, self._proven_at = self._context.applied, self._epochs.proven
        self._context.emit(Send(replica, self._wanted()))

    def _wanted(self) -> LedgerWanted:
        return LedgerWanted(SequenceNumber(self._context.applied + 1), self._epochs.proven)

    def on_ledger_wanted(self, source: ReplicaId, wanted: LedgerWanted) -> None:
        """Sends what follows, and the same only once until the next look: who asks for it again
        and again must not keep us busy with it."""
        if wanted.first > self._context.applied + 1:
            # A member that left with an epoch says no height, and may be all that knows its end.
            self._ask_if_free(source, SequenceNumber(wanted.first - 1))
        known, proven = self._served.get(source, (0, -1))
        first = SequenceNumber(max(wanted.first, known + 1))
        last = SequenceNumber(min(self._context.applied, wanted.first + CATCH_UP_SLOTS - 1))
        proven = max(proven, wanted.proven)
        if first <= last or proven < self._epochs.proven:
            self._context.emit(SendLedger(source, first, last, Epoch(proven)))
            shown = min(proven + EPOCHS_AT_ONCE_MAX, self._epochs.proven)
            self._served[source] = (max(known, last), shown)

    def on_decided_slot(self, source: ReplicaId, slot: DecidedSlot) -> None:
        """Upon receiving a slot with its proof: take it if the proof holds and it is missing."""
        try:
            check_commits(slot, self._context.rules)
        except InvalidCertificate:
            self._context.refuse(source, "proof")
            return
        number = slot.sequence_number
        context = self._context
        if not context.applied < number <= context.interval_end or number in self._pending:
            return
        context.emit(Persist(Decided(slot)))
        self._normal_case.restore_decided(slot)
        before = context.applied
        self.on_decided(slot)
        if source != self._asked:
            return
        if context.applied >= self._goal:
            self._asked = None
        elif before // CATCH_UP_SLOTS != context.applied // CATCH_UP_SLOTS:
            self._context.emit(Send(source, self._wanted()))

    def restore(self, slot: DecidedSlot) -> None:
        """From the log: what the ledger holds already is only remembered as decided."""
        if slot.sequence_number > self._context.applied:
            self._normal_case.restore_decided(slot)
            self.on_decided(slot)
            return
        if slot.commits[0].message.epoch == self._context.epoch:
            self._normal_case.restore_decided(slot)
        still_open = {request.request_id for request in self._context.state.open_requests}
        for _, item in items(slot.batch):
            # Its attempts are in the state, and whether it is done with. The policy does not tell:
            # it may have changed since.
            request = item.request.message
            request_id = digest.request_id(request)
            if request_id in still_open:
                self._observation.close_attempt(request_id, item.attempt)
            else:
                self._history.add(request)
                self._observation.close(request)
