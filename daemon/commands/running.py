"""`qnode run`: this machine's node, until it is told to stop."""

import argparse
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any


def add_command(commands: Any) -> None:
    """The subcommand `run`."""
    run = commands.add_parser("run", help="run this node until interrupted")
    run.add_argument("--config", type=Path, default=Path("qnode.toml"))
    run.add_argument("--verbose", action="store_true", help="log every refused message")
    run.add_argument(
        "--join", action="store_true",
        help="start before this node is a member, and follow until the members let it in",
    )  # fmt: skip
    run.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    import trio

    from daemon import logs
    from daemon.config import read_config
    from daemon.node import run

    config = read_config(options.config)
    logs.set_up(config.data, verbose=options.verbose)
    return trio.run(run_until_signalled, partial(run, join=options.join), config)


async def run_until_signalled(run: Any, config: Any, *args: Any) -> int:
    """Runs the node until SIGINT or SIGTERM, then lets it close within its deadlines."""
    import trio

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                async for _ in signals:
                    print("qnode: stopping.", file=sys.stderr)
                    nursery.cancel_scope.cancel()
                    return

            nursery.start_soon(watch)
            await run(config, *args)
            nursery.cancel_scope.cancel()
    return 0
