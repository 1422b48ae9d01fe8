"""The command line: the commands of all parts, put together. Nothing imports this.

Heavy imports are inside the commands, so that `qnode --help` is quick.
"""

import argparse
import io
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from daemon.commands import asking, running, setting_up, trying_out
from daemon.ending import guarded
from simulator import commands as simulations
from simulator.live import command as live

if TYPE_CHECKING:
    from simulator.meaning import Meaning, Models


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code. Errors are one sentence on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may lack characters of an answer

    def run() -> int:
        options = _parser().parse_args(arguments)
        code: int = options.command(options)
        return code

    return guarded(run)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="qnode",
        description="A node of a network whose language models agree on answers by vote.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    setting_up.add_founding(commands)
    running.add_command(commands)
    setting_up.add_prepare(commands)
    asking.add_commands(commands)
    trying_out.add_commands(commands)
    _add_sim(commands)
    return parser


def _add_sim(commands: Any) -> None:
    sim = commands.add_parser("sim", help="faulty and lying nodes in virtual time")
    actions = sim.add_subparsers(required=True, metavar="ACTION")
    simulations.add_commands(actions, _real_models)
    live.add_command(actions)


def _real_models(models: "Models") -> "Meaning":
    from simulator.live.models import load

    return load(models)


if __name__ == "__main__":
    sys.exit(main())
