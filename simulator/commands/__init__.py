"""`qnode sim …`: the commands. Heavy imports are inside, so that `qnode --help` is quick.

Every command prints what it runs first (seed, commit, options), and for a failure the command that
replays it. With `--json` it prints one JSON document and nothing else.
"""

from typing import Any

from simulator.commands import many, plans, scenario

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def add_commands(actions: Any, real_models: scenario.LoadMeaning | None = None) -> None:
    """Adds the actions of `qnode sim` to the subparsers of `sim`.

    `real_models` loads what stands above the simulator, which imports nothing but the core.
    """
    scenario.add_command(actions, real_models)
    many.add_commands(actions)
    plans.add_commands(actions)
