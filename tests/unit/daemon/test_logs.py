"""Logging: lines for people on the terminal, JSON lines in the file, and never an error of its
own."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon import logs
from daemon.errors import UsageError
from tests.support.commands import environment


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """`set_up` is for a whole process, and this process is the test's."""
    root, ours = logging.getLogger(), logging.getLogger("qnode")
    before = root.handlers, root.level, ours.handlers, ours.level
    yield
    for handler in {*root.handlers, *ours.handlers} - {*before[0], *before[2]}:
        handler.close()
    root.handlers, ours.handlers = before[0], before[2]
    root.setLevel(before[1])
    ours.setLevel(before[3])
    logging.captureWarnings(capture=False)


def test_a_message_is_one_line_in_both_places(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A traceback is in the file only; what the message holds cannot begin a new line there."""
    logs.set_up(tmp_path / "new" / "data")
    log = logging.getLogger("qnode.test")
    log.info("hello\nworld")
    log.debug("not shown")
    try:
        raise ValueError("inside")
    except ValueError:
        log.exception("it failed")
    lines = (tmp_path / "new" / "data" / "qnode.log").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    assert [(e["level"], e["message"]) for e in entries] == [
        ("info", "hello\nworld"),
        ("error", "it failed"),
    ]
    assert "ValueError: inside" in entries[1]["exception"]
    shown = capsys.readouterr().err
    assert "error: it failed" in shown
    assert "Traceback" not in shown


def test_a_full_disk_under_the_log_file_is_silent(tmp_path: Path) -> None:
    """The message is on the terminal all the same, without a traceback of the logging itself."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "qnode.log").symlink_to("/dev/full")
    script = (
        "import logging, pathlib, sys; from daemon import logs;"
        "logs.set_up(pathlib.Path(sys.argv[1]));"
        "logging.getLogger('qnode').warning('the disk is full')"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", script, str(tmp_path)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert [line.split(" ", 1)[1] for line in done.stderr.splitlines()] == [
        "warning: the disk is full"
    ]


def test_a_folder_that_cannot_be_is_a_sentence(tmp_path: Path) -> None:
    """A file in its place."""
    (tmp_path / "data").write_text("")
    with pytest.raises(UsageError) as caught:
        logs.set_up(tmp_path / "data")
    assert "\n" not in str(caught.value)
