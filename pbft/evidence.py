"""Proof of misbehaviour: something that only a faulty replica can have signed.

Evidence holds signatures and no times, so that everybody who checks it comes to the same result.
"""

from dataclasses import dataclass

from pbft.messages import (
    AnswerCommitment,
    Commit,
    Prepare,
    PrePrepare,
    Seal,
    Signed,
)
from pbft.types import ReplicaId

Conflicting = AnswerCommitment | Seal | PrePrepare | Prepare | Commit


@dataclass(frozen=True, slots=True)
class Equivocation:
    """Two different messages of one replica where the protocol lets it send one."""

    first: Signed[Conflicting]
    second: Signed[Conflicting]

    @property
    def replica(self) -> ReplicaId:
        return self.first.message.replica

    @property
    def kind(self) -> str:
        return type(self.first.message).__name__


Evidence = Equivocation
