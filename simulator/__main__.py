"""`python -m simulator`: the commands of `qnode sim`, without the daemon."""

import argparse
import sys

from simulator import commands
from simulator.commands import plans
from simulator.errors import SimulatorError


def main() -> int:
    if sys.argv[1:2] == ["digests"]:
        plans.print_digests(sys.argv[2])
        return 0
    parser = argparse.ArgumentParser(prog="python -m simulator")
    commands.add_commands(parser.add_subparsers(required=True, metavar="ACTION"))
    options = parser.parse_args()
    try:
        code: int = options.command(options)
    except SimulatorError as error:
        print(f"qnode sim: {error}", file=sys.stderr)
        return commands.EXIT_USAGE
    except KeyboardInterrupt:
        print("qnode sim: interrupted.", file=sys.stderr)
        return commands.EXIT_INTERRUPTED
    return code


if __name__ == "__main__":
    sys.exit(main())
