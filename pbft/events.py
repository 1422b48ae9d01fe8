"""Everything that goes into a replica.

Randomness and the passing of time reach the core only through these: a salt comes with the answer
that it hides, and a timer is an effect that comes back as an event.
"""

from dataclasses import dataclass

from pbft.membership import Change
from pbft.messages import Answer, Request, WireMessage
from pbft.outcome import Contradiction
from pbft.types import Digest, Epoch, ReplicaId, RequestId, View


@dataclass(frozen=True, slots=True)
class SealGrace:
    """The primary has waited long enough for further commitments."""

    request_id: RequestId
    attempt: int


@dataclass(frozen=True, slots=True)
class RevealGrace:
    """The primary has waited long enough for further reveals."""

    request_id: RequestId
    attempt: int


@dataclass(frozen=True, slots=True)
class AnswerDeadline:
    """This replica's own model has not answered in time."""

    request_id: RequestId
    attempt: int


@dataclass(frozen=True, slots=True)
class HeldReveals:
    """A backup has held revealed answers for a grace: the primary must not leave them out."""

    request_id: RequestId
    attempt: int


@dataclass(frozen=True, slots=True)
class PrimaryDue:
    """The primary could have moved on with a request and has not."""

    request_id: RequestId
    attempt: int


@dataclass(frozen=True, slots=True)
class NewViewDue:
    """A view was asked for, or its first slots were, and it does not come about."""

    epoch: Epoch
    view: View


@dataclass(frozen=True, slots=True)
class MotionsDue:
    """The primary could have put a change or evidence before the ledger and has not."""


@dataclass(frozen=True, slots=True)
class BatchesDue:
    """Batches of which only the digest is known were asked for and have not come."""


@dataclass(frozen=True, slots=True)
class ViewChangesDue:
    """View-changes that a new-view names were asked for and have not come."""


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Time to tell the peers how far this replica is, and to ask for what it lacks."""


Timer = (
    SealGrace
    | RevealGrace
    | AnswerDeadline
    | HeldReveals
    | PrimaryDue
    | NewViewDue
    | MotionsDue
    | BatchesDue
    | ViewChangesDue
    | CatchUp
)


@dataclass(frozen=True, slots=True)
class Started:
    """First event after construction: take up what the log left open."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """A user asked this node. `request.replica` is this replica."""

    request: Request


@dataclass(frozen=True, slots=True)
class Received:
    """A decoded message from the connection of `source`, who need not be its signer."""

    source: ReplicaId
    message: WireMessage


@dataclass(frozen=True, slots=True)
class AnswerReady:
    """The model answered, or the driver abstains in its name. `salt`: 32 fresh random bytes."""

    request_id: RequestId
    attempt: int
    answer: Answer
    salt: bytes


@dataclass(frozen=True, slots=True)
class AnswersCompared:
    """Result of `effects.CompareAnswers`, whose key it repeats."""

    request_id: RequestId
    attempt: int
    answers: Digest
    similarities_bp: tuple[int, ...]
    contradictions: tuple[Contradiction, ...]


@dataclass(frozen=True, slots=True)
class ChangeEndorsed:
    """This node's operator wants a change. `effects.ChangeNoted` answers."""

    change: Change


@dataclass(frozen=True, slots=True)
class TimerFired:
    timer: Timer


@dataclass(frozen=True, slots=True)
class PeerUp:
    """A connection to `replica` came up; what was sent before may have been lost."""

    replica: ReplicaId


@dataclass(frozen=True, slots=True)
class PeerDown:
    """There is no connection to `replica`: do not wait for it. Members count as present until
    the driver says so."""

    replica: ReplicaId


Event = (
    Started
    | Submitted
    | ChangeEndorsed
    | Received
    | AnswerReady
    | AnswersCompared
    | TimerFired
    | PeerUp
    | PeerDown
)
