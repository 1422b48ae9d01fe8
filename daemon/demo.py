"""`qnode demo`: a whole network on one machine, asked, broken, asked again, verified.

The nodes are ordinary `qnode run` processes that know one bootstrap address. A misbehaving node is
the same daemon started by `simulator.live`, which wraps its replica.
"""

import argparse
import ctypes
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import trio
from rich.live import Live
from rich.table import Table

from daemon import display
from daemon.client import Client
from daemon.errors import QnodeError, UsageError
from daemon.files import write_new, write_whole
from daemon.genesis import Genesis, combine
from daemon.identity import read_member_record
from daemon.setup import init, set_bootstrap
from daemon.verification import verify_bytes
from pbft.errors import InvalidCertificate
from pbft.policy import Policy
from pbft.types import quorum_size

QUESTION = "What is the capital of France?"
NODES_MAX = 16
START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 8.0
_POLL_S = 0.2
_MARK = "made-by-qnode-demo"
_PR_SET_PDEATHSIG = 1

T = TypeVar("T")


@dataclass(slots=True)
class DemoNode:
    name: str
    folder: Path
    fault: str | None
    process: trio.Process | None = None

    @property
    def url(self) -> str:
        return (self.folder / "data" / "http.url").read_text().strip()

    @property
    def client(self) -> Client:
        return Client(self.url)

    def command(self) -> list[str]:
        config = str(self.folder / "qnode.toml")
        if self.fault:
            return [sys.executable, "-m", "simulator.live", "--fault", self.fault, config]
        return [sys.executable, "-m", "daemon.cli", "run", "--config", config]


