"""The message log: one slot for every sequence number between the watermarks (§4.2)."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pbft import digest as digests
from pbft.messages import (
    Batch,
    Commit,
    DecidedSlot,
    Prepare,
    PreparedCertificate,
    PrePrepare,
    Signed,
)
from pbft.types import WINDOW, Digest, ReplicaId, SequenceNumber

ACCEPTED_MAX = 8
"""Batches that a slot keeps because they were voted for. Another one needs another view, in which a
quorum prepares and nothing is decided: with correct primaries in between, it does not come to so
many."""


REFUSED_BYTES_MAX = 16 * 1024 * 1024
"""Refused batches that all slots together keep in a view, in case that a quorum accepts them: four
of the greatest size. What machines that measure a little differently refuse is far less."""


@dataclass(slots=True)
class Slot:
    """What is known of one sequence number. One vote per replica and phase, of one view only."""

    sequence_number: SequenceNumber
    pre_prepare: Signed[PrePrepare] | None = None
    refused: str | None = None
    """Why this replica does not prepare the proposal; others may, and then it follows."""
    refused_bytes: int = 0
    """What the batch of a refused proposal takes, while it is kept."""
    forgotten: bool = False
    """It was refused, and its batch is not kept. If others prepare it, it is asked for."""
    judging: bool = False
    """A proposal waits for this replica's own measurements."""
    prepares: dict[ReplicaId, Signed[Prepare]] = field(default_factory=dict)
    commits: dict[ReplicaId, Signed[Commit]] = field(default_factory=dict)
    prepared: bool = False
    decided: DecidedSlot | None = None
    spare: dict[tuple[type, ReplicaId], Signed[Prepare] | Signed[Commit]] = field(
        default_factory=dict
    )
    """Votes beyond those that were needed. They are not verified, unless a vote comes that
    contradicts them."""

    certificate: PreparedCertificate | None = None
    """The newest prepared certificate, of this view or an earlier one."""
    contents: dict[Digest, Batch] = field(default_factory=lambda: {digests.NULL_BATCH: ()})
    """Batches by digest: the proposal's, the certificate's, those voted for, the null request's."""

    accepted: dict[Digest, Signed[PrePrepare]] = field(default_factory=dict)
    """What this replica has voted for, the latest vote last. A certificate for it may be shown in
    any later view, by whoever hid it until then: the batch must be at hand (the set Q of Castro and
    Liskov 2002, §3.2.4)."""

    @property
    def digest(self) -> Digest | None:
        return self.pre_prepare.message.digest if self.pre_prepare else None

    @property
    def batch(self) -> Batch | None:
        """The proposed batch; None before there is a proposal, or while only its digest is known
        from a new view."""
        return self.contents.get(self.digest) if self.digest is not None else None

    @property
    def lacks_batch(self) -> bool:
        """Whether only the digest is known of what is proposed, and the batch is wanted."""
        return self.pre_prepare is not None and self.batch is None and not self.forgotten

    def prepares_for(self, digest: Digest | None) -> list[Signed[Prepare]]:
        return [self.prepares[r] for r in sorted(self.prepares)
                if self.prepares[r].message.digest == digest]  # fmt: skip

    def commits_for(self, digest: Digest | None) -> list[Signed[Commit]]:
        return [self.commits[r] for r in sorted(self.commits)
                if self.commits[r].message.digest == digest]  # fmt: skip

    def backers(self) -> set[ReplicaId]:
        """Whose votes say that they hold the proposed batch and find it right; the primary's own
        proposal says nothing."""
        prepared = {signed.message.replica for signed in self.prepares_for(self.digest)}
        committed = {signed.message.replica for signed in self.commits_for(self.digest)}
        primary = self.pre_prepare.message.replica if self.pre_prepare else None
        return (prepared | committed) - {primary}

    def refuse(self, reason: str, size: int, room: int) -> None:
        """This replica does not vote for the proposal. Its batch, of `size` bytes, is kept for the
        case that a quorum does, if there is room for it or it is needed for something else."""
        self.refused = reason
        self.judging = False
        if self.digest is None or self.digest in self._needed():
            return
        if size <= room:
            self.refused_bytes = size
        else:
            del self.contents[self.digest]
            self.forgotten = True

    def accept(self, pre_prepare: Signed[PrePrepare]) -> None:
        """This replica votes for the proposal."""
        self.refused_bytes = 0
        self.accepted.pop(pre_prepare.message.digest, None)
        self.accepted[pre_prepare.message.digest] = pre_prepare
        while len(self.accepted) > ACCEPTED_MAX:
            del self.accepted[next(iter(self.accepted))]

    def enter_view(self, pre_prepare: Signed[PrePrepare] | None) -> None:
        """Votes count within one view; what was prepared or decided stays."""
        self.pre_prepare = pre_prepare
        self.refused = None
        self.refused_bytes = 0
        self.forgotten = False
        self.judging = False
        self.prepares = {}
        self.commits = {}
        self.spare = {}
        self.prepared = False
        kept = {self.digest, *self._needed()}
        self.contents = {key: batch for key, batch in self.contents.items() if key in kept}

    def _needed(self) -> set[Digest]:
        """What is kept whatever is proposed now."""
        needed = {digests.NULL_BATCH, *self.accepted}
        if self.certificate is not None:
            needed.add(self.certificate.pre_prepare.message.digest)
        if self.decided is not None:
            needed.add(self.decided.commits[0].message.digest)
        return needed


