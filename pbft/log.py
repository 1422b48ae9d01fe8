"""The message log: one slot for every sequence number between the watermarks (§4.2)."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pbft.messages import Batch, Commit, Prepare, Proposal, Signed
from pbft.types import Digest, ReplicaId, SequenceNumber

WINDOW = 256
"""k, the distance between the watermarks: how many slots may be open at once."""


@dataclass(slots=True)
class Slot:
    """What is known of one sequence number in the current view. One vote per replica and phase."""

    sequence_number: SequenceNumber
    proposal: Proposal | None = None
    refused: str | None = None
    """Why this replica does not prepare the proposal; others may, and then it follows."""
    judging: bool = False
    """A proposal waits for this replica's own measurements."""
    prepares: dict[ReplicaId, Signed[Prepare]] = field(default_factory=dict)
    commits: dict[ReplicaId, Signed[Commit]] = field(default_factory=dict)
    prepared: bool = False
    decided: bool = False

    @property
    def digest(self) -> Digest | None:
        return self.proposal.pre_prepare.message.digest if self.proposal else None

    @property
    def batch(self) -> Batch:
        return self.proposal.batch if self.proposal else ()

    def prepares_for(self, digest: Digest | None) -> list[Signed[Prepare]]:
        return [self.prepares[r] for r in sorted(self.prepares)
                if self.prepares[r].message.digest == digest]  # fmt: skip

    def commits_for(self, digest: Digest | None) -> list[Signed[Commit]]:
        return [self.commits[r] for r in sorted(self.commits)
                if self.commits[r].message.digest == digest]  # fmt: skip


class MessageLog:
    """Slots between the watermarks: low_watermark < sequence number <= high_watermark."""

    def __init__(self) -> None:
        self._slots: dict[SequenceNumber, Slot] = {}
        self.low_watermark = SequenceNumber(0)

    @property
    def high_watermark(self) -> SequenceNumber:
        return SequenceNumber(self.low_watermark + WINDOW)

    def in_window(self, sequence_number: SequenceNumber) -> bool:
        return self.low_watermark < sequence_number <= self.high_watermark

    def slot(self, sequence_number: SequenceNumber) -> Slot:
        """The slot, made when first needed. The caller has checked the watermarks."""
        return self._slots.setdefault(sequence_number, Slot(sequence_number))

    def get(self, sequence_number: SequenceNumber) -> Slot | None:
        return self._slots.get(sequence_number)

    def advance(self, low_watermark: SequenceNumber) -> None:
        """Forget every slot up to the new low watermark."""
        self.low_watermark = low_watermark
        for sequence_number in [s for s in self._slots if s <= low_watermark]:
            del self._slots[sequence_number]

    def __iter__(self) -> Iterator[Slot]:
        return iter([self._slots[s] for s in sorted(self._slots)])
