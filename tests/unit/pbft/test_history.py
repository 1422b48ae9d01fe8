"""Remembering decided requests in bounded memory."""

import pytest

from pbft import digest, history
from pbft.history import History
from tests.support.forge import request


@pytest.fixture(autouse=True)
def _four_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "REMEMBERED_MAX", 4)


def decided(*numbers: int, replica: int = 0) -> History:
    made = History()
    for number in numbers:
        made.add(request(replica, number))
    return made


def test_a_decided_request_is_known_by_number_and_by_id() -> None:
    """What was added is decided, for its asker only."""
    made = decided(7)
    assert made.is_decided(request(0, 7))
    assert made.is_decided_id(digest.request_id(request(0, 7)))
    assert not made.is_decided(request(0, 8))
    assert not made.is_decided(request(1, 7))
    assert not made.is_decided_id(digest.request_id(request(1, 7)))


def test_another_question_under_a_decided_number_is_decided() -> None:
    """An asker gets one decision per number, whatever it asks."""
    assert decided(7).is_decided(request(0, 7, prompt="Another?"))


def test_the_oldest_is_forgotten_and_becomes_too_old() -> None:
    """Beyond the bound, the lowest number is dropped, and refused from then on."""
    made = decided(1, 2, 3, 4, 5)
    assert not made.is_decided(request(0, 1))
    assert not made.is_decided_id(digest.request_id(request(0, 1)))
    assert made.is_too_old(request(0, 1))
    assert not made.is_too_old(request(0, 2))
    assert not made.is_too_old(request(0, 6))


def test_nothing_is_too_old_before_anything_was_forgotten() -> None:
    """A low number is fine as long as the memory is not full."""
    assert not decided(5, 6, 7).is_too_old(request(0, 1))


def test_a_busy_asker_does_not_age_the_others() -> None:
    """Each asker has a memory of its own."""
    made = decided(11, 12, 13, 14, 15)
    assert not made.is_too_old(request(1, 1))


def test_memory_is_bounded() -> None:
    """However many requests are decided, only the bound is kept, per asker."""
    made = decided(*range(1, 50))
    assert len(made._ids) == 4
    assert len(made._decided[request(0, 1).replica]) == 4


def test_memory_is_bounded_for_an_asker_that_reuses_its_numbers() -> None:
    """Requests with one number and different contents leave nothing behind when forgotten."""
    made = History()
    for prompt in "abcdefgh":
        made.add(request(0, 1, prompt=prompt))
    assert len(made._ids) <= 4
