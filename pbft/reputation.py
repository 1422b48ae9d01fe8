"""Reputation: the weight of a replica's votes, earned and lost by what the ledger says it did.

Integers, computed from ledger contents alone, and changed at checkpoints only, so that all replicas
hold the same. A weight counts in the outcome function, never in a quorum.

A replica in the winning cluster earns a point. One that was outvoted, or was sealed and kept
silent, loses two; one that abstained where others agreed loses one. Late answers earn nothing, so
that waiting for others' answers never pays. Where nothing was agreed, only silence costs: nobody
knows who was right. A replica that is proven faulty has no weight at all, from the next checkpoint
until its key is replaced.

Weights stay within a factor of two. A quorum is more than 2f (2q >= n + f + 1 and n >= 3f + 1), so
the f heaviest replicas can never outvote the q lightest ones that nothing is proven against.
"""

from dataclasses import dataclass, replace
from typing import Final

from pbft.item import is_abstention, sealed_commitments
from pbft.messages import Item
from pbft.outcome import Status
from pbft.schema import Hash
from pbft.types import ReplicaId, SequenceNumber

WEIGHT_INITIAL: Final = 10_000
WEIGHT_MIN: Final = 7_500
WEIGHT_MAX: Final = 2 * WEIGHT_MIN

POINT_WEIGHT: Final = 25
POINTS_MAX: Final = 20
"""A checkpoint moves a weight by at most this many points: who floods the network with easy
questions gains no more than who answers steadily."""

NEVER: Final = SequenceNumber(0)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the ledger says about one member."""

    replica: ReplicaId
    weight: int = WEIGHT_INITIAL
    earned: int = 0
    lost: int = 0
    """Points since the last checkpoint."""
    renewed: SequenceNumber = NEVER
    """The last checkpoint at which an epoch began because this member forgot what it signed."""
    renewal: Hash = bytes(32)
    """Its salt (`membership.Renew`)."""
    convicted: SequenceNumber = NEVER
    """The slot that holds the proof against it."""

    def settled(self) -> "Standing":
        """At a checkpoint: the points become weight."""
        weight = 0 if self.convicted else self.weight
        if weight:
            points = min(max(self.earned - self.lost, -POINTS_MAX), POINTS_MAX)
            weight = min(max(weight + POINT_WEIGHT * points, WEIGHT_MIN), WEIGHT_MAX)
        return replace(self, weight=weight, earned=0, lost=0)


def points(item: Item) -> dict[ReplicaId, tuple[int, int]]:
    """Points earned and lost by an item's sealed replicas."""
    answers = {reveal.message.replica: reveal.message.answer for reveal in item.reveals}
    agreed = item.outcome.status is not Status.NO_AGREEMENT
    winners = set(item.outcome.clusters[0]) if agreed else set()
    in_time = {c.message.replica for c in item.seals[0].message.commitments}
    result = {}
    for replica in sorted(sealed_commitments(item.seals)):
        if replica not in answers:
            result[replica] = (0, 2)
        elif replica in winners:
            result[replica] = (1 if replica in in_time else 0, 0)
        elif agreed:
            result[replica] = (0, 1 if is_abstention(answers[replica]) else 2)
    return result
