"""How commands end: nobody who reads their output, or a full disk behind it, makes a traceback."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import COMMAND_S, environment

SCRIPT = """
import sys
from daemon.ending import guarded

def main():
    for _ in range(int(sys.argv[1])):
        print("x" * int(sys.argv[2]))
    if sys.argv[3] == "help":
        sys.exit(0)
    return int(sys.argv[3])

sys.exit(guarded(main))
"""
SHORT, MANY, LONG = ("1", "10"), ("40", "5000"), ("1", "300000")
"""Lines, and how long they are: what stays in a buffer, fills it often, and has no room in it."""
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no full device here")


def ended(
    lines: tuple[str, str], code: str, output: int, script: str = SCRIPT, errors: int | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", script, *lines, code],
        env=environment(PYTHONUNBUFFERED=""),
        stdout=output,
        stderr=subprocess.PIPE if errors is None else errors,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )


@pytest.fixture
def full() -> Iterator[int]:
    """What takes nothing, as a disk that is full."""
    with FULL.open("wb") as device:
        yield device.fileno()


@pytest.fixture
def unread() -> Iterator[int]:
    """A pipe of which the other end is closed."""
    reads, writes = os.pipe()
    os.close(reads)
    yield writes
    os.close(writes)


@needs_full
@pytest.mark.parametrize("lines", [SHORT, MANY, LONG])
def test_a_full_disk_behind_the_output_is_one_sentence(lines: tuple[str, str], full: int) -> None:
    """Not a traceback, nor a code of Python's own."""
    done = ended(lines, "0", full)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("qnode: The output cannot be written (No space left")


@needs_full
def test_help_that_cannot_be_written_is_one_sentence(full: int) -> None:
    """Also what argparse tells."""
    done = ended(SHORT, "help", full)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@needs_full
def test_a_finding_outlives_output_that_cannot_be_written(full: int) -> None:
    """Its exit code is what a script must learn."""
    done = ended(SHORT, "10", full)
    assert done.returncode == 10
    assert "cannot be written" in done.stderr


@needs_full
def test_where_nothing_can_be_told_the_code_still_tells(full: int) -> None:
    """Neither stream takes anything."""
    assert ended(SHORT, "10", full, errors=full).returncode == 10


@pytest.mark.parametrize("code", ["0", "10"])
def test_who_reads_no_more_changes_nothing_of_a_command_that_is_done(
    code: str, unread: int
) -> None:
    """Its exit code is its own, and there is nobody to be told more."""
    done = ended(SHORT, code, unread)
    assert (done.returncode, done.stderr) == (int(code), "")


@pytest.mark.parametrize("lines", [MANY, LONG])
def test_a_command_that_nobody_reads_ends_as_in_any_pipe(
    lines: tuple[str, str], unread: int
) -> None:
    """In the middle of it nobody knows what it would have found: that is no success."""
    done = ended(lines, "0", unread)
    assert (done.returncode, done.stderr) == (141, "")


def test_an_error_of_ours_keeps_its_traceback() -> None:
    """Only what is about the output is for people."""
    script = "from daemon.ending import guarded\nguarded(lambda: open('/absent/file'))"
    done = ended(SHORT, "0", subprocess.DEVNULL, script)
    assert done.returncode == 1
    assert "FileNotFoundError" in done.stderr
