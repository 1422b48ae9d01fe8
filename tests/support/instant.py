"""`qnode run` around a model that answers at once: `python -m tests.support.instant run …`.

For tests of what real processes do about each other, where the models' words do not matter: such a
node starts in a second and needs no memory. All else is the daemon's own.
"""

import sys
from functools import partial
from typing import Any

from daemon import cli, node
from daemon.bench.instant import InstantEngine, InstantJudge
from daemon.config import Config
from daemon.genesis import Genesis
from daemon.identity import load_key
from pbft.types import ReplicaId


async def instant_models(config: Config, _genesis: Genesis, _me: Any) -> node.Models:
    key = load_key(config.key).public_key().public_bytes_raw()
    return node.Models(InstantEngine(ReplicaId(key[0])), InstantJudge())


if __name__ == "__main__":
    node.run = partial(node.run, parts=node.Parts(load_models=instant_models))  # type: ignore[assignment]
    sys.exit(cli.main())
