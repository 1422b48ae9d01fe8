"""The outcome function, against hand-computed cases and against a search that tries everything."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbft import outcome
from pbft.outcome import (
    Contradiction,
    Outcome,
    Status,
    Vote,
    confidence,
    decide,
    pair_count,
    triangle_index,
)
from pbft.policy import Policy
from pbft.types import ReplicaId

HIGH, LOW = 9_600, 3_000


def votes(*weights: int, digests: Sequence[int] | None = None, models: str = "") -> list[Vote]:
    """Votes of replicas 0, 1, … with the given weights; digests in that order too."""
    return [
        Vote(
            ReplicaId(i),
            weight,
            bytes([digests[i] if digests else i]) * 32,
            models[i] if models else "m",
        )
        for i, weight in enumerate(weights)
    ]


def equal(n: int) -> list[Vote]:
    return votes(*(10_000,) * n)


def matrix(n: int, *alike: tuple[int, int], high: int = HIGH) -> list[int]:
    """The given pairs are alike, all others are not."""
    return [high if pair in alike else LOW for pair in combinations(range(n), 2)]


def result(
    cast: Sequence[Vote],
    similarities_bp: Sequence[int],
    contradictions: Sequence[Contradiction] = (),
    *,
    members: int = 4,
    abstained: int = 0,
    policy: Policy | None = None,
) -> Outcome:
    return decide(
        cast,
        similarities_bp,
        contradictions,
        members=members,
        weight_abstained=abstained,
        policy=policy or Policy(),
    )


# --- by hand -----------------------------------------------------------------------------------


def test_all_alike() -> None:
    """Four answers of one opinion: all of the weight, the mean similarity as confidence."""
    assert result(equal(4), [HIGH] * 6) == Outcome(
        status=Status.AGREED,
        representative=ReplicaId(0),
        clusters=((0, 1, 2, 3),),
        agreement_rate_bp=10_000,
        confidence_bp=9_600,
        distinct_models=1,
    )


def test_one_dissenter_of_four() -> None:
    """Three of four: 75 % of the weight, and 0.96 * (1 - 0.25^2) = 0.9."""
    found = result(equal(4), matrix(4, (0, 1), (0, 2), (1, 2)))
    assert found == Outcome(Status.AGREED, ReplicaId(0), ((0, 1, 2), (3,)), 7_500, 9_000, 1)


def test_a_bridge_does_not_chain_two_opinions() -> None:
    """b is like a and like c, a is not like c: never one cluster of three (complete linkage)."""
    found = result(equal(3), matrix(3, (0, 1), (1, 2), high=9_000))
    assert found.clusters == ((0, 1), (2,))
    # 2/3 of the weight; 0.9 * (1 - 0.3334^2), rounded down at each step.
    assert (found.agreement_rate_bp, found.confidence_bp) == (6_666, 7_999)


def test_a_bridge_among_five() -> None:
    """The bridge joins the greater side, and the two sides stay apart."""
    alike = [(0, 1), (0, 2), (1, 2), (2, 3), (2, 4), (3, 4)]
    found = result(votes(1, 1, 1, 2, 1), matrix(5, *alike))
    assert found.clusters == ((2, 3, 4), (0, 1))
    assert found.agreement_rate_bp == 4 * 10_000 // 6


def test_the_heavier_cluster_wins_over_the_larger() -> None:
    """Weight comes before size."""
    found = result(votes(1, 1, 1, 3, 3), matrix(5, (0, 1), (0, 2), (1, 2), (3, 4)))
    assert found.clusters == ((3, 4), (0, 1, 2))


def test_the_larger_cluster_wins_a_tie_of_weights() -> None:
    """Size comes second."""
    found = result(votes(3, 3, 2, 2, 2), matrix(5, (0, 1), (2, 3), (2, 4), (3, 4)))
    assert found.clusters == ((2, 3, 4), (0, 1))


def test_size_comes_before_similarity() -> None:
    """A larger cluster wins the tie of weights although the smaller one is closer in total."""
    loose = [10_000, 0, 0, 0, 0, 0, 0, 100, 100, 100]
    policy = Policy(similarity_threshold_bp=100)
    assert result(votes(3, 3, 2, 2, 2), loose, policy=policy).clusters == ((2, 3, 4), (0, 1))


def test_the_closer_cluster_wins_a_tie_of_sizes() -> None:
    """Total similarity comes third."""
    found = result(equal(4), [9_000, LOW, LOW, LOW, LOW, 9_001])
    assert found.clusters == ((2, 3), (0, 1))


def test_the_lowest_digests_win_what_is_still_a_tie() -> None:
    """Answer digests come last, whoever the replicas are."""
    found = result(votes(1, 1, 1, 1, digests=[4, 5, 1, 9]), matrix(4, (0, 1), (2, 3)))
    assert found.clusters == ((2, 3), (0, 1))


def test_the_medoid_is_nearest_to_the_others() -> None:
    """The representative is the answer with the greatest similarity to its cluster."""
    similarities_bp = [9_000, 8_600, 9_100]  # 1 is near to both others
    assert result(equal(3), similarities_bp).representative == 1


def test_the_medoid_goes_by_weight() -> None:
    """Being near to a heavy answer counts more than being near to a light one."""
    similarities_bp = [9_000, 8_600, 9_100]
    assert result(votes(100, 1, 10), similarities_bp).representative == 1
    assert result(votes(1, 1, 100), [9_900, 8_600, 9_000]).representative == 1
    assert result(votes(100, 1, 1), [9_000, 9_900, 8_600]).representative == 2


def test_a_tie_of_medoids_goes_to_the_lowest_digest() -> None:
    """Not to the lowest replica."""
    assert result(votes(1, 1, 1, digests=[7, 3, 5]), [HIGH] * 3).representative == 1


def test_who_is_contradicted_from_outside_does_not_speak() -> None:
    """Neither being nearest nor the lowest digest helps against one answer that objects."""
    # 0 (a lie made from 3) is nearest to 1 and 2; 3 fits them too and contradicts 0.
    similarities_bp = [9_900, 9_900, 9_990, 9_000, 8_600, 8_600]
    found = result(equal(4), similarities_bp, [Contradiction(0, 3, "number: 5 / 50")])
    assert found.clusters == ((0, 1, 2), (3,))
    assert found.representative == 1


def test_the_weight_that_contradicts_counts() -> None:
    """An objection of little weight does less harm than one of much."""
    similarities_bp = [9_900, LOW, LOW, LOW, LOW, LOW]
    objections = [Contradiction(0, 2, "x"), Contradiction(1, 3, "x")]
    assert result(votes(9, 9, 2, 1), similarities_bp, objections).representative == 1


@pytest.mark.parametrize(
    ("share_bp", "cohesion_bp", "expected"),
    [
        (10_000, 10_000, 10_000),
        (7_500, 10_000, 9_375),
        (5_000, 10_000, 7_500),
        (0, 10_000, 0),
        (10_000, 0, 0),
        (6_666, 9_000, 7_999),
        (3_333, 8_888, 4_937),
    ],
)
def test_confidence_numbers(share_bp: int, cohesion_bp: int, expected: int) -> None:
    """cohesion * (1 - (1 - share)^2), rounded down once."""
    assert confidence(share_bp, cohesion_bp) == expected


def test_abstentions_lower_the_confidence_and_not_the_rate() -> None:
    """Two agree and two are silent: all who answered, half of the round, so 0.96 * 0.75."""
    found = result(equal(2), [HIGH], abstained=20_000)
    assert (found.agreement_rate_bp, found.confidence_bp) == (10_000, 7_200)
    assert found.status is Status.AGREED_LOW_CONFIDENCE
    assert found.representative == 0


@pytest.mark.parametrize(
    ("threshold_bp", "status"),
    [(9_000, Status.AGREED), (9_001, Status.AGREED_LOW_CONFIDENCE)],
)
def test_the_confidence_threshold(threshold_bp: int, status: Status) -> None:
    """A confidence equal to the threshold is enough."""
    policy = Policy(confidence_threshold_bp=threshold_bp)
    assert result(equal(4), matrix(4, (0, 1), (0, 2), (1, 2)), policy=policy).status is status


@pytest.mark.parametrize(("similarity_bp", "clusters"), [(8_500, 1), (8_499, 2)])
def test_the_similarity_threshold(similarity_bp: int, clusters: int) -> None:
    """A similarity equal to the threshold is equivalence."""
    assert len(result(equal(2), [similarity_bp]).clusters) == clusters


@pytest.mark.parametrize(
    ("weights", "agreed"),
    [
        ((1, 1, 1), True),  # exactly 2/3, which no float and no 67 % would give
        ((33, 33, 34), False),  # 66 of 100
        ((34, 33, 33), True),  # 67 of 100
        ((10_000, 9_999, 10_000), False),  # short of 2/3 by a third of a unit of weight
        ((10_000, 10_000, 10_001), False),
    ],
)
def test_two_thirds_in_integers(weights: tuple[int, ...], agreed: bool) -> None:
    """3 * weight >= 2 * total, exactly; the first two votes agree."""
    found = result(votes(*weights), matrix(3, (0, 1)))
    assert found.clusters[0] == (0, 1)
    assert (found.status is not Status.NO_AGREEMENT) is agreed
    assert (found.representative is not None) is agreed


@pytest.mark.parametrize(
    ("members", "agreed"), [(1, True), (3, True), (4, False), (6, False), (7, False)]
)
def test_a_single_vote_wins_only_where_nobody_may_lie(members: int, agreed: bool) -> None:
    """One answer is agreement if f = 0, never otherwise: an honest replica must stand behind it."""
    found = result(equal(1), [], members=members)
    assert (found.status is not Status.NO_AGREEMENT) is agreed
    assert found.clusters == ((0,),)
    assert found.agreement_rate_bp == 10_000


@pytest.mark.parametrize(("size", "agreed"), [(1, False), (2, False), (3, True)])
def test_the_winner_needs_f_plus_one(size: int, agreed: bool) -> None:
    """With seven members (f = 2), two replicas of whatever weight are no agreement."""
    alike = list(combinations(range(size), 2))
    cast = votes(*(1_000 if i < size else 1 for i in range(5)))
    found = result(cast, matrix(5, *alike), members=7)
    assert found.clusters[0] == tuple(range(size))
    assert (found.status is not Status.NO_AGREEMENT) is agreed


def test_no_votes() -> None:
    """When everybody abstained there is an outcome all the same: no agreement, no clusters."""
    assert result([], [], abstained=40_000) == Outcome(Status.NO_AGREEMENT, None, (), 0, 0, 0)


def test_votes_without_weight() -> None:
    """Weights of zero divide by nothing."""
    found = result(votes(0, 0), [HIGH])
    assert (found.agreement_rate_bp, found.confidence_bp) == (0, 0)


def test_a_contradiction_vetoes_any_similarity() -> None:
    """Answers that contradict each other are never equivalent, be they identical in meaning."""
    found = result(equal(2), [10_000], [Contradiction(0, 1, "numbers")])
    assert found.clusters == ((0,), (1,))
    assert found.status is Status.NO_AGREEMENT


def test_no_agreement_still_shows_the_strongest_cluster() -> None:
    """Two against two: the clusters are listed, the rate is the first one's, nobody represents."""
    found = result(equal(4), matrix(4, (0, 1), (2, 3)))
    assert found.status is Status.NO_AGREEMENT
    assert found.representative is None
    assert found.clusters == ((0, 1), (2, 3))
    assert found.agreement_rate_bp == 5_000
    assert found.confidence_bp == 7_200


