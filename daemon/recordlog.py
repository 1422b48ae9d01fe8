"""The replica's log: a file of records, each flushed to the disk before any message that depends on
it is sent."""

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from daemon.errors import StorageFailed, UsageError
from pbft import journal
from pbft.errors import DamagedLog
from pbft.records import Forgot, Record

_MAGIC = b"qnode log 2\n"


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
    """Append-only file of records, behind a line that says what it is and whose (`pbft.journal`).

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
            except _Lost as damage:
                self.recovered = self._begin_anew(damage)
        except OSError as error:
            self._failed(error)

    def _begin_anew(self, damage: "_Lost") -> Recovered:
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
                raise _Lost("is missing or empty, though the ledger is not")
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
        try:
            records, end = journal.read(data, len(self._prefix))
        except DamagedLog as damage:
            raise _Lost(str(damage)) from None
        if end < len(data):
            os.ftruncate(self._file, end)
            os.fsync(self._file)
        return Recovered(records, len(data) - end)

    def append(self, records: Sequence[Record], *, flush: bool = True) -> None:
        """Writes the records, and flushes once all that was written. On an error nothing of them
        remains."""
        data = b"".join(map(journal.frame, records))
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
                _write_all(file, self._prefix + b"".join(map(journal.frame, records)))
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


class _Lost(Exception):
    """`str()` says what is wrong, as the end of a sentence about the log."""


def _free_name(path: Path) -> Path:
    """Where a damaged log is kept for whoever wants to know."""
    numbers = range(1, 10_000)
    names = (path.with_suffix(f"{path.suffix}.damaged-{number}") for number in numbers)
    return next(name for name in names if not name.exists())


def _write_all(file: int, data: bytes) -> None:
    written = 0
    while written < len(data):
        written += os.write(file, data[written:])


def _flush_folder(path: Path) -> None:
    """Makes a new file's name durable."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