class Demo:
    """One demonstration, by the options of the command line."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._count: int = options.nodes
        if not 1 <= self._count <= NODES_MAX:
            raise UsageError(f"--nodes must be from 1 to {NODES_MAX} on one machine.")
        if options.fault and self._count < 4:
            raise UsageError("--fault needs --nodes 4 or more: three nodes tolerate no liar.")
        self._questions: list[str] = options.ask or [QUESTION]
        self._folder: Path = options.folder
        self._nodes: list[DemoNode] = []
        self._genesis: Genesis | None = None
        self._results: list[dict[str, Any]] = []

    async def run(self) -> int:
        """Runs to the end; leaves no process behind, whatever happens."""
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:

                async def watch() -> None:
                    async for _ in signals:
                        raise KeyboardInterrupt

                nursery.start_soon(watch)
                try:
                    await self._perform()
                finally:
                    with trio.CancelScope(shield=True):
                        await self._stop_all()
                nursery.cancel_scope.cancel()
        return 0 if all(result["verified"] for result in self._results) else 1

    async def _perform(self) -> None:
        self._make_network()
        await self._start()
        for question in self._questions:
            await self._ask(question)
        await self._kill_one()
        if self._options.json:
            print(json.dumps(self._summary(), ensure_ascii=False, indent=1))
        if self._options.keep:
            await self._keep()

    # --- the network ---------------------------------------------------------------------------

    def _make_network(self) -> None:
        if self._folder.exists():
            if not (self._folder / _MARK).exists():
                raise UsageError(
                    f"{self._folder} exists and was not made by `qnode demo`; name another "
                    "folder with --folder."
                )
            shutil.rmtree(self._folder)
        write_new(self._folder / _MARK, "")
        width = len(str(self._count))
        for number in range(1, self._count + 1):
            name = f"node-{number:0{width}}"
            faulty = self._options.fault if number == self._count else None
            node = DemoNode(name, (self._folder / name).resolve(), faulty)
            init(
                node.folder,
                name=name,
                addresses=[],
                listen="/ip4/127.0.0.1/tcp/0",
                http_port=0,
                threads=1,  # the processes share the cores
                mdns=False,  # nothing leaves the loopback interface
            )
            self._nodes.append(node)
        records = [read_member_record(node.folder / "member.json") for node in self._nodes]
        self._genesis = combine("demo", records, Policy())
        write_new(self._folder / "genesis.json", self._genesis.to_text())
        for node in self._nodes:
            write_new(node.folder / "genesis.json", self._genesis.to_text())

    async def _start(self) -> None:
        """Starts the first node, tells the others its address, waits until all are connected."""
        self._say(f"Starting {self._count} nodes, each a process with its own model…")
        with trio.move_on_after(START_TIMEOUT_S) as patience, self._drawn() as draw:
            await self._spawn(self._nodes[0])
            addresses = self._nodes[0].folder / "data" / "p2p.addresses"
            while not addresses.exists():
                self._check_alive()
                await trio.sleep(_POLL_S)
            for node in self._nodes[1:]:
                set_bootstrap(node.folder, addresses.read_text().split())
                await self._spawn(node)
            while not await self._all_ready(draw):
                self._check_alive()
                await trio.sleep(_POLL_S)
        if patience.cancelled_caught:
            raise QnodeError(
                f"The nodes were not ready after {START_TIMEOUT_S:g} s; see {self._folder}/*/log."
            )

    async def _spawn(self, node: DemoNode) -> None:
        with (node.folder / "log").open("wb") as output:
            node.process = await trio.lowlevel.open_process(
                node.command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the demonstration, which stops them
                preexec_fn=None if self._options.keep else _die_with_parent,
            )

    async def _all_ready(self, draw: Callable[[Table], None]) -> bool:
        table = Table.grid(padding=(0, 2))
        ready = 0
        for node in self._nodes:
            try:
                status = await _in_thread(node.client.get, "/api/ai/status")
            except (OSError, QnodeError):
                table.add_row(node.name, "[dim]starting")
                continue
            done = status["state"] == "ready" and status["reachable"] == self._count
            ready += done
            table.add_row(
                node.name,
                f"[green]{status['state']}" if done else f"[yellow]{status['state']}",
                f"{status['reachable']}/{self._count} reachable",
                f"{status['model'] or ''}" + (f"  [red]({node.fault})" if node.fault else ""),
            )
        draw(table)
        return ready == self._count

    def _check_alive(self) -> None:
        for node in self._nodes:
            if node.process is not None and node.process.poll() is not None:
                lines = (node.folder / "log").read_text(errors="replace").strip().splitlines()
                raise QnodeError(f"{node.name} stopped: {lines[-1] if lines else 'no message'}")

    @property
    def _asked(self) -> DemoNode:
        return self._nodes[min(1, self._count - 1)]

    # --- asking --------------------------------------------------------------------------------

    async def _ask(self, question: str, killed: str | None = None) -> None:
        asked = self._asked
        self._say(f"\n[bold]Asking {asked.name}:[/] {question}")
        client = asked.client
        query = {"question": question, "mode": "consensus"}
        with display.thinking(quiet=self._options.json) as progress:
            record = await _in_thread(client.ask, query, progress)
        text = await _in_thread(client.get_text, record["certificate"])
        path = self._folder / f"certificate-{len(self._results) + 1}.json"
        write_whole(path, text)
        if not self._options.json:
            display.show_decision(record)
        self._results.append(
            {
                "question": question,
                **{key: record[key] for key in ("status", "answer", "agreement_rate")},
                "confidence": record["confidence"],
                "replicas": record["replicas"],
                "signatures": len(record["signatures"]),
                "certificate": str(path),
                "verified": self._verify(path),
                "elapsed_s": record["elapsed_s"],
                "inference_s": record["inference_s"],
                "killed": killed,
                "record": record,
            }
        )

    def _verify(self, path: Path) -> bool:
        """Checks the certificate as `qnode verify` does, and that a changed one fails."""
        if self._genesis is None:
            raise QnodeError("There is no genesis file to verify against.")
        data = path.read_bytes()
        verify_bytes(data, self._genesis)
        middle = len(data) // 2
        changed = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        try:
            verify_bytes(changed, self._genesis)
        except InvalidCertificate as error:
            self._say(
                f"[green]✓[/] {path} holds, checked offline against genesis.json; with one byte "
                f"changed it fails: {error}"
            )
            return True
        return False

    async def _kill_one(self) -> None:
        """SIGKILL for one node, and the question again: the misbehaving one if there is one, else
        the primary, so that the others have to replace it."""
        status = await _in_thread(self._asked.client.get, "/api/ai/status")
        primary = next(node for node in self._nodes if node.name == status["primary"])
        victim = self._nodes[-1]
        if not self._options.fault and primary is not self._asked:
            victim = primary
        left = self._count - 1
        if left < quorum_size(self._count):
            self._say(f"\n{self._count} nodes agree only together, so none is killed.")
            return
        if victim.process is not None and victim.process.poll() is not None:
            self._say(f"\n[bold red]{victim.name} is dead already[/]; {left} nodes are left.")
        elif victim.process is not None:
            victim.process.kill()
            await victim.process.wait()
            role = ", the primary," if victim is primary else ""
            self._say(
                f"\n[bold red]Killed {victim.name}[/]{role} with SIGKILL; {left} nodes are left."
            )
        await self._ask(self._questions[0], killed=victim.name)

    def _summary(self) -> dict[str, Any]:
        """The first question's figures, with all of them in `questions`."""
        return {**self._results[0], "fault": self._options.fault, "questions": self._results}

    # --- ending --------------------------------------------------------------------------------

    async def _keep(self) -> None:
        for node in self._nodes:
            alive = node.process is not None and node.process.poll() is None
            self._say(f"{node.name}: {node.url if alive else 'killed'}", always=True)
        pids = " ".join(
            str(node.process.pid)
            for node in self._nodes
            if node.process is not None and node.process.poll() is None
        )
        self._say(f"The network keeps running; stop it with: kill {pids}", always=True)

    async def _stop_all(self) -> None:
        if self._options.keep and self._results:
            return
        running = [n.process for n in self._nodes if n.process and n.process.poll() is None]
        for process in running:
            process.terminate()
        with trio.move_on_after(STOP_TIMEOUT_S):
            for process in running:
                await process.wait()
        for process in running:
            if process.poll() is None:
                process.kill()
                await process.wait()

    # --- output --------------------------------------------------------------------------------

    def _say(self, text: str, *, always: bool = False) -> None:
        if not self._options.json:
            display.console.print(text)
        elif always:
            display.progress_console.print(text)

    @contextmanager
    def _drawn(self) -> Iterator[Callable[[Table], None]]:
        if self._options.json or not display.console.is_terminal:
            yield lambda _table: None
            return
        with Live(console=display.console, refresh_per_second=8) as live:
            yield live.update


def _die_with_parent() -> None:
    """Linux: the kernel ends the node if the demonstration is killed outright."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def _in_thread(function: Callable[..., T], *args: Any) -> T:
    return await trio.to_thread.run_sync(partial(function, *args), abandon_on_cancel=True)
