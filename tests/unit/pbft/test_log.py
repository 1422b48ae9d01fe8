"""Slots between the watermarks (§4.2)."""

import pytest

from pbft.log import WINDOW, MessageLog
from pbft.types import SequenceNumber
from tests.support.forge import D1, D2, commit, prepare


def log(*numbers: int, low: int = 0) -> MessageLog:
    made = MessageLog()
    made.advance(SequenceNumber(low))
    for number in numbers:
        made.slot(SequenceNumber(number))
    return made


@pytest.mark.parametrize("low", [0, 5, 1000])
def test_the_window(low: int) -> None:
    """low < n <= low + k, and nothing else, is in the window."""
    made = log(low=low)
    assert made.high_watermark == low + WINDOW
    for number, inside in [
        (low, False),
        (low + 1, True),
        (low + WINDOW, True),
        (low + WINDOW + 1, False),
    ]:
        assert made.in_window(SequenceNumber(number)) is inside


def test_slots_come_in_order_of_their_numbers() -> None:
    """Whatever order they were made in."""
    assert [slot.sequence_number for slot in log(3, 1, 2)] == [1, 2, 3]


def test_a_slot_is_made_once() -> None:
    """Asking again gives the same slot."""
    made = log(1)
    assert made.slot(SequenceNumber(1)) is made.get(SequenceNumber(1))


def test_advancing_forgets_what_lies_below() -> None:
    """Slots up to the new low watermark are gone, those above stay."""
    made = log(1, 2, 3, 4)
    made.advance(SequenceNumber(2))
    assert [slot.sequence_number for slot in made] == [3, 4]


def test_votes_are_counted_for_one_digest_in_order_of_replica() -> None:
    """Votes for another digest do not count along."""
    slot = log().slot(SequenceNumber(1))
    for replica, of in [(3, D1), (1, D1), (2, D2)]:
        slot.prepares[prepare(replica, of).message.replica] = prepare(replica, of)
        slot.commits[commit(replica, of).message.replica] = commit(replica, of)
    assert [vote.message.replica for vote in slot.prepares_for(D1)] == [1, 3]
    assert [vote.message.replica for vote in slot.commits_for(D1)] == [1, 3]
    assert slot.prepares_for(None) == []
