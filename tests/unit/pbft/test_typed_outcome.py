"""Labels by vote, numbers by median, schemas field by field: by hand, and against fractions."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pbft import decimals
from pbft.messages import Field
from pbft.outcome import Exclusion, FieldOutcome, Outcome, Reason, Status, Vote
from pbft.policy import Policy
from pbft.typed_outcome import decide_fields, quantile
from pbft.types import FULL_BP, ReplicaId, faults_tolerated
from tests.support.typed import label_field, number_field, text_field

W = 10_000
AGREED, LOW, NONE = Status.AGREED, Status.AGREED_LOW_CONFIDENCE, Status.NO_AGREEMENT


def votes(weights: Sequence[int], digests: Sequence[int] | None = None) -> list[Vote]:
    return [
        Vote(ReplicaId(i), weight, bytes([digests[i] if digests else i]) * 32, f"model {i % 2}")
        for i, weight in enumerate(weights)
    ]


def result(
    fields: Sequence[Field],
    values: Sequence[Sequence[str]],
    weights: Sequence[int] | None = None,
    *,
    members: int = 4,
    abstained: int = 0,
    policy: Policy | None = None,
    digests: Sequence[int] | None = None,
) -> Outcome:
    return decide_fields(
        fields,
        votes(weights or [W] * len(values), digests),
        [tuple(row) for row in values],
        members=members,
        weight_abstained=abstained,
        policy=policy or Policy(),
    )


def labels(*said: str, **options: object) -> Outcome:
    return result([label_field()], [[label] for label in said], **options)  # type: ignore[arg-type]


def numbers(*said: str, **options: object) -> Outcome:
    return result([number_field()], [[number] for number in said], **options)  # type: ignore[arg-type]


def left_out(found: FieldOutcome) -> dict[int, str]:
    return {exclusion.replica: str(exclusion.reason) for exclusion in found.excluded}


# --- labels ------------------------------------------------------------------------------------


def test_three_of_four_agree_on_a_label() -> None:
    """Three equal labels of four win, and the fourth is named as outvoted."""
    found = labels("up", "down", "up", "up")
    assert found == Outcome(
        status=AGREED,
        representative=ReplicaId(0),
        clusters=((0, 2, 3), (1,)),
        agreement_rate_bp=7_500,
        confidence_bp=9_375,
        distinct_models=2,
        fields=(
            FieldOutcome(
                AGREED, "up", "", "", 7_500, 9_375, (Exclusion(ReplicaId(1), Reason.OUTVOTED),)
            ),
        ),
    )


def test_half_is_no_agreement() -> None:
    """Two against two: no answer, no representative, and the leading label is not agreed."""
    found = labels("up", "down", "up", "down")
    assert (found.status, found.representative) == (NONE, None)
    assert found.fields[0].status is NONE
    assert sorted(found.clusters) == [(0, 2), (1, 3)]


def test_a_label_needs_an_honest_replica() -> None:
    """All who answered agree, but f replicas could all be liars: f + 1 are needed."""
    assert labels("up", members=4, abstained=2 * W).status is NONE
    assert labels("up", "up", members=4, abstained=W).status is not NONE


def test_silence_lowers_the_confidence() -> None:
    """Two of four agree while two say nothing: agreed, with a confidence of 0.75 or less."""
    found = labels("up", "up", abstained=2 * W)
    assert (found.status, found.confidence_bp, found.agreement_rate_bp) == (AGREED, 7_500, FULL_BP)
    assert labels("up", "up", abstained=2 * W + 1).status is LOW


def test_weight_decides_not_heads() -> None:
    """Two replicas of double weight outvote two, but not below two thirds of the weight."""
    heavy = labels("up", "up", "down", "down", weights=[20_000, 20_000, W, W])
    assert (heavy.status, heavy.fields[0].value) == (AGREED, "up")
    assert labels("up", "up", "down", "down", weights=[19_999, 19_999, W, W]).status is NONE


def test_who_has_no_weight_decides_nothing() -> None:
    """Proven liars change neither the label nor the median, and alone agree on nothing."""
    weights = [W, W, 0, 0]
    assert labels("up", "up", "down", "down", weights=weights).fields[0].value == "up"
    assert numbers("5", "5", "1", "1", weights=weights).fields[0].value == "5"
    assert numbers("5", "5", "9", "9", weights=weights).fields[0].value == "5"
    alone = labels("up", "up", weights=[0, 0], abstained=2 * W)
    assert (alone.status, alone.agreement_rate_bp, alone.confidence_bp) == (NONE, 0, 0)
    assert numbers("5", "5", weights=[0, 0]).status is NONE


def test_a_reason_comes_from_someone_with_weight() -> None:
    """The words shown are not those of a proven liar, even if its digest is the lowest."""
    assert labels("up", "up", "up", weights=[0, W, W]).representative == 1


# --- short texts -------------------------------------------------------------------------------


def test_short_texts_agree_to_the_letter() -> None:
    """Case and width do not divide; the spelling of most weight is shown."""
    rows = [["Paris"], ["PARIS"], ["Paris"], ["Lyon"]]
    found = result([text_field("city")], rows)
    assert found.fields[0].value == "Paris"
    assert found.status is AGREED
    assert left_out(found.fields[0]) == {3: "outvoted"}
    heavy = result([text_field("city")], rows, [W, 3 * W, W, W])
    assert heavy.fields[0].value == "PARIS"


# --- numbers -----------------------------------------------------------------------------------


def test_the_median_of_five() -> None:
    """The middle number wins; who is far from it is an outlier; quartiles count the outlier."""
    found = numbers("100", "101", "99", "1000", "100.5", members=5)
    (field,) = found.fields
    assert (field.value, field.lower_quartile, field.upper_quartile) == ("100.5", "100", "101")
    assert left_out(field) == {3: "outlier"}
    assert found.status is AGREED
    assert found.clusters == ((0, 1, 2, 4), (3,))
    assert found.representative == 4  # whose number it is


def test_the_median_of_an_even_number_is_somebodys() -> None:
    """Between two middle numbers the lower is taken: nobody is quoted with a number of nobody."""
    assert numbers("1", "2", "3", "4").fields[0].value == "2"


@pytest.mark.parametrize(
    ("number", "stands"),
    [("102", True), ("102.000000000000000001", False), ("98", True), ("97.9999", False)],
)
def test_the_tolerance_is_exact(number: str, stands: bool) -> None:
    """Two per cent from the median belongs to it, and the smallest digit more does not."""
    field = numbers("100", "100", "100", number).fields[0]
    assert (left_out(field) == {}) is stands


def test_at_a_median_of_zero_only_zeros_agree() -> None:
    """There is no relative distance from nothing."""
    field = numbers("0", "0", "0", "0.000000000000000001").fields[0]
    assert (field.value, left_out(field)) == ("0", {3: "outlier"})


def test_negative_numbers() -> None:
    """The tolerance is a share of the median's size, and the sign counts."""
    field = numbers("-100", "-101", "-99", "100").fields[0]
    assert (field.value, left_out(field)) == ("-100", {3: "outlier"})


