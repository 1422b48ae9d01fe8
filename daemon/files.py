"""Reading and writing small files of the operator, with errors that say what to do."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from daemon.errors import UsageError

DOCUMENT_BYTES_MAX = 1024 * 1024


def read_text(path: Path, what: str) -> str:
    """The whole file; `UsageError` names `what` it should have been."""
    try:
        with path.open("rb") as file:
            data = file.read(DOCUMENT_BYTES_MAX + 1)
    except FileNotFoundError:
        raise UsageError(f"There is no {what} at {path}.") from None
    except OSError as error:
        raise UsageError(f"The {what} {path} cannot be read: {error.strerror}.") from None
    if len(data) > DOCUMENT_BYTES_MAX:
        raise UsageError(f"The {what} {path} is larger than {DOCUMENT_BYTES_MAX} bytes.")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UsageError(f"The {what} {path} is not UTF-8 text.") from None


def read_json(path: Path, what: str) -> dict[str, Any]:
    """A JSON object without repeated keys."""
    try:
        document = json.loads(
            read_text(path, what), object_pairs_hook=unique_keys, parse_constant=_no_constant
        )
    except RecursionError:
        raise UsageError(f"The {what} {path} is nested too deeply.") from None
    except ValueError as error:
        raise UsageError(f"The {what} {path} is not valid JSON: {error}.") from None
    if not isinstance(document, dict):
        raise UsageError(f"The {what} {path} is not a JSON object.")
    return document


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `json.loads`: a repeated key is an error, not the last one's victory."""
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key is repeated")
    return document


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def write_new(path: Path, text: str, mode: int = 0o644) -> None:
    """Creates a file that must not exist yet, with its mode from the first moment on."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    except FileExistsError:
        raise UsageError(f"{path} exists already and is left as it is.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None


def write_secret(path: Path, text: str) -> None:
    """Like `write_whole`, for this user's eyes only."""
    write_whole(path, text, mode=0o600)


def write_whole(path: Path, text: str, mode: int = 0o644) -> None:
    """Replaces the file in one step: a reader finds the old text or the new one."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            Path(temporary).chmod(mode)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