def test_distinct_models_are_counted_in_the_winner_only() -> None:
    """Agreement of one model is correlated; a dissenter's other model does not make up for it."""
    alike = matrix(4, (0, 1), (0, 2), (1, 2))
    assert result(votes(1, 1, 1, 1, models="aaab"), alike).distinct_models == 1
    assert result(votes(1, 1, 1, 1, models="abab"), alike).distinct_models == 2


def test_clusters_name_replicas_not_positions() -> None:
    """Replica 1 did not vote: the others keep their numbers."""
    cast = [vote for vote in equal(4) if vote.replica != 1]
    found = result(cast, matrix(3, (1, 2)))
    assert found.clusters == ((2, 3), (0,))
    assert found.representative == 2


@pytest.mark.parametrize("n", range(12))
def test_the_triangle_is_row_major(n: int) -> None:
    """Pairs in lexicographic order fill 0, 1, 2, … without gaps."""
    places = [triangle_index(a, b, n) for a, b in combinations(range(n), 2)]
    assert places == list(range(pair_count(n)))


# --- against a search that tries everything ----------------------------------------------------


def best_by_trying_all(
    vertices: Sequence[int],
    cast: Sequence[Vote],
    similarity_bp: dict[tuple[int, int], int],
    apart: set[tuple[int, int]],
    threshold_bp: int,
) -> tuple[int, ...]:
    """The winning clique by the rules in the design, from all subsets."""

    def rank(subset: tuple[int, ...]) -> tuple[object, ...]:
        return (
            -sum(cast[i].weight for i in subset),
            -len(subset),
            -sum(similarity_bp[pair] for pair in combinations(subset, 2)),
            sorted(cast[i].answer_digest for i in subset),
        )

    cliques = [
        subset
        for size in range(1, len(vertices) + 1)
        for subset in combinations(vertices, size)
        if all(
            similarity_bp[pair] >= threshold_bp and pair not in apart
            for pair in combinations(subset, 2)
        )
    ]
    return min(cliques, key=rank)