def test_numbers_apart_are_no_agreement() -> None:
    """Where no two thirds lie together there is a median and no answer."""
    found = numbers("1", "2", "3", "4")
    assert (found.status, found.representative) == (NONE, None)
    assert left_out(found.fields[0]) == {0: "outlier", 2: "outlier", 3: "outlier"}


def test_no_tolerance_asks_for_equality() -> None:
    """A policy of 0 makes numbers agree exactly or not at all."""
    policy = Policy(number_tolerance_bp=0)
    assert left_out(numbers("5", "5", "5", "5.0001", policy=policy).fields[0]) == {3: "outlier"}


# --- schemas -----------------------------------------------------------------------------------

FIELDS = (label_field("direction"), number_field("price"), text_field("city"))


def test_a_schema_is_decided_field_by_field() -> None:
    """Each field has its own dissenters; the first cluster stands behind them all."""
    found = result(
        FIELDS,
        [
            ["up", "100", "Paris"],
            ["up", "500", "paris"],
            ["down", "101", "PARIS"],
            ["up", "100", "Lyon"],
        ],
    )
    assert [field.value for field in found.fields] == ["up", "100", "PARIS"]
    assert [left_out(field) for field in found.fields] == [
        {2: "outvoted"},
        {1: "outlier"},
        {3: "outvoted"},
    ]
    assert found.status is AGREED
    assert found.agreement_rate_bp == 7_500
    assert found.clusters[0] == (0,)
    assert found.representative == 0
    assert sorted(found.clusters) == [(0,), (1,), (2,), (3,)]


