"""Counting: faults tolerated, quorums and primaries for every size of network."""

from dataclasses import replace

import pytest

from pbft.item import Rules
from pbft.policy import Policy
from pbft.types import ReplicaId, View, faults_tolerated, quorum_size
from tests.support.cluster import NETWORK
from tests.support.forge import D1, prepare
from tests.support.keyring import keyring, membership


@pytest.mark.parametrize(
    ("n", "f", "q"),
    [(1, 0, 1), (2, 0, 2), (3, 0, 2), (4, 1, 3), (5, 1, 4), (6, 1, 4), (7, 2, 5), (10, 3, 7)],
)
def test_known_sizes(n: int, f: int, q: int) -> None:
    """f and q for the sizes that people run are those of the design."""
    assert (faults_tolerated(n), quorum_size(n)) == (f, q)


@pytest.mark.parametrize("n", range(1, 41))
def test_two_quorums_share_an_honest_replica(n: int) -> None:
    """Any two quorums intersect in more than f replicas (§4.2: the safety argument)."""
    assert 2 * quorum_size(n) - n >= faults_tolerated(n) + 1


@pytest.mark.parametrize("n", range(1, 41))
def test_the_quorum_is_the_least_safe_one(n: int) -> None:
    """One vote fewer would not intersect in an honest replica."""
    assert 2 * (quorum_size(n) - 1) - n < faults_tolerated(n) + 1


@pytest.mark.parametrize("n", range(1, 41))
def test_honest_replicas_alone_are_a_quorum(n: int) -> None:
    """With f replicas silent, the others can still decide."""
    assert quorum_size(n) <= n - faults_tolerated(n)


@pytest.mark.parametrize("n", range(1, 41))
def test_f_is_the_greatest_number_that_the_paper_allows(n: int) -> None:
    """n >= 3f + 1, and not for f + 1 (§2)."""
    f = faults_tolerated(n)
    assert 3 * f + 1 <= n < 3 * (f + 1) + 1


@pytest.mark.parametrize("n", [1, 2, 4, 7])
def test_the_primary_goes_round(n: int) -> None:
    """p = v mod n (§4.1)."""
    members = membership(n)
    assert [members.primary(View(v)) for v in range(2 * n)] == [*range(n), *range(n)]


@pytest.mark.parametrize("replica", [4, 5, 2**63, 2**64 - 1])
def test_a_number_that_is_nobodys_has_no_key(replica: int) -> None:
    """A message in the name of a replica that does not exist is not genuine, and raises nothing."""
    members = membership(4)
    assert members.public_key(ReplicaId(replica)) is None
    genuine = prepare(1, D1)
    stranger = replace(genuine, message=replace(genuine.message, replica=ReplicaId(replica)))
    assert not Rules(NETWORK, members, Policy(), keyring(0)).is_genuine(stranger)
