"""The observation phase: commitment, seal, reveal. It gathers the answers that PBFT then orders.

Upon receiving a request, every replica asks its model, writes the answer and a salt to its log,
and broadcasts a commitment. When the primary holds a quorum of commitments, and a short grace has
passed or all members that are connected are in, it seals the list. Upon receiving the seal, the
replicas named in it broadcast their answers. When the primary holds all sealed answers, or a
quorum of them and the grace has passed, it has them compared, computes the outcome and hands the
item on to be proposed (`normal_case`). If too few sealed replicas reveal, it seals again with
later commitments.

An answer that was not committed before its seal cannot have been copied from one revealed after
it. Replicas vote over sets of signed answers because two honest models never write the same bytes
(Castro and Liskov 1999, §4.6).

Deviations from the paper: requests come from members on behalf of their users, not from clients;
the phase does not exist in the paper, which leaves non-deterministic services one paragraph.
"""

from dataclasses import dataclass, field

from pbft import digest
from pbft.context import Context
from pbft.effects import (
    ArmTimer,
    CancelTimer,
    CompareAnswers,
    Persist,
    Progress,
    Rejected,
    Report,
    RunInference,
    Send,
    Stage,
)
from pbft.errors import InvariantViolation
from pbft.events import (
    AnswerDeadline,
    AnswerReady,
    AnswersCompared,
    RevealGrace,
    SealGrace,
)
from pbft.evidence import Equivocation
from pbft.history import History
from pbft.item import (
    WrongItem,
    check_seal,
    commitment_of,
    opens,
    outcome_of,
    request_fault,
    sealed_commitments,
    voters,
)
from pbft.messages import (
    Answer,
    AnswerCommitment,
    AnswerReveal,
    Finish,
    Item,
    Request,
    Seal,
    Signed,
)
from pbft.outcome import Contradiction, Outcome, Status, pair_count
from pbft.policy import Policy
from pbft.records import AnswerDrawn, RequestAccepted, Sealed
from pbft.types import SEALS_MAX, ReplicaId, RequestId, View

ROUNDS_AHEAD_MAX = 256
"""Rounds of which a peer's messages arrived before the request itself, per peer."""

