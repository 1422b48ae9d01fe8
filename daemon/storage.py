"""What survives a crash: the replica's log and the ledger of decided slots.

The log is a file of records, each flushed to the disk before any message that depends on it is
sent. The ledger is an SQLite database that can be rebuilt from the log, so that it need not be
flushed at every decision; its entries are chained by hashes.
"""

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, NoReturn

from daemon.errors import AlreadyRunning, StorageFailed, UsageError
from pbft import digest
from pbft.codec import decode_value, encode_value
from pbft.effects import Apply
from pbft.errors import Malformed
from pbft.execution import Tip
from pbft.history import REMEMBERED_MAX
from pbft.messages import DecidedSlot, Entry, EpochCertificate, Item, Request, items
from pbft.records import RECORD_KINDS, Forgot, Record
from pbft.state import State
from pbft.types import MESSAGE_BYTES_MAX, RequestId

_MAGIC = b"qnode log 2\n"
_LENGTH_BYTES = 4
_CHECKSUM_BYTES = 8
_HEADER_BYTES = _LENGTH_BYTES + 2 * _CHECKSUM_BYTES
_PAGE_BYTES = 4096
_RECORD_BYTES_MAX = 4 * MESSAGE_BYTES_MAX
_REQUESTS_REMEMBERED_MAX = 4 * REMEMBERED_MAX


