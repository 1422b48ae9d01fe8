"""Normal-case operation (Castro and Liskov 1999, §4.2): pre-prepare, prepare, commit.

The primary gives the next sequence number to a batch of finished items and sends a proposal. Upon
receiving it, a backup checks every signature and commitment in it, recomputes the outcome, and
compares the claimed similarities with its own measurements; if all is right it broadcasts a
prepare. Upon holding the proposal and q - 1 prepares of backups for its digest, a replica is
*prepared*: it logs that and broadcasts a commit. Upon holding q commits for one digest the slot is
*decided*: the commits are the certificate, and the answer goes to whoever asked, at once.

Deviations from the paper:
- Sequence numbers are given when answers are ready, not when requests arrive, so that a slow
  answer never blocks a fast one.
- A replica that sees q - 1 prepares for a proposal does not judge it any more. Its own
  measurements may differ in the last bit from everyone else's, and must not hold up what a quorum
  accepted (as CometBFT's RFC-105 requires of non-deterministic validation).
- q = floor((n + f) / 2) + 1 rather than 2f + 1, so that every n has a quorum that intersects.
- Commits count before the slot is prepared here: q of them prove by themselves that it is decided.
"""

from pbft import digest
from pbft.codec import encode_value
from pbft.context import Context
from pbft.effects import Persist, Progress, Report, Send, Stage
from pbft.evidence import Equivocation
from pbft.history import History
from pbft.item import WrongItem, check_item
from pbft.log import MessageLog, Slot
from pbft.messages import (
    Batch,
    Commit,
    DecidedSlot,
    Item,
    Prepare,
    PrePrepare,
    Proposal,
    Request,
    Signed,
    SlotVote,
)
from pbft.observation import Comparison, Observation
from pbft.records import Decided, Prepared, ProposalAccepted
from pbft.types import BATCH_ITEMS_MAX, MESSAGE_BYTES_MAX, Digest, ReplicaId, SequenceNumber, View

BATCH_BYTES_MAX = MESSAGE_BYTES_MAX - 64 * 1024
"""Leaves room for a quorum of signatures, so that the decided slot fits into a frame too."""

PROPOSALS_OPEN_MAX = 32
"""Undecided slots that a primary keeps open. Beyond it items wait and share the next batch, so
that batches grow with the load and a lone item never waits."""