@st.composite
def polls(draw: st.DrawFn, n_max: int) -> tuple[list[Vote], list[int], list[Contradiction]]:
    n = draw(st.integers(1, n_max))
    weights = draw(st.lists(st.integers(1, 4), min_size=n, max_size=n))
    digests = draw(st.permutations(range(n)))
    pairs = list(combinations(range(n), 2))
    levels = st.sampled_from([3_000, 8_499, 8_500, 9_000, 9_600])
    similarities = draw(st.lists(levels, min_size=len(pairs), max_size=len(pairs)))
    apart = draw(st.sets(st.sampled_from(pairs), max_size=3)) if pairs else set()
    contradictions = [Contradiction(a, b, "numbers") for a, b in sorted(apart)]
    return votes(*weights, digests=digests), similarities, contradictions


@settings(max_examples=150)
@given(polls(n_max=10))
def test_the_clusters_are_those_of_an_exhaustive_search(
    poll: tuple[list[Vote], list[int], list[Contradiction]],
) -> None:
    """Best clique first, then the best of what is left, for any graph."""
    cast, similarities_bp, contradictions = poll
    n = len(cast)
    similarity_bp = dict(zip(combinations(range(n), 2), similarities_bp, strict=True))
    apart = {(c.first, c.second) for c in contradictions}
    rest, expected = list(range(n)), []
    while rest:
        best = best_by_trying_all(rest, cast, similarity_bp, apart, 8_500)
        expected.append(best)
        rest = [vertex for vertex in rest if vertex not in best]
    assert result(cast, similarities_bp, contradictions).clusters == tuple(expected)


