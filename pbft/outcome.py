"""The outcome function: from an agreed set of answers to the network's answer.

Pure, integer-only and independent of the order in which the answers came, so that every replica
computes the same bytes from the same set (Castro and Liskov 1999, §4.6: agree on the inputs, then
compute). The function never measures anything: similarities and contradictions come with the set.

- Two answers are *equivalent* if their similarity reaches the threshold and no contradiction
  was found between them.
- A *cluster* is a set in which every pair is equivalent (complete linkage). Single linkage would
  let one bridge answer chain two opposite opinions together.
- The *winner* is the clique of greatest weight; ties go to the larger, then to the one with the
  greater total similarity, then to the one with the lowest answer digests.
- The *representative* is the winner's weighted medoid, among those of its members that the least
  weight contradicts. Cliques have no contradiction inside, but a liar's small edit of one honest
  answer may fit all the others: it is that answer, outside, which gives the lie away.
- The winner counts as agreement only with at least f + 1 replicas, so that an honest one stands
  behind it, and with the policy's share of the weight that answered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Annotated

from pbft.policy import Policy
from pbft.schema import AtMost
from pbft.types import (
    FIELDS_MAX,
    FULL_BP,
    MEMBERS_MAX,
    VALUE_BYTES_MAX,
    ReplicaId,
    faults_tolerated,
)

PAIRS_MAX = MEMBERS_MAX * (MEMBERS_MAX - 1) // 2

SEARCH_STEPS_MAX = 5_000
"""Cliques tried before the best one found so far is taken. Honest answers form few groups and
need a handful of steps; liars can draw a graph that needs exponentially many. The count is of
steps, not of time, so all replicas stop at the same place."""


class Status(StrEnum):
    AGREED = "agreed"
    AGREED_LOW_CONFIDENCE = "agreed_low_confidence"
    NO_AGREEMENT = "no_agreement"


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Answers `first` and `second` (positions in the list of votes, first < second) cannot both
    be right, for the given reason."""

    first: int
    second: int
    reason: Annotated[str, AtMost(256)]


@dataclass(frozen=True, slots=True)
class Vote:
    """One answer as the outcome function sees it; abstentions are not among the votes."""

    replica: ReplicaId
    weight: int
    answer_digest: bytes
    model: str


class Reason(StrEnum):
    """Why an answer does not stand behind the value of a field."""

    OUTVOTED = "outvoted"
    """It has another label or other words."""
    OUTLIER = "outlier"
    """Its number is further from the median than the policy tolerates."""
    NO_VALUE = "no_value"
    """It left this field empty."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A replica that answered, and whose answer does not stand behind a field's value."""

    replica: ReplicaId
    reason: Reason


@dataclass(frozen=True, slots=True)
class FieldOutcome:
    """What the network says about one field of a request (`pbft.typed_outcome`)."""

    status: Status
    value: Annotated[str, AtMost(VALUE_BYTES_MAX)]
    """The network's value if the status says so. With no agreement merely the leading one: the
    median, or the label of most weight. Empty if nobody gave any."""
    lower_quartile: Annotated[str, AtMost(VALUE_BYTES_MAX)]
    upper_quartile: Annotated[str, AtMost(VALUE_BYTES_MAX)]
    """Of all numbers given, outliers too; empty for other kinds."""
    agreement_rate_bp: int
    """Weight that stands behind the value, as a share of the weight that gave one."""
    confidence_bp: int
    """See `confidence`; the cohesion is full, as values are equal or not."""
    excluded: Annotated[tuple[Exclusion, ...], AtMost(MEMBERS_MAX)]
    """In order of replica."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the network says. Positions of replicas, not of votes, so that it can be read alone."""

    status: Status
    representative: ReplicaId | None
    """Whose words are the answer; None when nothing was agreed."""

    clusters: Annotated[
        tuple[Annotated[tuple[ReplicaId, ...], AtMost(MEMBERS_MAX)], ...], AtMost(MEMBERS_MAX)
    ]
    """Every vote is in exactly one; the first is the winner, or the strongest if none won."""

    agreement_rate_bp: int
    """Weight of the first cluster as a share of the weight that answered; of a request with
    fields, the least rate of any."""

    confidence_bp: int
    """See `confidence`."""

    distinct_models: int
    """Different models in the first cluster: answers of one model agree for a common cause."""

    fields: Annotated[tuple[FieldOutcome, ...], AtMost(FIELDS_MAX)] = ()
    """One for each of the request's fields."""


