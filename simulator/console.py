"""What `qnode sim` tells: results, progress, failures with the command that replays them."""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pbft.types import faults_tolerated
from simulator.errors import BadScenario, SimulatorError, worst

if TYPE_CHECKING:
    from simulator.run import Result
    from simulator.swarm import Tally

SHRINK_S = 60.0


def tell_result(result: "Result") -> None:
    figures = result.figures
    print(f"{result.finding.value.upper()}: {result.sentence}")
    print(
        f"{figures['decided']} decided in {figures['slots']} slots, view {figures['view']}, "
        f"{figures['messages']} messages, {figures['simulated_s']} s simulated; "
        f"trace {result.digest}"
    )
    if figures["outside_guarantee"]:
        bearable = faults_tolerated(result.plan.nodes)
        print(
            f"Beyond the guarantee: of {result.plan.nodes} nodes at most {bearable} may be faulty, "
            "and more are."
        )
    if figures["accused"]:
        proven = ", ".join(f"R{r} ({', '.join(k)})" for r, k in figures["accused"].items())
        print(f"Proven faulty: {proven}.")


def commit() -> str:
    """The commit of the source, if it is known."""
    try:
        found = subprocess.run(  # a fixed command
            ["git", "rev-parse", "--short=12", "HEAD"],  # noqa: S607  # whichever git there is
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() or "unknown"


def say_what(what: str) -> None:
    print(f"{what}; commit {commit()}; options: {shlex.join(sys.argv[1:])}")


def write(path: Path, text: str) -> None:
    """Names may hold what is not UTF-8; escaped it is the same JSON, and readable elsewhere."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise SimulatorError(f"{path} cannot be written: {error.strerror}.") from None
    except ValueError:
        raise SimulatorError(f"{str(path)!r} cannot be the name of a file.") from None


def check_folder(folder: Path) -> None:
    """Raises `BadScenario` if nothing can be kept there: better before the runs than after."""
    there = folder.absolute()
    try:
        while not there.exists() and there != there.parent:
            there = there.parent
        usable = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    except (OSError, ValueError):
        usable = False
    if not usable:
        raise BadScenario(
            f"--out {folder}: {there} is no folder that can be written to; choose another."
        )


def print_json(document: Any) -> None:
    print(json.dumps(document, ensure_ascii=False, indent=1))


@contextmanager
def progress_of(
    what: str, total: int | None, *, quiet: bool
) -> Iterator[Callable[["Tally"], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True, highlight=False),
        transient=True,
        disable=quiet,
    ) as progress:
        task = progress.add_task(what, total=total)

        def tell(tally: "Tally") -> None:
            failed = f", {tally.failures} failed" if tally.failures else ""
            progress.update(task, completed=tally.seeds, description=f"{what}{failed}")

        yield tell


def finish(tally: "Tally", options: argparse.Namespace, more: dict[str, Any]) -> int:
    """Keeps and tells the failures; the exit code is the worst of them. Who ended it early is told
    what was found so far, and does not wait until it is made small."""
    if options.json:
        kept = [kept_path(result, options.out) for result in tally.failed]
        plans = [None if path is None else str(path) for path in kept]
        print_json({**more, **tally.to_json(), "plans": plans, "commit": commit()})
    else:
        _tell_all(tally, options.out)
    if tally.interrupted:
        raise KeyboardInterrupt
    return worst(tally.findings).exit_code


def _tell_all(tally: "Tally", folder: Path) -> None:
    kept = []
    for result in tally.failed:
        print(f"\nseed {result.plan.seed}, commit {commit()}")
        tell_result(result)
        kept.append(kept_path(result, folder))
        if kept[-1] is not None:
            print(f"replay: qnode sim replay {shlex.quote(str(kept[-1]))}")
    if tally.failed and not tally.interrupted:
        place = max(range(len(kept)), key=lambda k: (tally.failed[k].finding.severity, -k))
        tell_shrunk(tally.failed[place], kept[place])
    print(
        f"{tally.seeds} runs, {tally.failures} failed; {tally.decisions} decisions, "
        f"{tally.simulated_s:,.0f} s simulated in {tally.wall_s:.1f} s"
    )


def kept_path(result: "Result", folder: Path, suffix: str = ".json") -> Path | None:
    """Where the plan is kept now; None, said on standard error, if it cannot be: a full disk must
    not hide what was found."""
    try:
        return keep(result, folder, suffix)
    except SimulatorError as error:
        print(f"qnode: {error}", file=sys.stderr)
        return None


def keep(result: "Result", folder: Path, suffix: str = ".json") -> Path:
    from simulator.plan import to_text

    name = (result.plan.name or f"seed {result.plan.seed}").replace(" ", "-").replace("/", "-")
    path = folder / f"{name}{suffix}"
    write(path, to_text(result.plan))
    return path


def tell_shrunk(result: "Result", path: Path | None) -> None:
    """What is left of the failure, kept beside its plan if that could be kept."""
    from simulator.plan import incident_to_json
    from simulator.run import run
    from simulator.trace import Trace

    small = shrunk(result, SHRINK_S)
    where = None if path is None else kept_path(small, path.parent, ".min.json")
    print(f"\nShrunk to {len(small.plan.faults)} faults{'' if where is None else f': {where}'}")
    for fault in small.plan.faults:
        print(f"  {json.dumps(incident_to_json(fault))}")
    trace = Trace(keep=True)
    run(small.plan, trace)
    lines = list(trace.lines())
    print("The end of its trace (all of it: qnode sim replay FILE --trace trace.txt):")
    for line in lines[-30:]:
        print(f"  {line}")


def shrunk(result: "Result", seconds: float, tell: Callable[[str], None] = lambda _: None) -> Any:
    from simulator.shrink import shrink

    end_s = time.monotonic() + seconds
    return shrink(result, lambda: time.monotonic() < end_s, tell)


def span(text: str) -> range:
    """For argparse: `A:B`, without B."""
    first, _, last = text.partition(":")
    try:
        found = range(int(first), int(last))
    except ValueError:
        raise argparse.ArgumentTypeError("must be A:B, such as 0:1000") from None
    if not 0 <= found.start < found.stop <= sys.maxsize:
        raise argparse.ArgumentTypeError(f"must be A:B with 0 <= A < B <= {sys.maxsize}")
    return found
