"""Everything that replicas send to each other.

Each message is a frozen dataclass; its fields, in order, are its canonical encoding
(`pbft.codec`). `replica` always names the signer. A signature covers the message type and every
field, and every message names its network and, but for a request, its epoch, so none can be
replayed as another kind, for another slot or in another network. Annotations bound each field
before anything is done with it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Generic, TypeVar

from pbft.membership import Change, Membership
from pbft.outcome import PAIRS_MAX, Contradiction, Outcome
from pbft.policy import Policy
from pbft.remembered import Remembered
from pbft.schema import AtMost, Hash, Signature
from pbft.types import (
    ANSWER_BYTES_MAX,
    BATCH_ITEMS_MAX,
    CHAINS_MAX,
    FIELD_NAME_BYTES_MAX,
    FIELDS_MAX,
    LABELS_MAX,
    MEMBERS_MAX,
    NAME_BYTES_MAX,
    PROMPT_BYTES_MAX,
    SEALS_MAX,
    UNIT_BYTES_MAX,
    VALUE_BYTES_MAX,
    WINDOW,
    Digest,
    Epoch,
    ReplicaId,
    RequestId,
    SequenceNumber,
    View,
)


class Kind(StrEnum):
    """What form of answer a request, or a field of it, wants."""

    TEXT = "text"
    """Free words; as a field of a schema a few words, agreed to the letter."""
    LABEL = "label"
    """One of a list."""
    NUMBER = "number"
    """A decimal in a unit."""
    SCHEMA = "schema"
    """Several fields of the other kinds; never the kind of a field."""


class Finish(StrEnum):
    """How a replica's answer ended."""

    STOP = "stop"
    """The model ended it."""
    LENGTH = "length"
    """Cut at the token limit."""
    ABSTAINED = "abstained"
    """No answer: the text is empty and `note` says why."""


@dataclass(frozen=True, slots=True)
class Field:
    """One value that an answer must have; `pbft.fields` says what is a right one."""

    name: Annotated[str, AtMost(FIELD_NAME_BYTES_MAX)]
    kind: Kind
    labels: Annotated[tuple[Annotated[str, AtMost(VALUE_BYTES_MAX)], ...], AtMost(LABELS_MAX)]
    """What there is to choose from; empty unless the kind is `label`."""
    unit: Annotated[str, AtMost(UNIT_BYTES_MAX)]
    """Of a number; empty for a bare one."""


@dataclass(frozen=True, slots=True)
class Request(Remembered):
    """A question put to the network by the replica that a user asked.

    `number` increases with every request of that replica, which lets all others remember
    decided requests in bounded memory.
    """

    network: Hash
    replica: ReplicaId
    number: int
    kind: Kind
    prompt: Annotated[str, AtMost(PROMPT_BYTES_MAX)]
    language: Annotated[str, AtMost(16)]
    """BCP 47 tag of the language to answer in, or empty: the question's own."""
    max_tokens: int
    timeout_ms: int
    """Time a replica may take to answer, counted from when it learns of the request."""
    fields: Annotated[tuple[Field, ...], AtMost(FIELDS_MAX)] = ()
    """None for text; one, called `answer`, for a label or a number."""


@dataclass(frozen=True, slots=True)
class Answer(Remembered):
    """What one replica says."""

    text: Annotated[str, AtMost(ANSWER_BYTES_MAX)]
    finish: Finish
    model: Annotated[str, AtMost(NAME_BYTES_MAX)]
    output_tokens: int
    elapsed_ms: int
    note: Annotated[str, AtMost(NAME_BYTES_MAX)] = ""
    values: Annotated[tuple[Annotated[str, AtMost(VALUE_BYTES_MAX)], ...], AtMost(FIELDS_MAX)] = ()
    """One for each of the request's fields, in its one form; empty where this replica has none.
    The values are what is voted on, the text then is the reason given for them."""


@dataclass(frozen=True, slots=True)
class AnswerCommitment(Remembered):
    """A promise to reveal exactly one answer, made before anyone's answer can be read."""

    network: Hash
    epoch: Epoch
    request_id: RequestId
    attempt: int
    commitment: Hash
    replica: ReplicaId


_M = TypeVar("_M", covariant=True)


@dataclass(frozen=True, slots=True)
class Signed(Generic[_M]):
    """A message with its sender's signature. Holding one does not mean that it was verified."""

    message: _M
    signature: Signature


@dataclass(frozen=True, slots=True)
class Seal(Remembered):
    """The primary closes a list of commitments: whose answers will count.

    Seals of one attempt are numbered from 0 and chained by `previous`, the digest of the seal
    before (zeros for the first). Each lists only commitments that no earlier one lists; those
    after the first are *late*. Two different seals with one number are evidence against the
    signer.
    """

    network: Hash
    epoch: Epoch
    request_id: RequestId
    attempt: int
    view: View
    number: int
    previous: Hash
    commitments: Annotated[tuple[Signed[AnswerCommitment], ...], AtMost(MEMBERS_MAX)]
    replica: ReplicaId