class DataFolder:
    """The node's data folder, held by one process at a time."""

    def __init__(self, path: Path) -> None:
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise UsageError(f"The data folder {path} cannot be used: {error.strerror}.") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise AlreadyRunning(
                f"Another process uses the data folder {path}: this node is running already. "
                "Stop it first, or give the second node its own folder and key."
            ) from None
        self.path = path

    def close(self) -> None:
        os.close(self._lock)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a log file held."""

    records: tuple[Record, ...]
    torn_bytes: int
    """Length of an unfinished last record, cut off: it was never flushed, so nothing that
    depended on it was sent."""
    lost: str = ""
    """What happened to the log, if it was lost: then its only record is `Forgot`."""


class RecordLog:
    """Append-only file of records: length, BLAKE2b checksums of the length and of the body, body.

    The length has its own checksum, so that a changed one is not taken for a record that ends
    after the file.

    A damaged log is set aside, and a new one begun that says so: the node may then say nothing in
    this epoch, and gets back in through a new one (`pbft.membership.Renew`). Likewise a log that is
    missing although the ledger reaches to `height`. With `may_forget` false, because the others can
    not go on without this node, that is an error instead.
    """

    def __init__(
        self, path: Path, network: bytes, *, height: int = 0, may_forget: bool = False
    ) -> None:
        self._path = path
        self._prefix = _MAGIC + network
        self._may_forget = may_forget
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                self.recovered = self._recover(height)
            except _Damaged as damage:
                self.recovered = self._begin_anew(damage)
        except OSError as error:
            self._failed(error)

    def _begin_anew(self, damage: "_Damaged") -> Recovered:
        what = f"The log {self._path} {damage}"
        if not self._may_forget:
            raise UsageError(
                f"{what}. Restore the data folder from a backup: the network is too small to go on "
                "without this node, and a node that forgot what it signed must not go on."
            )
        aside = _free_name(self._path)
        if self._path.stat().st_size > len(self._prefix):
            # A second name first: at no instant is there no log at all.
            os.link(self._path, aside)
        forgot = Forgot(secrets.token_bytes(32))
        self.replace([forgot])
        return Recovered((forgot,), 0, lost=what)

    def _recover(self, height: int) -> Recovered:
        data = self._path.read_bytes()
        if len(data) < len(self._prefix) and self._prefix.startswith(data):
            if height:
                raise _Damaged("is missing or empty, though the ledger is not")
            os.ftruncate(self._file, 0)  # new, or a crash before the first flush
            _write_all(self._file, self._prefix)
            os.fsync(self._file)
            _flush_folder(self._path.parent)
            return Recovered((), 0)
        if not data.startswith(self._prefix):
            raise UsageError(
                f"{self._path} belongs to another network or is no log of qnode; give this node "
                "a data folder of its own."
            )
        records: list[Record] = []
        position = len(self._prefix)
        while position < len(data):
            body = self._body_at(data, position)
            if body is None:
                break
            try:
                records.append(decode_record(body))
            except Malformed:
                self._damaged(position)
            position += _HEADER_BYTES + len(body)
        torn = len(data) - position
        if torn:
            os.ftruncate(self._file, position)
            os.fsync(self._file)
        return Recovered(tuple(records), torn)

    def _body_at(self, data: bytes, position: int) -> bytes | None:
        """The record's body; None for a torn tail.

        Torn is only what a crash in the middle of an append leaves: the file ends early, or its
        last pages were allocated and not written and are zero. Anything else was once flushed and
        has changed since: to drop it could make this node contradict what it signed.
        """
        header = data[position : position + _HEADER_BYTES]
        if len(header) < _HEADER_BYTES or not data[position:].strip(b"\0"):
            return None
        length = header[:_LENGTH_BYTES]
        if _checksum(length) != header[_LENGTH_BYTES : _LENGTH_BYTES + _CHECKSUM_BYTES]:
            self._damaged(position)
        start = position + _HEADER_BYTES
        end = start + int.from_bytes(length, "big")
        body = data[start:end]
        if end > len(data):
            return None
        if _checksum(body) != header[_LENGTH_BYTES + _CHECKSUM_BYTES :]:
            if end == len(data) and _ends_in_empty_pages(data, start):
                return None
            self._damaged(position)
        return body

    def _damaged(self, position: int) -> NoReturn:
        raise _Damaged(f"is damaged at byte {position}: the disk changed what was written")

    def append(self, records: Sequence[Record], *, flush: bool = True) -> None:
        """Writes the records, and flushes once all that was written. On an error nothing of them
        remains."""
        data = b"".join(map(_frame, records))
        try:
            before = os.fstat(self._file).st_size
            try:
                _write_all(self._file, data)
                if flush:
                    os.fdatasync(self._file)
            except OSError:
                os.ftruncate(self._file, before)
                raise
        except OSError as error:
            self._failed(error)

    def replace(self, records: Sequence[Record]) -> None:
        """Makes these records the whole log, in one step: after a crash it is the old or the
        new one."""
        new = self._path.with_suffix(".new")
        try:
            file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
            try:
                _write_all(file, self._prefix + b"".join(map(_frame, records)))
                os.fsync(file)
                new.replace(self._path)
                _flush_folder(self._path.parent)
            except OSError:
                os.close(file)
                new.unlink(missing_ok=True)
                raise
        except OSError as error:
            self._failed(error)
        os.close(self._file)
        self._file = file

    def _failed(self, error: OSError) -> NoReturn:
        raise StorageFailed(
            f"The log {self._path} cannot be written: {error.strerror}. Nothing that was accepted "
            "is lost; make room or repair the disk, and start the node again."
        ) from None

    def close(self) -> None:
        os.close(self._file)


class _Damaged(Exception):
    """`str()` says what is wrong, as the end of a sentence about the log."""


def _free_name(path: Path) -> Path:
    """Where a damaged log is kept for whoever wants to know."""
    numbers = range(1, 10_000)
    names = (path.with_suffix(f"{path.suffix}.damaged-{number}") for number in numbers)
    return next(name for name in names if not name.exists())


def _frame(record: Record) -> bytes:
    body = encode_record(record)
    length = len(body).to_bytes(_LENGTH_BYTES, "big")
    return length + _checksum(length) + _checksum(body) + body


def _write_all(file: int, data: bytes) -> None:
    written = 0
    while written < len(data):
        written += os.write(file, data[written:])


def encode_record(record: Record) -> bytes:
    kind = RECORD_KINDS.index(type(record))
    return kind.to_bytes(1, "big") + encode_value(record)


def decode_record(body: bytes) -> Record:
    """Inverse of `encode_record`; raises `Malformed`."""
    if not body or body[0] >= len(RECORD_KINDS):
        raise Malformed("unknown kind of record")
    record: Record = decode_value(body[1:], RECORD_KINDS[body[0]], bytes_max=_RECORD_BYTES_MAX)
    return record


def _ends_in_empty_pages(data: bytes, start: int) -> bool:
    """Whether the file is zero from some page boundary after `start` on."""
    written = len(data.rstrip(b"\0"))
    boundary = -(-max(written, start) // _PAGE_BYTES) * _PAGE_BYTES
    return boundary < len(data)


def _checksum(data: bytes) -> bytes:
    return blake2b(data, digest_size=_CHECKSUM_BYTES).digest()


def _flush_folder(path: Path) -> None:
    """Makes a new file's name durable."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


