"""One node of a benchmark: the ordinary daemon around an instant model, asked over its standard
input. `python -m daemon.bench.worker qnode.toml`.

Lines in: `ask NUMBER` puts a question to the network, `report` asks for what was noted since the
last report. Lines out: `ready` once all members are connected, `done NUMBER` when the question's
certificate is there, `failed NUMBER SENTENCE`, and `report JSON`. The end of the input ends the
node, so that none outlives the benchmark.

The network is asked by the same calls that the HTTP port makes; HTTP itself is left out. Moments
are read from `time.monotonic_ns`, which all processes of one machine share.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import trio

from daemon.bench.instant import InstantEngine, InstantJudge, question
from daemon.commands.running import run_until_signalled
from daemon.config import Config, read_config
from daemon.ending import guarded
from daemon.genesis import Genesis
from daemon.node import Models, Parts, run
from daemon.queries import Queries, Query
from daemon.queryerror import QueryError
from pbft import certificate as certificates
from pbft.certificate import Certificate
from pbft.types import ReplicaId

_POLL_S = 0.05
_READ_BYTES = 64 * 1024


class Worker:
    """Asks the node it runs beside, and notes when each question was certified."""

    def __init__(self, ended: trio.CancelScope) -> None:
        self._ended = ended
        self._output = trio.lowlevel.FdStream(os.dup(sys.stdout.fileno()))
        self._turn = trio.Lock()
        self._engine: InstantEngine | None = None
        self._certified: list[tuple[int, int, list[ReplicaId]]] = []
        self._last: Certificate | None = None

    async def load_models(self, _config: Config, _genesis: Genesis, me: ReplicaId | None) -> Models:
        self._engine = InstantEngine(me or ReplicaId(0))
        return Models(self._engine, InstantJudge())

    async def serve(self, queries: Queries) -> None:
        """Obeys standard input until it ends, which ends the node."""
        stream = trio.lowlevel.FdStream(os.dup(sys.stdin.fileno()))
        rest = b""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._announce, queries)
            while data := await stream.receive_some(_READ_BYTES):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    command, _, argument = line.decode().partition(" ")
                    if command == "ask":
                        nursery.start_soon(self._ask, queries, int(argument))
                    else:
                        await self._say("report " + json.dumps(self._report(queries)))
            nursery.cancel_scope.cancel()
        self._ended.cancel()

    async def _announce(self, queries: Queries) -> None:
        n = len(queries.status()["members"])
        while queries.status()["reachable"] < n:  # noqa: ASYNC110 - the network tells nobody
            await trio.sleep(_POLL_S)
        await self._say("ready")

    async def _ask(self, queries: Queries, number: int) -> None:
        try:
            certificate = await queries.certified(Query(question(number)))
        except QueryError as error:
            await self._say(f"failed {number} {error}")
            return
        now_ns = time.monotonic_ns()
        self._last = certificate
        sealed = [
            commitment.message.replica
            for seal in certificate.item.seals
            for commitment in seal.message.commitments
        ]
        self._certified.append((number, now_ns, sealed))
        await self._say(f"done {number}")

    def _report(self, queries: Queries) -> dict[str, Any]:
        status = queries.status()
        ready_ns = self._engine.ready_ns if self._engine else {}
        document = {
            "replica": status["replica"],
            "certified": self._certified,
            "ready_ns": list(ready_ns.items()),
            "certificate": certificates.to_text(self._last) if self._last else "",
            "slots": status["decided"],
            "view": status["view"],
            "frames_out": sum(peer["frames_out"] for peer in status["peers"]),
            "bytes_out": sum(peer["bytes_out"] for peer in status["peers"]),
            "core_s": time.process_time(),
        }
        self._certified = []
        ready_ns.clear()
        return document

    async def _say(self, line: str) -> None:
        async with self._turn:
            await self._output.send_all(line.encode() + b"\n")


async def serve(config: Config) -> None:
    """Run the node until standard input ends."""
    with trio.CancelScope() as ended:
        worker = Worker(ended)
        await run(config, Parts(load_models=worker.load_models, beside=worker.serve))


def main() -> int:
    from daemon import logs

    config = read_config(Path(sys.argv[1]))
    logs.set_up(config.data)
    return trio.run(run_until_signalled, serve, config)


if __name__ == "__main__":
    sys.exit(guarded(main))
