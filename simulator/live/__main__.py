"""Runs the ordinary daemon around a faulty replica."""

import argparse
import sys
from pathlib import Path

import trio

from daemon import logs
from daemon.cli import report, run_until_signalled
from daemon.config import read_config
from daemon.node import Parts, run
from simulator.faults import FAULTS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m simulator.live")
    parser.add_argument("--fault", choices=sorted(FAULTS), required=True)
    parser.add_argument("config", type=Path)
    options = parser.parse_args()
    try:
        config = read_config(options.config)
        logs.set_up(config.data)
        return trio.run(run_until_signalled, run, config, Parts(wrap_replica=FAULTS[options.fault]))
    except BaseException as error:  # noqa: BLE001 - raised again unless it is for people
        return report(error)


if __name__ == "__main__":
    sys.exit(main())
