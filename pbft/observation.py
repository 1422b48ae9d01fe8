"""The observation phase: commitment, seal, reveal. It gathers the answers that PBFT then orders.

Upon receiving a request, every replica asks its model, writes the answer and a salt to its log,
and broadcasts a commitment. The primary closes lists of commitments, under which answers are
revealed (`seals`). When it holds all sealed answers, or a quorum of them and a grace has passed, it
has them compared, computes the outcome and hands the item on to be proposed (`proposing`).

If the decided outcome is not an agreement with confidence, and the policy allows a further attempt,
every replica asks its model again, with other dice and a lower temperature.

When a view is entered, the seals are those that its view-changes carry; all else stays, and the
new primary goes on from there. When an epoch begins, every replica commits again to the answer
that it has drawn.

Replicas vote over sets of signed answers because two honest models never write the same bytes
(Castro and Liskov 1999, §4.6).

Deviations from the paper: requests come from members on behalf of their users, not from clients;
the phase does not exist in the paper, which leaves non-deterministic services one paragraph.
"""

from pbft.answering import Answering, own_reveal
from pbft.context import Context
from pbft.effects import (
    ArmTimer,
    CancelTimer,
    Progress,
    Rejected,
    Send,
    Stage,
)
from pbft.events import (
    AnswerDeadline,
    AnswersCompared,
    HeldReveals,
    PrimaryDue,
    RevealGrace,
    SealGrace,
)
from pbft.history import History
from pbft.item import (
    answer_fault,
    opens,
    sealed_commitments,
)
from pbft.measuring import Comparison, Measurements
from pbft.messages import (
    AnswerCommitment,
    AnswerReveal,
    CommitmentMismatch,
    Equivocation,
    Item,
    Request,
    Seal,
    Signed,
)
from pbft.outcome import NO_VOTES
from pbft.records import AnswerDrawn, RequestAccepted, Sealed
from pbft.requests import Requests
from pbft.round import Chain, Round, RoundKey, Rounds
from pbft.seals import Seals
from pbft.types import SEALS_MAX, ReplicaId, RequestId
from pbft.watch import Watch


