"""Normal-case operation (Castro and Liskov 1999, §4.2): pre-prepare, prepare, commit.

The primary proposes a batch under the next sequence number (`proposing`). Upon receiving it, a
backup checks every signature and commitment in it, recomputes the outcome, and compares the claimed
similarities with its own measurements (`judging`); if all is right it broadcasts a prepare. Upon
holding the proposal and q - 1 prepares of backups for its digest, a replica is *prepared*: it logs
that and broadcasts a commit. Upon holding q commits for one digest the slot is *decided*: the
commits are the certificate, and the answer goes to whoever asked, at once.

Deviations from the paper:
- A replica that sees q - 1 prepares for a proposal does not judge it any more. Its own
  measurements may differ in the last bit from everyone else's, and must not hold up what a quorum
  accepted (as CometBFT's RFC-105 requires of non-deterministic validation).
- q = floor((n + f) / 2) + 1 rather than 2f + 1, so that every n has a quorum that intersects.
- Commits count before the slot is prepared here: q of them prove by themselves that it is decided.
"""

from pbft import digest
from pbft.codec import encode_value
from pbft.context import Context
from pbft.effects import Persist, Progress, Send, Stage
from pbft.fetching import Fetching
from pbft.history import History
from pbft.judging import Judging
from pbft.log import MessageLog, Slot
from pbft.messages import (
    Commit,
    DecidedSlot,
    Equivocation,
    Prepare,
    PreparedCertificate,
    PrePrepare,
    Proposal,
    Signed,
    SlotVote,
    items,
)
from pbft.motions import Motions
from pbft.observation import Observation
from pbft.proposing import Proposing
from pbft.records import Decided, Prepared, ProposalAccepted
from pbft.round import RoundKey
from pbft.types import ReplicaId


