"""What survives a crash: the replica's log and the ledger of decided slots.

The log is a file of records, each flushed to the disk before any message that depends on it is
sent. The ledger is an SQLite database that can be rebuilt from the log, so that it need not be
flushed at every decision; its entries are chained by hashes.
"""

import fcntl
import os
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
from pbft.messages import DecidedSlot, Request
from pbft.records import RECORD_KINDS, Record
from pbft.types import MESSAGE_BYTES_MAX, Digest, RequestId, SequenceNumber

_MAGIC = b"qnode log 1\n"
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


class RecordLog:
    """Append-only file of records: length, BLAKE2b checksums of the length and of the body, body.

    The length has its own checksum, so that a changed one is not taken for a record that ends
    after the file.
    """

    def __init__(self, path: Path, network: bytes) -> None:
        self._path = path
        self._prefix = _MAGIC + network
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self.recovered = self._recover()
        except OSError as error:
            self._failed(error)

    def _recover(self) -> Recovered:
        data = self._path.read_bytes()
        if len(data) < len(self._prefix) and self._prefix.startswith(data):
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
        raise UsageError(
            f"The log {self._path} is damaged at byte {position}: the disk changed what was "
            "written. Restore the data folder from a backup, or join with a new key; a node that "
            "forgot what it signed must not go on."
        )

    def append(self, records: Sequence[Record]) -> None:
        """Writes the records and flushes once. On an error nothing of them remains."""
        data = b"".join(map(_frame, records))
        try:
            before = os.fstat(self._file).st_size
            try:
                _write_all(self._file, data)
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


_SCHEMA = """
CREATE TABLE IF NOT EXISTS slots (
    sequence_number INTEGER PRIMARY KEY,
    slot BLOB NOT NULL,            -- canonical CBOR of a DecidedSlot
    state BLOB NOT NULL            -- digest chained over all slots up to this one
) STRICT;
CREATE TABLE IF NOT EXISTS requests (
    request_id BLOB PRIMARY KEY,
    sequence_number INTEGER NOT NULL,
    item_index INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS timelines (
    request_id BLOB PRIMARY KEY,
    timeline TEXT NOT NULL         -- JSON; local clock, for people
) STRICT, WITHOUT ROWID;
"""


class Ledger:
    """Decided slots in sequence order, without gaps."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            # The connection moves between worker threads, one at a time.
            self._database = sqlite3.connect(path, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._reader = sqlite3.connect(path, check_same_thread=False)
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_SCHEMA)
            row = self._database.execute(
                "SELECT sequence_number, state FROM slots ORDER BY sequence_number DESC LIMIT 1"
            ).fetchone()
        except sqlite3.Error as error:
            self._failed(error)
        self._height: int = row[0] if row else 0
        self._state: bytes = row[1] if row else digest.DIGEST_ZERO

    def tip(self) -> Tip:
        """Where the ledger ends, for a replica that starts."""
        recent: list[Request] = []
        number = self._height
        while number > 0 and len(recent) < _REQUESTS_REMEMBERED_MAX:
            slot = self.slot(number)
            recent += [item.request.message for item in reversed(slot.batch)] if slot else []
            number -= 1
        return Tip(SequenceNumber(self._height), Digest(self._state), tuple(reversed(recent)))

    def append(
        self, applied: Sequence[Apply], timelines: Sequence[tuple[RequestId, str]] = ()
    ) -> None:
        """The slots that follow the last one, in order; those it holds already are skipped. And
        the time lines of requests, in the same transaction."""
        try:
            # What is remembered changes only when the transaction has succeeded.
            height, state = self._height, self._state
            with self._database:
                for apply in applied:
                    if apply.sequence_number > height:
                        self._append(apply.slot, apply.state)
                        height, state = apply.sequence_number, apply.state
                self._database.executemany(
                    "INSERT OR REPLACE INTO timelines VALUES (?, ?)", timelines
                )
            self._height, self._state = height, state
        except sqlite3.Error as error:
            self._failed(error)

    def _append(self, slot: DecidedSlot, state: Digest) -> None:
        number = slot.sequence_number
        self._database.execute(
            "INSERT INTO slots VALUES (?, ?, ?)", (number, encode_value(slot), state)
        )
        self._database.executemany(
            "INSERT OR IGNORE INTO requests VALUES (?, ?, ?)",
            [
                (digest.request_id(item.request.message), number, index)
                for index, item in enumerate(slot.batch)
            ],
        )

    def flush(self) -> None:
        """On disk for good: the log may now forget what the ledger holds."""
        try:
            self._database.execute("PRAGMA wal_checkpoint(FULL)")
        except sqlite3.Error as error:
            self._failed(error)

    def slot(self, sequence_number: int) -> DecidedSlot | None:
        row = self._query("SELECT slot FROM slots WHERE sequence_number = ?", sequence_number)
        return decode_value(row[0], DecidedSlot, bytes_max=_RECORD_BYTES_MAX) if row else None

    def find(self, request_id: RequestId) -> tuple[DecidedSlot, int] | None:
        """The slot that decided a request, and its place in the batch."""
        row = self._query(
            "SELECT sequence_number, item_index FROM requests WHERE request_id = ?", request_id
        )
        slot = self.slot(row[0]) if row else None
        return (slot, row[1]) if row and slot else None

    def timeline(self, request_id: RequestId) -> str | None:
        row = self._query("SELECT timeline FROM timelines WHERE request_id = ?", request_id)
        return row[0] if row else None

    def _query(self, sql: str, parameter: object) -> Any:
        try:
            row: Any = self._reader.execute(sql, (parameter,)).fetchone()
        except sqlite3.Error as error:
            self._failed(error)
        return row

    def _failed(self, error: sqlite3.Error) -> NoReturn:
        raise StorageFailed(
            f"The ledger {self._path} cannot be used: {error}. Make room on the disk; "
            "move the file away if it is damaged, and the other members send it again."
        ) from None

    def close(self) -> None:
        self._reader.close()
        self._database.close()