@dataclass(frozen=True, slots=True)
class AnswerReveal(Remembered):
    """The answer and the salt that open a sealed commitment."""

    network: Hash
    epoch: Epoch
    request_id: RequestId
    attempt: int
    answer: Answer
    salt: Hash
    replica: ReplicaId


@dataclass(frozen=True, slots=True)
class Item(Remembered):
    """One request with everything that its outcome was computed from.

    `reveals` are in increasing order of replica and `weights` parallel to them. Similarities
    (basis points, upper triangle, row-major) and contradictions range over the reveals that are
    not abstentions, in the same order. A request with fields has neither: nothing is measured.
    """

    request: Signed[Request]
    attempt: int
    seals: Annotated[tuple[Signed[Seal], ...], AtMost(SEALS_MAX)]
    reveals: Annotated[tuple[Signed[AnswerReveal], ...], AtMost(MEMBERS_MAX)]
    weights: Annotated[tuple[int, ...], AtMost(MEMBERS_MAX)]
    similarities_bp: Annotated[tuple[int, ...], AtMost(PAIRS_MAX)]
    contradictions: Annotated[tuple[Contradiction, ...], AtMost(PAIRS_MAX)]
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class PrePrepare(Remembered):
    """The primary assigns a sequence number to a batch (§4.2).

    As in the paper, the signature covers the digest and the batch travels beside it (`Proposal`).
    """

    network: Hash
    epoch: Epoch
    view: View
    sequence_number: SequenceNumber
    digest: Digest
    replica: ReplicaId


@dataclass(frozen=True, slots=True)
class Prepare(Remembered):
    """A backup found the proposal right and promises not to accept another for this slot (§4.2)."""

    network: Hash
    epoch: Epoch
    view: View
    sequence_number: SequenceNumber
    digest: Digest
    replica: ReplicaId


@dataclass(frozen=True, slots=True)
class Commit(Remembered):
    """The sender holds a prepared certificate for the digest (§4.2). A quorum of these signatures
    is the certificate that users take away."""

    network: Hash
    epoch: Epoch
    view: View
    sequence_number: SequenceNumber
    digest: Digest
    replica: ReplicaId


# --- what stands in the ledger beside answers -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class Endorsement:
    """The sender's operator wants this change, as the end of this epoch."""

    network: Hash
    epoch: Epoch
    change: Change
    replica: ReplicaId


@dataclass(frozen=True, slots=True)
class Signatory:
    """One member's signature under a message that is spelt out elsewhere."""

    replica: ReplicaId
    signature: Signature


@dataclass(frozen=True, slots=True)
class EndorsedChange:
    """A change with the signatures of those who endorse it, in increasing order of replica."""

    epoch: Epoch
    change: Change
    endorsements: Annotated[tuple[Signatory, ...], AtMost(MEMBERS_MAX)]


@dataclass(frozen=True, slots=True)
class Equivocation:
    """Two different messages of one replica where the protocol lets it send one."""

    first: Signed[AnswerCommitment | Seal | PrePrepare | Prepare | Commit]
    second: Signed[AnswerCommitment | Seal | PrePrepare | Prepare | Commit]


@dataclass(frozen=True, slots=True)
class CommitmentMismatch:
    """A commitment, and the same replica's answer that it was not made for."""

    commitment: Signed[AnswerCommitment]
    reveal: Signed[AnswerReveal]


@dataclass(frozen=True, slots=True)
class FalseItem:
    """A primary proposed an item that is wrong in itself, or similarities far from true.

    `entry_digests` are those of the whole batch, `index` is the item's place in it: the pre-prepare
    signs them all.
    """

    pre_prepare: Signed[PrePrepare]
    entry_digests: Annotated[tuple[Digest, ...], AtMost(BATCH_ITEMS_MAX)]
    index: int
    item: Item


Evidence = Equivocation | CommitmentMismatch | FalseItem
"""Something that only a faulty replica can have signed. It holds signatures and no times, so that
everybody who checks it (`pbft.evidence`) comes to the same result."""


@dataclass(frozen=True, slots=True)
class Accusation:
    """Evidence for everybody to check. Not signed: it proves itself, whoever hands it on."""

    evidence: Evidence


Entry = Item | EndorsedChange | Accusation
"""What a batch consists of."""

