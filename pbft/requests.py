"""Requests: what users ask this node, what other members ask, and what the ledger asks again."""

from collections.abc import Callable

from pbft import digest
from pbft.answering import Answering
from pbft.context import Context
from pbft.effects import Persist, Progress, Rejected, Stage
from pbft.history import History
from pbft.item import request_fault
from pbft.messages import Request, Signed
from pbft.records import RequestAccepted
from pbft.round import Round, RoundKey, Rounds
from pbft.types import ReplicaId, RequestId


class Requests:
    """`on_open(round)` is called when the request of a round has become known."""

    def __init__(
        self,
        context: Context,
        history: History,
        rounds: Rounds,
        answering: Answering,
        on_open: Callable[[Round], None],
    ) -> None:
        self._context = context
        self._history = history
        self._rounds = rounds
        self._answering = answering
        self._on_open = on_open

    def submit(self, request: Request) -> None:
        """A user asked this node."""
        if self._context.takes_part:
            reason = self._request_fault(request, self._context.policy.requests_in_flight_max)
        else:
            reason = "This node does not take part in the network at present; ask another one."
        try:
            request_id = digest.request_id(request)
        except UnicodeEncodeError:  # what can't be encoded has no id
            request_id = RequestId(digest.DIGEST_ZERO)
        if reason:
            self._context.emit(Rejected(request_id, reason))
            return
        signed = self._context.sign(request)
        self.open(signed, (request_id, 0))
        self._context.broadcast(signed)
        self._answering.draw(self._rounds.open((request_id, 0), request.replica))

    def on_request(self, source: ReplicaId, signed: Signed[Request]) -> None:
        request = signed.message
        request_id = digest.request_id(request)
        key = (request_id, self._history.next_attempt(request_id))
        known = self._rounds.get(*key)
        if self._history.is_decided(request) or (known and known.request):
            return
        if key[1] > self._history.attempts(request_id):
            return  # the ledger will ask for it
        if request.replica == self._context.me or not self._context.is_genuine(signed):
            self._context.refuse(source, "signature")
        elif self._request_fault(request, self._open_max(known)):
            self._context.refuse(source, "request")
        else:
            self.open(signed, key)
            round_ = self._rounds.open(key, request.replica)
            self._answering.draw(round_)
            self._on_open(round_)

    def _open_max(self, known: Round | None) -> int | None:
        """How many open requests a peer may have here besides this one. Twice what it allows
        itself: it may have seen decisions that we have not. And any number, if a quorum has
        committed to an answer: the others wait for the primary then, and the asker may have filled
        its room with questions that nobody else has heard of."""
        if known is not None and len(known.commitments) >= self._context.quorum:
            return None
        return 2 * self._context.policy.requests_in_flight_max

    def _request_fault(self, request: Request, open_max: int | None) -> str | None:
        open_requests = self._rounds.of_asker(request.replica)
        if open_max is not None and open_requests >= open_max:
            return (
                f"{open_requests} questions of this node are still being answered; "
                "ask again when some are done."
            )
        if self._history.is_too_old(request):
            return "The request is older than what the network remembers; ask anew."
        return request_fault(request, self._context.policy)

    def open(self, signed: Signed[Request], key: RoundKey) -> None:
        """The request is known from now on, also after a crash."""
        self._context.emit(Persist(RequestAccepted(signed, key[1])))
        self._rounds.open(key, signed.message.replica).learn(signed)
        self._context.emit(Progress(key[0], Stage.ACCEPTED, signed.message.replica))

    def try_again(self, signed: Signed[Request], attempt: int) -> None:
        """The ledger decided that this attempt follows."""
        key = (digest.request_id(signed.message), attempt)
        round_ = self._rounds.open(key, signed.message.replica)
        if round_.request is None:  # else the log knows it already
            self.open(signed, key)
        if not self._context.recovering:
            self._answering.draw(round_)
            self._on_open(round_)

    def epoch_fault(self, asked: Signed[Request] | None) -> str | None:
        """Why a question does not go on in the new epoch: nobody may propose it there."""
        if asked is None:
            return "The question did not arrive."
        if not self._context.is_genuine(asked):
            return "The node that asked is no member any more, or has another key; ask anew."
        return request_fault(asked.message, self._context.policy)

    def restore(self, record: RequestAccepted) -> None:
        request_id = digest.request_id(record.request.message)
        round_ = self._rounds.open((request_id, record.attempt), record.request.message.replica)
        round_.learn(record.request)