_VERSION = 2

_SCHEMA = """
CREATE TABLE IF NOT EXISTS slots (
    sequence_number INTEGER PRIMARY KEY,
    slot BLOB NOT NULL,            -- canonical CBOR of a DecidedSlot
    chain BLOB NOT NULL            -- digest over all batches up to this one
) STRICT;
CREATE TABLE IF NOT EXISTS state (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    state BLOB NOT NULL            -- canonical CBOR of the State after the last slot
) STRICT;
CREATE TABLE IF NOT EXISTS requests (
    request_id BLOB NOT NULL,
    attempt INTEGER NOT NULL,
    sequence_number INTEGER NOT NULL,
    item_index INTEGER NOT NULL,
    final INTEGER NOT NULL,        -- whether no further attempt follows
    PRIMARY KEY (request_id, attempt)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS motions (
    sequence_number INTEGER NOT NULL,
    entry_index INTEGER NOT NULL,  -- of a change or an accusation
    PRIMARY KEY (sequence_number, entry_index)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS epochs (
    epoch INTEGER PRIMARY KEY,
    certificate BLOB NOT NULL      -- canonical CBOR of an EpochCertificate
) STRICT;
CREATE TABLE IF NOT EXISTS timelines (
    request_id BLOB PRIMARY KEY,
    timeline TEXT NOT NULL         -- JSON; local clock, for people
) STRICT, WITHOUT ROWID;
"""