Batch = Annotated[tuple[Entry, ...], AtMost(BATCH_ITEMS_MAX)]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A pre-prepare with its batch. Not signed itself: the digest binds the two."""

    pre_prepare: Signed[PrePrepare]
    batch: Batch


@dataclass(frozen=True, slots=True)
class DecidedSlot:
    """A batch with a quorum of commits: proves itself, whoever hands it on."""

    batch: Batch
    commits: Annotated[tuple[Signed[Commit], ...], AtMost(MEMBERS_MAX)]

    @property
    def sequence_number(self) -> SequenceNumber:
        """Of the commits; the slot has been checked, so that there are some and they agree."""
        return self.commits[0].message.sequence_number


@dataclass(frozen=True, slots=True)
class Height:
    """How far the sender has applied the ledger and which view it is in; sent when a connection
    comes up and from time to time, so that who is behind learns of it."""

    network: Hash
    epoch: Epoch
    applied: SequenceNumber
    view: View
    replica: ReplicaId


@dataclass(frozen=True, slots=True)
class LedgerWanted:
    """The sender lacks the slots from `first` on, and the proof of every epoch after `proven`. Not
    signed, as one may ask who is no member yet: the answers prove themselves."""

    first: SequenceNumber
    proven: Epoch


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The sender has applied every slot up to this one and holds this state (§4.3). `state` binds
    the members and the policy that are in force from here on (`digest.state_digest`)."""

    network: Hash
    epoch: Epoch
    sequence_number: SequenceNumber
    state: Digest
    replica: ReplicaId


@dataclass(frozen=True, slots=True)
class EpochCertificate:
    """A quorum of one epoch vouches for the members and the policy of the next.

    `rest` is what the certified state's digest binds beside these two.
    """

    membership: Membership
    policy: Policy
    rest: Hash
    checkpoints: Annotated[tuple[Signed[Checkpoint], ...], AtMost(MEMBERS_MAX)]


@dataclass(frozen=True, slots=True)
class PreparedCertificate:
    """A pre-prepare and the prepares of q - 1 backups for its digest (§4.2)."""

    pre_prepare: Signed[PrePrepare]
    prepares: Annotated[tuple[Signed[Prepare], ...], AtMost(MEMBERS_MAX)]


@dataclass(frozen=True, slots=True)
class SealChain:
    """All seals of one attempt, in order."""

    seals: Annotated[tuple[Signed[Seal], ...], AtMost(SEALS_MAX)]


@dataclass(frozen=True, slots=True)
class ViewChange(Remembered):
    """The sender wants view `view` (§4.4). It takes no part in earlier views any more.

    `stable` is its last stable checkpoint, with the proof; `prepared` what it has prepared above,
    by sequence number; `chains` the seals under which it revealed answers still undecided.
    """

    network: Hash
    epoch: Epoch
    view: View
    stable: SequenceNumber
    proof: Annotated[tuple[Signed[Checkpoint], ...], AtMost(MEMBERS_MAX)]
    prepared: Annotated[tuple[PreparedCertificate, ...], AtMost(WINDOW)]
    chains: Annotated[tuple[SealChain, ...], AtMost(CHAINS_MAX)]
    replica: ReplicaId


@dataclass(frozen=True, slots=True)
class NamedViewChange:
    """A view-change by its digest (`digest.view_change_digest`)."""

    replica: ReplicaId
    digest: Digest


@dataclass(frozen=True, slots=True)
class NewView:
    """The primary of `view` opens it: q view-changes, and the pre-prepares that follow from them
    (§4.4). Every backup computes these again.

    View-changes are named, as in Castro and Liskov 2002, §3.2.4: most members have them already,
    and q whole ones outgrow a frame.
    """

    network: Hash
    epoch: Epoch
    view: View
    view_changes: Annotated[tuple[NamedViewChange, ...], AtMost(MEMBERS_MAX)]
    pre_prepares: Annotated[tuple[Signed[PrePrepare], ...], AtMost(WINDOW)]
    replica: ReplicaId


@dataclass(frozen=True, slots=True)
class BatchWanted:
    """The sender knows a digest from a new view and lacks the batch. Needs no signature: the
    answer proves itself."""

    digest: Digest


@dataclass(frozen=True, slots=True)
class BatchContent:
    batch: Batch


@dataclass(frozen=True, slots=True)
class ViewChangesWanted:
    """The sender knows these digests from a new-view and lacks the view-changes. Needs no
    signature: the answers prove themselves."""

    digests: Annotated[tuple[Digest, ...], AtMost(MEMBERS_MAX)]


SignedMessage = (
    Request
    | AnswerCommitment
    | Seal
    | AnswerReveal
    | PrePrepare
    | Prepare
    | Commit
    | Height
    | Checkpoint
    | ViewChange
    | NewView
    | Endorsement
)
"""What a replica signs."""

SlotVote = PrePrepare | Prepare | Commit


def items(batch: Batch) -> list[tuple[int, Item]]:
    """The answers in a batch, with their places."""
    return [(index, entry) for index, entry in enumerate(batch) if isinstance(entry, Item)]


WireMessage = (
    Signed[Request]
    | Signed[AnswerCommitment]
    | Signed[Seal]
    | Signed[AnswerReveal]
    | Signed[Prepare]
    | Signed[Commit]
    | Signed[Height]
    | Signed[Checkpoint]
    | Signed[ViewChange]
    | Signed[NewView]
    | Signed[Endorsement]
    | Proposal
    | DecidedSlot
    | BatchWanted
    | BatchContent
    | LedgerWanted
    | EpochCertificate
    | Accusation
    | ViewChangesWanted
)
"""What goes over a connection."""