class MessageLog:
    """Slots between the watermarks: low_watermark < sequence number <= high_watermark."""

    def __init__(self) -> None:
        self._slots: dict[SequenceNumber, Slot] = {}
        self._last = SequenceNumber(0)
        """The greatest number of a slot, or greater."""
        self.low_watermark = SequenceNumber(0)

    @property
    def high_watermark(self) -> SequenceNumber:
        return SequenceNumber(self.low_watermark + WINDOW)

    def in_window(self, sequence_number: SequenceNumber) -> bool:
        return self.low_watermark < sequence_number <= self.high_watermark

    def slot(self, sequence_number: SequenceNumber) -> Slot:
        """The slot, made when first needed. The caller has checked the watermarks."""
        slot = self._slots.get(sequence_number)
        if slot is None:
            slot = self._slots[sequence_number] = Slot(sequence_number)
            self._last = max(self._last, sequence_number)
        return slot

    def get(self, sequence_number: SequenceNumber) -> Slot | None:
        return self._slots.get(sequence_number)

    def content(self, digest: Digest) -> Batch | None:
        """A batch that some open slot knows."""
        for slot in self:
            if digest in slot.contents:
                return slot.contents[digest]
        return None

    @property
    def room_for_refused(self) -> int:
        """Bytes left for batches of refused proposals."""
        return REFUSED_BYTES_MAX - sum(slot.refused_bytes for slot in self._slots.values())

    def advance(self, low_watermark: SequenceNumber) -> None:
        """Forget every slot up to the new low watermark (§4.3)."""
        self.low_watermark = max(low_watermark, self.low_watermark)
        for sequence_number in [s for s in self._slots if s <= self.low_watermark]:
            del self._slots[sequence_number]

    def above(self, sequence_number: SequenceNumber) -> list[Slot]:
        """Slots with greater numbers, in order."""
        numbers = map(SequenceNumber, range(sequence_number + 1, self._last + 1))
        return [self._slots[s] for s in numbers if s in self._slots]

    def begin_epoch(self, low_watermark: SequenceNumber) -> None:
        """What was proposed in the old epoch is worth nothing in the new one."""
        self._slots.clear()
        self.low_watermark = low_watermark

    def __iter__(self) -> Iterator[Slot]:
        return iter([self._slots[s] for s in sorted(self._slots)])