class Observation:
    """All rounds that are not decided yet."""

    def __init__(
        self,
        context: Context,
        history: History,
        rounds: Rounds,
        measurements: Measurements,
        watch: Watch,
    ) -> None:
        self._context = context
        self._history = history
        self._rounds = rounds
        self._measurements = measurements
        self._watch = watch
        self.answering = Answering(context, rounds, self._add_commitment)
        self.requests = Requests(context, history, rounds, self.answering, self._advance)
        self.seals = Seals(context, rounds, self._on_sealed)
        self._ready: list[Item] = []

    # --- commitments ---------------------------------------------------------------------------

    def on_commitment(self, source: ReplicaId, signed: Signed[AnswerCommitment]) -> None:
        message = signed.message
        round_ = self._rounds.for_message(source, message)
        if round_ is None:
            return
        held = round_.commitments.get(message.replica)
        if held is not None and held.message == message:
            return
        if not self._context.is_genuine(signed):
            self._context.refuse(source, "signature")
        elif held is not None:
            self._context.report(Equivocation(held, signed))
        else:
            self._add_commitment(round_, signed)

    def _add_commitment(self, round_: Round, signed: Signed[AnswerCommitment]) -> None:
        round_.commitments[signed.message.replica] = signed
        self._context.emit(Progress(round_.request_id, Stage.COMMITTED, signed.message.replica))
        self._advance(round_)

    # --- seals ---------------------------------------------------------------------------------

    def on_seal_grace(self, timer: SealGrace) -> None:
        round_ = self._rounds.get(timer.request_id, timer.attempt)
        if round_ is not None and not round_.seals and self._leads(round_):
            self.seals.make(round_)
            self._advance(round_)

    def on_seal(self, source: ReplicaId, signed: Signed[Seal]) -> None:
        round_ = self.seals.on_seal(source, signed)
        if round_ is not None:
            self._advance(round_)

    def _on_sealed(self, round_: Round, seal: Signed[Seal]) -> None:
        me = self._context.me
        named = any(commitment.message.replica == me for commitment in seal.message.commitments)
        if named and round_.drawn is not None:
            reveal = own_reveal(self._context, round_.drawn)
            self._context.broadcast(reveal)
            self._add_reveal(round_, reveal)
        self._watch.hold_reveals(round_)

    def on_peer_down(self, replica: ReplicaId) -> None:
        """Nobody waits for a commitment that can't come, nor long for an absent primary."""
        for round_ in self._rounds:
            if replica == self._context.primary:
                round_.due = None
            self._advance(round_)

    # --- reveals -------------------------------------------------------------------------------

    def on_reveal(self, source: ReplicaId, signed: Signed[AnswerReveal]) -> None:
        message = signed.message
        round_ = self._rounds.for_message(source, message)
        if round_ is None:
            return
        held = round_.reveals.get(message.replica)
        if held == signed:
            return
        commitment = round_.commitments.get(message.replica)
        sealed = round_.sealed.get(message.replica)
        if not self._context.is_genuine(signed):
            self._context.refuse(source, "signature")
        elif commitment is None:
            self._context.refuse(source, "reveal-mismatch")
        elif not opens(message, (sealed or commitment).message):
            self._context.refuse(source, "reveal-mismatch")
            self._context.report(CommitmentMismatch(sealed or commitment, signed))
        elif answer_fault(message.answer, self._context.policy, round_.asked):
            self._context.refuse(source, "answer")
        else:
            self._add_reveal(round_, signed)
            self._advance(round_)

    def _add_reveal(self, round_: Round, signed: Signed[AnswerReveal]) -> None:
        round_.add_reveal(signed)
        self._context.emit(Progress(round_.request_id, Stage.REVEALED, signed.message.replica))

    def on_reveal_grace(self, timer: RevealGrace) -> None:
        round_ = self._rounds.get(timer.request_id, timer.attempt)
        if round_ is not None:
            round_.grace_over = True
            self._advance(round_)

    # --- moving on -----------------------------------------------------------------------------

    def _leads(self, round_: Round) -> bool:
        return round_.request is not None and not round_.handed_on and self._context.leads

    def _advance(self, round_: Round) -> None:
        """Does the next thing that the round's contents allow, and watches the primary do it."""
        if not self._context.recovering:
            self._move(round_)
            self._watch.look(round_)

    def _move(self, round_: Round) -> None:
        if not round_.seals:
            if self._leads(round_):
                self._advance_to_seal(round_)
            return
        revealed = round_.revealed()
        complete = len(revealed) == len(round_.sealed)
        if complete:
            # Backups measure now, so that they can judge the proposal as soon as it comes.
            self._compare(round_, revealed)
        if not self._leads(round_):
            return
        if complete or (round_.grace_over and len(revealed) >= self._context.quorum):
            self._hand_on(round_, revealed)
        elif (
            round_.grace_over
            and len(round_.seals) < SEALS_MAX
            and round_.commitments.keys() - round_.sealed.keys()
        ):
            self.seals.make(round_)
            self._advance(round_)

    def _advance_to_seal(self, round_: Round) -> None:
        context = self._context
        if len(round_.commitments) < context.quorum:
            return
        if all(r in round_.commitments or r in context.away for r in context.members.replicas):
            self.seals.make(round_)
            self._advance(round_)
        elif not round_.grace_armed:
            round_.grace_armed = True
            context.emit(ArmTimer(SealGrace(*round_.key), context.policy.seal_grace_ms))

    def _compare(
        self, round_: Round, revealed: tuple[Signed[AnswerReveal], ...]
    ) -> Comparison | None:
        """Own measurement of these answers; None if it has yet to come."""
        if round_.asked is None:
            return None
        return self._measurements.of(round_.asked, revealed, *round_.key)

    def on_compared(self, event: AnswersCompared) -> None:
        round_ = self._rounds.get(event.request_id, event.attempt)
        if round_ is not None:
            self._advance(round_)

    def _hand_on(self, round_: Round, revealed: tuple[Signed[AnswerReveal], ...]) -> None:
        comparison = self._compare(round_, revealed)
        if comparison is None or round_.request is None:
            return
        round_.handed_on = True
        self._context.emit(CancelTimer(RevealGrace(*round_.key)))
        self._ready.append(
            Item(
                request=round_.request,
                attempt=round_.attempt,
                seals=round_.seals,
                reveals=revealed,
                weights=(),
                similarities_bp=comparison.similarities_bp,
                contradictions=comparison.contradictions,
                outcome=NO_VOTES,
            )
        )

    def take_ready(self) -> list[Item]:
        """Items that the primary should propose; each is given out once. Weights and outcome are
        added with the slot, because a checkpoint may change them."""
        ready, self._ready = self._ready, []
        return ready

    # --- views ---------------------------------------------------------------------------------

    def leave_view(self) -> None:
        """Until a view is entered nobody leads; answers go on coming in."""
        self._ready.clear()
        for round_ in self._rounds:
            self._watch.look(round_)

    def enter_view(self, chains: dict[RoundKey, Chain], taken_over: set[RoundKey]) -> None:
        """Goes on from the view-changes' seals. `taken_over`: attempts in slots of the new view."""
        primary = self._context.primary
        for key in chains:
            if (
                not self._history.is_decided_id(key[0])
                and self._history.next_attempt(key[0]) <= key[1]
            ):
                self._rounds.open(key, primary)
        for round_ in self._rounds:
            round_.handed_on = round_.proposed = round_.key in taken_over
            round_.grace_armed = round_.grace_over = False
            round_.held = round_.owed = frozenset()
            round_.due = None
            self.seals.replace(round_, chains.get(round_.key, ()))
            if round_.request is not None and primary != self._context.me:
                self._context.emit(Send(primary, round_.request))
            if round_.seals and self._leads(round_):
                grace_ms = self._context.policy.reveal_grace_ms
                self._context.emit(ArmTimer(RevealGrace(*round_.key), grace_ms))
            self._advance(round_)

    def live_records(self) -> list[RequestAccepted | AnswerDrawn | Sealed]:
        """What the log must still hold about undecided requests."""
        records: list[RequestAccepted | AnswerDrawn | Sealed] = []
        for round_ in self._rounds:
            if round_.request is not None:
                records.append(RequestAccepted(round_.request, round_.attempt))
            if round_.drawn is not None:
                records.append(round_.drawn)
            records += [Sealed(seal) for seal in round_.seals]
        return records

    # --- for the normal case -------------------------------------------------------------------

    def adopt(self, source: ReplicaId, item: Item, request_id: RequestId) -> bool:
        """Learn from a proposal, already checked in itself, what the own links did not bring.

        False if it contradicts what this replica knows for certain.
        """
        round_ = self._rounds.open((request_id, item.attempt), item.request.message.replica)
        if round_.request is None:
            self.requests.open(item.request, round_.key)
        fits = self.seals.extend(source, round_, item.seals)
        self._advance(round_)
        return fits

    def mark_proposed(self, request_id: RequestId, attempt: int) -> None:
        """The item is in a slot of the current view: now a decision is due."""
        round_ = self._rounds.get(request_id, attempt)
        if round_ is not None:
            round_.handed_on = round_.proposed = True
            self._watch.look(round_)

    def close(self, request: Request) -> None:
        """The request is decided, and with it all that its asker sent under the same number."""
        for round_ in self._rounds.of_request(request):
            self._close(round_)

    def close_attempt(self, request_id: RequestId, attempt: int) -> None:
        """An attempt is decided and another one follows, of which peers who are ahead may have told
        us already."""
        for round_ in self._rounds.up_to(request_id, attempt):
            self._close(round_)

    def _close(self, round_: Round) -> None:
        self._measurements.forget(round_.request_id)
        self._cancel_timers(round_)
        self._rounds.remove(round_)

    def _cancel_timers(self, round_: Round) -> None:
        timers = (AnswerDeadline, SealGrace, RevealGrace, HeldReveals, PrimaryDue)
        self._context.emit(*(CancelTimer(timer(*round_.key)) for timer in timers))

    # --- epochs --------------------------------------------------------------------------------

    def begin_epoch(self) -> None:
        """Every open round begins anew among the new members; answers that were drawn stay."""
        self._ready.clear()
        context = self._context
        for round_ in self._rounds:
            asked = round_.request
            fault = self.requests.epoch_fault(asked)
            if asked is None or fault is not None:
                self._cancel_timers(round_)
                self._rounds.remove(round_)
                if asked is not None and fault is not None and asked.message.replica == context.me:
                    context.emit(Rejected(round_.request_id, fault))
                continue
            timers = (SealGrace, RevealGrace, HeldReveals, PrimaryDue)
            context.emit(*(CancelTimer(timer(*round_.key)) for timer in timers))
            round_ = self._rounds.begin_epoch(round_)
            if not context.recovering:
                if asked.message.replica == context.me:
                    context.broadcast(asked)  # a new member has not heard of it
                self.answering.commit_again(round_)
                self.answering.draw(round_)  # who did not take part until now has no answer yet

    # --- recovery and reconnection -------------------------------------------------------------

    def restore_seal(self, seal: Signed[Seal]) -> None:
        message = seal.message
        # The seal may have come before its request, and again if the round was given up since.
        round_ = self._rounds.open((message.request_id, message.attempt), message.replica)
        if round_.continue_with(seal):
            for commitment in message.commitments:
                round_.commitments.setdefault(commitment.message.replica, commitment)
            me = self._context.me
            named = me in sealed_commitments((seal,))
            if named and round_.drawn is not None and self._context.takes_part:
                round_.add_reveal(own_reveal(self._context, round_.drawn))

    def resume(self) -> None:
        """Recovery is over: ask the model where no answer was logged, and start the clocks."""
        policy = self._context.policy
        for round_ in self._rounds:
            if round_.request is not None:
                asker = round_.request.message.replica
                self._context.emit(Progress(round_.request_id, Stage.ACCEPTED, asker))
            if self._context.me not in round_.commitments:
                self.answering.commit_again(round_)  # an epoch began while the log was read back
            self.answering.draw(round_)
            if round_.seals and self._leads(round_):
                self._context.emit(ArmTimer(RevealGrace(*round_.key), policy.reveal_grace_ms))
            elif round_.seals:
                self._watch.hold_reveals(round_)
            round_.due = None
            self._advance(round_)

    def resend(self, replica: ReplicaId) -> None:
        """A connection came up: repeat to that peer what we said about open requests."""
        context = self._context
        for round_ in self._rounds:
            request = round_.request
            if request is not None and request.message.replica == context.me:
                context.emit(Send(replica, request))
            if context.me in round_.commitments:
                context.emit(Send(replica, round_.commitments[context.me]))
            for seal in round_.seals:
                if seal.message.replica == context.me:
                    context.emit(Send(replica, seal))
            if context.me in round_.reveals:
                context.emit(Send(replica, round_.reveals[context.me]))
