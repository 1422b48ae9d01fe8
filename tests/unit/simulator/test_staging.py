"""Whole decisions in which everybody's words are given."""

import pytest

from inference.attack import by_outcome_function
from pbft.outcome import Status
from simulator.staging import Stage, decide

HONEST = ("Prices rose by 5 %.", "They went up five percent.", "Up 5 %.")
LIE = "Prices rose by 50 %."


def seen_by_one(one: str, other: str) -> tuple[int, str | None]:
    """All is similar; the lie contradicts the first honest answer only."""
    contradicts = {one, other} == {HONEST[0], LIE}
    return (10_000 if one == other else 9_000), ("number" if contradicts else None)


def unseen(one: str, other: str) -> tuple[int, str | None]:
    return (10_000 if one == other else 9_000), None


def test_the_network_certifies_what_the_honest_say() -> None:
    """A lie that only one honest answer contradicts is no cluster's word, in a whole network as by
    the outcome function alone."""
    said = (*HONEST, LIE)
    outcome = decide(Stage("What did prices do?", said, frozenset({3}), seen_by_one))
    assert outcome.status is Status.AGREED
    assert outcome.representative in {0, 1, 2}
    alone = by_outcome_function("What did prices do?", said, 1, seen_by_one)
    assert (alone.status, alone.confidence_bp) == (outcome.status, outcome.confidence_bp)


@pytest.mark.parametrize("nodes", [4, 7])
def test_a_judge_that_sees_nothing_lets_lies_into_the_cluster(nodes: int) -> None:
    """What keeps a lie out is the judge, not the stage: the liars' words are really voted on."""
    liars = (nodes - 1) // 3
    said = tuple(HONEST[n % 3] for n in range(nodes - liars)) + (LIE,) * liars
    lying = frozenset(range(nodes - liars, nodes))
    outcome = decide(Stage("What did prices do?", said, lying, unseen))
    assert lying <= set(outcome.clusters[0])
