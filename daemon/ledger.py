"""The ledger of decided slots: an SQLite database that can be rebuilt from the log, so that it need
not be flushed at every decision. Its entries are chained by hashes."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from daemon.errors import StorageFailed, UsageError
from pbft import digest
from pbft.codec import decode_value, encode_value
from pbft.effects import Apply
from pbft.execution import Tip
from pbft.history import REMEMBERED_MAX
from pbft.messages import DecidedSlot, Entry, EpochCertificate, Item, Request, items
from pbft.records import RECORD_BYTES_MAX
from pbft.state import State
from pbft.types import RequestId

_REQUESTS_REMEMBERED_MAX = 4 * REMEMBERED_MAX
_VERSION = 3

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
        state = decode_value(row[0], State, bytes_max=RECORD_BYTES_MAX) if row else None
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
        return decode_value(row[0], DecidedSlot, bytes_max=RECORD_BYTES_MAX) if row else None

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
