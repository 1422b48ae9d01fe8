"""The folder that holds all that a node must not lose."""

import fcntl
import os
from pathlib import Path

from daemon.errors import AlreadyRunning, UsageError


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
