"""Many runs on several processes: they end when the jobs do, and Ctrl-C loses no finding."""

import argparse
import signal
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import pytest

from simulator.console import finish
from simulator.errors import Finding, worst
from simulator.plan import Plan
from simulator.run import Result
from simulator.swarm import AHEAD, FAILED_MAX, Tally, in_parallel, swarm

FIGURES = {
    "decided": 1, "slots": 1, "view": 0, "messages": 2, "simulated_s": 1.0, "accused": {},
    "outside_guarantee": False,
}  # fmt: skip


def result_of(seed: int) -> tuple[Result, float]:
    """A run that fails, without running anything."""
    plan = Plan(seed, 4, name=f"seed {seed}")
    return Result(plan, Finding.SAFETY, "agreement", "It broke.", "00", FIGURES), 0.0


def refuses_interrupts(_: int) -> tuple[bool, float]:
    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN, 0.0


def test_jobs_are_taken_as_they_are_needed() -> None:
    """Endless jobs are taken only so far ahead: what ends them ends the work."""
    taken = []

    def jobs() -> Iterator[int]:
        for seed in count():
            taken.append(seed)
            yield seed

    found = list(islice(in_parallel(result_of, jobs(), 2), 5))
    assert [result.plan.seed for result, _ in found] == list(range(5))
    assert len(taken) < 5 + 2 * AHEAD


def test_all_results_come_in_the_order_of_the_jobs() -> None:
    """Whoever worked on them."""
    found = in_parallel(result_of, range(50), 2)
    assert [result.plan.seed for result, _ in found] == list(range(50))


def test_workers_leave_ctrl_c_to_the_process_that_started_them() -> None:
    """Else each prints a traceback of its own."""
    found = in_parallel(refuses_interrupts, range(2), 2)  # type: ignore[arg-type]
    assert [refused for refused, _ in found] == [True, True]


def test_ctrl_c_tells_what_was_found_so_far(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The failures are told and their plans kept; then it ends as interrupted."""

    def tell(tally: Tally) -> None:
        if tally.seeds == 2:
            raise KeyboardInterrupt

    tally = swarm(count(), 1, tell, result_of)
    assert (tally.interrupted, tally.seeds, tally.failures) == (True, 2, 2)
    options = argparse.Namespace(out=tmp_path, json=False)
    with pytest.raises(KeyboardInterrupt):
        finish(tally, options, {})
    told = capsys.readouterr().out
    assert "SAFETY: It broke." in told
    assert "2 runs, 2 failed" in told
    assert (tmp_path / "seed-1.json").exists()


def failed_by(seed: int, finding: Finding) -> Result:
    return Result(Plan(seed, 4, name=f"seed {seed}"), finding, "rule", "It broke.", "00", FIGURES)


def test_what_must_never_happen_is_not_hidden_by_many_slow_runs(tmp_path: Path) -> None:
    """However many failures came before: its plan is kept, and the exit code is its own."""
    tally = Tally()
    for seed in range(FAILED_MAX + 5):
        tally.add(failed_by(seed, Finding.LIVENESS), 0.0)
    tally.add(failed_by(99, Finding.SAFETY), 0.0)
    for seed in range(200, 205):
        tally.add(failed_by(seed, Finding.LIVENESS), 0.0)
    options = argparse.Namespace(out=tmp_path, json=True)
    assert finish(tally, options, {}) == Finding.SAFETY.exit_code
    kept = [result.plan.seed for result in tally.failed]
    assert kept == [*range(FAILED_MAX - 1), 99]
    assert tally.to_json()["findings"] == {"liveness": FAILED_MAX + 10, "safety": 1}


def test_the_worst_of_many_findings_is_not_the_one_with_the_highest_code() -> None:
    """Safety before all, then a core that raises, then what comes too late."""
    order = [Finding.HOLDS, Finding.UNEXPECTED, Finding.LIVENESS, Finding.CRASH, Finding.SAFETY]
    for place, finding in enumerate(order):
        assert worst(order[: place + 1]) is finding
    assert worst([]) is Finding.HOLDS
