"""What a replica writes to its log, in the order in which it must be read back.

The log holds whatever a later message of ours depends on, so that after a crash the replica says
nothing that contradicts what it signed. What others can send again is left out.
"""

from dataclasses import dataclass
from typing import Annotated

from pbft.messages import (
    Answer,
    Checkpoint,
    DecidedSlot,
    NewView,
    Prepare,
    PrePrepare,
    Proposal,
    Request,
    Seal,
    Signed,
    ViewChange,
)
from pbft.schema import AtMost, Hash
from pbft.types import MEMBERS_MAX, RequestId


@dataclass(frozen=True, slots=True)
class RequestAccepted:
    """A request, ours or a peer's, that the replica works on."""

    request: Signed[Request]


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
class ViewEntered:
    """The new-view under which we send prepares."""

    new_view: Signed[NewView]


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
)
"""A record's position here is its number on disk: append only."""
