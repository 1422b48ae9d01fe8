"""The replica's log: what was flushed is there after any crash, or the node does not start."""

import errno
import os
from pathlib import Path

import pytest

from daemon.datafolder import DataFolder
from daemon.errors import AlreadyRunning, StorageFailed, UsageError
from daemon.recordlog import RecordLog
from pbft import digest
from pbft.errors import Malformed
from pbft.journal import decode_record, encode_record
from pbft.membership import Leave
from pbft.messages import Checkpoint, Endorsement
from pbft.policy import Policy
from pbft.records import (
    RECORD_KINDS,
    AnswerDrawn,
    Endorsed,
    EpochBegun,
    EpochEnded,
    Forgot,
    Record,
    StableCheckpoint,
)
from pbft.types import Epoch, ReplicaId, RequestId, SequenceNumber
from tests.support.cluster import Cluster, answer
from tests.support.disk import failing, full_after
from tests.support.forge import sign
from tests.support.keyring import membership

NETWORK = bytes(range(32))
OTHER = bytes(32)


def log_of_a_life() -> tuple[Record, ...]:
    """Every kind of record, as a replica wrote them that answered a question, became the primary,
    answered another, reached a checkpoint, endorsed a change, saw an epoch end and lost its log."""
    cluster = Cluster(4)
    cluster.ask(node=0)
    cluster.settle()
    cluster.crash(0)
    cluster.ask(node=2)
    cluster.settle()
    checkpoint = sign(
        Checkpoint(NETWORK, Epoch(0), SequenceNumber(64), digest.DIGEST_ZERO, ReplicaId(1))
    )
    wish = sign(Endorsement(NETWORK, Epoch(0), Leave(ReplicaId(3)), ReplicaId(1)))
    members = membership(4)
    ended = EpochEnded(checkpoint, members, members, Policy(), bytes(32))
    after = (
        StableCheckpoint((checkpoint,)),
        Endorsed(wish),
        ended,
        Forgot(bytes(32)),
        EpochBegun(Epoch(0)),
    )
    records = (*cluster.nodes[1].log, *after)
    assert {type(record) for record in records} == set(RECORD_KINDS)
    return records


def drawn(number: int, text: str = "Paris") -> Record:
    """A small record."""
    return AnswerDrawn(RequestId(number.to_bytes(32, "big")), 0, answer(text), bytes(32))


def written(path: Path, *batches: tuple[Record, ...]) -> bytes:
    """The bytes of a log to which these batches were appended."""
    log = RecordLog(path, NETWORK)
    for batch in batches:
        log.append(batch)
    log.close()
    return path.read_bytes()


def recovered(path: Path, data: bytes) -> tuple[tuple[Record, ...], int]:
    path.write_bytes(data)
    log = RecordLog(path, NETWORK)
    log.close()
    return log.recovered.records, log.recovered.torn_bytes


def test_every_kind_of_record_comes_back(tmp_path: Path) -> None:
    """In order, over restarts, appended one by one or together."""
    records = log_of_a_life()
    half = len(records) // 2
    path = tmp_path / "log"
    log = RecordLog(path, NETWORK)
    assert log.recovered.records == ()
    for record in records[:half]:
        log.append([record])
    log.close()
    log = RecordLog(path, NETWORK)
    assert log.recovered.records == records[:half]
    log.append(records[half:])
    log.close()
    log = RecordLog(path, NETWORK)
    log.close()
    assert log.recovered.records == records
    assert log.recovered.torn_bytes == 0