def test_the_worst_field_decides() -> None:
    """One field without agreement leaves the whole without, and the others keep their values."""
    found = result(
        FIELDS[:2], [["up", "1"], ["up", "2"], ["up", "3"], ["up", "4"]], digests=[3, 2, 1, 0]
    )
    assert [field.status for field in found.fields] == [AGREED, NONE]
    assert (found.status, found.representative) == (NONE, None)
    assert found.fields[0].value == "up"
    assert found.confidence_bp == found.fields[1].confidence_bp


def test_an_empty_field_abstains_there_alone() -> None:
    """Who leaves a field empty is neither for nor against it, lowers its confidence, and has its
    say elsewhere."""
    found = result(FIELDS[:2], [["up", "5"], ["up", "5"], ["up", ""], ["up", ""]])
    label, number = found.fields
    assert (label.status, label.confidence_bp) == (AGREED, FULL_BP)
    assert (number.agreement_rate_bp, number.confidence_bp) == (FULL_BP, 7_500)
    assert left_out(number) == {2: "no_value", 3: "no_value"}
    assert found.clusters == ((0, 1), (2, 3))


def test_a_field_that_nobody_knows() -> None:
    """Without any value there is none, and no agreement."""
    found = result(FIELDS[:2], [["up", ""], ["up", ""], ["up", ""]])
    assert found.fields[1] == FieldOutcome(
        NONE, "", "", "", 0, 0, tuple(Exclusion(ReplicaId(i), Reason.NO_VALUE) for i in range(3))
    )
    assert found.status is NONE


def test_nobody_answered() -> None:
    """Every field has an outcome even then."""
    found = result(FIELDS, [], abstained=4 * W)
    empty = FieldOutcome(NONE, "", "", "", 0, 0, ())
    assert found == Outcome(NONE, None, (), 0, 0, 0, (empty,) * 3)


def test_the_first_cluster_may_be_light() -> None:
    """Who stands behind every field comes before a heavier group that stands behind fewer."""
    rows = [["up", "5"]] * 2 + [["up", "9"]] * 3 + [["down", "5"]] * 4
    found = result(FIELDS[:2], rows, members=9)
    assert found.fields[1].value == "5"
    assert found.clusters == ((0, 1), (5, 6, 7, 8), (2, 3, 4))


def test_the_nearest_speaks() -> None:
    """Of those who agree, the one whose first number is nearest gives the reason, then the second;
    digests come last."""
    fields = (number_field("a"), number_field("b"))
    rows = [["100", "51"], ["100", "50"], ["101", "50"], ["99", "50"]]
    assert result(fields, rows, digests=[0, 3, 1, 2]).representative == 1


# --- whatever is said --------------------------------------------------------------------------

weight = st.sampled_from([0, 1, 2, 3, W, W, 2 * W])
number = st.one_of(
    st.integers(-3, 3).map(str),
    st.integers(-(10**36) + 1, 10**36 - 1).map(decimals.write),
    st.integers(95 * 10**17, 105 * 10**17).map(decimals.write),
)
poll = st.lists(st.tuples(number, weight), min_size=1, max_size=10)
rows_of = st.lists(
    st.tuples(
        st.sampled_from(["up", "down", "flat", ""]),
        number | st.just(""),
        st.sampled_from(["Paris", "PARIS", "Lyon", ""]),
        weight,
    ),
    min_size=1,
    max_size=10,
)


