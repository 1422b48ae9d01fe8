"""`qnode sim live`: scenarios against real daemons, in network namespaces and on loopback."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulator.errors import BadScenario
from simulator.live.means import choose
from simulator.live.namespaces import why_unavailable
from simulator.scenario import read_scenario
from tests.support.commands import ROOT, environment, failed, qnode
from tests.support.network import processes_of, wait_until

pytestmark = pytest.mark.network

SCENARIOS = ROOT / "simulator" / "scenarios" / "live"
LIVE_S = 400.0
GONE_S = 20.0


@pytest.fixture(scope="module")
def namespaces() -> None:
    """Skips on machines whose users get none."""
    if reason := why_unavailable():
        pytest.skip(f"network namespaces: {reason}")


def live(folder: Path, name: str, links: str) -> dict[str, Any]:
    """The result of one scenario, which must hold; nothing of it is left."""
    done = qnode(
        "sim", "live", SCENARIOS / f"{name}.toml", "--links", links, "--folder", folder, "--json",
        timeout_s=LIVE_S,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout[-3_000:], done.stderr[-3_000:])
    assert list(folder.iterdir()) == []
    assert processes_of(folder) == []
    (result,) = json.loads(done.stdout)["runs"]
    assert result["finding"] == "holds"
    assert result["links"] == links
    assert result["asked"] == result["decided"] > 0
    return dict(result)


def test_a_partition_of_real_connections(namespaces: None, tmp_path: Path) -> None:
    """A primary whose packets do not pass is replaced, and everything is decided when they do."""
    result = live(tmp_path, "L13-primary-cut-off", "namespaces")
    assert result["packets_lost"] > 0
    assert result["packets_carried"] > 0


def test_a_key_that_runs_twice(namespaces: None, tmp_path: Path) -> None:
    """One of two processes with one key finds out and ends, saying so; nothing is decided twice."""
    result = live(tmp_path, "L16-key-runs-twice", "namespaces")
    (words,) = result["stopped"].values()
    assert "Another running node uses this node's key" in words


def test_a_full_disk(namespaces: None, tmp_path: Path) -> None:
    """A node that cannot write says so and stops, and takes part again when it can."""
    result = live(tmp_path, "L17-disk-full", "namespaces")
    assert "cannot be written" in result["stopped"]["node-3"]
    assert result["decided"] >= 12


def test_faults_of_messages_without_namespaces(tmp_path: Path) -> None:
    """Where there are no namespaces the same scenario runs, with faults where messages come in."""
    live(tmp_path, "L14-halves", "messages")


def test_a_fault_that_loopback_cannot_have_is_refused(tmp_path: Path) -> None:
    """Before anything starts, in one sentence."""
    done = qnode(
        "sim", "live", SCENARIOS / "L22-reset-and-repeated.toml", "--links", "messages",
        "--folder", tmp_path,
    )  # fmt: skip
    assert "repeat needs namespaces" in failed(done)
    assert list(tmp_path.iterdir()) == []


def test_nothing_outlives_a_run_that_is_killed(namespaces: None, tmp_path: Path) -> None:
    """The nodes end with the run, and so do their namespaces, which nobody else is in."""
    with subprocess.Popen(  # noqa: S603 - our own program
        [
            sys.executable, "-m", "daemon.cli", "sim", "live", SCENARIOS / "L01-clean.toml",
            "--links", "namespaces", "--folder", tmp_path,
        ],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        wait_until(lambda: len(processes_of(tmp_path)) > 1, LIVE_S, "nodes are there")
        os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: processes_of(tmp_path) == [], GONE_S, "all are gone")


def test_a_machine_without_network_cards_of_the_users_own(namespaces: None) -> None:
    """What is missing is said in a sentence, and a run takes the other means or refuses."""
    script = (
        "from pathlib import Path\n"
        "from simulator.live.namespaces import enter, small_disk, why_unavailable\n"
        "enter()\n"
        "with small_disk(Path('/dev/net'), 65_536):\n"
        "    print(why_unavailable())\n"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", script],
        env=environment(), capture_output=True, text=True, check=False, timeout=GONE_S,
    )  # fmt: skip
    reason = done.stdout.strip()
    assert reason.startswith("No network card can be made here"), done.stderr
    plan = read_scenario(SCENARIOS / "L13-primary-cut-off.toml")
    assert choose(plan, "auto", reason) == "messages"
    with pytest.raises(BadScenario, match="No network card"):
        choose(plan, "namespaces", reason)
