"""`qnode bench consensus`: real daemons on this machine, with instant answers.

Processes, disk, libp2p, signatures and the replica are those of `qnode run`; the model and the
judge take no time (`instant`), and questions come over pipes instead of HTTP (`worker`). See
`figures` for what is measured and `floor` for what it is compared with.
"""

import argparse
import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import trio
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from daemon import display
from daemon.bench import floor
from daemon.bench.figures import Level, summary
from daemon.bench.load import Extent, Load
from daemon.bench.network import BenchNetwork, open_bench_network
from daemon.bench.unit_costs import measure_unit_costs
from daemon.errors import QnodeError, UsageError
from daemon.verification import verify_bytes
from pbft import certificate as certificates
from pbft.errors import InvalidCertificate
from pbft.policy import Policy

NODES_DEFAULT = 4
NODES_MIN = 2
NODES_MAX = 16
SECONDS_MAX = 600.0
DECISIONS_MAX = 1_000_000

Tell = Callable[[str], None]


class Plan:
    """What the options ask for; `UsageError` for what can't be done."""

    def __init__(self, options: argparse.Namespace) -> None:
        nodes = NODES_DEFAULT if options.nodes is None else options.nodes
        self.sizes: list[int] = options.sizes or [nodes]
        self.concurrency: list[int] = options.concurrency
        if not all(NODES_MIN <= n <= NODES_MAX for n in self.sizes):
            raise UsageError(f"The number of nodes must be from {NODES_MIN} to {NODES_MAX}.")
        most = Policy().requests_in_flight_max * min(self.sizes)
        if not all(1 <= c <= most for c in self.concurrency):
            raise UsageError(
                f"--concurrency must be from 1 to {most} with {min(self.sizes)} nodes."
            )
        if not 0 < options.seconds <= SECONDS_MAX:
            raise UsageError(f"--seconds must be more than 0 and at most {SECONDS_MAX:g}.")
        if options.decisions is not None and not 1 <= options.decisions <= DECISIONS_MAX:
            raise UsageError(f"--decisions must be from 1 to {DECISIONS_MAX}.")
        self.extent = Extent(options.seconds, options.decisions)


class ConsensusBench:
    """One run of the benchmark, by the options of the command line."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._plan = Plan(options)
        self._json: bool = options.json
        self._parent: Path | None = options.folder
        self._levels: list[Level] = []
        self._floors: list[dict[str, Any]] = []

    async def run(self) -> int:
        """Runs to the end; leaves no process and no file behind, whatever happens."""
        load_average = os.getloadavg()[0]
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:

                async def watch() -> None:
                    async for _ in signals:
                        raise KeyboardInterrupt

                nursery.start_soon(watch)
                with self._folder() as folder, self._drawn() as tell:
                    for n in self._plan.sizes:
                        await self._measure(folder / str(n), n, tell)
                nursery.cancel_scope.cancel()
        if self._json:
            print(json.dumps(self._summary(load_average), indent=1))
        else:
            self._show()
        return 0

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        try:
            with tempfile.TemporaryDirectory(prefix="qnode-bench-", dir=self._parent) as name:
                yield Path(name)
        except OSError as error:
            raise UsageError(
                f"The nodes' files cannot be kept in {self._parent or tempfile.gettempdir()}: "
                f"{error.strerror}; name another folder with --folder."
            ) from None

    async def _measure(self, folder: Path, n: int, tell: Tell) -> None:
        """All levels with n nodes, then the floor below them."""

        def tell_size(text: str) -> None:
            tell(f"n = {n}: {text}")

        levels = []
        async with open_bench_network(folder, n, tell_size) as network:
            load = Load(network, tell_size)
            for concurrency in self._plan.concurrency:
                levels.append(await load.run(concurrency, self._plan.extent))
                _check(load.certificate, network)
        tell_size("measuring what the floor is made of")
        certificate = certificates.from_text(load.certificate)
        cores = len(os.sched_getaffinity(0))
        for level in levels:
            batch = floor.batch_of(level.concurrency)
            costs = await measure_unit_costs(certificate, batch, folder)
            bound = floor.decisions_per_s(n, costs, cores)
            self._levels.append(
                replace(
                    level,
                    floor_decisions_per_s=bound,
                    share_of_floor=level.decisions_per_s / bound,
                )
            )
            self._floors.append(_describe(level, costs))

    def _summary(self, load_average: float) -> dict[str, Any]:
        return {
            **summary(self._levels),
            "floors": self._floors,
            "cores": len(os.sched_getaffinity(0)),
            "load_average_before": round(load_average, 2),
        }

    # --- output --------------------------------------------------------------------------------

    @contextmanager
    def _drawn(self) -> Iterator[Tell]:
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=display.progress_console,
            transient=True,
            disable=self._json,
        ) as progress:
            task = progress.add_task("", total=None)
            yield lambda text: progress.update(task, description=text)

    def _show(self) -> None:
        table = Table(title="Consensus with instant answers", title_justify="left")
        for column in (
            "n", "open", "decided/s", "floor", "share", "p50 ms", "p95 ms", "messages", "bytes",
            "core ms",
        ):  # fmt: skip
            table.add_column(column, justify="right")
        for level in self._levels:
            table.add_row(
                str(level.nodes),
                str(level.concurrency),
                f"{level.decisions_per_s:.1f}",
                f"{level.floor_decisions_per_s:.0f}",
                f"{level.share_of_floor:.0%}",
                f"{level.overhead_ms_p50:.1f}",
                f"{level.overhead_ms_p95:.1f}",
                f"{level.messages_per_decision:.1f}",
                f"{level.bytes_per_decision:,.0f}",
                f"{level.core_ms_per_decision:.1f}",
            )
        display.console.print(table)
        display.console.print(
            "n nodes, so many questions open at once; floor: decisions/s that the machine could do "
            "at best; p50, p95: from the last answer ready to the certificate; messages, bytes and "
            "core time per decision, all nodes together."
        )


def _check(text: str, network: BenchNetwork) -> None:
    """A network that decides fast and wrongly is not worth measuring."""
    try:
        verify_bytes(text.encode(), network.genesis)
    except InvalidCertificate as error:
        raise QnodeError(f"The network made a certificate that does not hold: {error}") from None


def _describe(level: Level, costs: floor.UnitCosts) -> dict[str, Any]:
    """Unit costs, and what a decision spends on each part at best; microseconds of one core."""
    kinds = {
        name: {
            "encode_us": _us(cost["encode_s"]),
            "decode_us": _us(cost["decode_s"]),
            "bytes": cost["frame_bytes"],
        }
        for name, cost in asdict(costs).items()
        if isinstance(cost, dict)
    }
    return {
        "nodes": level.nodes,
        "concurrency": level.concurrency,
        "batch": costs.batch,
        "sign_us": _us(costs.sign_s),
        "check_us": _us(costs.check_s),
        "write_us": _us(costs.write_s),
        "write_kib_us": _us(1024 * costs.write_byte_s),
        "flush_us": _us(costs.flush_s),
        "flush_disk_us": _us(costs.flush_disk_s),
        "messages": kinds,
        "decision_us": {name: _us(s) for name, s in floor.parts_s(level.nodes, costs).items()},
    }


def _us(seconds: float) -> float:
    return round(1e6 * seconds, 2)