def exact_quantile(ballots: Sequence[tuple[Fraction, int]], share: Fraction) -> Fraction:
    """By the definition, trying every number: the least with at least the share at or below it."""
    total = sum(weight for _, weight in ballots)
    return min(
        value
        for value, _ in ballots
        if Fraction(sum(w for v, w in ballots if v <= value), total) >= share
    )


@given(poll)
def test_quartiles_follow_the_definition(cast: list[tuple[str, int]]) -> None:
    """Median and quartiles are those of exact fractions, whatever the weights."""
    assume(any(weight for _, weight in cast))
    exact = [(Fraction(text), weight) for text, weight in cast]
    (field,) = numbers(*[text for text, _ in cast], weights=[weight for _, weight in cast]).fields
    for text, quarters in ((field.lower_quartile, 1), (field.value, 2), (field.upper_quartile, 3)):
        assert Fraction(text) == exact_quantile(exact, Fraction(quarters, 4))
    assert Fraction(field.lower_quartile) <= Fraction(field.value) <= Fraction(field.upper_quartile)


@given(poll, st.integers(0, 3_000))
def test_exclusions_follow_the_definition(cast: list[tuple[str, int]], tolerance_bp: int) -> None:
    """Excluded is exactly who is further from the median than its share, in exact fractions."""
    policy = Policy(number_tolerance_bp=tolerance_bp)
    said = [Fraction(text) for text, _ in cast]
    (field,) = numbers(
        *[text for text, _ in cast], weights=[weight for _, weight in cast], policy=policy
    ).fields
    median = Fraction(field.value)
    far = [
        i
        for i, x in enumerate(said)
        if abs(x - median) > Fraction(tolerance_bp, FULL_BP) * abs(median)
    ]
    assert list(left_out(field)) == far


@given(rows_of, st.data(), st.integers(1, 30))
def test_the_order_of_votes_means_nothing(
    cast: list[tuple[str, str, str, int]], data: st.DataObject, members: int
) -> None:
    """Whoever holds which seat, the same answers give the same values, and the same clusters."""
    order = data.draw(st.permutations(range(len(cast))))
    before = result(FIELDS, [row[:3] for row in cast], [row[3] for row in cast], members=members)
    moved = [cast[i] for i in order]
    after = result(
        FIELDS,
        [row[:3] for row in moved],
        [row[3] for row in moved],
        members=members,
        digests=order,
    )

    def at_home(replica: int) -> int:
        return order[replica]

    assert {frozenset(map(at_home, cluster)) for cluster in after.clusters} == {
        frozenset(cluster) for cluster in before.clusters
    }
    assert set(map(at_home, after.clusters[0])) == set(before.clusters[0])
    if before.representative is not None:
        assert after.representative is not None
        assert at_home(after.representative) == before.representative
    for a, b in zip(after.fields, before.fields, strict=True):
        assert replace(a, excluded=()) == replace(b, excluded=())
        assert {(at_home(e.replica), e.reason) for e in a.excluded} == {
            (e.replica, e.reason) for e in b.excluded
        }


@given(rows_of, st.integers(1, 30), st.integers(0, 5 * W))
def test_agreement_means_what_it_says(
    cast: list[tuple[str, str, str, int]], members: int, abstained: int
) -> None:
    """In every field: behind an agreed value stand f + 1 replicas and two thirds of the weight
    that gave one; the whole is as bad as its worst field; every vote is in one cluster."""
    weights = [row[3] for row in cast]
    found = result(FIELDS, [row[:3] for row in cast], weights, members=members, abstained=abstained)
    for place, field in enumerate(found.fields):
        gave = {i for i, row in enumerate(cast) if row[place]}
        behind = gave - set(left_out(field))
        assert {i for i, reason in left_out(field).items() if reason == "no_value"} == (
            set(range(len(cast))) - gave
        )
        weight_behind = sum(weights[i] for i in behind)
        enough = (
            len(behind) > faults_tolerated(members)
            and weight_behind > 0
            and Fraction(weight_behind, sum(weights[i] for i in gave)) >= Fraction(2, 3)
        )
        assert (field.status is not NONE) == enough
        if field.status is AGREED:
            assert field.confidence_bp >= Policy().confidence_threshold_bp
    ranks = [NONE, LOW, AGREED]
    assert ranks.index(found.status) == min(ranks.index(f.status) for f in found.fields)
    assert found.confidence_bp == min(f.confidence_bp for f in found.fields)
    assert sorted(i for cluster in found.clusters for i in cluster) == list(range(len(cast)))
    assert (found.representative is None) == (found.status is NONE)
    assert found.representative is None or found.representative in found.clusters[0]