NO_VOTES = Outcome(Status.NO_AGREEMENT, None, (), 0, 0, 0)


def triangle_index(first: int, second: int, n: int) -> int:
    """Position of the pair first < second in the upper triangle of an n by n matrix, row-major."""
    return first * (2 * n - first - 1) // 2 + second - first - 1


def pair_count(n: int) -> int:
    return n * (n - 1) // 2


def confidence(share_bp: int, cohesion_bp: int) -> int:
    """Confidence in basis points: cohesion * (1 - (1 - share)^2), rounded down.

    `share_bp` is the winner's part of the weight of *all* sealed replicas, abstentions included;
    `cohesion_bp` the mean similarity within the winner. The bracket is the chance that, of two
    replicas drawn from the round, at least one stands behind the answer: it forgives a single
    dissenter among four (0.94) but not half of the round being silent (0.75).
    """
    missing = FULL_BP - share_bp
    return cohesion_bp * (FULL_BP * FULL_BP - missing * missing) // (FULL_BP * FULL_BP)


def status_of(
    replicas: int,
    weight: int,
    weight_answered: int,
    confidence_bp: int,
    *,
    members: int,
    policy: Policy,
) -> Status:
    """What it means that so many replicas, of this weight, stand behind one answer. The same rule
    for clusters of texts and for the value of a field. Replicas without weight decide nothing."""
    if (
        replicas < faults_tolerated(members) + 1
        or weight == 0
        or policy.vote_denominator * weight < policy.vote_numerator * weight_answered
    ):
        return Status.NO_AGREEMENT
    if confidence_bp < policy.confidence_threshold_bp:
        return Status.AGREED_LOW_CONFIDENCE
    return Status.AGREED


def decide(
    votes: Sequence[Vote],
    similarities_bp: Sequence[int],
    contradictions: Sequence[Contradiction],
    *,
    members: int,
    weight_abstained: int,
    policy: Policy,
) -> Outcome:
    """The typed outcome of a set of votes.

    Args:
        votes: in increasing order of replica.
        similarities_bp: upper triangle over `votes`, row-major, 0..10000 (`triangle_index`).
        contradictions: pairs that are not equivalent whatever their similarity.
        members: n, the size of the epoch's member list.
        weight_abstained: weight of the sealed replicas that gave no answer.

    The caller has checked the shapes (`observation.check_item`).
    """
    if not votes:
        return NO_VOTES
    graph = _Graph(votes, similarities_bp, contradictions, policy.similarity_threshold_bp)
    clusters = graph.partition()
    winner = clusters[0]
    weight_answered = sum(vote.weight for vote in votes)
    weight_winner = sum(votes[i].weight for i in winner)
    rate_bp = weight_winner * FULL_BP // max(weight_answered, 1)
    share_bp = weight_winner * FULL_BP // max(weight_answered + weight_abstained, 1)
    confidence_bp = confidence(share_bp, graph.cohesion_bp(winner))
    status = status_of(
        len(winner), weight_winner, weight_answered, confidence_bp, members=members, policy=policy
    )
    agreed = status is not Status.NO_AGREEMENT
    return Outcome(
        status=status,
        representative=votes[graph.medoid(winner)].replica if agreed else None,
        clusters=tuple(tuple(votes[i].replica for i in cluster) for cluster in clusters),
        agreement_rate_bp=rate_bp,
        confidence_bp=confidence_bp,
        distinct_models=len({votes[i].model for i in winner}),
    )


