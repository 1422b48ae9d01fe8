"""A cache directory is complete or absent, whatever is killed and however many build at once."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from inference.directory_store import MANIFEST, ensure_directory, is_complete


def _build(directory: Path) -> None:
    (directory / "sub").mkdir()
    (directory / "weights").write_bytes(b"w" * 1000)
    (directory / "sub" / "config").write_text("c", encoding="utf-8")


def _refuse(_directory: Path) -> None:
    pytest.fail("it was built although it was complete")


def _process(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)  # noqa: S603


def test_builds_once_and_is_then_found(tmp_path: Path) -> None:
    """The second call does nothing."""
    target = tmp_path / "cache" / "model"
    assert ensure_directory(target, "v1", _build)
    assert is_complete(target, "v1")
    assert not ensure_directory(target, "v1", _refuse)
    assert (target / "sub" / "config").read_text(encoding="utf-8") == "c"


def test_another_identity_is_rebuilt(tmp_path: Path) -> None:
    """A new recipe replaces what the old one wrote."""
    ensure_directory(tmp_path / "m", "v1", _build)
    assert ensure_directory(tmp_path / "m", "v2", _build)
    assert is_complete(tmp_path / "m", "v2")


@pytest.mark.parametrize(
    "damage", ["missing", "truncated", "changed", "no manifest", "bad manifest"]
)
def test_damage_is_noticed_and_repaired(tmp_path: Path, damage: str) -> None:
    """A file that is gone, short or altered makes the directory incomplete."""
    target = tmp_path / "m"
    ensure_directory(target, "v1", _build)
    weights, manifest = target / "weights", target / MANIFEST
    match damage:
        case "missing":
            weights.unlink()
        case "truncated":
            weights.write_bytes(b"w" * 999)
        case "changed":
            weights.write_bytes(b"x" * 1000)
            os.utime(weights, ns=(1, 1))
        case "no manifest":
            manifest.unlink()
        case _:
            manifest.write_text(json.dumps([1]), encoding="utf-8")
    assert not is_complete(target, "v1")
    assert ensure_directory(target, "v1", _build)
    assert weights.read_bytes() == b"w" * 1000


def test_a_copied_cache_with_new_times_is_believed_after_hashing(tmp_path: Path) -> None:
    """A restored backup has other modification times and the same bytes."""
    target = tmp_path / "m"
    ensure_directory(target, "v1", _build)
    os.utime(target / "weights", ns=(1, 1))
    assert is_complete(target, "v1")


def test_a_failing_build_leaves_nothing(tmp_path: Path) -> None:
    """The error is passed on, and neither a target nor a partial directory remains."""

    def fail(directory: Path) -> None:
        _build(directory)
        raise RuntimeError("conversion failed")

    with pytest.raises(RuntimeError, match="conversion failed"):
        ensure_directory(tmp_path / "m", "v1", fail)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_four_processes_build_once(tmp_path: Path) -> None:
    """Daemons that start at once wait for the first one's result."""
    code = """
        import sys, time
        from pathlib import Path
        from inference.directory_store import ensure_directory
        def build(directory):
            time.sleep(0.3)
            (directory / "weights").write_bytes(b"w")
        print("built" if ensure_directory(Path(sys.argv[1]), "v1", build) else "found")
    """
    processes = [_process(code, str(tmp_path / "m")) for _ in range(4)]
    outputs = [process.communicate(timeout=60)[0].decode().strip() for process in processes]
    assert sorted(outputs) == ["built", "found", "found", "found"]
    assert is_complete(tmp_path / "m", "v1")


def test_a_builder_killed_in_the_middle_is_cleaned_up(tmp_path: Path) -> None:
    """SIGKILL releases the lock; the next caller removes the rest and builds anew."""
    code = """
        import sys, time
        from pathlib import Path
        from inference.directory_store import ensure_directory
        def build(directory):
            (directory / "weights").write_bytes(b"half")
            print("building", flush=True)
            time.sleep(600)
        ensure_directory(Path(sys.argv[1]), "v1", build)
    """
    process = _process(code, str(tmp_path / "m"))
    with process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"building"
        process.send_signal(signal.SIGKILL)
    assert list(tmp_path.glob(".m.partial-*"))
    assert ensure_directory(tmp_path / "m", "v1", _build)
    assert not list(tmp_path.glob(".m.partial-*"))
    assert is_complete(tmp_path / "m", "v1")
