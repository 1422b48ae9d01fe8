"""Runs the ordinary daemon around a faulty replica, with real models or instant ones."""

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any


def main() -> int:
    from simulator.faults import FAULTS
    from simulator.live.links import Links

    parser = argparse.ArgumentParser(prog="python -m simulator.live")
    parser.add_argument("--fault", choices=sorted(FAULTS))
    parser.add_argument("--settings", type=json.loads, default={}, help="of the fault, as JSON")
    parser.add_argument("--links", help="file with the faults of links, as soon as it is there")
    parser.add_argument("--instant", action="store_true", help="a model that answers at once")
    parser.add_argument("config", type=Path)
    options = parser.parse_args()
    import trio

    from daemon import logs
    from daemon.commands.running import run_until_signalled
    from daemon.config import read_config
    from daemon.node import Parts, run

    parts: dict[str, Any] = {}
    layers: list[Any] = []
    if options.fault:
        layers.append(partial(FAULTS[options.fault], **options.settings))
    if options.links:
        layers.append(partial(Links, file=options.links))
    if layers:
        parts["wrap_replica"] = partial(_wrapped, layers)
    if options.instant:
        parts["load_models"] = _instant_models
    config = read_config(options.config)
    logs.set_up(config.data)
    return trio.run(run_until_signalled, run, config, Parts(**parts))


def _wrapped(layers: list[Any], replica: Any, configuration: Any, keyring: Any) -> Any:
    for layer in layers:
        replica = layer(replica, configuration, keyring)
    return replica


async def _instant_models(config: Any, _genesis: Any, me: Any) -> Any:
    from daemon.bench.instant import InstantEngine, InstantJudge
    from daemon.node import Models
    from pbft.types import ReplicaId

    del config
    return Models(InstantEngine(ReplicaId(me or 0)), InstantJudge())


if __name__ == "__main__":
    from daemon.ending import guarded

    sys.exit(guarded(main))