_NO_SALT = bytes(32)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Own measurement of a set of answers."""

    similarities_bp: tuple[int, ...]
    contradictions: tuple[Contradiction, ...]


@dataclass(slots=True)
class Round:
    """One attempt to answer one request."""

    request_id: RequestId
    attempt: int
    opened_by: ReplicaId
    request: Signed[Request] | None = None
    drawn: AnswerDrawn | None = None
    commitments: dict[ReplicaId, Signed[AnswerCommitment]] = field(default_factory=dict)
    seals: tuple[Signed[Seal], ...] = ()
    reveals: dict[ReplicaId, Signed[AnswerReveal]] = field(default_factory=dict)
    comparisons: dict[tuple[ReplicaId, ...], Comparison | None] = field(default_factory=dict)
    """By the replicas compared; None while the measurement is under way."""
    grace_armed: bool = False
    grace_over: bool = False
    handed_on: bool = False
    """The primary has proposed the item, or is about to."""

    @property
    def key(self) -> tuple[RequestId, int]:
        return self.request_id, self.attempt

    def revealed(self) -> list[Signed[AnswerReveal]]:
        """Reveals that open a sealed commitment, in order of replica."""
        sealed = sealed_commitments(self.seals)
        return [
            self.reveals[replica]
            for replica in sorted(self.reveals)
            if replica in sealed and opens(self.reveals[replica].message, sealed[replica].message)
        ]


class Observation:
    """All rounds that are not decided yet."""

    def __init__(self, context: Context, history: History) -> None:
        self._context = context
        self._history = history
        self._rounds: dict[tuple[RequestId, int], Round] = {}
        self._ready: list[Item] = []
        self._away: set[ReplicaId] = set()
        self.view = View(0)

    # --- requests ------------------------------------------------------------------------------

    def submit(self, request: Request) -> None:
        """A user asked this node."""
        reason = self._request_fault(request, self._context.policy.requests_in_flight_max)
        try:
            request_id = digest.request_id(request)
        except UnicodeEncodeError:  # what can't be encoded has no id
            request_id = RequestId(digest.DIGEST_ZERO)
        if reason:
            self._context.emit(Rejected(request_id, reason))
            return
        signed = self._context.sign(request)
        self._open(signed, request_id)
        self._context.broadcast(signed)
        self._draw(self._rounds[request_id, 0])

    def on_request(self, source: ReplicaId, signed: Signed[Request]) -> None:
        request = signed.message
        request_id = digest.request_id(request)
        known = self._rounds.get((request_id, 0))
        if self._history.is_decided(request) or (known and known.request):
            return
        if request.replica == self._context.me or not self._context.is_genuine(signed):
            self._context.refuse(source, "signature")
        elif self._request_fault(request, 2 * self._context.policy.requests_in_flight_max):
            # Twice what the asker allows itself: it may have seen decisions that we have not.
            self._context.refuse(source, "request")
        else:
            self._open(signed, request_id)
            round_ = self._rounds[request_id, 0]
            self._draw(round_)
            self._advance(round_)

    def _request_fault(self, request: Request, open_max: int) -> str | None:
        open_requests = sum(
            1
            for round_ in self._rounds.values()
            if round_.request and round_.request.message.replica == request.replica
        )
        if open_requests >= open_max:
            return (
                f"{open_requests} questions of this node are still being answered; "
                "ask again when some are done."
            )
        if self._history.is_too_old(request):
            return "The request is older than what the network remembers; ask anew."
        return request_fault(request, self._context.policy)

    def _open(self, signed: Signed[Request], request_id: RequestId) -> None:
        self._context.emit(Persist(RequestAccepted(signed)))
        self.restore_request(signed)
        self._context.emit(Progress(request_id, Stage.ACCEPTED, signed.message.replica))

    def _draw(self, round_: Round) -> None:
        """Ask the model, unless the log holds an answer already."""
        if round_.request is None or round_.drawn is not None:
            return
        request = round_.request.message
        self._context.emit(
            ArmTimer(AnswerDeadline(*round_.key), request.timeout_ms),
            RunInference(
                *round_.key, request, temperature_milli=self._context.policy.temperature_milli
            ),
        )

    # --- commitments ---------------------------------------------------------------------------

    def on_answer_ready(self, event: AnswerReady) -> None:
        round_ = self._rounds.get((event.request_id, event.attempt))
        if round_ is None or round_.drawn is not None:
            return  # decided without us, or after our deadline
        answer = event.answer
        try:
            size = len(answer.text.encode())
        except UnicodeEncodeError:
            answer = _abstention("answer not Unicode", answer.model, answer.elapsed_ms)
        else:
            if size > self._context.policy.answer_bytes_max:
                answer = _abstention("answer too long", answer.model, answer.elapsed_ms)
        self._commit_to(round_, answer, event.salt)

    def on_answer_deadline(self, timer: AnswerDeadline) -> None:
        round_ = self._rounds.get((timer.request_id, timer.attempt))
        if round_ is None or round_.request is None or round_.drawn is not None:
            return
        # An abstention hides nothing, so that it needs no salt.
        timeout_ms = round_.request.message.timeout_ms
        self._commit_to(round_, _abstention("out of time", "", timeout_ms), _NO_SALT)

    def _commit_to(self, round_: Round, answer: Answer, salt: bytes) -> None:
        round_.drawn = AnswerDrawn(*round_.key, answer, salt)
        self._context.emit(
            CancelTimer(AnswerDeadline(*round_.key)),
            # On disk before anyone hears of it: from now on this is our answer.
            Persist(round_.drawn),
        )
        commitment = self._own_commitment(round_.drawn)
        self._context.broadcast(commitment)
        self._add_commitment(round_, commitment)

    def _own_commitment(self, drawn: AnswerDrawn) -> Signed[AnswerCommitment]:
        context = self._context
        return context.sign(
            AnswerCommitment(
                network=context.network,
                request_id=drawn.request_id,
                attempt=drawn.attempt,
                commitment=commitment_of(self._own_reveal(drawn)),
                replica=context.me,
            )
        )

    def on_commitment(self, source: ReplicaId, signed: Signed[AnswerCommitment]) -> None:
        message = signed.message
        round_ = self._round_for(source, message.request_id, message.attempt)
        if round_ is None:
            return
        held = round_.commitments.get(message.replica)
        if held == signed:
            return
        if not self._context.is_genuine(signed):
            self._context.refuse(source, "signature")
        elif held is not None:
            self._context.emit(Report(Equivocation(held, signed)))
        else:
            self._add_commitment(round_, signed)

    def _add_commitment(self, round_: Round, signed: Signed[AnswerCommitment]) -> None:
        round_.commitments[signed.message.replica] = signed
        self._context.emit(Progress(round_.request_id, Stage.COMMITTED, signed.message.replica))
        self._advance(round_)

    # --- seals ---------------------------------------------------------------------------------

    def on_seal_grace(self, timer: SealGrace) -> None:
        round_ = self._rounds.get((timer.request_id, timer.attempt))
        if round_ is not None and not round_.seals and self._leads(round_):
            self._seal(round_)

    def _seal(self, round_: Round) -> None:
        """The primary closes the list with all commitments not sealed yet."""
        sealed = sealed_commitments(round_.seals)
        fresh = tuple(
            round_.commitments[replica]
            for replica in sorted(round_.commitments)
            if replica not in sealed
        )
        context = self._context
        seal = context.sign(
            Seal(
                network=context.network,
                request_id=round_.request_id,
                attempt=round_.attempt,
                view=self.view,
                number=len(round_.seals),
                previous=(
                    digest.seal_digest(round_.seals[-1].message)
                    if round_.seals
                    else digest.DIGEST_ZERO
                ),
                commitments=fresh,
                replica=context.me,
            )
        )
        round_.grace_over = False
        context.emit(
            CancelTimer(SealGrace(*round_.key)),
            ArmTimer(RevealGrace(*round_.key), context.policy.reveal_grace_ms),
        )
        self._take_seal(round_, seal)
        self._advance(round_)

    def on_seal(self, source: ReplicaId, signed: Signed[Seal]) -> None:
        message = signed.message
        round_ = self._round_for(source, message.request_id, message.attempt)
        if round_ is None:
            return
        if message.view != self.view:
            self._context.refuse(source, "view")
        elif message.number < len(round_.seals):
            self._compare_seals(source, round_.seals[message.number], signed)
        else:
            self._extend_seals(source, round_, (*round_.seals, signed))

    def _compare_seals(self, source: ReplicaId, held: Signed[Seal], signed: Signed[Seal]) -> None:
        if held == signed:
            return
        if not self._context.is_genuine(signed):
            self._context.refuse(source, "signature")
        elif held.message.replica == signed.message.replica:
            self._context.emit(Report(Equivocation(held, signed)))
        else:
            self._context.refuse(source, "seal-not-primary")

    def _extend_seals(
        self, source: ReplicaId, round_: Round, seals: tuple[Signed[Seal], ...]
    ) -> bool:
        """Takes the seals of `seals` that the round lacks; False if they do not fit."""
        common = min(len(seals), len(round_.seals))
        for held, claimed in zip(round_.seals[:common], seals[:common], strict=True):
            if held != claimed:
                self._compare_seals(source, held, claimed)
                return False
        for number in range(common, len(seals)):
            try:
                check_seal(seals[number], seals[:number], *round_.key, self._context.rules)
            except WrongItem as wrong:
                self._context.refuse(source, wrong.reason)
                return False
            self._take_seal(round_, seals[number])
        self._advance(round_)
        return True

    def _take_seal(self, round_: Round, seal: Signed[Seal]) -> None:
        self._context.emit(Persist(Sealed(seal)))
        if seal.message.replica == self._context.me:
            self._context.broadcast(seal)
        round_.seals += (seal,)
        self._context.emit(Progress(round_.request_id, Stage.SEALED, seal.message.replica))
        for commitment in seal.message.commitments:
            held = round_.commitments.setdefault(commitment.message.replica, commitment)
            if held != commitment:
                self._context.emit(Report(Equivocation(held, commitment)))
        self._reveal(round_, seal)

    def on_peer_down(self, replica: ReplicaId) -> None:
        """Nobody waits for a commitment that can't come."""
        self._away.add(replica)
        for round_ in list(self._rounds.values()):
            self._advance(round_)

    def on_peer_up(self, replica: ReplicaId) -> None:
        self._away.discard(replica)

    # --- reveals -------------------------------------------------------------------------------

    def _reveal(self, round_: Round, seal: Signed[Seal]) -> None:
        me = self._context.me
        named = any(commitment.message.replica == me for commitment in seal.message.commitments)
        if named and round_.drawn is not None:
            reveal = self._context.sign(self._own_reveal(round_.drawn))
            self._context.broadcast(reveal)
            self._add_reveal(round_, reveal)

    def _own_reveal(self, drawn: AnswerDrawn) -> AnswerReveal:
        return AnswerReveal(
            network=self._context.network,
            request_id=drawn.request_id,
            attempt=drawn.attempt,
            answer=drawn.answer,
            salt=drawn.salt,
            replica=self._context.me,
        )

    def on_reveal(self, source: ReplicaId, signed: Signed[AnswerReveal]) -> None:
        message = signed.message
        round_ = self._round_for(source, message.request_id, message.attempt)
        if round_ is None:
            return
        held = round_.reveals.get(message.replica)
        if held == signed:
            return
        commitment = round_.commitments.get(message.replica)
        sealed = sealed_commitments(round_.seals).get(message.replica)
        if not self._context.is_genuine(signed):
            self._context.refuse(source, "signature")
        elif commitment is None or not opens(message, (sealed or commitment).message):
            self._context.refuse(source, "reveal-mismatch")
        elif len(message.answer.text.encode()) > self._context.policy.answer_bytes_max:
            self._context.refuse(source, "answer-size")
        else:
            self._add_reveal(round_, signed)
            self._advance(round_)

    def _add_reveal(self, round_: Round, signed: Signed[AnswerReveal]) -> None:
        round_.reveals[signed.message.replica] = signed
        self._context.emit(Progress(round_.request_id, Stage.REVEALED, signed.message.replica))

    def on_reveal_grace(self, timer: RevealGrace) -> None:
        round_ = self._rounds.get((timer.request_id, timer.attempt))
        if round_ is not None:
            round_.grace_over = True
            self._advance(round_)

    # --- moving on -----------------------------------------------------------------------------

    def _leads(self, round_: Round) -> bool:
        return (
            round_.request is not None
            and not round_.handed_on
            and self._context.members.primary(self.view) == self._context.me
        )

    def _advance(self, round_: Round) -> None:
        """Does the next thing that the round's contents allow."""
        if not round_.seals:
            if self._leads(round_):
                self._advance_to_seal(round_)
            return
        revealed = round_.revealed()
        complete = len(revealed) == len(sealed_commitments(round_.seals))
        if complete:
            # Backups measure now, so that they can judge the proposal as soon as it comes.
            self._compare(round_, revealed)
        if not self._leads(round_):
            return
        if complete or (round_.grace_over and len(revealed) >= self._context.members.quorum):
            self._hand_on(round_, revealed)
        elif round_.grace_over and len(round_.seals) < SEALS_MAX:
            late = round_.commitments.keys() - sealed_commitments(round_.seals).keys()
            if late:
                self._seal(round_)

    def _advance_to_seal(self, round_: Round) -> None:
        members = self._context.members
        if len(round_.commitments) < members.quorum:
            return
        if all(r in round_.commitments or r in self._away for r in members.replicas):
            self._seal(round_)
        elif not round_.grace_armed:
            round_.grace_armed = True
            self._context.emit(ArmTimer(SealGrace(*round_.key), self._context.policy.seal_grace_ms))

    def _compare(self, round_: Round, revealed: list[Signed[AnswerReveal]]) -> Comparison | None:
        """Own measurement of these answers; None if it has yet to come."""
        votes = voters(revealed)
        replicas = tuple(vote.replica for vote in votes)
        if len(votes) < 2:
            return Comparison((), ())
        if replicas not in round_.comparisons and round_.request is not None:
            round_.comparisons[replicas] = None
            self._context.emit(
                CompareAnswers(
                    *round_.key,
                    question=round_.request.message.prompt,
                    replicas=replicas,
                    answers=tuple(vote.answer.text for vote in votes),
                )
            )
        return round_.comparisons.get(replicas)

    def on_compared(self, event: AnswersCompared) -> None:
        if len(event.similarities_bp) != pair_count(len(event.replicas)):
            raise InvariantViolation("the driver compared other answers than it was asked to")
        round_ = self._rounds.get((event.request_id, event.attempt))
        if round_ is not None:
            round_.comparisons[event.replicas] = Comparison(
                event.similarities_bp, event.contradictions
            )
            self._advance(round_)

    def _hand_on(self, round_: Round, revealed: list[Signed[AnswerReveal]]) -> None:
        comparison = self._compare(round_, revealed)
        if comparison is None or round_.request is None:
            return
        round_.handed_on = True
        self._context.emit(CancelTimer(RevealGrace(*round_.key)))
        members = self._context.members
        item = Item(
            request=round_.request,
            attempt=round_.attempt,
            seals=round_.seals,
            reveals=tuple(revealed),
            weights=tuple(self._context.weights[r.message.replica] for r in revealed),
            similarities_bp=comparison.similarities_bp,
            contradictions=comparison.contradictions,
            outcome=_UNDECIDED,
        )
        self._ready.append(with_outcome(item, members.n, self._context.policy))

    def take_ready(self) -> list[Item]:
        """Items that the primary should propose; each is given out once."""
        ready, self._ready = self._ready, []
        return ready

    # --- for the normal case -------------------------------------------------------------------

    def adopt(self, source: ReplicaId, item: Item, request_id: RequestId) -> bool:
        """Learn from a proposal, already checked in itself, what the own links did not bring.

        False if it contradicts what this replica knows for certain.
        """
        key = (request_id, item.attempt)
        if key not in self._rounds:
            self._rounds[key] = Round(*key, opened_by=item.request.message.replica)
        round_ = self._rounds[key]
        if round_.request is None:
            self._open(item.request, request_id)
        return self._extend_seals(source, round_, item.seals)

    def comparison_for(self, request_id: RequestId, item: Item) -> Comparison | None:
        """Own measurement of an adopted item's answers; None if it has yet to come."""
        round_ = self._rounds.get((request_id, item.attempt))
        return self._compare(round_, list(item.reveals)) if round_ else None

    def close(self, request: Request) -> None:
        """The request is decided, and with it all that its asker sent under the same number."""
        request_id = digest.request_id(request)
        number = request.replica, request.number
        for key in [
            key
            for key, round_ in self._rounds.items()
            if key[0] == request_id
            or (
                round_.request is not None
                and (round_.request.message.replica, round_.request.message.number) == number
            )
        ]:
            self._context.emit(
                *(CancelTimer(kind(*key)) for kind in (AnswerDeadline, SealGrace, RevealGrace))
            )
            del self._rounds[key]

    # --- recovery and reconnection -------------------------------------------------------------

    def restore_request(self, signed: Signed[Request]) -> None:
        key = (digest.request_id(signed.message), 0)
        if key not in self._rounds:
            self._rounds[key] = Round(*key, opened_by=signed.message.replica)
        self._rounds[key].request = signed

    def restore_answer(self, drawn: AnswerDrawn) -> None:
        round_ = self._rounds.get((drawn.request_id, drawn.attempt))
        if round_ is not None:
            round_.drawn = drawn
            round_.commitments[self._context.me] = self._own_commitment(drawn)

    def restore_seal(self, seal: Signed[Seal]) -> None:
        message = seal.message
        key = message.request_id, message.attempt
        # The seal may have come before its request, and again if the round was given up since.
        round_ = self._rounds.setdefault(key, Round(*key, opened_by=message.replica))
        if message.number == len(round_.seals):
            round_.seals += (seal,)
            for commitment in message.commitments:
                round_.commitments.setdefault(commitment.message.replica, commitment)
            me = self._context.me
            if round_.drawn is not None and me in sealed_commitments((seal,)):
                round_.reveals[me] = self._context.sign(self._own_reveal(round_.drawn))

    def restore_proposed(self, request_id: RequestId, attempt: int) -> None:
        if round_ := self._rounds.get((request_id, attempt)):
            round_.handed_on = True

    def resume(self) -> None:
        """After a restart: ask the model where no answer was logged, and start the clocks."""
        for round_ in list(self._rounds.values()):
            if round_.request is not None:
                asker = round_.request.message.replica
                self._context.emit(Progress(round_.request_id, Stage.ACCEPTED, asker))
            self._draw(round_)
            if round_.seals and self._leads(round_):
                self._context.emit(
                    ArmTimer(RevealGrace(*round_.key), self._context.policy.reveal_grace_ms)
                )
            self._advance(round_)

    def resend(self, replica: ReplicaId) -> None:
        """A connection came up: repeat to that peer what we said about open requests."""
        context = self._context
        for round_ in self._rounds.values():
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

    def _round_for(self, source: ReplicaId, request_id: RequestId, attempt: int) -> Round | None:
        """The round that a message belongs to; opened if the request itself is still on its way."""
        round_ = self._rounds.get((request_id, attempt))
        if round_ is not None or self._history.is_decided_id(request_id):
            return round_
        if attempt != 0:
            self._context.refuse(source, "attempt")
            return None
        ahead = [key for key, r in self._rounds.items() if not r.request and r.opened_by == source]
        if len(ahead) >= ROUNDS_AHEAD_MAX:
            # The oldest goes: its request was probably never sent to us, and an asker that
            # withholds requests must not use up the room of honest peers.
            del self._rounds[ahead[0]]
            self._context.refuse(source, "too-many-rounds")
        round_ = self._rounds[request_id, attempt] = Round(request_id, attempt, opened_by=source)
        return round_


_UNDECIDED = Outcome(Status.NO_AGREEMENT, None, (), 0, 0, 0)


def with_outcome(item: Item, members: int, policy: Policy) -> Item:
    """The same item with the outcome that follows from it."""
    return Item(
        request=item.request,
        attempt=item.attempt,
        seals=item.seals,
        reveals=item.reveals,
        weights=item.weights,
        similarities_bp=item.similarities_bp,
        contradictions=item.contradictions,
        outcome=outcome_of(item, members, policy),
    )


def _abstention(note: str, model: str, elapsed_ms: int) -> Answer:
    return Answer(
        text="",
        finish=Finish.ABSTAINED,
        model=model,
        output_tokens=0,
        elapsed_ms=elapsed_ms,
        note=note,
    )
