"""The outcome of a request with fields: values are voted on, the texts are only reasons.

Nothing is measured: two labels are equal or they are not. Each field is decided by itself, over
the replicas that gave a value for it; who left it empty counts for this field like one that
abstained. All in integers, and independent of the order of the votes.

- *Label, short text:* exact vote by weight. Texts are equal if they are so after folding
  (`pbft.folding`), and the network's spelling is the one of most weight. The replicas that gave
  the leading value *stand behind* it; the others are excluded as outvoted.
- *Number:* the value is the weighted median of all numbers given, so always one that a replica
  with weight gave. Those within the policy's tolerance of it stand behind it; the others are
  excluded as outliers. The tolerance is a share of the median; where the median is 0 that is
  nothing, and only zeros stand behind it. Quartiles are of all numbers: they show the spread
  that the exclusions hide.
- A field is agreed by the rule for texts (`outcome.status_of`): f + 1 replicas and the policy's
  share of the weight that gave a value stand behind the value. Its confidence is
  `outcome.confidence` with full cohesion, over the weight of all sealed replicas.
- Over all fields, the status is the worst, the confidence and the agreement rate are the least.
  The clusters are the replicas that stand behind the same fields and say the same elsewhere; the
  one that stands behind most fields is first. The representative, whose words are shown as the
  reason, is of this cluster: with weight if anyone has, nearest to the medians in the order of the
  fields, with the lowest answer digest.

*What liars can do to a number.* Let H be the weight of the honest replicas that gave a number and L
that of the liars. If L < H, the median lies between the least and the greatest honest number: a
value below all honest ones has only liars' weight at or below it, L < (H + L) / 2, so it is not
yet the median; and at the greatest honest number at least H > (H + L) / 2 has been reached, so the
median is not above it. The same holds for the quartiles if 3 L < H.

With f liars and h honest numbers, L < H holds for equal weights if h > f: in every quorum without
abstentions, as q - f >= f + 1. With weights that differ by a factor of at most 2 it holds if
h > 2 f: whenever all n >= 3 f + 1 replicas gave a number. In a smaller set liars of double weight
may hold half of it. Even then an *agreed* number is within the tolerance of an honest one, whatever
the weights: f + 1 replicas stand behind it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pbft import decimals
from pbft.folding import fold
from pbft.messages import Field, Kind
from pbft.outcome import (
    Exclusion,
    FieldOutcome,
    Outcome,
    Reason,
    Status,
    Vote,
    confidence,
    status_of,
)
from pbft.policy import Policy
from pbft.types import FULL_BP

_WORST_FIRST = (Status.NO_AGREEMENT, Status.AGREED_LOW_CONFIDENCE, Status.AGREED)


def decide_fields(
    fields: Sequence[Field],
    votes: Sequence[Vote],
    values: Sequence[tuple[str, ...]],
    *,
    members: int,
    weight_abstained: int,
    policy: Policy,
) -> Outcome:
    """The typed outcome of a set of votes.

    Args:
        fields: the request's, at least one.
        votes: in increasing order of replica.
        values: parallel to `votes`; each is parallel to `fields` (`fields.values_fault`).
        members: n, the size of the epoch's member list.
        weight_abstained: weight of the sealed replicas that gave no answer.
    """
    tallies = [
        _tally(field, votes, [of_vote[place] for of_vote in values], policy)
        for place, field in enumerate(fields)
    ]
    outcomes = tuple(
        tally.outcome(votes, members=members, weight_abstained=weight_abstained, policy=policy)
        for tally in tallies
    )
    status = min((found.status for found in outcomes), key=_WORST_FIRST.index)
    clusters = _clusters(votes, tallies)
    agreed = status is not Status.NO_AGREEMENT
    return Outcome(
        status=status,
        representative=(
            votes[_representative(clusters[0], votes, tallies)].replica if agreed else None
        ),
        clusters=tuple(tuple(votes[i].replica for i in cluster) for cluster in clusters),
        agreement_rate_bp=min(found.agreement_rate_bp for found in outcomes),
        confidence_bp=min(found.confidence_bp for found in outcomes),
        distinct_models=len({votes[i].model for cluster in clusters[:1] for i in cluster}),
        fields=outcomes,
    )


@dataclass(frozen=True, slots=True)
class _Tally:
    """One field counted. Sequences are parallel to the votes."""

    value: str
    quartiles: tuple[str, str]
    said: tuple[str, ...]
    """What equal values have in common; empty for none."""
    behind: tuple[bool, ...]
    """Who stands behind the value."""
    distances: tuple[int, ...]
    """Of numbers from the median, scaled; else 0."""
    dissent: Reason

    def outcome(
        self, votes: Sequence[Vote], *, members: int, weight_abstained: int, policy: Policy
    ) -> FieldOutcome:
        weight = _weight(vote for vote, stands in zip(votes, self.behind, strict=True) if stands)
        answered = _weight(vote for vote, said in zip(votes, self.said, strict=True) if said)
        total = _weight(votes) + weight_abstained
        confidence_bp = confidence(weight * FULL_BP // max(total, 1), FULL_BP)
        return FieldOutcome(
            status=status_of(
                sum(self.behind), weight, answered, confidence_bp, members=members, policy=policy
            ),
            value=self.value,
            lower_quartile=self.quartiles[0],
            upper_quartile=self.quartiles[1],
            agreement_rate_bp=weight * FULL_BP // max(answered, 1),
            confidence_bp=confidence_bp,
            excluded=tuple(
                Exclusion(vote.replica, self.dissent if said else Reason.NO_VALUE)
                for vote, stands, said in zip(votes, self.behind, self.said, strict=True)
                if not stands
            ),
        )


def _weight(votes: Iterable[Vote]) -> int:
    return sum(vote.weight for vote in votes)


def _tally(field: Field, votes: Sequence[Vote], values: Sequence[str], policy: Policy) -> _Tally:
    weights = [vote.weight for vote in votes]
    if field.kind is Kind.NUMBER:
        return _tally_numbers(weights, values, policy.number_tolerance_bp)
    return _tally_words(weights, values)


def _tally_words(weights: Sequence[int], values: Sequence[str]) -> _Tally:
    said = tuple(fold(value) for value in values)
    leading = _heaviest(weights, said)
    behind = tuple(bool(key) and key == leading for key in said)
    spellings = [value if stands else "" for value, stands in zip(values, behind, strict=True)]
    return _Tally(
        value=_heaviest(weights, spellings),
        quartiles=("", ""),
        said=said,
        behind=behind,
        distances=(0,) * len(values),
        dissent=Reason.OUTVOTED,
    )


def _heaviest(weights: Sequence[int], keys: Sequence[str]) -> str:
    """The key of most weight, then of most votes, then the lowest; empty if all are."""
    votes: dict[str, list[int]] = {}
    for key, weight in zip(keys, weights, strict=True):
        if key:
            votes.setdefault(key, []).append(weight)
    return min(votes, key=lambda key: (-sum(votes[key]), -len(votes[key]), key), default="")


def _tally_numbers(weights: Sequence[int], values: Sequence[str], tolerance_bp: int) -> _Tally:
    numbers = [decimals.read(value) for value in values]
    ballots = [
        (number, weight)
        for number, weight in zip(numbers, weights, strict=True)
        if number is not None
    ]
    lower, median, upper = (quantile(ballots, quarters) for quarters in (1, 2, 3))
    distances = [0 if number is None else abs(number - median) for number in numbers]
    return _Tally(
        value=decimals.write(median) if ballots else "",
        quartiles=(decimals.write(lower), decimals.write(upper)) if ballots else ("", ""),
        said=tuple(values),
        behind=tuple(
            number is not None and distance * FULL_BP <= tolerance_bp * abs(median)
            for number, distance in zip(numbers, distances, strict=True)
        ),
        distances=tuple(distances),
        dissent=Reason.OUTLIER,
    )


def quantile(ballots: Sequence[tuple[int, int]], quarters: int) -> int:
    """The least of the numbers such that it and those below it hold `quarters` / 4 of the weight.

    `ballots` are numbers with their weights. It is always a number with weight, unless nobody has
    any: then all count alike. 0 if there are no ballots.
    """
    total = sum(weight for _, weight in ballots)
    if not total:
        ballots = [(number, 1) for number, _ in ballots]
        total = len(ballots)
    reached = 0
    for number, weight in sorted(ballots):
        reached += weight
        if 4 * reached >= quarters * total:
            return number
    return 0


def _clusters(votes: Sequence[Vote], tallies: Sequence[_Tally]) -> list[tuple[int, ...]]:
    """All votes, as positions, in groups: the one that stands behind most fields first, then by
    weight, by size, and by answer digests."""
    groups: dict[tuple[tuple[bool, str], ...], list[int]] = {}
    for i in range(len(votes)):
        sides = tuple(
            (tally.behind[i], "" if tally.behind[i] else tally.said[i]) for tally in tallies
        )
        groups.setdefault(sides, []).append(i)

    def rank(sides: tuple[tuple[bool, str], ...]) -> tuple[object, ...]:
        group = groups[sides]
        return (
            -sum(behind for behind, _ in sides),
            -sum(votes[i].weight for i in group),
            -len(group),
            sorted(votes[i].answer_digest for i in group),
            group,
        )

    return [tuple(groups[sides]) for sides in sorted(groups, key=rank)]


def _representative(
    cluster: Sequence[int], votes: Sequence[Vote], tallies: Sequence[_Tally]
) -> int:
    return min(
        cluster,
        key=lambda i: (
            votes[i].weight == 0,
            [tally.distances[i] for tally in tallies],
            votes[i].answer_digest,
            i,
        ),
    )
