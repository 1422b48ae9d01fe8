"""Weights: what is earned and lost, and what they can never do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbft import digest
from pbft.messages import Finish, Item
from pbft.outcome import Status
from pbft.policy import Policy
from pbft.reputation import (
    NEVER,
    POINT_WEIGHT,
    POINTS_MAX,
    WEIGHT_INITIAL,
    WEIGHT_MAX,
    WEIGHT_MIN,
    Standing,
    points,
)
from pbft.types import ReplicaId, SequenceNumber, faults_tolerated, quorum_size
from tests.support import forge
from tests.support.cluster import answer

R0 = ReplicaId(0)
SAME, OTHER = 9_600, 3_000


def item(words: list[str], late: int = 0, silent: int = 0, policy: Policy | None = None) -> Item:
    """Replica i says words[i]; empty: it abstains. The last `late` answers are sealed later, and
    `silent` further replicas are sealed and reveal nothing."""
    asked = forge.request(0)
    request_id = digest.request_id(asked)
    said = [answer(text) if text else answer("", Finish.ABSTAINED, "") for text in words]
    openings = tuple(forge.reveal(request_id, i, one) for i, one in enumerate(said))
    commitments = tuple(
        forge.commitment(forge.reveal(request_id, i)) if i >= len(words)
        else forge.commitment(openings[i])
        for i in range(len(words) + silent)
    )  # fmt: skip
    on_time = commitments[: len(words) - late] + commitments[len(words) :]
    seals = (forge.seal(on_time),)
    if late:
        seals += (forge.seal(commitments[len(words) - late : len(words)], seals),)
    voters = [text for text in words if text]
    similar = tuple(
        SAME if a == b else OTHER for i, a in enumerate(voters) for b in voters[i + 1 :]
    )
    return forge.item(asked, openings, similar, seals, policy, len(commitments))


def test_the_winner_earns_and_the_outvoted_loses() -> None:
    """In the winning cluster: a point. Outvoted: two lost."""
    assert points(item(["a", "a", "a", "b"])) == {0: (1, 0), 1: (1, 0), 2: (1, 0), 3: (0, 2)}


def test_a_late_answer_earns_nothing_and_can_lose() -> None:
    """Waiting to copy never pays: sealed in a later list, the winner earns nothing, and who is
    outvoted loses all the same."""
    assert points(item(["a", "a", "a", "a"], late=1)) == {
        0: (1, 0), 1: (1, 0), 2: (1, 0), 3: (0, 0)
    }  # fmt: skip
    assert points(item(["a", "a", "a", "b"], late=1))[ReplicaId(3)] == (0, 2)


def test_silence_after_the_seal_costs_two() -> None:
    """Sealed, and no answer: as bad as a wrong one."""
    assert points(item(["a", "a", "a"], silent=1)) == {
        0: (1, 0), 1: (1, 0), 2: (1, 0), 3: (0, 2)
    }  # fmt: skip


def test_an_abstention_costs_one_where_others_agreed() -> None:
    """It is honest, and still no help."""
    assert points(item(["a", "a", "a", ""]))[ReplicaId(3)] == (0, 1)


def test_where_nothing_was_agreed_only_silence_costs() -> None:
    """Nobody knows who was right; abstentions cost nothing either."""
    disagreed = item(["a", "b", "c", ""])
    assert disagreed.outcome.status is Status.NO_AGREEMENT
    assert points(disagreed) == {}
    assert points(item(["a", "b", "c"], silent=1)) == {3: (0, 2)}


def test_low_confidence_counts_as_agreement() -> None:
    """Who stood with the answer earned it."""
    unsure = item(["a", "a", "a", "b"], policy=Policy(confidence_threshold_bp=10_000))
    assert unsure.outcome.status is Status.AGREED_LOW_CONFIDENCE
    assert points(unsure)[ReplicaId(0)] == (1, 0)


@pytest.mark.parametrize(
    ("earned", "lost", "moved"),
    [(0, 0, 0), (1, 0, 1), (0, 1, -1), (7, 2, 5), (500, 0, POINTS_MAX), (0, 500, -POINTS_MAX)],
)
def test_a_checkpoint_moves_a_weight_by_few_points(earned: int, lost: int, moved: int) -> None:
    """Points become weight, at most twenty in either direction, and start anew."""
    settled = Standing(R0, earned=earned, lost=lost).settled()
    assert settled == Standing(R0, WEIGHT_INITIAL + POINT_WEIGHT * moved)


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 2**20)), max_size=300),
    st.integers(0, 300),
)
def test_weights_stay_in_their_range_or_are_nothing(
    intervals: list[tuple[int, int]], convicted_at: int
) -> None:
    """Whatever happens, a weight is between the bounds, or 0 from the checkpoint after a conviction
    on, for good."""
    standing = Standing(R0)
    for number, (earned, lost) in enumerate(intervals, 1):
        found = SequenceNumber(number) if number == convicted_at else standing.convicted
        standing = Standing(R0, standing.weight, earned, lost, convicted=found).settled()
        assert (standing.earned, standing.lost) == (0, 0)
        if 0 < convicted_at <= number:
            assert standing.weight == 0
        else:
            assert WEIGHT_MIN <= standing.weight <= WEIGHT_MAX
            assert standing.convicted == NEVER


@pytest.mark.parametrize("n", range(1, 129))
def test_the_heaviest_liars_never_outvote_the_lightest_quorum(n: int) -> None:
    """f members of the greatest weight weigh less than q honest ones of the least, with any share
    of the vote the policy may ask for (more than one half)."""
    f, q = faults_tolerated(n), quorum_size(n)
    assert f * WEIGHT_MAX < q * WEIGHT_MIN
    assert 2 * f * WEIGHT_MAX < f * WEIGHT_MAX + q * WEIGHT_MIN
