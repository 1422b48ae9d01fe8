"""`qnode sim swarm`, `twins`, `fuzz`, `catalog`, `mutants`: many runs, none of which may fail."""

import argparse
import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.console import check_folder, finish, print_json, progress_of, say_what, span
from simulator.errors import BadScenario, Finding

if TYPE_CHECKING:
    from simulator.plan import Plan

FAILURES = Path("qnode-sim")
"""Where plans of failures are kept, unless told otherwise."""


def add_commands(actions: Any) -> None:
    """The actions `swarm`, `twins`, `fuzz`, `catalog` and `mutants`."""
    swarm = actions.add_parser("swarm", help="run many seeds, each with its own faults")
    extent = swarm.add_mutually_exclusive_group()
    extent.add_argument("--seeds", type=span, metavar="A:B", help="default: 0:200")
    extent.add_argument("--minutes", type=float, help="as many seeds as fit")
    swarm.add_argument("--nodes", type=int, help="networks of this size only")
    _add_jobs(swarm)
    swarm.set_defaults(command=_swarm)

    twins = actions.add_parser("twins", help="one key runs twice, under all kinds of partitions")
    twins.add_argument("--nodes", type=int, default=4, metavar="N")
    twins.add_argument("--rounds", type=int, default=7)
    twins.add_argument("--sample", type=int, default=200, metavar="COUNT")
    twins.add_argument("--seed", type=int, default=0)
    _add_jobs(twins)
    twins.set_defaults(command=_twins)

    fuzz = actions.add_parser("fuzz", help="partitions and changed messages, round by round")
    fuzz.add_argument("--partitions", type=int, default=2, metavar="D")
    fuzz.add_argument("--mutations", type=int, default=2, metavar="C")
    fuzz.add_argument("--rounds", type=int, default=8, metavar="R")
    fuzz.add_argument("--sample", type=int, default=200, metavar="COUNT")
    fuzz.add_argument("--seed", type=int, default=0)
    fuzz.add_argument("--list", action="store_true", help="list the kinds of mutation")
    _add_jobs(fuzz)
    fuzz.set_defaults(command=_fuzz)

    catalog = actions.add_parser("catalog", help="run every recipe of known attacks")
    catalog.add_argument("recipe", nargs="*", help="only these, such as P1 V3")
    catalog.add_argument("--list", action="store_true", help="list them")
    _add_jobs(catalog)
    catalog.set_defaults(command=_catalog)

    mutants = actions.add_parser("mutants", help="plant bugs in the core: each must be caught")
    mutants.add_argument("mutant", nargs="*", help="only these")
    mutants.add_argument("--list", action="store_true", help="list them")
    _add_jobs(mutants, keeps=False)
    mutants.set_defaults(command=_mutants)


def _add_jobs(parser: argparse.ArgumentParser, *, keeps: bool = True) -> None:
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    if keeps:
        parser.add_argument(
            "--out", type=Path, default=FAILURES, help="where failing plans are kept"
        )
    parser.add_argument("--json", action="store_true")


def _swarm(options: argparse.Namespace) -> int:
    from simulator.swarm import swarm

    if options.minutes is not None and not 0 < options.minutes <= 10_080:
        raise BadScenario("--minutes must be more than 0 and at most 10080.")
    seeds = options.seeds or (None if options.minutes else range(200))
    _check_jobs(options)
    check_folder(options.out)
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


def _plans(
    name: str, plans: Collection["Plan"], options: argparse.Namespace, more: dict[str, Any]
) -> int:
    from simulator.swarm import run_plan, swarm

    _check_jobs(options)
    check_folder(options.out)
    with progress_of(name, len(plans), quiet=options.json) as tell:
        tally = swarm(plans, options.jobs, tell, run_plan)
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
    if options.list and options.json:
        print_json({"mutants": [{"name": m.name, "says": m.says} for m in chosen]})
        return 0
    if options.list:
        for mutant in chosen:
            print(f"{mutant.name:34}  {mutant.says}")
        return 0
    if not options.json:
        say_what(f"mutants, {len(chosen)}")
    began_s = time.monotonic()
    deaths = []
    interrupted = False
    try:
        for death in kill_all(chosen, options.jobs):
            deaths.append(death)
            if not options.json:
                by = f"killed by {death.by} ({death.rule})" if death.by else "SURVIVED"
                print(f"{death.name:34}  {by}, {death.seconds:.1f} s", flush=True)
    except KeyboardInterrupt:
        interrupted = True
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
                "interrupted": interrupted,
                "deaths": listed,
            }
        )
    else:
        print(f"{len(deaths)} mutants, {len(survived)} survived; {wall_s} s")
    if interrupted:
        raise KeyboardInterrupt
    return Finding.UNEXPECTED.exit_code if survived else 0
