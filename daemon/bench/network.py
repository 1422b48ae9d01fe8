"""The processes of one benchmarked network: started, asked, stopped."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio

from daemon.errors import QnodeError
from daemon.files import write_new
from daemon.genesis import Genesis, combine
from daemon.identity import read_member_record
from daemon.setup import init, set_bootstrap
from pbft.policy import Policy

START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 8.0
REPORT_TIMEOUT_S = 60.0
_POLL_S = 0.05
_READ_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Report:
    """What one node noted since its last report; moments in ns of `time.monotonic_ns`.

    `slots` and all after it count from the node's start.
    """

    replica: int
    certified: list[tuple[int, int, list[int]]]
    """Question, when its certificate was there, and whose answers were sealed."""
    ready_ns: list[tuple[int, int]]
    """Question, and when this node's own answer was ready."""
    certificate: str
    slots: int
    view: int
    frames_out: int
    bytes_out: int
    core_s: float
    """What the process has used, in seconds of one core."""


@dataclass(slots=True, eq=False)
class BenchNode:
    """One process and what is expected of it."""

    name: str
    folder: Path
    process: trio.Process | None = None
    ready: trio.Event = field(default_factory=trio.Event)
    asked: dict[int, trio.Event] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)
    reported: trio.Event = field(default_factory=trio.Event)
    turn: trio.Lock = field(default_factory=trio.Lock)

    async def start(self) -> None:
        with (self.folder / "log").open("wb") as output:
            self.process = await trio.lowlevel.open_process(
                [sys.executable, "-m", "daemon.bench.worker", str(self.folder / "qnode.toml")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches the benchmark, which stops them
            )

    async def ask(self, number: int) -> None:
        """Returns when the question's certificate is there."""
        done = self.asked[number] = trio.Event()
        await self._say(f"ask {number}")
        await done.wait()

    async def report(self) -> Report:
        self.reported = trio.Event()
        await self._say("report")
        with trio.move_on_after(REPORT_TIMEOUT_S):
            await self.reported.wait()
            return self.reports.pop()
        raise QnodeError(f"{self.name} did not report within {REPORT_TIMEOUT_S:g} s.")

    async def _say(self, line: str) -> None:
        if self.process is None or self.process.stdin is None:
            raise QnodeError(f"{self.name} was not started.")
        try:
            async with self.turn:
                await self.process.stdin.send_all(line.encode() + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise self._stopped() from None

    async def listen(self) -> None:
        """Takes the node's lines until cancelled; raises `QnodeError` when the node ends."""
        if self.process is None or self.process.stdout is None:
            raise QnodeError(f"{self.name} was not started.")
        rest = b""
        while data := await self.process.stdout.receive_some(_READ_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._hear(line.decode())
        raise self._stopped()

    def _hear(self, line: str) -> None:
        word, _, argument = line.partition(" ")
        match word:
            case "ready":
                self.ready.set()
            case "done":
                self.asked.pop(int(argument)).set()
            case "report":
                self.reports = [Report(**json.loads(argument))]
                self.reported.set()
            case _:
                sentence = argument.partition(" ")[2]
                raise QnodeError(
                    f"A question to {self.name} was not decided, so this load is too much for the "
                    f"machine; ask fewer at once with --concurrency. {sentence}"
                )

    def _stopped(self) -> QnodeError:
        lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()
        return QnodeError(f"{self.name} stopped: {lines[-1] if lines else 'no message'}")


class BenchNetwork:
    """n nodes that are ready and connected with each other. Made by `open_bench_network`."""

    def __init__(self, nodes: list[BenchNode], genesis: Genesis) -> None:
        self.nodes = nodes
        self.genesis = genesis

    async def reports(self) -> list[Report]:
        """Every node's, in order of replica."""
        found: list[Report] = []

        async def fetch(node: BenchNode) -> None:
            found.append(await node.report())

        async with trio.open_nursery() as nursery:
            for node in self.nodes:
                nursery.start_soon(fetch, node)
        return sorted(found, key=lambda report: report.replica)


@asynccontextmanager
async def open_bench_network(
    folder: Path, n: int, tell: Callable[[str], None]
) -> AsyncIterator[BenchNetwork]:
    """Starts n nodes in new folders below `folder`; all have ended when the block is left.

    Raises `QnodeError`, in a group with others if several nodes fail at once.
    """
    nodes, genesis = await trio.to_thread.run_sync(partial(_make_folders, folder, n))
    try:
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(START_TIMEOUT_S) as patience:
                await _start(nodes, nursery, tell)
            if patience.cancelled_caught:
                raise QnodeError(f"The {n} nodes were not ready after {START_TIMEOUT_S:g} s.")
            yield BenchNetwork(nodes, genesis)
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await _stop(nodes)


def _make_folders(folder: Path, n: int) -> tuple[list[BenchNode], Genesis]:
    width = len(str(n))
    nodes = []
    for number in range(1, n + 1):
        node = BenchNode(f"node-{number:0{width}}", folder / f"node-{number:0{width}}")
        init(
            node.folder,
            name=node.name,
            addresses=[],
            listen="/ip4/127.0.0.1/tcp/0",
            http_port=0,
            threads=1,
            mdns=False,  # nothing leaves the loopback interface
        )
        nodes.append(node)
    records = [read_member_record(node.folder / "member.json") for node in nodes]
    genesis = combine("bench", records, Policy())
    for node in nodes:
        write_new(node.folder / "genesis.json", genesis.to_text())
    return nodes, genesis


async def _start(
    nodes: list[BenchNode], nursery: trio.Nursery, tell: Callable[[str], None]
) -> None:
    """The first node first, because the others have to know its address."""
    tell(f"starting {len(nodes)} nodes")
    addresses = nodes[0].folder / "data" / "p2p.addresses"
    for node in nodes:
        if node is not nodes[0]:
            set_bootstrap(node.folder, addresses.read_text().split())
        await node.start()
        nursery.start_soon(node.listen)
        while not addresses.exists():  # noqa: ASYNC110 - another process makes it
            await trio.sleep(_POLL_S)
    for done, node in enumerate(nodes, 1):
        await node.ready.wait()
        tell(f"started {done} of {len(nodes)} nodes")


async def _stop(nodes: list[BenchNode]) -> None:
    running = [n.process for n in nodes if n.process is not None and n.process.poll() is None]
    for process in running:
        process.terminate()
    with trio.move_on_after(STOP_TIMEOUT_S):
        for process in running:
            await process.wait()
    for process in running:
        if process.poll() is None:
            process.kill()
            await process.wait()