class NormalCase:
    """The three phases over the slots of the current view."""

    def __init__(
        self,
        context: Context,
        log: MessageLog,
        observation: Observation,
        history: History,
    ) -> None:
        self._context = context
        self._log = log
        self._observation = observation
        self._history = history
        self._waiting: list[Item] = []
        self._decided: list[DecidedSlot] = []
        self._last_proposed = SequenceNumber(0)
        self.view = View(0)

    # --- pre-prepare ---------------------------------------------------------------------------

    def propose_ready(self) -> None:
        """The primary proposes the items that the observation phase finished."""
        self._waiting += self._observation.take_ready()
        self._drop_unwanted()
        while self._waiting and self._may_propose():
            batch = self._next_batch()
            del self._waiting[: len(batch)]
            self._propose(batch)

    def _drop_unwanted(self) -> None:
        """Items that honest backups would refuse: an asker gets one decision per number."""
        taken = self._requests_in_slots() if self._waiting else set()
        kept = []
        for item in self._waiting:
            request = item.request.message
            if _number(request) in taken or self._history.is_past(request):
                self._observation.close(request)
            else:
                taken.add(_number(request))
                kept.append(item)
        self._waiting = kept

    def _next_batch(self) -> Batch:
        """As many waiting items as fit into one frame, at least one."""
        size = 0
        batch: list[Item] = []
        for item in self._waiting[:BATCH_ITEMS_MAX]:
            size += len(encode_value(item))
            if batch and size > BATCH_BYTES_MAX:
                break
            batch.append(item)
        return tuple(batch)

    def _may_propose(self) -> bool:
        undecided = sum(1 for slot in self._log if slot.proposal and not slot.decided)
        return undecided < PROPOSALS_OPEN_MAX and self._log.in_window(self._next_number())

    def _next_number(self) -> SequenceNumber:
        return SequenceNumber(max(self._last_proposed, self._log.low_watermark) + 1)

    def _propose(self, batch: Batch) -> None:
        context = self._context
        self._last_proposed = self._next_number()
        pre_prepare = context.sign(
            PrePrepare(
                network=context.network,
                epoch=context.members.epoch,
                view=self.view,
                sequence_number=self._last_proposed,
                digest=digest.batch_digest(tuple(digest.item_digest(item) for item in batch)),
                replica=context.me,
            )
        )
        proposal = Proposal(pre_prepare, batch)
        context.emit(Persist(ProposalAccepted(proposal)))
        context.broadcast(proposal)
        slot = self._log.slot(self._last_proposed)
        slot.proposal = proposal
        self._note(slot, Stage.PROPOSED, context.me)
        self._advance(slot)

    def on_proposal(self, source: ReplicaId, proposal: Proposal) -> None:
        """Upon receiving a pre-prepare with its batch: accept it into the slot, then judge it."""
        message = proposal.pre_prepare.message
        slot = self._slot_for(source, message)
        if slot is None or (slot.decided and slot.proposal is None):
            return  # it was learned as decided, before its pre-prepare came
        if slot.proposal is not None and slot.proposal.pre_prepare == proposal.pre_prepare:
            return
        if message.replica != self._context.members.primary(self.view):
            self._context.refuse(source, "not-primary")
        elif message.replica == self._context.me or not self._context.is_genuine(
            proposal.pre_prepare
        ):
            self._context.refuse(source, "signature")
        elif slot.proposal is not None:
            self._context.emit(
                Report(Equivocation(slot.proposal.pre_prepare, proposal.pre_prepare))
            )
        elif message.digest != _digest_of(proposal.batch):
            self._context.refuse(source, "digest")
        else:
            slot.proposal = proposal
            slot.judging = True
            self._check(source, slot)
            self._advance(slot)

    def _check(self, source: ReplicaId, slot: Slot) -> None:
        """Everything about the batch that needs no measurement."""
        seen = self._requests_in_slots(but=slot)
        if not slot.batch:
            self._refuse_proposal(source, slot, "batch-empty")
        for item in slot.batch:
            try:
                request_id = check_item(item, self._context.rules)
            except WrongItem as wrong:
                self._refuse_proposal(source, slot, wrong.reason)
                return
            number = _number(item.request.message)
            if number in seen or self._history.is_past(item.request.message):
                self._refuse_proposal(source, slot, "request-twice")
                return
            seen.add(number)
            if item.attempt != 0:
                self._refuse_proposal(source, slot, "attempt")
                return
            weights = tuple(self._context.weights[r.message.replica] for r in item.reveals)
            if item.weights != weights:
                self._refuse_proposal(source, slot, "weights")
                return
            if not self._observation.adopt(source, item, request_id):
                self._refuse_proposal(source, slot, "seal-conflict")
                return
        self._note(slot, Stage.PROPOSED, self._context.members.primary(self.view))

    def _requests_in_slots(self, but: Slot | None = None) -> set[tuple[ReplicaId, int]]:
        return {
            _number(item.request.message)
            for other in self._log
            if other is not but and not other.decided and not other.refused
            for item in other.batch
        }

    def _refuse_proposal(self, source: ReplicaId, slot: Slot, reason: str) -> None:
        slot.refused = reason
        slot.judging = False
        self._context.refuse(source, reason)

    # --- judging -------------------------------------------------------------------------------

    def on_compared(self) -> None:
        """New measurements came in: proposals may have been waiting for them."""
        for slot in self._log:
            if slot.judging:
                self._advance(slot)

    def _judge(self, slot: Slot) -> None:
        """Prepares the proposal once all its matrices are measured and close enough."""
        for item in slot.batch:
            request_id = digest.request_id(item.request.message)
            own = self._observation.comparison_for(request_id, item)
            if own is None:
                return
            if fault := judge(item, own, self._context.policy.similarity_tolerance_bp):
                primary = self._context.members.primary(self.view)
                self._refuse_proposal(primary, slot, fault)
                return
        slot.judging = False
        self._prepare(slot)

    # --- prepare -------------------------------------------------------------------------------

    def _prepare(self, slot: Slot) -> None:
        if slot.proposal is None:
            return
        self._context.emit(Persist(ProposalAccepted(slot.proposal)))
        prepare = self._own_prepare(slot.proposal)
        self._context.broadcast(prepare)
        slot.prepares[self._context.me] = prepare
        self._advance(slot)

    def _own_prepare(self, proposal: Proposal) -> Signed[Prepare]:
        message = proposal.pre_prepare.message
        return self._context.sign(
            Prepare(
                network=message.network,
                epoch=message.epoch,
                view=message.view,
                sequence_number=message.sequence_number,
                digest=message.digest,
                replica=self._context.me,
            )
        )

    def on_prepare(self, source: ReplicaId, signed: Signed[Prepare]) -> None:
        slot = self._slot_for(source, signed.message)
        if slot is None:
            return
        if signed.message.replica == self._context.members.primary(self.view):
            # Its proposal is its prepare; a second vote would make one node count twice.
            self._context.refuse(source, "prepare-by-primary")
            return
        if self._is_new(source, slot.prepares.get(signed.message.replica), signed):
            slot.prepares[signed.message.replica] = signed
            self._advance(slot)

    # --- commit --------------------------------------------------------------------------------

    def _commit(self, slot: Slot) -> None:
        if slot.proposal is None:
            return
        me = self._context.me
        if slot.proposal.pre_prepare.message.replica != me and me not in slot.prepares:
            # We follow the quorum without judging. The others may not have seen the prepares
            # that we saw, and would lack ours.
            self._context.emit(Persist(ProposalAccepted(slot.proposal)))
            slot.prepares[me] = self._own_prepare(slot.proposal)
            self._context.broadcast(slot.prepares[me])
        slot.prepared = True
        slot.judging = False
        self._context.emit(Persist(Prepared(slot.proposal, tuple(slot.prepares_for(slot.digest)))))
        commit = self._own_commit(slot.proposal.pre_prepare.message)
        self._context.broadcast(commit)
        slot.commits[self._context.me] = commit
        self._note(slot, Stage.PREPARED, self._context.me)

    def _own_commit(self, message: PrePrepare) -> Signed[Commit]:
        return self._context.sign(
            Commit(
                network=message.network,
                epoch=message.epoch,
                view=message.view,
                sequence_number=message.sequence_number,
                digest=message.digest,
                replica=self._context.me,
            )
        )

    def on_commit(self, source: ReplicaId, signed: Signed[Commit]) -> None:
        slot = self._slot_for(source, signed.message)
        if slot is None:
            return
        if self._is_new(source, slot.commits.get(signed.message.replica), signed):
            slot.commits[signed.message.replica] = signed
            self._advance(slot)

    # --- moving on -----------------------------------------------------------------------------

    def _advance(self, slot: Slot) -> None:
        """Does the next thing that the slot's contents allow."""
        if slot.proposal is None or slot.decided:
            return
        quorum = self._context.members.quorum
        if not slot.prepared and len(slot.prepares_for(slot.digest)) >= quorum - 1:
            self._commit(slot)
        commits = slot.commits_for(slot.digest)
        if len(commits) >= quorum:
            self._decide(slot, tuple(commits))
        elif slot.judging:
            self._judge(slot)

    def _decide(self, slot: Slot, commits: tuple[Signed[Commit], ...]) -> None:
        slot.decided = True
        slot.judging = False
        decided = DecidedSlot(slot.batch, commits)
        self._context.emit(Persist(Decided(decided)))
        if self._context.me not in slot.commits and slot.proposal is not None:
            # The others may not have seen the commits that we saw.
            self._context.broadcast(self._own_commit(slot.proposal.pre_prepare.message))
        self._decided.append(decided)
        self._note(slot, Stage.DECIDED, self._context.me)

    def take_decided(self) -> list[DecidedSlot]:
        """Slots decided since the last call."""
        decided, self._decided = self._decided, []
        return decided

    def _slot_for(self, source: ReplicaId, message: SlotVote) -> Slot | None:
        """The open slot that a message is about, or None if it is about none."""
        if message.network != self._context.network:
            self._context.refuse(source, "network")
        elif message.epoch != self._context.members.epoch:
            self._context.refuse(source, "epoch")
        elif message.view != self.view:
            self._context.refuse(source, "view")
        elif message.sequence_number <= self._log.low_watermark:
            return None  # decided and applied; the last votes of a slot always come too late
        elif not self._log.in_window(message.sequence_number):
            self._context.refuse(source, "watermarks")
        else:
            return self._log.slot(message.sequence_number)
        return None

    def _is_new(
        self,
        source: ReplicaId,
        held: Signed[Prepare] | Signed[Commit] | None,
        signed: Signed[Prepare] | Signed[Commit],
    ) -> bool:
        """Whether a genuine vote is the replica's first; a second, different one is evidence."""
        if held == signed:
            return False
        if not self._context.is_genuine(signed):
            self._context.refuse(source, "signature")
            return False
        if held is not None:
            self._context.emit(Report(Equivocation(held, signed)))
            return False
        return True

    def _note(self, slot: Slot, stage: Stage, replica: ReplicaId) -> None:
        for item in slot.batch:
            request_id = digest.request_id(item.request.message)
            self._context.emit(Progress(request_id, stage, replica))

    # --- recovery and reconnection -------------------------------------------------------------

    def restore_proposal(self, proposal: Proposal) -> None:
        message = proposal.pre_prepare.message
        if not self._log.in_window(message.sequence_number):
            return
        slot = self._log.slot(message.sequence_number)
        slot.proposal = proposal
        me = self._context.me
        if message.replica == me:
            self._last_proposed = max(self._last_proposed, message.sequence_number)
            for item in proposal.batch:
                request_id = digest.request_id(item.request.message)
                self._observation.restore_proposed(request_id, item.attempt)
        else:
            slot.prepares[me] = self._own_prepare(proposal)

    def restore_prepared(self, record: Prepared) -> None:
        message = record.pre_prepare
        if not self._log.in_window(message.sequence_number):
            return
        slot = self._log.slot(message.sequence_number)
        slot.proposal = record.proposal
        slot.prepared = True
        for prepare in record.prepares:
            slot.prepares[prepare.message.replica] = prepare
        slot.commits[self._context.me] = self._own_commit(message)

    def restore_decided(self, sequence_number: SequenceNumber) -> None:
        if self._log.in_window(sequence_number):
            self._log.slot(sequence_number).decided = True
        self._last_proposed = max(self._last_proposed, sequence_number)

    def resume(self) -> None:
        for slot in self._log:
            self._advance(slot)

    def resend(self, replica: ReplicaId) -> None:
        """A connection came up: repeat to that peer what we said about undecided slots."""
        me = self._context.me
        for slot in self._log:
            if slot.decided:
                continue
            if slot.proposal is not None and slot.proposal.pre_prepare.message.replica == me:
                self._context.emit(Send(replica, slot.proposal))
            if me in slot.prepares:
                self._context.emit(Send(replica, slot.prepares[me]))
            if me in slot.commits:
                self._context.emit(Send(replica, slot.commits[me]))


def judge(item: Item, own: Comparison, tolerance_bp: int) -> str | None:
    """Why the claimed matrix is not what this replica measured; None if it is close enough.

    Only similarities are subject to tolerance. Contradictions are found by rules that give the
    same result everywhere, so that they must match exactly.
    """
    if item.contradictions != own.contradictions:
        return "contradictions"
    if any(
        abs(claimed - measured) > tolerance_bp
        for claimed, measured in zip(item.similarities_bp, own.similarities_bp, strict=True)
    ):
        return "similarity"
    return None


def _number(request: Request) -> tuple[ReplicaId, int]:
    return request.replica, request.number


def _digest_of(batch: Batch) -> Digest:
    return digest.batch_digest(tuple(digest.item_digest(item) for item in batch))
