"""Rounds: what is known of each attempt to answer a request that is not decided yet."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from pbft import digest
from pbft.context import Context
from pbft.fields import values_fault
from pbft.history import History
from pbft.item import opens, sealed_commitments
from pbft.messages import AnswerCommitment, AnswerReveal, Request, Seal, Signed
from pbft.records import AnswerDrawn
from pbft.types import ReplicaId, RequestId

ROUNDS_AHEAD_MAX = 256
"""Rounds of which a peer's messages arrived before the request itself, per peer."""

Chain = tuple[Signed[Seal], ...]
RoundKey = tuple[RequestId, int]


class Due(Enum):
    """What a primary could do next about a round; nothing while too few answered."""

    SEAL = auto()
    ANSWERS = auto()
    """Sealed replicas keep silent: the primary could seal others beside them. If it has nobody to
    seal, a correct replica may have left the view alone, and all must follow to have its answer."""
    PROPOSAL = auto()
    DECISION = auto()


@dataclass(slots=True)
class Round:
    """One attempt to answer one request."""

    request_id: RequestId
    attempt: int
    opened_by: ReplicaId
    request: Signed[Request] | None = None
    drawing: bool = False
    """The model was asked in this life."""
    drawn: AnswerDrawn | None = None
    commitments: dict[ReplicaId, Signed[AnswerCommitment]] = field(default_factory=dict)
    seals: tuple[Signed[Seal], ...] = ()
    sealed: dict[ReplicaId, Signed[AnswerCommitment]] = field(default_factory=dict)
    """Whose answers count: the commitments in `seals`."""
    reveals: dict[ReplicaId, Signed[AnswerReveal]] = field(default_factory=dict)
    grace_armed: bool = False
    grace_over: bool = False
    handed_on: bool = False
    """The primary has proposed the item, or is about to."""
    proposed: bool = False
    """A proposal with this item is in a slot."""
    due: Due | None = None
    """What the primary is being waited for."""
    helped: bool = False
    """The primary was sent what it may lack."""
    held: frozenset[ReplicaId] = frozenset()
    """Whose reveals were here when the grace was over, and were passed on to the primary."""
    owed: frozenset[ReplicaId] = frozenset()
    """Whose reveals the primary must include by now."""
    _revealed: tuple[Signed[AnswerReveal], ...] | None = None
    """What `revealed` gives, until something changes: it is asked with every message."""

    @property
    def key(self) -> tuple[RequestId, int]:
        return self.request_id, self.attempt

    @property
    def asked(self) -> Request | None:
        """The request's contents, once it is here."""
        return self.request.message if self.request else None

    def learn(self, request: Signed[Request]) -> None:
        self.request = request
        self._revealed = None

    def add_seal(self, seal: Signed[Seal]) -> None:
        self.seals += (seal,)
        self.sealed |= sealed_commitments((seal,))
        self._revealed = None

    def continue_with(self, seal: Signed[Seal]) -> bool:
        """From the log: takes the seal, if it follows those before it. One that stands where
        another did was taken when that one had been given up with its round, and takes its place
        and that of all behind it."""
        number, previous = seal.message.number, digest.DIGEST_ZERO
        kept = self.seals[:number]
        if kept:
            previous = digest.seal_digest(kept[-1].message)
        if len(kept) < number or seal.message.previous != previous:
            return False
        if self.seals[number : number + 1] == (seal,):
            return False
        self.unseal()
        for held in (*kept, seal):
            self.add_seal(held)
        return True

    def unseal(self) -> None:
        self.seals = ()
        self.sealed = {}
        self._revealed = None

    def add_reveal(self, reveal: Signed[AnswerReveal]) -> None:
        self.reveals[reveal.message.replica] = reveal
        self._revealed = None

    def revealed(self) -> tuple[Signed[AnswerReveal], ...]:
        """Reveals that open a sealed commitment, in order of replica.

        One that came before its request could not be checked against the request's fields then;
        it would spoil an item now.
        """
        if self._revealed is None:
            self._revealed = tuple(
                self.reveals[replica]
                for replica in sorted(self.reveals.keys() & self.sealed.keys())
                if self._fits(self.reveals[replica].message, self.sealed[replica].message)
            )
        return self._revealed

    def _fits(self, reveal: AnswerReveal, commitment: AnswerCommitment) -> bool:
        """Whether the reveal opens the commitment and answers what was asked."""
        return opens(reveal, commitment) and not (
            self.asked and values_fault(self.asked, reveal.answer)
        )


