"""`qnode sim replay`, `shrink`, `check-determinism` and `report`: looking at plans again."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.commands.scenario import add_trace, run_one
from simulator.console import (
    SHRINK_S,
    check_folder,
    print_json,
    say_what,
    shrunk,
    span,
    tell_result,
    write,
)
from simulator.errors import BadScenario, Finding, SimulatorError, worst

if TYPE_CHECKING:
    from simulator.plan import Plan


def add_commands(actions: Any) -> None:
    """The actions `replay`, `shrink`, `check-determinism` and `report`."""
    replay = actions.add_parser("replay", help="run a plan again, byte for byte")
    replay.add_argument("plan", type=Path)
    add_trace(replay)
    replay.set_defaults(command=_replay)

    shrink = actions.add_parser("shrink", help="leave out of a failing plan what it does not need")
    shrink.add_argument("plan", type=Path)
    shrink.add_argument("-o", "--out", type=Path, help="default: beside the plan")
    shrink.add_argument("--seconds", type=float, default=SHRINK_S, help="default: %(default)g")
    shrink.add_argument("--json", action="store_true")
    shrink.set_defaults(command=_shrink)

    same = actions.add_parser(
        "check-determinism", help="the same seeds twice, under two hash seeds"
    )
    same.add_argument("--seeds", type=span, default=range(8), metavar="A:B", help="default: 0:8")
    same.add_argument("--json", action="store_true")
    same.set_defaults(command=_check_determinism)

    report = actions.add_parser("report", help="a page about the plans in a folder")
    report.add_argument("folder", type=Path, help="plans (*.json) or scenarios (*.toml), or one")
    report.add_argument("--html", type=Path, nargs="?", const=Path("report.html"), metavar="FILE")
    report.add_argument("--json", action="store_true")
    report.set_defaults(command=_report)


def _replay(options: argparse.Namespace) -> int:
    return run_one(read_plan(options.plan), options, f"plan {options.plan}")


def read_plan(path: Path) -> "Plan":
    from simulator.plan import from_text
    from simulator.scenario import read_file

    return read_file(path, from_text)


def _shrink(options: argparse.Namespace) -> int:
    from simulator.plan import incident_to_json, to_text
    from simulator.run import run

    if not options.seconds > 0:
        raise BadScenario("--seconds must be more than 0.")
    plan = read_plan(options.plan)
    out = options.out or options.plan.with_suffix(".min.json")
    check_folder(out.parent)
    result = run(plan)
    if result.ok:
        raise BadScenario(f"{options.plan} does not fail: there is nothing to shrink.")
    if not options.json:
        say_what(f"shrinking {options.plan}, {len(plan.faults)} faults")
    began_s = time.monotonic()
    small = shrunk(result, options.seconds)
    document = {
        "faults_before": len(plan.faults),
        "faults": len(small.plan.faults),
        "questions": len(small.plan.questions),
        "finding": small.finding.value,
        "rule": small.rule,
        "sentence": small.sentence,
        "plan": str(out),
        "wall_s": round(time.monotonic() - began_s, 2),
    }
    if options.json:
        print_json(document)
    else:
        tell_result(small)
        for fault in small.plan.faults:
            print(f"  {json.dumps(incident_to_json(fault))}")
        print(f"From {len(plan.faults)} faults to {len(small.plan.faults)}: {out}")
    write(out, to_text(small.plan))
    return 0


def _check_determinism(options: argparse.Namespace) -> int:
    """Runs the seeds in two processes with different hash seeds, and compares their traces."""
    span = f"{options.seeds.start}:{options.seeds.stop}"
    digests = []
    for hash_seed in ("1", "31337"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        found = subprocess.run(  # noqa: S603  # our own interpreter
            [sys.executable, "-m", "simulator", "digests", span],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if found.returncode:
            raise SimulatorError(f"A run ended badly: {found.stderr.strip()[-300:]}")
        digests.append(json.loads(found.stdout))
    unequal = [seed for seed in digests[0] if digests[0][seed] != digests[1][seed]]
    equal = not unequal and bool(digests[0])
    if options.json:
        document = {"equal": equal, "seeds": len(digests[0]), "unequal": unequal}
        print_json(document | {"digests": digests[0]})
    elif equal:
        print(f"{len(digests[0])} seeds, each the same under two hash seeds.")
    else:
        print(f"Seeds {', '.join(unequal)} differ between two hash seeds.")
    return 0 if equal else Finding.UNEXPECTED.exit_code


def print_digests(seeds: str) -> None:
    """The trace digests of seeds, as JSON."""
    from simulator.generate import plan_of
    from simulator.run import run

    print(json.dumps({str(seed): run(plan_of(seed)).digest for seed in span(seeds)}))


def _report(options: argparse.Namespace) -> int:
    from simulator.report import page
    from simulator.run import run
    from simulator.scenario import read_scenario
    from simulator.trace import Trace

    if options.folder.is_dir():
        there = [path for path in options.folder.iterdir() if path.is_file()]
        paths = sorted(path for path in there if path.suffix in (".json", ".toml"))
    else:
        paths = [options.folder]
    if not paths:
        raise BadScenario(f"{options.folder} holds no plan (*.json) and no scenario (*.toml).")
    runs = []
    for path in paths:
        plan = read_scenario(path) if path.suffix == ".toml" else read_plan(path)
        trace = Trace(keep=bool(options.html))
        runs.append((run(plan, trace), trace))
    results = [result for result, _ in runs]
    if options.json:
        print_json({"runs": [result.to_json() for result in results]})
    else:
        for result in results:
            beyond = " (beyond the guarantee)" if result.figures["outside_guarantee"] else ""
            print(f"{result.plan.name:28}  {result.finding.value}{beyond}: {result.sentence}")
    if options.html:
        write(options.html, page(runs))
        if not options.json:
            print(f"The page is {options.html}.")
    return worst(result.finding for result in results).exit_code
