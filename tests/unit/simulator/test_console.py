"""What `qnode sim` tells: a finding whatever becomes of files, and names that may be anything."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator import bench
from simulator.commands import many, plans
from simulator.commands.scenario import run_one
from simulator.console import check_folder, finish, tell_result, write
from simulator.errors import BadScenario, Finding, SimulatorError
from simulator.mutants import Death
from simulator.plan import Plan, from_text, to_text
from simulator.run import Result
from simulator.swarm import Tally

FIGURES = {
    "decided": 1, "slots": 1, "view": 0, "messages": 2, "simulated_s": 1.0, "accused": {},
    "outside_guarantee": False,
}  # fmt: skip


def failure(name: str = "seed 7", **figures: object) -> Result:
    plan = Plan(7, 4, name=name)
    return Result(plan, Finding.SAFETY, "agreement", "It broke.", "00", FIGURES | figures)


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    actions = parser.add_subparsers()
    many.add_commands(actions)
    plans.add_commands(actions)
    return parser.parse_args(arguments)


def tally_of(result: Result) -> Tally:
    tally = Tally(interrupted=True)  # so that nothing is shrunk
    tally.add(result, 0.1)
    return tally


@pytest.mark.parametrize("as_json", [False, True])
def test_a_plan_that_cannot_be_kept_hides_no_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, as_json: bool
) -> None:
    """The finding is told; that its plan could not be kept, too."""
    (tmp_path / "file").touch()
    options = argparse.Namespace(out=tmp_path / "file", json=as_json)
    with pytest.raises(KeyboardInterrupt):
        finish(tally_of(failure()), options, {})
    told = capsys.readouterr()
    assert "It broke." in told.out
    assert "cannot be written" in told.err
    if as_json:
        assert json.loads(told.out)["plans"] == [None]


def test_a_trace_that_cannot_be_written_hides_no_finding(tmp_path: Path) -> None:
    """A run that fails ends with the finding's exit code; one that holds, with a usage error."""
    (tmp_path / "file").touch()
    options = argparse.Namespace(trace=tmp_path / "file" / "t.txt", html=None, json=False)
    with pytest.raises(SimulatorError, match="cannot be written"):
        run_one(Plan(1, 1), options, "plan")
    unexpected = Plan(1, 1, expect={"view_min": 9})
    assert run_one(unexpected, options, "plan") == Finding.UNEXPECTED.exit_code


def test_where_nothing_can_be_kept_is_refused_before_anything_runs(tmp_path: Path) -> None:
    """A folder that can be made is not made yet; one below a file never can."""
    (tmp_path / "file").touch()
    with pytest.raises(BadScenario, match="--out"):
        check_folder(tmp_path / "file" / "plans")
    check_folder(tmp_path / "new" / "plans")
    assert not (tmp_path / "new").exists()


def test_a_result_beyond_the_guarantee_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Where more nodes are faulty than the network can bear, nothing is promised."""
    tell_result(failure(outside_guarantee=True))
    assert "of 4 nodes at most 1 may be faulty" in capsys.readouterr().out
    tell_result(failure())
    assert "Beyond the guarantee" not in capsys.readouterr().out


def test_a_name_that_is_not_utf_8_is_kept(tmp_path: Path) -> None:
    """A file's name may be any bytes; the plan that bears it reads back the same."""
    plan = Plan(7, 4, name="odd \udcff name")
    write(tmp_path / "plan.json", to_text(plan))
    assert from_text((tmp_path / "plan.json").read_text(encoding="utf-8")) == plan


def test_what_cannot_be_a_name_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """A zero byte in a plan's name is no traceback."""
    with pytest.raises(SimulatorError, match="cannot be the name"):
        write(tmp_path / "a\0b.json", "")


def test_mutants_are_listed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json every command prints one document."""
    options = parsed("mutants", "--list", "--json")
    assert options.command(options) == 0
    assert {"name", "says"} == set(json.loads(capsys.readouterr().out)["mutants"][0])


def test_mutants_that_were_interrupted_tell_what_was_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document as always, that says that it is not all."""

    def kill_some(*_: object) -> Iterator[Death]:
        yield Death("quorum-too-small", "clean", "proofs", 0.1)
        raise KeyboardInterrupt

    monkeypatch.setattr("simulator.mutants.kill_all", kill_some)
    options = parsed("mutants", "--json")
    with pytest.raises(KeyboardInterrupt):
        options.command(options)
    told = json.loads(capsys.readouterr().out)
    assert (told["mutants"], told["interrupted"]) == (1, True)


@pytest.mark.parametrize("seeds", ["0:99999999999999999999", "3:3", "0:x"])
def test_seeds_that_nobody_can_count_are_refused(
    capsys: pytest.CaptureFixture[str], seeds: str
) -> None:
    """With usage, before anything runs."""
    with pytest.raises(SystemExit):
        parsed("swarm", "--seeds", seeds)
    assert "must be A:B" in capsys.readouterr().err


def test_nothing_is_shrunk_for_no_time_or_for_no_place(tmp_path: Path) -> None:
    """Refused before the plan is run, not after all the runs."""
    broken = tmp_path / "plan.json"
    write(broken, to_text(Plan(1, 1, expect={"view_min": 9})))
    for arguments, word in (
        (["--seconds", "0"], "--seconds"),
        (["--out", str(broken / "small.json")], "no folder"),
    ):
        options = parsed("shrink", str(broken), *arguments)
        with pytest.raises(BadScenario, match=word):
            options.command(options)


def test_a_report_is_about_the_files_of_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder in it is none of them, and what is not there is said not to be."""
    write(tmp_path / "plan.json", to_text(Plan(1, 1)))
    (tmp_path / "folder.json").mkdir()
    options = parsed("report", str(tmp_path), "--json")
    assert options.command(options) == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 1
    options = parsed("report", str(tmp_path / "absent"))
    with pytest.raises(BadScenario, match="cannot be read: No such file"):
        options.command(options)


def test_mutants_keep_no_plans() -> None:
    """What kills a mutant breaks nothing: there is no folder to name."""
    with pytest.raises(SystemExit):
        parsed("mutants", "--out", "plans")


def test_the_smallest_bench_still_runs_twins() -> None:
    """A speed of nothing would be no speed."""
    assert bench._twins(0) > 0