class Rounds:
    """All rounds, by request and attempt."""

    def __init__(self, context: Context, history: History) -> None:
        self._context = context
        self._history = history
        self._rounds: dict[RoundKey, Round] = {}

    def get(self, request_id: RequestId, attempt: int) -> Round | None:
        return self._rounds.get((request_id, attempt))

    def open(self, key: RoundKey, opened_by: ReplicaId) -> Round:
        """The round, made if there is none."""
        if key not in self._rounds:
            self._rounds[key] = Round(*key, opened_by=opened_by)
        return self._rounds[key]

    def for_message(
        self, source: ReplicaId, message: AnswerCommitment | Seal | AnswerReveal
    ) -> Round | None:
        """The round that a message belongs to; opened if the request itself is still on its way.
        None if the request is decided, or the message of another epoch: what a replica signed in
        the one before may differ from what it signs in this."""
        request_id, attempt = message.request_id, message.attempt
        if message.epoch != self._context.epoch:
            if message.epoch + 1 != self._context.epoch:  # else it was under way
                self._context.refuse(source, "epoch")
            return None
        round_ = self.get(request_id, attempt)
        if round_ is not None or self._history.is_decided_id(request_id):
            return round_
        next_attempt = self._history.next_attempt(request_id)
        # One that was begun goes on, even if the policy allows fewer since.
        attempts_max = max(next_attempt + 1, self._context.policy.attempts_max)
        if not next_attempt <= attempt < attempts_max:
            self._context.refuse(source, "attempt")
            return None
        ahead = [r for r in self if not r.request and r.opened_by == source]
        if len(ahead) >= ROUNDS_AHEAD_MAX:
            # The oldest goes, first of those that no other peer speaks of: its request was
            # probably never sent to us, and must not use up the room of honest peers.
            lonely = [r for r in ahead if r.commitments.keys() <= {source}]
            self.remove((lonely or ahead)[0])
            self._context.refuse(source, "too-many-rounds")
        return self.open((request_id, attempt), source)

    def of_asker(self, replica: ReplicaId) -> int:
        """How many open requests this replica asked."""
        return sum(1 for r in self if r.request and r.request.message.replica == replica)

    def up_to(self, request_id: RequestId, attempt: int) -> list[Round]:
        """This attempt at the request, and those before it."""
        return [r for r in self if r.request_id == request_id and r.attempt <= attempt]

    def of_request(self, request: Request) -> list[Round]:
        """All attempts at it, and at whatever else its asker sent under the same number."""
        request_id = digest.request_id(request)
        number = (request.replica, request.number)
        return [
            round_
            for round_ in self
            if round_.request_id == request_id
            or (
                round_.request is not None
                and (round_.request.message.replica, round_.request.message.number) == number
            )
        ]

    def begin_epoch(self, round_: Round) -> Round:
        """What was signed in the old epoch is worth nothing in the new one; the request and our own
        answer stay."""
        self._rounds[round_.key] = Round(
            *round_.key,
            opened_by=round_.opened_by,
            request=round_.request,
            drawing=round_.drawing,
            drawn=round_.drawn,
        )
        return self._rounds[round_.key]

    def remove(self, round_: Round) -> None:
        del self._rounds[round_.key]

    def __iter__(self) -> Iterator[Round]:
        """In the order of opening; safe against changes meanwhile."""
        return iter(list(self._rounds.values()))