def test_a_log_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    """Salts of answers that are not revealed yet are in it."""
    before = os.umask(0)
    try:
        written(tmp_path / "log")
    finally:
        os.umask(before)
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_each_append_is_one_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many records share a flush, and the flush comes after all the bytes."""
    calls: list[str] = []
    real_write, real_sync = os.write, os.fdatasync

    def write(descriptor: int, data: bytes) -> int:
        calls.append("write")
        return real_write(descriptor, data)

    def sync(descriptor: int) -> None:
        calls.append("flush")
        real_sync(descriptor)

    log = RecordLog(tmp_path / "log", NETWORK)
    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(os, "fdatasync", sync)
    log.append([drawn(number) for number in range(5)])
    log.close()
    assert calls == ["write", "flush"]


def test_a_crash_at_any_byte_of_an_append_costs_only_that_append(tmp_path: Path) -> None:
    """Whatever part of the last write reached the disk, all earlier records are there, no half
    record is, and the next append follows cleanly."""
    earlier = (drawn(1), drawn(2, "Lyon"))
    before = len(written(tmp_path / "a", earlier))
    data = written(tmp_path / "b", earlier, (drawn(3),))
    path = tmp_path / "log"
    for length in range(before, len(data)):
        assert recovered(path, data[:length]) == (earlier, length - before)
        log = RecordLog(path, NETWORK)
        log.append([drawn(4)])
        log.close()
        log = RecordLog(path, NETWORK)
        log.close()
        assert log.recovered.records == (*earlier, drawn(4))


def test_a_crash_in_a_batch_keeps_its_whole_records(tmp_path: Path) -> None:
    """A batch that was cut is a beginning of it, record by record."""
    batch = (drawn(1), drawn(2), drawn(3))
    data = written(tmp_path / "a", batch)
    seen = set()
    for length in range(len(data)):
        records, _ = recovered(tmp_path / "log", data[:length])
        assert records == batch[: len(records)]
        seen.add(len(records))
    assert seen == {0, 1, 2}


def test_room_that_was_allocated_and_not_written_is_torn(tmp_path: Path) -> None:
    """Some file systems leave zeros where the end of the file was moved before the data came."""
    earlier = (drawn(1),)
    data = written(tmp_path / "a", earlier)
    for zeros in (1, 3, 4, 19, 20, 21, 300, 5_000):
        assert recovered(tmp_path / "log", data + bytes(zeros)) == (earlier, zeros)


def test_a_long_record_whose_end_was_not_written_is_torn(tmp_path: Path) -> None:
    """A crash may write the first page of an append and leave the others zero."""
    earlier = (drawn(1),)
    before = len(written(tmp_path / "a", earlier))
    data = written(tmp_path / "b", earlier, (drawn(2, "Paris " * 2_000),))
    for kept in (4_096, 8_192):
        torn = data[:kept] + bytes(len(data) - kept)
        assert recovered(tmp_path / "log", torn) == (earlier, len(data) - before)


@pytest.mark.parametrize("bit", [0x01, 0x80])
def test_a_bit_that_flips_is_never_overlooked(tmp_path: Path, bit: int) -> None:
    """Every byte that was flushed: the node refuses to start, in one sentence, and changes nothing.

    To take a damaged record for an unfinished one would drop it and all that follow, and the node
    could contradict what it signed.
    """
    records = (drawn(1), drawn(2), drawn(3))
    data = written(tmp_path / "a", records)
    path = tmp_path / "log"
    overlooked = []
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= bit
        path.write_bytes(changed)
        if (sentence := refusal(path)) is None:
            overlooked.append(position)
            continue
        assert "\n" not in sentence
        assert str(path) in sentence
        assert path.read_bytes() == changed
    assert overlooked == []


def refusal(path: Path) -> str | None:
    """Why the log is not taken; None if it is."""
    try:
        RecordLog(path, NETWORK).close()
    except UsageError as error:
        return str(error)
    return None


@pytest.mark.parametrize("missing", [1, 2])
def test_a_record_that_vanished_from_the_middle_is_noticed(tmp_path: Path, missing: int) -> None:
    """Bytes cut out of the middle are damage, not a torn tail."""
    data = written(tmp_path / "a", (drawn(1), drawn(2), drawn(3)))
    middle = len(data) // 2
    with pytest.raises(UsageError, match="is damaged at byte"):
        recovered(tmp_path / "log", data[:middle] + data[middle + missing :])


def test_the_log_of_another_network_is_refused(tmp_path: Path) -> None:
    """Records of one network would be nonsense in another."""
    path = tmp_path / "log"
    before = written(path, (drawn(1),))
    with pytest.raises(UsageError, match="belongs to another network"):
        RecordLog(path, OTHER)
    assert path.read_bytes() == before


@pytest.mark.parametrize("data", [b"x", b"qnode log 3\n", b"SQLite format 3\0" + bytes(100)])
def test_a_file_that_is_no_log_is_left_alone(tmp_path: Path, data: bytes) -> None:
    """A file of something else is not overwritten."""
    with pytest.raises(UsageError, match="is no log of qnode"):
        recovered(tmp_path / "log", data)
    assert (tmp_path / "log").read_bytes() == data


def test_a_crash_at_any_byte_of_a_new_log(tmp_path: Path) -> None:
    """Until its first flush the log is empty, however much of its head is on disk."""
    head = written(tmp_path / "a")
    for length in range(len(head) + 1):
        assert recovered(tmp_path / "log", head[:length]) == ((), 0)
        assert (tmp_path / "log").read_bytes() == head


def test_a_full_disk_leaves_nothing_of_the_batch(tmp_path: Path) -> None:
    """Wherever the disk runs full: one sentence, no trace, and room makes it work again."""
    earlier = (drawn(1),)
    path = tmp_path / "log"
    before = written(path, earlier)
    batch = (drawn(2), drawn(3))
    size = len(written(tmp_path / "whole", earlier, batch)) - len(before)
    log = RecordLog(path, NETWORK)
    for room in range(0, size, 7):
        with full_after(room), pytest.raises(StorageFailed) as caught:
            log.append(batch)
        assert "No space left on device" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert path.read_bytes() == before
    log.append(batch)
    log.close()
    assert recovered(path, path.read_bytes()) == ((*earlier, *batch), 0)


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`write` may take less than it was given; the record is whole all the same."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:5]))
    written(tmp_path / "log", (drawn(1), drawn(2)))
    monkeypatch.undo()
    assert recovered(tmp_path / "log", (tmp_path / "log").read_bytes())[0] == (drawn(1), drawn(2))


def test_a_flush_that_fails_leaves_nothing_of_the_batch(tmp_path: Path) -> None:
    """Bytes that may not be on disk must not be found there later as if they had been promised."""
    path = tmp_path / "log"
    before = written(path, (drawn(1),))
    log = RecordLog(path, NETWORK)
    with failing("fdatasync"), pytest.raises(StorageFailed, match="Input/output error"):
        log.append([drawn(2)])
    assert path.read_bytes() == before
    log.append([drawn(3)])
    log.close()
    assert recovered(path, path.read_bytes())[0] == (drawn(1), drawn(3))


@pytest.mark.parametrize("name", ["open", "write", "fsync", "ftruncate"])
def test_a_log_that_cannot_be_made_is_a_sentence(tmp_path: Path, name: str) -> None:
    """A disk that is full or broken when the node starts is told apart from a damaged log."""
    with failing(name, errno.ENOSPC), pytest.raises(StorageFailed, match="No space left"):
        RecordLog(tmp_path / "log", NETWORK)
    written(tmp_path / "log", (drawn(1),))


def test_the_greatest_record_is_read_back(tmp_path: Path) -> None:
    """What the core may persist, recovery accepts."""
    records = (drawn(1, "x" * 16_384),)
    data = written(tmp_path / "a", records)
    assert recovered(tmp_path / "log", data)[0] == records


@pytest.mark.parametrize("body", [b"", bytes([len(RECORD_KINDS)]), b"\xff", b"\x00", b"\x00\x80"])
def test_bytes_that_are_no_record(body: bytes) -> None:
    """An unknown kind or a foreign content raises `Malformed`."""
    with pytest.raises(Malformed):
        decode_record(body)


def test_the_numbers_of_the_kinds_on_disk() -> None:
    """They are in files of old versions: append only."""
    names = [kind.__name__ for kind in RECORD_KINDS]
    assert names[:9] == [
        "RequestAccepted", "AnswerDrawn", "Sealed", "ProposalAccepted", "Prepared", "Decided",
        "StableCheckpoint", "ViewLeft", "ViewEntered",
    ]  # fmt: skip
    for record in log_of_a_life():
        assert encode_record(record)[0] == RECORD_KINDS.index(type(record))


# --- the folder --------------------------------------------------------------------------------


def test_a_data_folder_is_held_by_one_process(tmp_path: Path) -> None:
    """The second is told so and changes nothing; when the first ends, the folder is free."""
    first = DataFolder(tmp_path / "data")
    with pytest.raises(AlreadyRunning, match="this node is running already"):
        DataFolder(tmp_path / "data")
    first.close()
    DataFolder(tmp_path / "data").close()


def test_a_data_folder_that_cannot_be(tmp_path: Path) -> None:
    """A file in its place is a sentence."""
    (tmp_path / "data").write_text("")
    with pytest.raises(UsageError, match=r"The data folder .* cannot be used"):
        DataFolder(tmp_path / "data")
    with pytest.raises(UsageError, match=r"The data folder .* cannot be used"):
        DataFolder(tmp_path / "data" / "deeper")


def test_a_replaced_log_is_the_new_one_and_goes_on(tmp_path: Path) -> None:
    """After a checkpoint the log holds the live records, and what is appended follows them."""
    path = tmp_path / "log"
    log = RecordLog(path, NETWORK)
    log.append([drawn(1), drawn(2)])
    log.replace([drawn(2)])
    log.append([drawn(3)])
    log.close()
    assert recovered(path, path.read_bytes())[0] == (drawn(2), drawn(3))


@pytest.mark.parametrize("name", ["write", "fsync", "open"])
def test_a_replacement_that_fails_leaves_the_old_log(tmp_path: Path, name: str) -> None:
    """A full disk at a checkpoint loses nothing: the old log is whole."""
    path = tmp_path / "log"
    log = RecordLog(path, NETWORK)
    log.append([drawn(1), drawn(2)])
    before = path.read_bytes()
    with failing(name, errno.ENOSPC), pytest.raises(StorageFailed, match="No space left"):
        log.replace([drawn(2)])
    log.close()
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log"]


# --- a log that is lost ------------------------------------------------------------------------


def test_a_damaged_log_is_set_aside_and_a_new_one_says_so(tmp_path: Path) -> None:
    """Where the others can go on without this node: the damaged bytes are kept for whoever wants to
    know, and the new log begins with the record that keeps the replica silent."""
    path = tmp_path / "log"
    data = bytearray(written(path, (drawn(1), drawn(2), drawn(3))))
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    log = RecordLog(path, NETWORK, may_forget=True)
    (forgot,) = log.recovered.records
    assert isinstance(forgot, Forgot)
    assert "is damaged at byte" in log.recovered.lost
    log.append([drawn(4)])
    log.close()
    assert (tmp_path / "log.damaged-1").read_bytes() == bytes(data)
    again = RecordLog(path, NETWORK, may_forget=True)
    assert again.recovered.records == (forgot, drawn(4))
    assert again.recovered.lost == ""
    again.close()


@pytest.mark.parametrize("may_forget", [True, False])
def test_a_log_that_vanished_is_a_lost_log(tmp_path: Path, may_forget: bool) -> None:
    """The ledger shows that there was one: to begin with an empty log would be forgetting."""
    if may_forget:
        log = RecordLog(tmp_path / "log", NETWORK, height=7, may_forget=True)
        assert [type(record) for record in log.recovered.records] == [Forgot]
        assert "is missing" in log.recovered.lost
        log.close()
    else:
        with pytest.raises(UsageError, match="Restore the data folder from a backup"):
            RecordLog(tmp_path / "log", NETWORK, height=7)


def test_every_second_damage_gets_a_name_of_its_own(tmp_path: Path) -> None:
    """No damaged log is ever overwritten."""
    path = tmp_path / "log"
    for number in (1, 2, 3):
        data = bytearray(written(path, (drawn(number),)))
        data[-1] ^= 1
        path.write_bytes(data)
        RecordLog(path, NETWORK, may_forget=True).close()
        assert (tmp_path / f"log.damaged-{number}").read_bytes() == bytes(data)
