"""What a replica writes to its log, in the order in which it must be read back.

The log holds whatever a later message of ours depends on, so that after a crash the replica says
nothing that contradicts what it signed. What others can send again is left out.
"""

from dataclasses import dataclass
from typing import Annotated

from pbft.membership import Membership
from pbft.messages import (
    Answer,
    Checkpoint,
    DecidedSlot,
    Endorsement,
    NewView,
    Prepare,
    PrePrepare,
    Proposal,
    Request,
    Seal,
    Signed,
    ViewChange,
)
from pbft.policy import Policy
from pbft.schema import AtMost, Hash
from pbft.types import MEMBERS_MAX, MESSAGE_BYTES_MAX, Epoch, RequestId

RECORD_BYTES_MAX = 4 * MESSAGE_BYTES_MAX
"""Above what any record, decided slot or state takes; more is not read back."""


@dataclass(frozen=True, slots=True)
class RequestAccepted:
    """A request, ours or a peer's, that the replica works on, and which attempt at it."""

    request: Signed[Request]
    attempt: int


@dataclass(frozen=True, slots=True)
class AnswerDrawn:
    """Our answer to an attempt. Commitment and reveal follow from it, and asking the model again
    after a crash would give another: an honest node would equivocate (malachite#864)."""

    request_id: RequestId
    attempt: int
    answer: Answer
    salt: Hash


@dataclass(frozen=True, slots=True)
class Sealed:
    """A seal, ours or the primary's, under which we may reveal."""

    seal: Signed[Seal]


@dataclass(frozen=True, slots=True)
class ProposalAccepted:
    """A proposal that we made or sent a prepare for."""

    proposal: Proposal


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prepared certificate (§4.2): from here on we send our commit."""

    proposal: Proposal
    prepares: Annotated[tuple[Signed[Prepare], ...], AtMost(MEMBERS_MAX)]

    @property
    def pre_prepare(self) -> PrePrepare:
        return self.proposal.pre_prepare.message


@dataclass(frozen=True, slots=True)
class Decided:
    """A slot that a quorum committed."""

    slot: DecidedSlot


@dataclass(frozen=True, slots=True)
class StableCheckpoint:
    """q members hold the same state: nothing up to here is needed in the log any more."""

    proof: Annotated[tuple[Signed[Checkpoint], ...], AtMost(MEMBERS_MAX)]


@dataclass(frozen=True, slots=True)
class ViewLeft:
    """Our view-change: from here on we take no part in earlier views."""

    view_change: Signed[ViewChange]


@dataclass(frozen=True, slots=True)
class ViewChangeNamed:
    """A view-change that the next `ViewEntered` names."""

    view_change: Signed[ViewChange]


@dataclass(frozen=True, slots=True)
class ViewEntered:
    """The new-view under which we send prepares."""

    new_view: Signed[NewView]


@dataclass(frozen=True, slots=True)
class Endorsed:
    """A change that our operator wants."""

    endorsement: Signed[Endorsement]


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """Our checkpoint at the end of an epoch, who its members were, and what an `EpochCertificate`
    of the next one says: until a quorum's checkpoints are gathered, that is not proven."""

    checkpoint: Signed[Checkpoint]
    membership: Membership
    next_membership: Membership
    next_policy: Policy
    rest: Hash


@dataclass(frozen=True, slots=True)
class Forgot:
    """What came before this record was lost: we do not know what we signed in this epoch."""

    salt: Hash
    """32 random bytes by the driver, which tell this loss from every other."""


@dataclass(frozen=True, slots=True)
class EpochBegun:
    """We may have signed something in this epoch, even if nothing else in the log says so."""

    epoch: Epoch


Record = (
    RequestAccepted
    | AnswerDrawn
    | Sealed
    | ProposalAccepted
    | Prepared
    | Decided
    | StableCheckpoint
    | ViewLeft
    | ViewEntered
    | Endorsed
    | EpochEnded
    | Forgot
    | EpochBegun
    | ViewChangeNamed
)

RECORD_KINDS: tuple[type, ...] = (
    RequestAccepted,
    AnswerDrawn,
    Sealed,
    ProposalAccepted,
    Prepared,
    Decided,
    StableCheckpoint,
    ViewLeft,
    ViewEntered,
    Endorsed,
    EpochEnded,
    Forgot,
    EpochBegun,
    ViewChangeNamed,
)
"""A record's position here is its number on disk: append only."""


def epoch_of(record: Record) -> Epoch | None:
    """In which epoch the replica spoke; None if the record means the same in every epoch."""
    match record:
        case Sealed(seal):
            return seal.message.epoch
        case ProposalAccepted(proposal) | Prepared(proposal):
            return proposal.pre_prepare.message.epoch
        case StableCheckpoint(proof):
            return proof[0].message.epoch
        case ViewLeft(signed) | ViewChangeNamed(signed) | ViewEntered(signed) | Endorsed(signed):
            return signed.message.epoch
        case EpochBegun(epoch):
            return epoch
        case _:
            return None
