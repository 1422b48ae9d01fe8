"""`qnode sim run`: one scenario file."""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.console import commit, print_json, say_what, tell_result, write
from simulator.errors import SimulatorError

if TYPE_CHECKING:
    from simulator.meaning import Meaning, Models
    from simulator.plan import Plan
    from simulator.run import Result
    from simulator.trace import Trace

LoadMeaning = Callable[["Models"], "Meaning"]


def add_command(actions: Any, real_models: LoadMeaning | None) -> None:
    """The action `run`; with real models only if there is what loads them."""
    one = actions.add_parser("run", help="run a scenario file")
    one.add_argument("scenario", type=Path)
    one.add_argument("--seed", type=int, help="of delays and answers (default: the file's, or 0)")
    one.add_argument("--plan", type=Path, metavar="FILE", help="save the plan that was run")
    if real_models is not None:
        one.add_argument("--real-models", action="store_true", help="a real model answers (slow)")
    add_trace(one)
    one.set_defaults(command=partial(_run, real_models))


def add_trace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trace", type=Path, metavar="FILE", help="write down every message")
    parser.add_argument("--html", type=Path, metavar="FILE", help="a page about the run")
    parser.add_argument("--json", action="store_true")


def _run(real_models: LoadMeaning | None, options: argparse.Namespace) -> int:
    from simulator.plan import to_text
    from simulator.scenario import read_scenario

    plan = read_scenario(options.scenario, options.seed)
    if options.plan:
        write(options.plan, to_text(plan))
    make = None
    if real_models is not None and options.real_models:
        from simulator.world import World

        make = partial(World, meaning=real_models(plan.models))
    return run_one(plan, options, f"scenario {options.scenario}", make)


def run_one(
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
    if options.json:
        print_json(result.to_json() | {"wall_s": round(wall_s, 3), "commit": commit()})
    else:
        tell_result(result)
    try:
        _write_about(result, trace, options)
    except SimulatorError as error:
        if result.ok:
            raise
        # The exit code is the finding's: that is what a script must learn.
        print(f"qnode: {error}", file=sys.stderr)
    return result.finding.exit_code


def _write_about(result: "Result", trace: "Trace", options: argparse.Namespace) -> None:
    if options.trace:
        write(options.trace, "".join(f"{line}\n" for line in trace.lines()))
    if options.html:
        from simulator.report import page

        write(options.html, page([(result, trace)]))