class NormalCase:
    """The three phases over the slots of the current view."""

    def __init__(
        self,
        context: Context,
        log: MessageLog,
        observation: Observation,
        judging: Judging,
        motions: Motions,
        history: History,
    ) -> None:
        self._context = context
        self._log = log
        self._observation = observation
        self._judging = judging
        self._decided: list[DecidedSlot] = []
        self.fetching = Fetching(context, log, self._on_fetched)
        self.proposing = Proposing(
            context, log, observation, judging, motions, history, self.on_proposed
        )

    # --- pre-prepare ---------------------------------------------------------------------------

    def on_proposed(self, proposal: Proposal) -> None:
        """Our own proposal, which is our prepare too."""
        slot = self._log.slot(proposal.pre_prepare.message.sequence_number)
        self._keep(slot, proposal)
        slot.accept(proposal.pre_prepare)
        self._note(slot, Stage.PROPOSED, self._context.me)
        self._mark_proposed(slot)
        self._advance(slot)

    @staticmethod
    def _keep(slot: Slot, proposal: Proposal) -> None:
        slot.pre_prepare = proposal.pre_prepare
        slot.contents[proposal.pre_prepare.message.digest] = proposal.batch

    def _mark_proposed(self, slot: Slot) -> None:
        for _, item in items(slot.batch or ()):
            self._observation.mark_proposed(digest.request_id(item.request.message), item.attempt)

    def on_proposal(self, source: ReplicaId, proposal: Proposal) -> None:
        """Upon receiving a pre-prepare with its batch: accept it into the slot, then judge it."""
        message = proposal.pre_prepare.message
        slot = self._slot_for(source, message)
        if slot is None or (slot.decided is not None and slot.pre_prepare is None):
            return  # it was learned as decided, before its pre-prepare came
        if slot.pre_prepare is not None and slot.pre_prepare.message == message:
            return
        if message.replica != self._context.primary:
            self._context.refuse(source, "not-primary")
        elif message.replica == self._context.me or not self._context.is_genuine(
            proposal.pre_prepare
        ):
            self._context.refuse(source, "signature")
        elif slot.pre_prepare is not None:
            self._context.report(Equivocation(slot.pre_prepare, proposal.pre_prepare))
        elif message.digest != digest.digest_of(proposal.batch):
            self._context.refuse(source, "digest")
        else:
            self._keep(slot, proposal)
            slot.judging = True
            fault = self._judging.check(source, slot)
            self._mark_proposed(slot)
            if fault:
                self._refuse_proposal(source, slot, fault)
            else:
                self._note(slot, Stage.PROPOSED, self._context.primary)
            self._advance(slot)

    def _refuse_proposal(self, source: ReplicaId, slot: Slot, reason: str) -> None:
        size = sum(len(encode_value(entry)) for entry in slot.batch or ())
        slot.refuse(reason, size, self._log.room_for_refused)
        self._context.refuse(source, reason)

    # --- judging -------------------------------------------------------------------------------

    def on_compared(self) -> None:
        """New measurements came in: proposals may have been waiting for them."""
        for slot in self._log:
            if slot.judging:
                self._advance(slot)

    # --- prepare -------------------------------------------------------------------------------

    def _prepare(self, slot: Slot) -> None:
        if slot.pre_prepare is None or slot.batch is None:
            return
        self._context.emit(Persist(ProposalAccepted(Proposal(slot.pre_prepare, slot.batch))))
        self._vote(slot, slot.pre_prepare)
        self._advance(slot)

    def _vote(self, slot: Slot, pre_prepare: Signed[PrePrepare]) -> None:
        prepare = self._own_prepare(pre_prepare.message)
        self._context.broadcast(prepare)
        slot.accept(pre_prepare)
        slot.prepares[self._context.me] = prepare

    def _own_prepare(self, message: PrePrepare) -> Signed[Prepare]:
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
        if signed.message.replica == self._context.primary:
            # Its proposal is its prepare; a second vote would make one node count twice.
            self._context.refuse(source, "prepare-by-primary")
            return
        held = slot.prepares.get(signed.message.replica)
        if self._is_new(source, slot, held, signed, wanted=not slot.prepared):
            slot.prepares[signed.message.replica] = signed
            self._advance(slot)

    # --- commit --------------------------------------------------------------------------------

    def _commit(self, slot: Slot) -> None:
        if slot.pre_prepare is None or slot.batch is None:
            return
        if not self._is_mine(slot) and self._context.me not in slot.prepares:
            # We follow the quorum without judging. The others may not have seen the prepares
            # that we saw, and would lack ours.
            self._context.emit(Persist(ProposalAccepted(Proposal(slot.pre_prepare, slot.batch))))
            self._vote(slot, slot.pre_prepare)
        prepares = tuple(slot.prepares_for(slot.digest))
        slot.prepared = True
        slot.judging = False
        slot.certificate = PreparedCertificate(slot.pre_prepare, prepares)
        self._context.emit(Persist(Prepared(Proposal(slot.pre_prepare, slot.batch), prepares)))
        commit = self._own_commit(slot.pre_prepare.message)
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
        held = slot.commits.get(signed.message.replica)
        if self._is_new(source, slot, held, signed, wanted=slot.decided is None):
            slot.commits[signed.message.replica] = signed
            self._advance(slot)

    # --- moving on -----------------------------------------------------------------------------

    def _advance(self, slot: Slot) -> None:
        """Does the next thing that the slot's contents allow."""
        if slot.forgotten and len(slot.backers()) > self._context.members.f:
            # A correct replica found it right, and has it.
            slot.forgotten = False
            self.fetching.fetch()
        if slot.batch is None or self._context.recovering or not self._context.takes_part:
            return
        quorum = self._context.quorum
        if not slot.prepared and len(slot.prepares_for(slot.digest)) >= quorum - 1:
            self._commit(slot)
        if slot.decided is not None:
            return  # taken over from an earlier view: we vote for those who missed it
        commits = slot.commits_for(slot.digest)
        if len(commits) >= quorum:
            self._decide(slot, DecidedSlot(slot.batch, tuple(commits)))
        elif slot.judging and self._judging.is_measured(slot):
            if fault := self._judging.verdict(slot):
                self._refuse_proposal(self._context.primary, slot, fault)
            else:
                slot.judging = False
                self._prepare(slot)

    def _decide(self, slot: Slot, decided: DecidedSlot) -> None:
        slot.decided = decided
        slot.judging = False
        self._context.emit(Persist(Decided(decided)))
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
        elif message.epoch + 1 == self._context.epoch:
            return None  # as below, of the last slots of an epoch
        elif message.epoch != self._context.epoch:
            self._context.refuse(source, "epoch")
        elif message.view != self._context.view or not self._context.active:
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
        slot: Slot,
        held: Signed[Prepare] | Signed[Commit] | None,
        signed: Signed[Prepare] | Signed[Commit],
        *,
        wanted: bool,
    ) -> bool:
        """Whether a genuine vote is the replica's first; a second, different one is evidence. One
        that says what is settled already is kept aside, unverified: it came over the replica's own
        connection, and nobody can use up another's place."""
        message = signed.message
        key = (type(message), message.replica)
        held = held or slot.spare.get(key)
        if held is not None and held.message == message:
            return False
        settled = not wanted and message.digest == slot.digest
        if held is None and settled and message.replica == source:
            slot.spare[key] = signed
            return False
        if not self._context.is_genuine(signed):
            self._context.refuse(source, "signature")
            return False
        if held is not None:
            self._context.report(Equivocation(held, signed))
            return False
        return True

    def _note(self, slot: Slot, stage: Stage, replica: ReplicaId) -> None:
        for _, item in items(slot.batch or ()):
            request_id = digest.request_id(item.request.message)
            self._context.emit(Progress(request_id, stage, replica))

    # --- views ---------------------------------------------------------------------------------

    def leave_view(self) -> None:
        """No votes until a view is entered."""
        self.proposing.leave_view()

    def enter_view(self, pre_prepares: tuple[Signed[PrePrepare], ...]) -> None:
        """Votes again for what earlier views may have decided, without judging it again."""
        self.proposing.enter_view(self._context.taken_over)
        proposed = {p.message.sequence_number: p for p in pre_prepares}
        for number in proposed:
            if self._log.in_window(number):
                self._log.slot(number)
        is_primary = self._context.primary == self._context.me
        for slot in self._log:
            slot.enter_view(proposed.get(slot.sequence_number))
            if slot.pre_prepare is not None and not is_primary:
                self._vote(slot, slot.pre_prepare)
        for slot in self._log:
            self._advance(slot)
        self.fetching.send_again()
        self.fetching.fetch()

    def attempts_taken_over(self) -> set[RoundKey]:
        """Attempts in slots that are proposed and not decided."""
        return {
            (digest.request_id(item.request.message), item.attempt)
            for slot in self._log
            if slot.decided is None
            for _, item in items(slot.batch or ())
        }

    def _on_fetched(self, slot: Slot) -> None:
        self._mark_proposed(slot)
        self._advance(slot)

    # --- recovery and reconnection -------------------------------------------------------------

    def restore_proposal(self, proposal: Proposal) -> None:
        """Of the current view: it is in its slot, and our vote with it. Of an earlier one: its
        contents may be wanted."""
        message = proposal.pre_prepare.message
        if not self._log.in_window(message.sequence_number):
            return
        slot = self._log.slot(message.sequence_number)
        slot.contents[message.digest] = proposal.batch
        slot.accept(proposal.pre_prepare)
        if message.view != self._context.view or not self._context.active:
            return
        slot.pre_prepare = proposal.pre_prepare
        self._mark_proposed(slot)
        if message.replica == self._context.me:
            self.proposing.last = max(self.proposing.last, message.sequence_number)
        else:
            slot.prepares[self._context.me] = self._own_prepare(message)

    def restore_prepared(self, record: Prepared) -> None:
        message = record.pre_prepare
        if not self._log.in_window(message.sequence_number):
            return
        self.restore_proposal(record.proposal)
        slot = self._log.slot(message.sequence_number)
        slot.certificate = PreparedCertificate(record.proposal.pre_prepare, record.prepares)
        if message.view == self._context.view and self._context.active:
            slot.prepared = True
            for prepare in record.prepares:
                slot.prepares[prepare.message.replica] = prepare
            slot.commits[self._context.me] = self._own_commit(message)

    def restore_decided(self, slot: DecidedSlot) -> None:
        if self._log.in_window(slot.sequence_number):
            held = self._log.slot(slot.sequence_number)
            held.decided = slot
            held.contents[slot.commits[0].message.digest] = slot.batch

    def begin_epoch(self) -> None:
        """All slots are gone with the old epoch."""
        self.proposing.enter_view(self._context.members.start)
        self.fetching.stop()

    def resume(self) -> None:
        """Recovery is over: what the log left open moves on."""
        for slot in self._log:
            self._advance(slot)
        self.fetching.fetch()

    def resend(self, replica: ReplicaId) -> None:
        """A connection came up: repeat to that peer what we said about undecided slots."""
        self.fetching.send_again(replica)
        me = self._context.me
        for slot in self._log:
            if slot.sequence_number <= self._context.applied:
                continue
            ours = slot.pre_prepare if self._is_mine(slot) else None
            if ours is not None and slot.batch is not None:
                self._context.emit(Send(replica, Proposal(ours, slot.batch)))
            if me in slot.prepares:
                self._context.emit(Send(replica, slot.prepares[me]))
            if me in slot.commits:
                self._context.emit(Send(replica, slot.commits[me]))

    def _is_mine(self, slot: Slot) -> bool:
        return slot.pre_prepare is not None and slot.pre_prepare.message.replica == self._context.me

    def live_records(self) -> list[ProposalAccepted | Prepared | Decided]:
        """What the log must still hold about slots above the stable checkpoint."""
        me = self._context.me
        records: list[ProposalAccepted | Prepared | Decided] = []
        for slot in self._log:
            records += [
                ProposalAccepted(Proposal(pre_prepare, slot.contents[known]))
                for known, pre_prepare in slot.accepted.items()
                if known in slot.contents and pre_prepare != slot.pre_prepare
            ]
            if slot.certificate is not None:
                message = slot.certificate.pre_prepare
                batch = slot.contents[message.message.digest]
                records.append(Prepared(Proposal(message, batch), slot.certificate.prepares))
            accepted = me in slot.prepares or self._is_mine(slot)
            if accepted and not slot.prepared and slot.pre_prepare and slot.batch is not None:
                records.append(ProposalAccepted(Proposal(slot.pre_prepare, slot.batch)))
            if slot.decided is not None:
                records.append(Decided(slot.decided))
        return records
