"""Everything that comes out of a replica, to be performed in this order.

A driver must perform the effects of one step one after the other: a `Persist` that stands before
a `Broadcast` is on disk before the message leaves, and whatever was not performed before a crash
never happened.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pbft.events import Timer
from pbft.membership import Change, Member
from pbft.messages import DecidedSlot, EpochCertificate, Evidence, Request, WireMessage
from pbft.records import Record
from pbft.state import State
from pbft.types import Digest, Epoch, ReplicaId, RequestId, SequenceNumber

EPOCHS_AT_ONCE_MAX: Final = 32
"""Proofs of epochs sent in answer to one request; the receiver asks on."""


@dataclass(frozen=True, slots=True)
class Persist:
    """Append to the log and flush."""

    record: Record


@dataclass(frozen=True, slots=True)
class Broadcast:
    """To all other members."""

    message: WireMessage


@dataclass(frozen=True, slots=True)
class Send:
    replica: ReplicaId
    message: WireMessage


@dataclass(frozen=True, slots=True)
class ArmTimer:
    """Deliver `TimerFired(timer)` after the delay; arming again restarts it."""

    timer: Timer
    delay_ms: int


@dataclass(frozen=True, slots=True)
class CancelTimer:
    timer: Timer


@dataclass(frozen=True, slots=True)
class RunInference:
    """Ask the model, within `request.timeout_ms`; the answer comes as `AnswerReady`."""

    request_id: RequestId
    attempt: int
    request: Request
    temperature_milli: int


@dataclass(frozen=True, slots=True)
class CompareAnswers:
    """Measure the texts pairwise; the result comes as `AnswersCompared`. Request, attempt and
    `answers`, the digest of the texts, are the key of the comparison."""

    request_id: RequestId
    attempt: int
    answers: Digest
    question: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """The item at `index` of a decided slot is an attempt at the request. Comes as soon as the slot
    is decided, in whatever order that happens."""

    request_id: RequestId
    slot: DecidedSlot
    index: int
    final: bool
    """No further attempt follows. The attempt of greatest `item.merit` is the network's answer."""


@dataclass(frozen=True, slots=True)
class Apply:
    """Append a decided slot to the ledger. Comes in sequence order, without gaps."""

    sequence_number: SequenceNumber
    slot: DecidedSlot
    state: State
    """After this slot; to be given back at the next start."""


@dataclass(frozen=True, slots=True)
class RecordEpoch:
    """Keep the proof of the epoch that follows the last one kept: certificates need it."""

    certificate: EpochCertificate


@dataclass(frozen=True, slots=True)
class MembersChanged:
    """Be connected with these, and with nobody else. Of two keys of one member the later one is
    current."""

    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Retired:
    """This replica has left the network, and the others need it no more."""


@dataclass(frozen=True, slots=True)
class ChangeNoted:
    """A change that the operator wanted was endorsed, or not."""

    change: Change
    refused: str | None
    """Why not, in one sentence."""


@dataclass(frozen=True, slots=True)
class Compact:
    """Replace the whole log by these records: a checkpoint made the others superfluous."""

    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class SendLedger:
    """Send to a replica that lacks them the proofs of at most `EPOCHS_AT_ONCE_MAX` epochs after
    `proven`, and from the ledger the slots first..last (inclusive; none if last is less)."""

    replica: ReplicaId
    first: SequenceNumber
    last: SequenceNumber
    proven: Epoch


@dataclass(frozen=True, slots=True)
class Rejected:
    """A submitted request was not taken; nothing of it remains."""

    request_id: RequestId
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A peer's message was not accepted. `reason` is one of few constant words, to be counted."""

    source: ReplicaId
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """A replica is proven faulty."""

    evidence: Evidence


class Stage(StrEnum):
    """Milestones of a request, for people who watch it."""

    ACCEPTED = "accepted"
    COMMITTED = "committed"
    SEALED = "sealed"
    REVEALED = "revealed"
    PROPOSED = "proposed"
    PREPARED = "prepared"
    DECIDED = "decided"


@dataclass(frozen=True, slots=True)
class Progress:
    """The request reached a stage here; `replica` is whose message took it there."""

    request_id: RequestId
    stage: Stage
    replica: ReplicaId


Effect = (
    Persist
    | Broadcast
    | Send
    | ArmTimer
    | CancelTimer
    | RunInference
    | CompareAnswers
    | Reply
    | Apply
    | Compact
    | RecordEpoch
    | MembersChanged
    | Retired
    | ChangeNoted
    | SendLedger
    | Rejected
    | Refused
    | Report
    | Progress
)
