"""What a replica says must follow from what its disk holds: a crash takes back everything else.

Written from docs/protocol.md, §7 "After a crash": the records, and what each lets a replica say.
"""

from collections.abc import Iterable, Iterator

from pbft.messages import (
    AnswerCommitment,
    AnswerReveal,
    Commit,
    NewView,
    Prepare,
    PrePrepare,
    Request,
    Seal,
    SignedMessage,
    ViewChange,
)
from pbft.records import (
    AnswerDrawn,
    Decided,
    Prepared,
    ProposalAccepted,
    Record,
    RequestAccepted,
    Sealed,
    ViewChangeNamed,
    ViewEntered,
    ViewLeft,
)

Claim = tuple[object, ...]


class Logged:
    """The claims that one log stands for."""

    def __init__(self, log: Iterable[Record] = ()) -> None:
        self._claims = {claim for record in log for claim in _claims_of(record)}

    def add(self, record: Record) -> None:
        self._claims.update(_claims_of(record))

    def covers(self, said: SignedMessage) -> bool:
        """Whether the log binds its owner to what it says."""
        claim = _claim_in(said)
        return claim is None or claim in self._claims


def _claim_in(said: SignedMessage) -> Claim | None:
    """None for what binds nobody."""
    match said:
        case Request():
            return "request", said.number
        case AnswerCommitment() | AnswerReveal():
            return "answer", said.request_id, said.attempt
        case Seal():
            return "seal", said.epoch, said.request_id, said.attempt, said.view, said.number
        case PrePrepare() | Prepare():
            return "prepare", said.epoch, said.view, said.sequence_number, said.digest
        case Commit():
            return "commit", said.epoch, said.view, said.sequence_number, said.digest
        case ViewChange():
            return "view change", said.epoch, said.view, said.replica
        case NewView():
            return "new view", said.epoch, said.view
        case _:
            return None


def _claims_of(record: Record) -> Iterator[Claim]:
    match record:
        case RequestAccepted(request):
            yield "request", request.message.number
        case AnswerDrawn():
            yield "answer", record.request_id, record.attempt
        case Sealed(seal):
            yield _the(seal.message)
        case ProposalAccepted(proposal):
            yield _the(proposal.pre_prepare.message)
        case Prepared(proposal):
            kind, *rest = _the(proposal.pre_prepare.message)
            yield kind, *rest
            yield "commit", *rest
        case Decided(slot):
            yield _the(slot.commits[0].message)
        case ViewLeft(view_change) | ViewChangeNamed(view_change):
            yield _the(view_change.message)
        case ViewEntered(new_view):
            yield _the(new_view.message)
            for pre_prepare in new_view.message.pre_prepares:
                yield _the(pre_prepare.message)


def _the(said: SignedMessage) -> Claim:
    claim = _claim_in(said)
    return claim if claim is not None else ()