class _Graph:
    """Votes as vertices, equivalence as edges; vertex sets are bit masks."""

    def __init__(
        self,
        votes: Sequence[Vote],
        similarities_bp: Sequence[int],
        contradictions: Sequence[Contradiction],
        threshold_bp: int,
    ) -> None:
        self._votes = votes
        self._similarities_bp = similarities_bp
        contradictory = {(c.first, c.second) for c in contradictions}
        self._weight_against = [0] * len(votes)
        for first, second in sorted(contradictory):
            self._weight_against[first] += votes[second].weight
            self._weight_against[second] += votes[first].weight
        self._neighbours = [0] * len(votes)
        for first, second in combinations(range(len(votes)), 2):
            if (
                self._similarity_bp(first, second) >= threshold_bp
                and (first, second) not in contradictory
            ):
                self._neighbours[first] |= 1 << second
                self._neighbours[second] |= 1 << first

    def partition(self) -> list[tuple[int, ...]]:
        """All vertices in cliques: the best clique first, then the best of what is left, …"""
        rest = (1 << len(self._votes)) - 1
        clusters = []
        self._steps = 0
        while rest:
            best = self._best_clique(rest)
            clusters.append(best)
            for vertex in best:
                rest &= ~(1 << vertex)
        return clusters

    def _best_clique(self, candidates: int) -> tuple[int, ...]:
        """Maximal cliques by Bron and Kerbosch (1973) with pivoting; the best by `_rank`."""
        best: tuple[int, ...] = ()
        best_rank: tuple[object, ...] | None = None
        stack = [(0, candidates, 0)]  # clique so far, may still join, already tried
        while stack and (self._steps < SEARCH_STEPS_MAX or not best):
            self._steps += 1
            clique, joinable, tried = stack.pop()
            if not joinable:
                if not tried:
                    members = tuple(_bits(clique))
                    rank = self._rank(members)
                    if best_rank is None or rank < best_rank:
                        best, best_rank = members, rank
                continue
            pivot = max(
                _bits(joinable | tried),
                key=lambda v: ((self._neighbours[v] & joinable).bit_count(), -v),
            )
            branches = []
            for vertex in _bits(joinable & ~self._neighbours[pivot]):
                near = self._neighbours[vertex]
                branches.append((clique | 1 << vertex, joinable & near, tried & near))
                joinable &= ~(1 << vertex)
                tried |= 1 << vertex
            stack.extend(reversed(branches))
        return best

    def _rank(self, clique: tuple[int, ...]) -> tuple[object, ...]:
        """Sort key, lowest is best."""
        return (
            -sum(self._votes[i].weight for i in clique),
            -len(clique),
            -sum(self._similarity_bp(a, b) for a, b in combinations(clique, 2)),
            sorted(self._votes[i].answer_digest for i in clique),
            clique,
        )

    def cohesion_bp(self, clique: tuple[int, ...]) -> int:
        """Mean similarity of the pairs, rounded down; full for a clique of one."""
        pairs = pair_count(len(clique))
        if not pairs:
            return FULL_BP
        return sum(self._similarity_bp(a, b) for a, b in combinations(clique, 2)) // pairs

    def medoid(self, clique: tuple[int, ...]) -> int:
        """Of the vertices that the least weight contradicts the one nearest to all others by
        weight; the lowest answer digest breaks ties."""
        return min(
            clique,
            key=lambda i: (
                self._weight_against[i],
                -sum(
                    self._votes[j].weight * self._similarity_bp(min(i, j), max(i, j))
                    for j in clique
                    if j != i
                ),
                self._votes[i].answer_digest,
                i,
            ),
        )

    def _similarity_bp(self, first: int, second: int) -> int:
        return self._similarities_bp[triangle_index(first, second, len(self._votes))]


def _bits(mask: int) -> list[int]:
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found
