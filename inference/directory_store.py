"""Directories that exist completely or not at all.

A converted model is hundreds of megabytes in several files. Four daemons may start at once on one
machine, and any of them may be killed at any moment. So a directory is built under another name
and renamed into place, under a file lock that the kernel releases when its holder dies:

1. complete already? done, without taking the lock;
2. take the lock, look again (another process may have built it while we waited);
3. remove what a killed builder left behind; build into ``.NAME.partial-*``;
4. write ``manifest.json`` (size, SHA-256 and modification time of every file), flush everything to
   the disk, rename.

A kill between any two steps leaves either no directory or a complete one.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

MANIFEST = "manifest.json"
_READ_BYTES = 1 << 20


def ensure_directory(target: Path, identity: str, build: Callable[[Path], None]) -> bool:
    """Make sure that ``target`` holds what ``build`` writes; return whether it was built now.

    ``identity`` names the source and the version of the recipe: a directory with another identity
    is replaced. ``build`` gets an empty directory; what it raises is passed on, and ``target``
    stays as it was.

    Raises OSError if the disk refuses (full, read-only).
    """
    if is_complete(target, identity):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.parent / f".{target.name}.lock"):
        if is_complete(target, identity):
            return False
        for leftover in target.parent.glob(f".{target.name}.partial-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.partial-", dir=target.parent))
        try:
            build(partial)
            _write_manifest(partial, identity)
            if target.exists():
                shutil.rmtree(target)
            partial.rename(target)
            _flush(target.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return True


def is_complete(target: Path, identity: str) -> bool:
    """Whether ``target`` holds every file of its manifest, unchanged.

    A file whose size and modification time are those of the manifest is believed; one whose time
    differs (a copied or restored cache) is hashed. Hashing 270 MB at every start would cost two
    seconds of a core.
    """
    try:
        manifest = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
        if manifest["identity"] != identity:
            return False
        return all(_unchanged(target / name, entry) for name, entry in manifest["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _unchanged(path: Path, entry: dict[str, object]) -> bool:
    status = path.stat()
    if status.st_size != entry["bytes"]:
        return False
    return status.st_mtime_ns == entry["mtime_ns"] or _sha256(path) == entry["sha256"]


def _write_manifest(directory: Path, identity: str) -> None:
    files: dict[str, dict[str, object]] = {}
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            _flush(path)
            status = path.stat()
            files[path.relative_to(directory).as_posix()] = {
                "bytes": status.st_size,
                "mtime_ns": status.st_mtime_ns,
                "sha256": _sha256(path),
            }
    manifest = directory / MANIFEST
    text = json.dumps({"identity": identity, "files": files}, indent=1, sort_keys=True)
    manifest.write_text(text, encoding="utf-8")
    _flush(manifest)
    _flush(directory)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _flush(path: Path) -> None:
    """Force one file, or one directory's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
