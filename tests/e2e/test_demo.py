"""`qnode demo`, the acceptance test: a whole network, asked, broken, asked again, verified."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from simulator.faults.lie import LIE
from tests.support.commands import environment, qnode
from tests.support.network import processes_of, wait_until

pytestmark = [pytest.mark.network, pytest.mark.model]

DEMO_S = 240.0


def demonstrated(folder: Path, *options: str) -> dict[str, Any]:
    """The summary; everything that was started must be gone."""
    done = qnode("demo", "--json", "--folder", folder, *options, timeout_s=DEMO_S)
    assert done.returncode == 0, done.stderr[-3_000:]
    assert "Traceback" not in done.stderr
    assert processes_of(folder) == []
    for log in folder.glob("*/log"):
        assert "Traceback" not in log.read_text(encoding="utf-8", errors="replace")
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def test_the_demonstration(tmp_path: Path) -> None:
    """Four nodes agree that it is Paris, with three signatures at least; the primary is killed
    and the others replace it and agree again; both certificates hold offline."""
    folder = tmp_path / "demo"
    summary = demonstrated(folder, "--nodes", "4")
    assert summary["fault"] is None
    assert [question["killed"] for question in summary["questions"]] == [None, "node-1"]
    for question in summary["questions"]:
        assert question["question"] == "What is the capital of France?"
        assert question["status"] in ("agreed", "agreed_low_confidence")
        assert "Paris" in question["answer"]
        assert question["verified"] is True
        assert (question["replicas"], question["record"]["quorum"]) == (4, 3)
        assert question["signatures"] >= 3
        assert 0 < question["inference_s"] <= question["elapsed_s"]
        assert 0 < question["agreement_rate"] <= 1
        assert 0 < question["confidence"] <= 1
    assert summary["questions"][1]["signatures"] == 3
    first = summary["questions"][0]
    assert {key: summary[key] for key in first} == first
    for number in (1, 2):
        path = folder / f"certificate-{number}.json"
        done = qnode("verify", path, "--genesis", folder / "genesis.json", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["answer"] == summary["questions"][number - 1]["answer"]


def test_a_liar_is_outvoted(tmp_path: Path) -> None:
    """Its answer is in the record, signed and marked as outvoted, and is not the network's."""
    summary = demonstrated(tmp_path / "demo", "--nodes", "4", "--fault", "lie")
    assert summary["fault"] == "lie"
    record = summary["record"]
    assert summary["status"] in ("agreed", "agreed_low_confidence")
    assert "Paris" in summary["answer"]
    assert LIE not in summary["answer"]
    (lie,) = [answer for answer in record["answers"] if answer["text"] == LIE]
    assert lie["name"] == "node-4"
    assert "node-4" not in record["clusters"][0]
    assert summary["verified"] is True


def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    """While the nodes start: one line, code 130, and nothing keeps running."""
    folder = tmp_path / "demo"
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "daemon.cli", "demo", "--folder", str(folder)],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        wait_until(lambda: len(processes_of(folder)) >= 3, 60, "nodes are started")
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        try:
            output, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert time.monotonic() - began < 15
    assert "Traceback" not in output, output[-3_000:]
    assert process.returncode == 130
    assert output.rstrip().endswith("qnode: interrupted.")
    wait_until(lambda: not processes_of(folder), 5, "all nodes are gone")
