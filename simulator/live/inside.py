"""`qnode sim live`, once more, in namespaces of its own: `python -m simulator.live.inside …`."""

import argparse
import sys

from simulator.live.namespaces import enter


def main() -> int:
    enter()  # before anything else is imported: some libraries start threads
    from simulator.live import command

    parser = argparse.ArgumentParser(prog="qnode sim")
    command.add_command(parser.add_subparsers(required=True))
    options = parser.parse_args(["live", *sys.argv[1:]])
    code: int = options.command(options)
    return code


if __name__ == "__main__":
    from daemon.ending import guarded

    sys.exit(guarded(main))