honest_number = st.integers(-(10**20), 10**20)


@given(
    f=st.integers(1, 3),
    honest=st.lists(st.tuples(honest_number, st.integers(W, 2 * W)), min_size=7, max_size=10),
    lies=st.lists(st.tuples(st.integers(-(10**35), 10**35), st.integers(W, 2 * W)), max_size=3),
)
@example(f=3, honest=[(0, W)] * 7, lies=[(10**30, 2 * W)] * 3)
@example(f=3, honest=[(0, W)] * 7, lies=[(-(10**30), 2 * W)] * 3)
def test_liars_do_not_move_the_median_out(
    f: int, honest: list[tuple[int, int]], lies: list[tuple[int, int]]
) -> None:
    """With more than twice as many honest numbers as lies, and weights within a factor of two,
    the median lies between honest numbers."""
    ballots = honest + lies[:f]
    assert min(honest)[0] <= quantile(ballots, 2) <= max(honest)[0]


def test_liars_of_double_weight_need_half() -> None:
    """The condition is needed: in a bare quorum of four one liar of double weight holds half of
    it, and its number is the median. It is not agreed, as no honest one is near."""
    found = numbers("5", "5", "1", weights=[W, W, 2 * W], abstained=W)
    assert (found.fields[0].value, found.status) == ("1", NONE)


@given(
    st.lists(number, min_size=2, max_size=9),
    st.lists(number, max_size=3),
    st.lists(weight, min_size=12, max_size=12),
)
def test_an_agreed_number_is_near_an_honest_one(
    honest: list[str], lies: list[str], weights: list[int]
) -> None:
    """Whatever weight the f liars have, an agreed number is within the tolerance of some honest
    one."""
    members = 3 * len(lies) + 1
    cast = honest + lies
    found = numbers(*cast, weights=weights[: len(cast)], members=members)
    if found.status is not NONE:
        median = Fraction(found.fields[0].value)
        assert any(
            abs(Fraction(text) - median) <= Fraction(2, 100) * abs(median) for text in honest
        )


@given(poll, st.integers(0, 9), st.integers(1, 10**37))
def test_a_greater_number_never_lowers_the_median(
    cast: list[tuple[str, int]], place: int, more: int
) -> None:
    """Raising one number raises the median and the quartiles or leaves them."""
    ballots = [(decimals.read(text) or 0, weight) for text, weight in cast]
    i = place % len(ballots)
    raised = [*ballots[:i], (ballots[i][0] + more, ballots[i][1]), *ballots[i + 1 :]]
    for quarters in (1, 2, 3):
        assert quantile(raised, quarters) >= quantile(ballots, quarters)


@given(st.lists(st.tuples(st.sampled_from(["up", "down", "flat"]), weight), min_size=1, max_size=8))
def test_a_vote_never_hurts_its_label(cast: list[tuple[str, int]]) -> None:
    """One more vote for the leading label leaves it leading, with no lower share."""
    said, weights = [label for label, _ in cast], [weight for _, weight in cast]
    before = labels(*said, weights=weights).fields[0]
    after = labels(*said, before.value, weights=[*weights, W]).fields[0]
    assert after.value == before.value
    assert after.agreement_rate_bp >= before.agreement_rate_bp
