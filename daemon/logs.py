"""Logging: readable lines on the terminal, JSON lines in the data folder."""

import json
import logging
import logging.handlers
import sys
import time
from pathlib import Path

from daemon.errors import UsageError

_FILE_BYTES_MAX = 16 * 1024 * 1024
_FILES_KEPT = 4


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


class _Terminal(logging.Formatter):
    """One line, without the traceback: that is in the file."""

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return f"{clock} {level}{record.getMessage()}"


def set_up(folder: Path, *, verbose: bool = False) -> None:
    """The node's own messages to both places, libraries' warnings to the file."""
    logging.raiseExceptions = False  # a full disk is reported by who needs the disk, in a sentence
    path = folder / "qnode.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        to_file = logging.handlers.RotatingFileHandler(
            path, maxBytes=_FILE_BYTES_MAX, backupCount=_FILES_KEPT, encoding="utf-8"
        )
    except OSError as error:
        raise UsageError(f"The log {path} cannot be written: {error.strerror}.") from None
    to_file.setFormatter(_JsonLines())
    root = logging.getLogger()
    root.handlers = [to_file]
    root.setLevel(logging.WARNING)
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setFormatter(_Terminal())
    ours = logging.getLogger("qnode")
    ours.setLevel(logging.DEBUG if verbose else logging.INFO)
    ours.handlers = [to_terminal]
    logging.captureWarnings(capture=True)
