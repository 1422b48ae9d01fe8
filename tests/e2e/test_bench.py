"""`qnode bench consensus` with real nodes: small, and with what can go wrong."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import environment, failed, qnode
from tests.support.network import processes_of, wait_until

pytestmark = pytest.mark.network

BENCH_S = 240.0
FIGURES = (
    "decisions_per_s",
    "overhead_ms_p50",
    "overhead_ms_p95",
    "bytes_per_decision",
    "messages_per_decision",
    "floor_decisions_per_s",
)


def test_a_small_benchmark(tmp_path: Path) -> None:
    """Every figure is there, positive, and consistent with the others; nothing is left behind."""
    done = qnode(
        "bench", "consensus", "--json", "--concurrency", "1,4", "--decisions", "6",
        "--folder", tmp_path, timeout_s=BENCH_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3_000:]
    assert "Traceback" not in done.stderr
    document = json.loads(done.stdout)
    assert document["nodes"] == 4
    quiet, busy = document["levels"]
    assert [(level["nodes"], level["concurrency"]) for level in (quiet, busy)] == [(4, 1), (4, 4)]
    for level in (document, quiet, busy):
        assert all(level[figure] > 0 for figure in FIGURES)
        assert level["overhead_ms_p50"] <= level["overhead_ms_p95"]
    for level, floor in zip((quiet, busy), document["floors"], strict=True):
        assert level["decisions"] >= 6
        assert level["decisions_per_s"] == pytest.approx(
            level["decisions"] / level["seconds"], rel=0.05
        )
        # A request, a seal and a proposal go to three, commitments and reveals of four to three.
        assert level["messages_per_decision"] > 3 + 3 + 12 + 12
        assert level["bytes_per_decision"] > 64 * level["messages_per_decision"]
        assert 1 <= level["decisions_per_slot"] <= level["concurrency"]
        assert level["core_ms_per_decision"] > 0
        assert floor["batch"] == level["concurrency"]
        assert min(floor["decision_us"].values()) > 0
    assert document["overhead_ms_p50"] == quiet["overhead_ms_p50"]
    assert document["decisions_per_s"] == busy["decisions_per_s"]
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


@pytest.fixture
def bench(tmp_path: Path) -> subprocess.Popen[str]:
    """A benchmark that would run for minutes."""
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "daemon.cli", "bench", "consensus", "--concurrency", "2",
         "--seconds", "300", "--folder", str(tmp_path)],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )  # fmt: skip


def workers(folder: Path) -> list[int]:
    """Process ids of the nodes below `folder`, all started."""

    def started() -> bool:
        return len(list(folder.glob("qnode-bench-*/4/node-*/data/http.url"))) == 4

    wait_until(started, 120, "four nodes are started")
    return sorted(
        pid
        for pid in processes_of(folder)
        if b"daemon.bench.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )


def test_a_node_that_dies_ends_the_benchmark(bench: subprocess.Popen[str], tmp_path: Path) -> None:
    """One sentence names it, the exit code is 1, and nothing is left."""
    with bench:
        try:
            os.kill(workers(tmp_path)[0], signal.SIGKILL)
            output, _ = bench.communicate(timeout=60)
        finally:
            bench.kill()
    line = failed(subprocess.CompletedProcess([], bench.returncode, "", output), code=1)
    assert "stopped" in line
    wait_until(lambda: not processes_of(tmp_path), 5, "all nodes are gone")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_the_benchmark(bench: subprocess.Popen[str], tmp_path: Path) -> None:
    """Ctrl-C: code 130, one line, nothing left."""
    with bench:
        try:
            workers(tmp_path)
            bench.send_signal(signal.SIGINT)
            output, _ = bench.communicate(timeout=60)
        finally:
            bench.kill()
    assert bench.returncode == 130
    assert output.rstrip().endswith("qnode: interrupted.")
    assert "Traceback" not in output
    wait_until(lambda: not processes_of(tmp_path), 5, "all nodes are gone")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_benchmark_leaves_no_node_running(
    bench: subprocess.Popen[str], tmp_path: Path
) -> None:
    """The nodes see the end of their input."""
    with bench:
        try:
            workers(tmp_path)
        finally:
            bench.kill()
        wait_until(lambda: not processes_of(tmp_path), 30, "all nodes are gone")
