"""The command `qnode sim live`: what runs by which means, and what it tells."""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.errors import BadScenario, Finding, worst

if TYPE_CHECKING:
    from simulator.plan import Plan

_ENTERED = "--entered"


def add_command(actions: Any) -> None:
    """Adds `live` to the actions of `qnode sim`."""
    live = actions.add_parser("live", help="run scenarios against real nodes on this machine")
    live.add_argument("scenario", type=Path, nargs="+")
    live.add_argument("--folder", type=Path, help="where the nodes' files go")
    live.add_argument("--models", action="store_true", help="real models, not instant answers")
    live.add_argument(
        "--links", choices=("auto", "namespaces", "messages"), default="auto",
        help="how faults of links are made: to packets between network namespaces (Linux), or to "
        "messages as they come in (default: namespaces where the machine and the faults allow it)",
    )  # fmt: skip
    live.add_argument("--json", action="store_true")
    live.add_argument(_ENTERED, action="store_true", help=argparse.SUPPRESS)
    live.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Runs the scenarios one after the other; the exit code is the worst of them.

    Where namespaces are needed, this process becomes another that enters them first: that takes a
    process with one thread.
    """
    from simulator.live.means import check_live, choose
    from simulator.live.namespaces import why_unavailable
    from simulator.live.verdict import check_expectations
    from simulator.scenario import read_scenario

    plans = [read_scenario(path) for path in options.scenario]
    for plan in plans:
        check_live(plan)
        check_expectations(plan)
    unavailable = ""
    if options.links != "messages" and not options.entered:
        unavailable = why_unavailable()
    means = [choose(plan, options.links, unavailable) for plan in plans]
    if "namespaces" in means and not options.entered:
        sys.stdout.flush()
        os.execv(sys.executable, _command_that_enters(options))  # noqa: S606  # our own program
    if unavailable and not options.json:
        print(f"Without namespaces: {unavailable}")
    return _report([_run_one(*each, options) for each in zip(plans, means, strict=True)], options)


def _command_that_enters(options: argparse.Namespace) -> list[str]:
    command = [sys.executable, "-m", "simulator.live.inside", "--links", options.links]
    command += ["--folder", str(options.folder)] if options.folder else []
    command += ["--models"] if options.models else []
    command += ["--json"] if options.json else []
    return [*command, _ENTERED, "--", *map(str, options.scenario)]


def _run_one(plan: "Plan", means: str, options: argparse.Namespace) -> dict[str, Any]:
    from simulator.live.scenario import Live

    try:
        made = tempfile.TemporaryDirectory(prefix="qnode-live-", dir=options.folder)
    except OSError as error:
        raise BadScenario(
            f"{options.folder} cannot hold the nodes' files ({error.strerror}); name another "
            "--folder."
        ) from None
    with made as folder:
        result = Live(plan, Path(folder), means, instant=not options.models).run()
    if not options.json:
        print(
            f"{result['name']:32}  {result['finding']}: {result['sentence']} "
            f"{result['decided']} of {result['asked']} decided, {result['wall_s']} s "
            f"(links: {means})",
            flush=True,
        )
        for name, words in result["stopped"].items():
            print(f"  {name} stopped by itself: {words}", flush=True)
    return result


def _report(results: list[dict[str, Any]], options: argparse.Namespace) -> int:
    failed = sum(result["finding"] != "holds" for result in results)
    if options.json:
        print(json.dumps({"scenarios": len(results), "failed": failed, "runs": results}, indent=1))
    return worst(Finding(result["finding"]) for result in results).exit_code
