"""The ledger of decided slots: ordered, chained, and rebuilt from the log when it is lost."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest

from daemon.errors import StorageFailed
from daemon.ledger import Ledger
from pbft import digest, effects, events
from pbft.context import Configuration
from pbft.messages import DecidedSlot
from pbft.policy import Policy
from pbft.replica import Replica
from pbft.state import after, first_state
from pbft.types import RequestId, SequenceNumber
from tests.support.cluster import NETWORK, Cluster
from tests.support.keyring import keyring, membership, public_key


@pytest.fixture(scope="module")
def life() -> Cluster:
    """A cluster that decided five questions."""
    cluster = Cluster(4)
    for number in range(5):
        cluster.ask(node=number % 4, prompt=f"Question {number}?")
        cluster.settle(4)
    assert sorted(cluster.nodes[0].ledger) == [1, 2, 3, 4, 5]
    return cluster


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


def slots(life: Cluster) -> list[DecidedSlot]:
    return [life.nodes[0].ledger[number] for number in range(1, 6)]


def applied(life: Cluster, chosen: list[DecidedSlot]) -> list[effects.Apply]:
    """The slots as a replica hands them on, each with the state that it leads to."""
    states, state = {}, first_state(membership(4), Policy())
    for slot in slots(life):
        state = after(state, slot)
        states[slot.sequence_number] = state
    return [
        effects.Apply(slot.sequence_number, slot, states.get(slot.sequence_number, state))
        for slot in chosen
    ]


def request_id(slot: DecidedSlot, index: int = 0) -> RequestId:
    return digest.request_id(slot.batch[index].request.message)


def test_what_was_appended_is_found(life: Cluster, ledger: Ledger) -> None:
    """By number and by request, with its place in the batch."""
    ledger.append(applied(life, slots(life)))
    assert ledger.height == 5
    for slot in slots(life):
        assert ledger.slot(slot.sequence_number) == slot
        assert ledger.attempts(request_id(slot)) == ([(slot, 0)], True)
    assert ledger.slot(6) is None
    assert ledger.attempts(RequestId(bytes(32))) == ([], False)


def test_items_of_one_batch_are_found_at_their_place(life: Cluster, ledger: Ledger) -> None:
    """A batch answers several requests."""
    first, second, *_ = slots(life)
    both = replace(first, batch=(*first.batch, *second.batch))
    ledger.append(applied(life, [both]))
    assert ledger.attempts(request_id(first)) == ([(both, 0)], True)
    assert ledger.attempts(request_id(second)) == ([(both, 1)], True)


def test_what_it_holds_already_is_skipped(life: Cluster, ledger: Ledger) -> None:
    """Recovery hands on slots again; nothing changes by it."""
    ledger.append(applied(life, slots(life)[:3]))
    ledger.append(applied(life, slots(life)))
    ledger.append(applied(life, slots(life)))
    assert ledger.height == 5
    assert ledger.slot(2) == slots(life)[1]


def test_a_restart_goes_on_where_it_was(life: Cluster, tmp_path: Path) -> None:
    """Height and chain continue over any number of restarts."""
    chains = []
    for name, cuts in (("whole", [0, 5]), ("pieces", [0, 1, 3, 5])):
        path = tmp_path / name
        for start, end in pairwise(cuts):
            ledger = Ledger(path)
            assert ledger.height == start
            ledger.append(applied(life, slots(life)[start:end]))
            ledger.close()
        chains.append(chain(path))
    assert chains[0] == chains[1]


def chain(path: Path) -> list[bytes]:
    database = sqlite3.connect(path)
    try:
        return [
            row[0] for row in database.execute("SELECT chain FROM slots ORDER BY sequence_number")
        ]
    finally:
        database.close()


def test_entries_are_chained_by_hashes(life: Cluster, tmp_path: Path) -> None:
    """Each entry's hash is over the one before and the batch, from 32 zeros on."""
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append(applied(life, slots(life)))
    ledger.close()
    expected, last = [], bytes(32)
    for slot in slots(life):
        batch = digest.batch_digest(tuple(digest.item_digest(item) for item in slot.batch))
        domain = b"qnode/1 ledger"
        last = sha256(bytes([len(domain)]) + domain + last + batch).digest()
        expected.append(last)
    assert chain(tmp_path / "ledger.sqlite") == expected


def test_timelines_are_kept_and_replaced(ledger: Ledger) -> None:
    """The last one counts; none is None."""
    key = RequestId(bytes(32))
    assert ledger.timeline(key) is None
    ledger.append([], [(key, "[]")])
    ledger.append([], [(key, "[1]")])
    assert ledger.timeline(key) == "[1]"


def test_a_file_that_is_no_ledger_is_a_sentence(tmp_path: Path) -> None:
    """The operator learns that it can be rebuilt, and how."""
    (tmp_path / "ledger.sqlite").write_bytes(b"rubbish" * 1_000)
    with pytest.raises(StorageFailed, match="move the file away if it is damaged") as caught:
        Ledger(tmp_path / "ledger.sqlite")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("pages", [1, 8, 16])
def test_a_full_disk_changes_nothing(life: Cluster, tmp_path: Path, pages: int) -> None:
    """A batch of slots is all in the ledger or not at all, and its tip says which."""
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append(applied(life, slots(life)[:1]))
    database = ledger._database
    (used,) = database.execute("PRAGMA page_count").fetchone()
    (free,) = database.execute("PRAGMA freelist_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {used - free + pages}")
    with pytest.raises(StorageFailed, match="full"):
        ledger.append(applied(life, [*slots(life)[1:], *_many(slots(life)[4])]))
    assert ledger.slot(2) is None
    assert ledger.height == 1
    database.execute("PRAGMA max_page_count = 100000")
    ledger.append(applied(life, slots(life)))
    assert ledger.height == 5
    assert [ledger.slot(number) for number in range(1, 6)] == slots(life)
    ledger.close()


def _many(slot: DecidedSlot) -> list[DecidedSlot]:
    return [
        replace(
            slot,
            commits=tuple(
                replace(c, message=replace(c.message, sequence_number=SequenceNumber(number)))
                for c in slot.commits
            ),
        )
        for number in range(6, 40)
    ]


@pytest.mark.parametrize("kept", [0, 1, 3, 5])
def test_a_lost_ledger_is_rebuilt_from_the_log(life: Cluster, tmp_path: Path, kept: int) -> None:
    """However much of the ledger survived, the log brings the rest, with the same chain."""
    whole = Ledger(tmp_path / "whole")
    whole.append(applied(life, slots(life)))
    whole.close()
    ledger = Ledger(tmp_path / "lost")
    ledger.append(applied(life, slots(life)[:kept]))
    replica = Replica(
        Configuration(NETWORK, public_key(0), membership(4), Policy()),
        keyring(0),
        tuple(life.nodes[0].log),
        ledger.tip(),
    )
    turn = replica.step(events.Started())
    ledger.append([effect for effect in turn if isinstance(effect, effects.Apply)])
    assert ledger.height == 5
    for slot in slots(life):
        assert ledger.attempts(request_id(slot)) == ([(slot, 0)], True)
    ledger.close()
    assert chain(tmp_path / "lost") == chain(tmp_path / "whole")