class Ledger:
    """Decided slots in sequence order, without gaps, and the proofs of epochs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            # The connection moves between worker threads, one at a time.
            self._database = sqlite3.connect(path, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._reader = sqlite3.connect(path, check_same_thread=False)
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._check_version()
            self._database.executescript(_SCHEMA)
            row = self._database.execute("SELECT max(sequence_number) FROM slots").fetchone()
            epochs = self._database.execute("SELECT certificate FROM epochs ORDER BY epoch")
            self._epochs = [
                decode_value(certificate, EpochCertificate) for (certificate,) in epochs
            ]
        except sqlite3.Error as error:
            self._failed(error)
        self._height: int = row[0] or 0

    def _check_version(self) -> None:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables and version != _VERSION:
            raise UsageError(
                f"The ledger {self._path} was written by another version of qnode. Move the data "
                "folder away; the other members send the ledger again."
            )
        self._database.execute(f"PRAGMA user_version = {_VERSION}")

    @property
    def height(self) -> int:
        """Number of the last slot."""
        return self._height

    def tip(self) -> Tip:
        """Where the ledger ends, for a replica that starts."""
        row = self._query("SELECT state FROM state")
        state = decode_value(row[0], State, bytes_max=_RECORD_BYTES_MAX) if row else None
        open_requests = {r.request_id for r in state.open_requests} if state else set()
        recent: list[Request] = []
        number = self._height
        while number > 0 and len(recent) < _REQUESTS_REMEMBERED_MAX:
            slot = self.slot(number)
            for _, item in reversed(items(slot.batch) if slot else []):
                if digest.request_id(item.request.message) not in open_requests:
                    recent.append(item.request.message)
            number -= 1
        newest = self._epochs[-1] if self._epochs else None
        return Tip(state, tuple(reversed(recent)), newest)

    def append(
        self,
        applied: Sequence[Apply],
        timelines: Sequence[tuple[RequestId, str]] = (),
        epochs: Sequence[EpochCertificate] = (),
    ) -> None:
        """The slots that follow the last one, in order; those it holds already are skipped. In the
        same transaction the time lines of requests, and proofs of epochs."""
        fresh = [apply for apply in applied if apply.sequence_number > self._height]
        proven = [e for e in epochs if e.membership.epoch > len(self._epochs)]
        try:
            with self._database:
                for apply in fresh:
                    self._append(apply)
                if fresh:
                    self._database.execute(
                        "INSERT OR REPLACE INTO state VALUES (0, ?)",
                        (encode_value(fresh[-1].state),),
                    )
                self._database.executemany(
                    "INSERT OR REPLACE INTO timelines VALUES (?, ?)", timelines
                )
                self._database.executemany(
                    "INSERT OR IGNORE INTO epochs VALUES (?, ?)",
                    [(e.membership.epoch, encode_value(e)) for e in proven],
                )
        except sqlite3.Error as error:
            self._failed(error)
        # What is remembered changes only when the transaction has succeeded.
        self._epochs += proven
        if fresh:
            self._height = fresh[-1].sequence_number

    def _append(self, apply: Apply) -> None:
        number, batch = apply.sequence_number, apply.slot.batch
        still_open = {request.request_id for request in apply.state.open_requests}
        self._database.execute(
            "INSERT INTO slots VALUES (?, ?, ?)",
            (number, encode_value(apply.slot), apply.state.chain),
        )
        rows = []
        for index, item in items(batch):
            request_id = digest.request_id(item.request.message)
            rows.append((request_id, item.attempt, number, index, request_id not in still_open))
        self._database.executemany("INSERT OR IGNORE INTO requests VALUES (?, ?, ?, ?, ?)", rows)
        self._database.executemany(
            "INSERT INTO motions VALUES (?, ?)",
            [(number, i) for i, entry in enumerate(batch) if not isinstance(entry, Item)],
        )

    def epochs(self, after: int = 0) -> list[EpochCertificate]:
        """The proofs of the epochs after this one, in order."""
        return self._epochs[after:]

    def motions(self) -> list[tuple[int, Entry]]:
        """All changes and accusations, with the numbers of their slots."""
        rows = self._all("SELECT sequence_number, entry_index FROM motions")
        slots = [(number, index, self.slot(number)) for number, index in rows]
        return [(number, slot.batch[index]) for number, index, slot in slots if slot]

    def flush(self) -> None:
        """On disk for good: the log may now forget what the ledger holds."""
        try:
            self._database.execute("PRAGMA wal_checkpoint(FULL)")
        except sqlite3.Error as error:
            self._failed(error)

    def slot(self, sequence_number: int) -> DecidedSlot | None:
        row = self._query("SELECT slot FROM slots WHERE sequence_number = ?", sequence_number)
        return decode_value(row[0], DecidedSlot, bytes_max=_RECORD_BYTES_MAX) if row else None

    def attempts(self, request_id: RequestId) -> tuple[list[tuple[DecidedSlot, int]], bool]:
        """The decided attempts at a request in order, each a slot and the place in its batch; and
        whether no further one follows."""
        rows = self._all(
            "SELECT sequence_number, item_index, final FROM requests WHERE request_id = ? "
            "ORDER BY attempt",
            request_id,
        )
        found = [(self.slot(number), index) for number, index, _ in rows]
        return [(slot, index) for slot, index in found if slot], bool(rows and rows[-1][2])

    def timeline(self, request_id: RequestId) -> str | None:
        row = self._query("SELECT timeline FROM timelines WHERE request_id = ?", request_id)
        return row[0] if row else None

    def _query(self, sql: str, *parameters: object) -> Any:
        return next(iter(self._all(sql, *parameters)), None)

    def _all(self, sql: str, *parameters: object) -> list[Any]:
        try:
            return self._reader.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            self._failed(error)

    def _failed(self, error: sqlite3.Error) -> NoReturn:
        raise StorageFailed(
            f"The ledger {self._path} cannot be used: {error}. Make room on the disk; "
            "move the file away if it is damaged, and the other members send it again."
        ) from None

    def close(self) -> None:
        self._reader.close()
        self._database.close()
