"""Runs the ordinary daemon around a faulty replica."""

import argparse
import sys
from pathlib import Path


def main() -> int:
    from simulator.faults import FAULTS

    parser = argparse.ArgumentParser(prog="python -m simulator.live")
    parser.add_argument("--fault", choices=sorted(FAULTS), required=True)
    parser.add_argument("config", type=Path)
    options = parser.parse_args()
    import trio

    from daemon import logs
    from daemon.cli import run_until_signalled
    from daemon.config import read_config
    from daemon.node import Parts, run

    config = read_config(options.config)
    logs.set_up(config.data)
    return trio.run(run_until_signalled, run, config, Parts(wrap_replica=FAULTS[options.fault]))


if __name__ == "__main__":
    from daemon.cli import report

    try:
        code = main()
    except BaseException as error:  # noqa: BLE001 - raised again unless it is for people
        code = report(error)
    sys.exit(code)
