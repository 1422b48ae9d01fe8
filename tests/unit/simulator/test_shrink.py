"""Shrinking: what is left is what the failure needs."""

import itertools

import pytest

from simulator.shrink import minimise


@pytest.mark.parametrize("needed", [(), (3,), (0, 9), (2, 5, 7), tuple(range(10))])
def test_what_is_needed_is_left_and_nothing_else(needed: tuple[int, ...]) -> None:
    """Whatever the failure needs, all of that stays and the rest goes."""
    kept = minimise(range(10), lambda part: set(needed) <= set(part))
    assert tuple(kept) == needed


def test_every_part_that_is_kept_fails() -> None:
    """The result is a part that was tried, not a guess."""
    tried: list[tuple[int, ...]] = []

    def fails(part: object) -> bool:
        tried.append(tuple(part))  # type: ignore[arg-type]
        return len(tried[-1]) >= 3

    kept = tuple(minimise(range(8), fails))
    assert len(kept) == 3
    assert kept in tried


def test_two_alternatives_leave_one() -> None:
    """If either of two faults is enough, one is left."""
    kept = minimise(range(6), lambda part: bool({1, 4} & set(part)))
    assert list(kept) in ([1], [4])
    assert all(len(kept) <= len(part) for part in itertools.combinations(range(6), 1))