@settings(max_examples=150)
@given(polls(n_max=8), st.permutations(range(8)))
def test_the_order_of_replicas_does_not_matter(
    poll: tuple[list[Vote], list[int], list[Contradiction]], order: list[int]
) -> None:
    """Numbering the same answers differently changes nothing but the numbers."""
    cast, similarities_bp, contradictions = poll
    n = len(cast)
    place = [i for i in order if i < n]  # vote i becomes vote place[i]
    moved = [vote for _, vote in sorted(zip(place, cast, strict=True), key=lambda pair: pair[0])]
    moved = [replace(vote, replica=ReplicaId(i)) for i, vote in enumerate(moved)]
    table = [0] * pair_count(n)
    for (a, b), value in zip(combinations(range(n), 2), similarities_bp, strict=True):
        table[triangle_index(*sorted((place[a], place[b])), n)] = value
    flags = sorted((*sorted((place[c.first], place[c.second])), c.reason) for c in contradictions)
    before = result(cast, similarities_bp, contradictions)
    after = result(moved, table, [Contradiction(*flag) for flag in flags])
    assert after.clusters == tuple(
        tuple(sorted(place[i] for i in cluster)) for cluster in before.clusters
    )
    assert after.representative == (
        None if before.representative is None else place[before.representative]
    )
    numbers = ("status", "agreement_rate_bp", "confidence_bp", "distinct_models")
    assert [getattr(after, name) for name in numbers] == [getattr(before, name) for name in numbers]


@settings(max_examples=100)
@given(polls(n_max=9), st.integers(0, 50_000), st.integers(1, 12))
def test_every_outcome_keeps_its_promises(
    poll: tuple[list[Vote], list[int], list[Contradiction]], abstained: int, members: int
) -> None:
    """Each vote is in one cluster without contradictions, numbers stay in range, agreement has
    f + 1 and two thirds."""
    cast, similarities_bp, contradictions = poll
    found = result(cast, similarities_bp, contradictions, members=members, abstained=abstained)
    assert sorted(i for cluster in found.clusters for i in cluster) == list(range(len(cast)))
    assert 0 <= found.agreement_rate_bp <= 10_000
    assert 0 <= found.confidence_bp <= 10_000
    winner = found.clusters[0]
    weight = sum(cast[i].weight for i in winner)
    total = sum(vote.weight for vote in cast)
    agreed = len(winner) > (members - 1) // 3 and 3 * weight >= 2 * total
    assert (found.status is not Status.NO_AGREEMENT) == agreed
    assert (found.representative in winner) == agreed
    apart = {(c.first, c.second) for c in contradictions}
    for cluster in found.clusters:  # so a representative contradicts none whom it speaks for
        assert not any(pair in apart for pair in combinations(cluster, 2))


def test_a_hostile_graph_ends_at_the_step_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph with exponentially many cliques is cut off, and every vote still gets a cluster."""
    monkeypatch.setattr(outcome, "SEARCH_STEPS_MAX", 50)
    n = 30  # ten groups of three, alike across groups only: 3^10 maximal cliques
    pairs = [pair for pair in combinations(range(n), 2) if pair[0] // 3 != pair[1] // 3]
    found = result(equal(n), matrix(n, *pairs), members=n)
    assert sorted(i for cluster in found.clusters for i in cluster) == list(range(n))
