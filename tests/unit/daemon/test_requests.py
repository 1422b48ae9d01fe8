"""What a node remembers of requests is bounded, and finished is finished."""

import json

import pytest

from daemon import requests
from daemon.requests import REMEMBERED_MAX, RequestBook
from pbft import effects
from pbft.effects import Stage
from pbft.messages import DecidedSlot
from pbft.types import ReplicaId, RequestId
from tests.support.founding import decide, founded


def rid(number: int) -> RequestId:
    return RequestId(number.to_bytes(32, "big"))


@pytest.fixture(scope="module")
def slot() -> DecidedSlot:
    return decide(founded(4))


def test_a_request_is_one_however_often_it_is_opened() -> None:
    """Its clock starts with the first."""
    book = RequestBook()
    assert book.get(rid(1)) is None
    assert book.open(rid(1)) is book.open(rid(1)) is book.get(rid(1))
    assert book.open_count == 1


def test_progress_is_a_timeline(slot: DecidedSlot) -> None:
    """In the order in which it came, with who caused it; the reply returns it as JSON."""
    book = RequestBook()
    book.on_progress(effects.Progress(rid(1), Stage.ACCEPTED, ReplicaId(0)))
    book.on_progress(effects.Progress(rid(1), Stage.COMMITTED, ReplicaId(2)))
    kept = json.loads(book.on_reply(effects.Reply(rid(1), slot, 0, final=True)))
    assert [(entry["stage"], entry["replica"]) for entry in kept] == [
        ("accepted", 0),
        ("committed", 2),
    ]
    state = book.get(rid(1))
    assert state is not None
    assert state.finished.is_set()
    assert state.attempts == [(slot, 0)]
    assert book.open_count == 0


def test_only_the_last_attempt_finishes_a_request(slot: DecidedSlot) -> None:
    """Whoever waits goes on waiting while the models are asked again."""
    book = RequestBook()
    state = book.open(rid(1))
    book.on_reply(effects.Reply(rid(1), slot, 0, final=False))
    assert not state.finished.is_set()
    book.on_reply(effects.Reply(rid(1), slot, 0, final=True))
    assert state.finished.is_set()
    assert state.attempts == [(slot, 0), (slot, 0)]


def test_a_rejection_wakes_who_waits() -> None:
    """With the reason, and nothing decided."""
    book = RequestBook()
    state = book.open(rid(1))
    book.on_rejected(rid(1), "full")
    assert state.finished.is_set()
    assert (state.rejected, state.attempts) == ("full", [])


def test_a_timeline_is_bounded() -> None:
    """A peer that repeats itself for ever does not fill the memory."""
    book = RequestBook()
    book.on_progress(effects.Progress(rid(1), Stage.ACCEPTED, ReplicaId(0)))
    for _ in range(5_000):
        book.on_progress(effects.Progress(rid(1), Stage.COMMITTED, ReplicaId(0)))
    state = book.get(rid(1))
    assert state is not None
    assert len(state.timeline) <= 1_024


def test_finished_requests_make_room(slot: DecidedSlot) -> None:
    """The oldest goes first; open ones stay, because somebody waits for them."""
    book = RequestBook()
    waiting = book.open(rid(0))
    for number in range(1, REMEMBERED_MAX + 500):
        book.on_reply(effects.Reply(rid(number), slot, 0, final=True))
    assert len(book._states) == REMEMBERED_MAX
    assert book.get(rid(0)) is waiting
    assert book.get(rid(1)) is None
    assert book.get(rid(REMEMBERED_MAX + 499)) is not None


def test_commitments_to_requests_that_do_not_exist_take_bounded_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A lying member commits to made-up requests without end: each is progress here, none is ever
    finished, and the core forgets them; so must the book."""
    monkeypatch.setattr(requests, "REMEMBERED_MAX", 64)
    book = RequestBook()
    for number in range(1_000):
        book.on_progress(effects.Progress(rid(number), Stage.COMMITTED, ReplicaId(3)))
    assert len(book._states) <= 2 * 64


def test_who_waits_is_never_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many made-up requests a lying member commits to."""
    monkeypatch.setattr(requests, "REMEMBERED_MAX", 64)
    book = RequestBook()
    mine = book.open(rid(0))
    book.on_progress(effects.Progress(rid(0), Stage.ACCEPTED, ReplicaId(0)))
    for number in range(1, 1_000):
        book.on_progress(effects.Progress(rid(number), Stage.COMMITTED, ReplicaId(3)))
    assert book.get(rid(0)) is mine


def test_a_new_question_is_remembered_in_a_full_book(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many accepted questions are still open: room is not made by forgetting the one that
    has just come, whose asker would wait for ever."""
    monkeypatch.setattr(requests, "REMEMBERED_MAX", 64)
    book = RequestBook()
    for number in range(64):
        book.on_progress(effects.Progress(rid(number), Stage.ACCEPTED, ReplicaId(1)))
    mine = book.open(rid(1_000))
    assert book.get(rid(1_000)) is mine
    book.on_progress(effects.Progress(rid(1_000), Stage.ACCEPTED, ReplicaId(0)))
    assert mine.accepted.is_set()
