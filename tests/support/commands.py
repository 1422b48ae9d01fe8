"""The command line in processes of its own, as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMAND_S = 60.0


def environment(**changes: str) -> dict[str, str]:
    """The test's own environment, offline, with this source tree first."""
    own = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "COLUMNS": "200", "NO_COLOR": "1"}
    return {**os.environ, **own, **changes}


def qnode(
    *arguments: str | Path, cwd: Path | None = None, timeout_s: float = COMMAND_S, **env: str
) -> subprocess.CompletedProcess[str]:
    """Runs one command to its end."""
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "daemon.cli", *map(str, arguments)],
        cwd=cwd,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def failed(done: subprocess.CompletedProcess[str], code: int = 2) -> str:
    """The one sentence with which a command must have failed."""
    assert "Traceback" not in done.stderr, done.stderr[-3_000:]
    assert done.returncode == code, (done.returncode, done.stderr[-3_000:])
    lines = done.stderr.strip().splitlines()
    sentences = [line for line in lines if line.startswith("qnode: ")]
    assert len(sentences) == 1, done.stderr[-3_000:]
    assert lines[-1] == sentences[0]
    assert "Traceback" not in done.stdout
    return sentences[0]
