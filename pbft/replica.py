"""One replica: its state and the dispatch of events, nothing else.

Where to read on: `observation` (commitment, seal, reveal), `normal_case` (pre-prepare, prepare,
commit), `execution` (replies, ledger, catching up), `outcome` (from answers to an answer),
`certificate` (what users take away).
"""

from collections.abc import Callable, Iterable
from typing import Any

from pbft.context import Configuration, Context
from pbft.effects import Effect
from pbft.events import (
    AnswerDeadline,
    AnswerReady,
    AnswersCompared,
    CatchUp,
    Event,
    PeerDown,
    PeerUp,
    Received,
    RevealGrace,
    SealGrace,
    Started,
    Submitted,
    Timer,
    TimerFired,
)
from pbft.execution import Execution
from pbft.history import History
from pbft.keyring import Keyring
from pbft.log import MessageLog
from pbft.messages import (
    AnswerCommitment,
    AnswerReveal,
    Commit,
    DecidedSlot,
    Height,
    Prepare,
    Proposal,
    Request,
    Seal,
    Signed,
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
)
from pbft.types import ReplicaId, SequenceNumber, View

GENESIS = SequenceNumber(0)
"""Nothing is applied yet; the first slot is number 1."""


class Replica:
    """One replica as a pure state machine (Castro and Liskov 1999, §4).

    Args:
        configuration: network, own position, members, policy.
        keyring: signs for this replica and verifies the others.
        records: what an earlier life persisted, in order. Nothing that was signed then is ever
            contradicted.
        applied: how far the driver's ledger reaches.
    """

    def __init__(
        self,
        configuration: Configuration,
        keyring: Keyring,
        records: Iterable[Record] = (),
        applied: SequenceNumber = GENESIS,
    ) -> None:
        self._context = Context(configuration, keyring)
        log = MessageLog()
        history = History()
        self._observation = Observation(self._context, history)
        self._normal_case = NormalCase(self._context, log, self._observation, history)
        self._execution = Execution(self._context, log, self._observation, history, applied)
        self._handlers: dict[type, Callable[[ReplicaId, Any], None]] = {
            Request: self._observation.on_request,
            AnswerCommitment: self._observation.on_commitment,
            Seal: self._observation.on_seal,
            AnswerReveal: self._observation.on_reveal,
            Proposal: self._normal_case.on_proposal,
            Prepare: self._normal_case.on_prepare,
            Commit: self._normal_case.on_commit,
            DecidedSlot: self._execution.on_decided_slot,
            Height: self._execution.on_height,
        }
        for record in records:
            self._restore(record)

    @property
    def view(self) -> View:
        return self._normal_case.view

    @property
    def applied(self) -> SequenceNumber:
        return self._execution.applied

    @property
    def primary(self) -> ReplicaId:
        return self._context.members.primary(self.view)

    def step(self, event: Event) -> list[Effect]:
        """Apply one event; return the effects, to be performed in this order."""
        match event:
            case Received(source, message):
                self._on_message(source, message)
            case AnswerReady():
                self._observation.on_answer_ready(event)
            case AnswersCompared():
                self._observation.on_compared(event)
                self._normal_case.on_compared()
            case TimerFired(timer):
                self._on_timer(timer)
            case Submitted(request):
                self._observation.submit(request)
            case PeerDown(replica):
                self._observation.on_peer_down(replica)
            case PeerUp(replica):
                self._observation.on_peer_up(replica)
                self._execution.on_peer_up(replica)
                self._observation.resend(replica)
                self._normal_case.resend(replica)
            case Started():
                self._observation.resume()
                self._normal_case.resume()
        self._settle()
        return self._context.take_effects()

    def _settle(self) -> None:
        """Hand finished items to the primary's proposals, and decided slots to execution."""
        while True:
            self._normal_case.propose_ready()
            decided = self._normal_case.take_decided()
            if not decided:
                self._execution.watch()
                return
            for slot in decided:
                self._execution.on_decided(slot)

    def _on_message(self, source: ReplicaId, message: WireMessage) -> None:
        kind = type(message.message) if isinstance(message, Signed) else type(message)
        self._handlers[kind](source, message)

    def _on_timer(self, timer: Timer) -> None:
        match timer:
            case SealGrace():
                self._observation.on_seal_grace(timer)
            case RevealGrace():
                self._observation.on_reveal_grace(timer)
            case AnswerDeadline():
                self._observation.on_answer_deadline(timer)
            case CatchUp():
                self._execution.on_catch_up()

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
                self._normal_case.restore_decided(slot.sequence_number)
                self._execution.restore(slot)
