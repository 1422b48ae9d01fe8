"""`qnode sim …`: the commands. Heavy imports are inside, so that `qnode --help` is quick.

Every command prints what it runs first (seed, commit, options), and for a failure the command that
replays it. With `--json` it prints one JSON document and nothing else.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.console import (
    SHRINK_S,
    commit,
    finish,
    print_json,
    progress_of,
    say_what,
    shrunk,
    tell_result,
    write,
)
from simulator.errors import BadScenario, Finding, SimulatorError

if TYPE_CHECKING:
    from simulator.plan import Plan

EXIT_USAGE = 2
FAILURES = Path("qnode-sim")
"""Where plans of failures are kept, unless told otherwise."""


def add_commands(commands: Any) -> None:
    """Adds the actions of `qnode sim` to the subparsers of `sim`."""
    one = commands.add_parser("run", help="run a scenario file")
    one.add_argument("scenario", type=Path)
    one.add_argument("--seed", type=int, help="of delays and answers (default: the file's, or 0)")
    one.add_argument("--plan", type=Path, metavar="FILE", help="save the plan that was run")
    one.add_argument("--real-models", action="store_true", help="a real model answers (slow)")
    _add_trace(one)
    one.set_defaults(command=_run)

    swarm = commands.add_parser("swarm", help="run many seeds, each with its own faults")
    extent = swarm.add_mutually_exclusive_group()
    extent.add_argument("--seeds", type=_span, metavar="A:B", help="default: 0:200")
    extent.add_argument("--minutes", type=float, help="as many seeds as fit")
    swarm.add_argument("--nodes", type=int, help="networks of this size only")
    _add_jobs(swarm)
    swarm.set_defaults(command=_swarm)

    twins = commands.add_parser("twins", help="one key runs twice, under all kinds of partitions")
    twins.add_argument("--nodes", type=int, default=4, metavar="N")
    twins.add_argument("--rounds", type=int, default=7)
    twins.add_argument("--sample", type=int, default=200, metavar="COUNT")
    twins.add_argument("--seed", type=int, default=0)
    _add_jobs(twins)
    twins.set_defaults(command=_twins)

    fuzz = commands.add_parser("fuzz", help="partitions and changed messages, round by round")
    fuzz.add_argument("--partitions", type=int, default=2, metavar="D")
    fuzz.add_argument("--mutations", type=int, default=2, metavar="C")
    fuzz.add_argument("--rounds", type=int, default=8, metavar="R")
    fuzz.add_argument("--sample", type=int, default=200, metavar="COUNT")
    fuzz.add_argument("--seed", type=int, default=0)
    fuzz.add_argument("--list", action="store_true", help="list the kinds of mutation")
    _add_jobs(fuzz)
    fuzz.set_defaults(command=_fuzz)

    catalog = commands.add_parser("catalog", help="run every recipe of known attacks")
    catalog.add_argument("recipe", nargs="*", help="only these, such as P1 V3")
    catalog.add_argument("--list", action="store_true", help="list them")
    _add_jobs(catalog)
    catalog.set_defaults(command=_catalog)

    mutants = commands.add_parser("mutants", help="plant bugs in the core: each must be caught")
    mutants.add_argument("mutant", nargs="*", help="only these")
    mutants.add_argument("--list", action="store_true", help="list them")
    _add_jobs(mutants)
    mutants.set_defaults(command=_mutants)

    replay = commands.add_parser("replay", help="run a plan again, byte for byte")
    replay.add_argument("plan", type=Path)
    _add_trace(replay)
    replay.set_defaults(command=_replay)

    shrink = commands.add_parser("shrink", help="leave out of a failing plan what it does not need")
    shrink.add_argument("plan", type=Path)
    shrink.add_argument("-o", "--out", type=Path, help="default: beside the plan")
    shrink.add_argument("--seconds", type=float, default=SHRINK_S, help="default: %(default)g")
    shrink.add_argument("--json", action="store_true")
    shrink.set_defaults(command=_shrink)

    same = commands.add_parser(
        "check-determinism", help="the same seeds twice, under two hash seeds"
    )
    same.add_argument("--seeds", type=_span, default=range(8), metavar="A:B", help="default: 0:8")
    same.add_argument("--json", action="store_true")
    same.set_defaults(command=_check_determinism)

    report = commands.add_parser("report", help="a page about the plans in a folder")
    report.add_argument("folder", type=Path, help="plans (*.json) or scenarios (*.toml), or one")
    report.add_argument("--html", type=Path, nargs="?", const=Path("report.html"), metavar="FILE")
    report.add_argument("--json", action="store_true")
    report.set_defaults(command=_report)


def _add_trace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trace", type=Path, metavar="FILE", help="write down every message")
    parser.add_argument("--html", type=Path, metavar="FILE", help="a page about the run")
    parser.add_argument("--json", action="store_true")


def _add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--out", type=Path, default=FAILURES, help="where failing plans are kept")
    parser.add_argument("--json", action="store_true")


def _span(text: str) -> range:
    first, _, last = text.partition(":")
    try:
        found = range(int(first), int(last))
    except ValueError:
        raise argparse.ArgumentTypeError("must be A:B, such as 0:1000") from None
    if not 0 <= found.start < found.stop:
        raise argparse.ArgumentTypeError("must be A:B with 0 <= A < B")
    return found


# --- one run -----------------------------------------------------------------------------------


def _run(options: argparse.Namespace) -> int:
    from simulator.plan import to_text
    from simulator.scenario import read_scenario

    plan = read_scenario(options.scenario, options.seed)
    if options.plan:
        write(options.plan, to_text(plan))
    make = _with_real_models(plan) if options.real_models else None
    return _one(plan, options, f"scenario {options.scenario}", make)


def _with_real_models(plan: "Plan") -> Callable[..., Any]:
    import runpy
    from functools import partial

    from simulator.world import World

    # It stands above the simulator, which imports nothing but the core.
    load = runpy.run_module("simulator.live.models")["load"]
    return partial(World, meaning=load(plan.models))


def _replay(options: argparse.Namespace) -> int:
    return _one(read_plan(options.plan), options, f"plan {options.plan}")


def read_plan(path: Path) -> "Plan":
    from simulator.plan import from_text

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadScenario(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise BadScenario(f"{path} is not UTF-8 text.") from None
    try:
        return from_text(text)
    except BadScenario as error:
        raise BadScenario(f"{path}: {error}") from None


def _one(
    plan: "Plan", options: argparse.Namespace, what: str, make: Callable[..., Any] | None = None
) -> int:
    from simulator.run import run
    from simulator.trace import Trace
    from simulator.world import World

    if not options.json:
        say_what(f"{what}, seed {plan.seed}, {plan.nodes} nodes, {len(plan.faults)} faults")
    trace = Trace(keep=bool(options.trace or options.html))
    began_s = time.monotonic()
    result = run(plan, trace, make or World)
    wall_s = time.monotonic() - began_s
    if options.trace:
        write(options.trace, "".join(f"{line}\n" for line in trace.lines()))
    if options.html:
        from simulator.report import page

        write(options.html, page([(result, trace)]))
    if options.json:
        print_json(result.to_json() | {"wall_s": round(wall_s, 3), "commit": commit()})
    else:
        tell_result(result)
    return result.finding.exit_code


# --- many runs ---------------------------------------------------------------------------------


def _swarm(options: argparse.Namespace) -> int:
    from simulator.swarm import swarm

    if options.minutes is not None and not 0 < options.minutes <= 10_080:
        raise BadScenario("--minutes must be more than 0 and at most 10080.")
    seeds = options.seeds or (None if options.minutes else range(200))
    _check_jobs(options)
    if options.nodes is not None and not 1 <= options.nodes <= 128:
        raise BadScenario("--nodes must be from 1 to 128.")
    if not options.json:
        extent = f"seeds {seeds.start}:{seeds.stop}" if seeds else f"{options.minutes:g} minutes"
        say_what(f"swarm, {extent}")
    total = len(seeds) if seeds else None
    with progress_of("seeds", total, quiet=options.json) as tell:
        tally = swarm(_jobs(seeds, options), options.jobs, tell)
    return finish(tally, options, {})


def _jobs(seeds: range | None, options: argparse.Namespace) -> Iterator[tuple[int, int | None]]:
    if seeds is not None:
        for seed in seeds:
            yield seed, options.nodes
        return
    end_s = time.monotonic() + 60 * options.minutes
    seed = 0
    while time.monotonic() < end_s:
        yield seed, options.nodes
        seed += 1


def _check_jobs(options: argparse.Namespace) -> None:
    if not 1 <= options.jobs <= 256:
        raise BadScenario("--jobs must be from 1 to 256.")


def _plans(name: str, plans: Any, options: argparse.Namespace, more: dict[str, Any]) -> int:
    from simulator.swarm import run_plan, swarm

    _check_jobs(options)
    listed = list(plans)
    with progress_of(name, len(listed), quiet=options.json) as tell:
        tally = swarm(listed, options.jobs, tell, run_plan)
    return finish(tally, options, more)


def _twins(options: argparse.Namespace) -> int:
    from simulator.twins import plans

    if not options.json:
        say_what(f"twins, {options.nodes} nodes, {options.rounds} rounds")
    return _plans(
        "scenarios", plans(options.nodes, options.rounds, options.sample, options.seed), options, {}
    )


def _fuzz(options: argparse.Namespace) -> int:
    from simulator.fuzz import MUTATIONS, plans

    if options.list:
        if options.json:
            print_json({"mutations": [{"name": m.name, "says": m.says} for m in MUTATIONS]})
        else:
            for mutation in MUTATIONS:
                print(f"{mutation.name:32}  {mutation.says}")
        return 0
    if not options.json:
        say_what("fuzz")
    found = plans(
        options.partitions, options.mutations, options.rounds, options.sample, options.seed
    )
    return _plans("scenarios", found, options, {"mutation_kinds": len(MUTATIONS)})


def _catalog(options: argparse.Namespace) -> int:
    from simulator.catalog import recipes

    known = recipes()
    wanted = [name.upper() for name in options.recipe]
    for name in wanted:
        if not any(recipe.id == name or recipe.name.upper() == name for recipe in known):
            raise BadScenario(f"There is no recipe {name}; `qnode sim catalog --list` shows all.")
    chosen = [r for r in known if not wanted or r.id in wanted or r.name.upper() in wanted]
    if options.list:
        if options.json:
            print_json({"recipes": [{"name": r.name, "says": r.says} for r in chosen]})
        else:
            for recipe in chosen:
                print(f"{recipe.name:28}  {recipe.says}")
        return 0
    if not options.json:
        say_what(f"catalog, {len(chosen)} recipes")
    ids = sorted({recipe.id for recipe in chosen})
    more = {"recipes": len(ids), "scenarios": len(chosen)}
    return _plans("recipes", [recipe.plan for recipe in chosen], options, more)


def _mutants(options: argparse.Namespace) -> int:
    from simulator.mutants import MUTANTS, kill_all

    _check_jobs(options)
    names = {mutant.name for mutant in MUTANTS}
    for name in options.mutant:
        if name not in names:
            raise BadScenario(f"There is no mutant {name!r}; `qnode sim mutants --list` shows all.")
    chosen = [m for m in MUTANTS if not options.mutant or m.name in options.mutant]
    if options.list:
        for mutant in chosen:
            print(f"{mutant.name:34}  {mutant.says}")
        return 0
    if not options.json:
        say_what(f"mutants, {len(chosen)}")
    began_s = time.monotonic()
    deaths = []
    for death in kill_all(chosen, options.jobs):
        deaths.append(death)
        if not options.json:
            by = f"killed by {death.by} ({death.rule})" if death.by else "SURVIVED"
            print(f"{death.name:34}  {by}, {death.seconds:.1f} s", flush=True)
    survived = [death.name for death in deaths if not death.by]
    wall_s = round(time.monotonic() - began_s, 1)
    if options.json:
        listed = [
            {"name": d.name, "by": d.by, "rule": d.rule, "seconds": round(d.seconds, 2)}
            for d in deaths
        ]
        print_json(
            {
                "mutants": len(deaths),
                "survived": len(survived),
                "survivors": survived,
                "wall_s": wall_s,
                "deaths": listed,
            }
        )
    else:
        print(f"{len(deaths)} mutants, {len(survived)} survived; {wall_s} s")
    return Finding.UNEXPECTED.exit_code if survived else 0


def _shrink(options: argparse.Namespace) -> int:
    from simulator.plan import incident_to_json, to_text
    from simulator.run import run

    plan = read_plan(options.plan)
    result = run(plan)
    if result.ok:
        raise BadScenario(f"{options.plan} does not fail: there is nothing to shrink.")
    if not options.json:
        say_what(f"shrinking {options.plan}, {len(plan.faults)} faults")
    began_s = time.monotonic()
    small = shrunk(result, options.seconds)
    out = options.out or options.plan.with_suffix(".min.json")
    write(out, to_text(small.plan))
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


def print_digests(span: str) -> None:
    """The trace digests of seeds, as JSON."""
    from simulator.generate import plan_of
    from simulator.run import run

    print(json.dumps({str(seed): run(plan_of(seed)).digest for seed in _span(span)}))


def _report(options: argparse.Namespace) -> int:
    from simulator.report import page
    from simulator.run import run
    from simulator.scenario import read_scenario
    from simulator.trace import Trace

    if options.folder.is_file():
        paths = [options.folder]
    else:
        paths = sorted(p for p in options.folder.glob("*") if p.suffix in (".json", ".toml"))
    if not paths:
        raise BadScenario(f"{options.folder} holds no plan (*.json) and no scenario (*.toml).")
    runs = []
    for path in paths:
        plan = read_scenario(path) if path.suffix == ".toml" else read_plan(path)
        trace = Trace(keep=True)
        runs.append((run(plan, trace), trace))
    if options.html:
        write(options.html, page(runs))
    results = [result for result, _ in runs]
    if options.json:
        print_json({"runs": [result.to_json() for result in results]})
    else:
        for result in results:
            print(f"{result.plan.name:28}  {result.finding.value}: {result.sentence}")
        if options.html:
            print(f"The page is {options.html}.")
    return max((result.finding.exit_code for result in results), default=0)
