"""Real nodes on this machine: processes that are started, stopped, paused and asked."""

import ctypes
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daemon.client import Client
from daemon.errors import QnodeError
from daemon.files import write_new, write_whole
from daemon.genesis import Genesis, combine
from daemon.identity import read_member_record
from daemon.setup import init, set_bootstrap
from pbft.policy import Policy
from simulator.errors import SimulatorError
from simulator.live.means import Means

READY_S = 180.0
STOP_S = 10.0
POLL_S = 0.1
_PR_SET_PDEATHSIG = 1
_LIBRARY = ctypes.CDLL(None)
# A log begins with what it is and whose (`daemon.recordlog`); behind are the records.
_LOG_PREFIX_BYTES = 64

Fault = tuple[str, dict[str, Any]]


class LiveNode:
    """One process in each of its lives, with its folder. `number` is its place among all."""

    def __init__(self, folder: Path, number: int, means: Means, fault: Fault | None, program: str):
        self.name = folder.name
        self.folder = folder
        self.data = folder / "data"
        self.number = number
        self.process: subprocess.Popen[bytes] | None = None
        self.paused = False
        self.may_stop = False
        """Whether a fault makes it end by itself."""
        self._means = means
        self._fault = fault
        self._program = program

    def make(self) -> None:
        """A new member's folder."""
        listen = self._means.listen(self.number)
        init(
            self.folder, name=self.name, addresses=[], listen=listen, http_port=0,
            threads=1, mdns=False,
        )  # fmt: skip

    def copy(self, other: "LiveNode", known: list[str]) -> None:
        """The folder of a member that there is already: the same key, a memory of its own, and
        addresses of members."""
        self.folder.mkdir()
        for name in ("identity.key", "member.json", "genesis.json"):
            shutil.copy(other.folder / name, self.folder / name)
        text = (other.folder / "qnode.toml").read_text(encoding="utf-8")
        for setting, values in (
            ("listen", [self._means.listen(self.number)]),
            ("bootstrap", known),
        ):
            text = re.sub(f"(?m)^{setting} = .*$", f"{setting} = {json.dumps(values)}", text)
        write_new(self.folder / "qnode.toml", text)

    def start(self) -> None:
        for stale in ("http.url", "p2p.addresses"):
            (self.data / stale).unlink(missing_ok=True)
        command = [sys.executable, "-m", "simulator.live", *self._means.arguments(self.folder)]
        if self._fault is not None:
            kind, settings = self._fault
            command += ["--fault", kind, "--settings", json.dumps(settings)]
        command += [self._program] if self._program else []
        with (self.folder / "log").open("ab") as output, self._means.inside(self.number):
            self.process = subprocess.Popen(  # noqa: S603  # our own program
                [*command, str(self.folder / "qnode.toml")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def stopped_itself(self) -> bool:
        """Whether it was started, and ended without being killed."""
        return self.process is not None and self.process.poll() not in (None, -signal.SIGKILL)

    @property
    def last_words(self) -> str:
        """The last line that it wrote."""
        lines = (self.folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line for line in reversed(lines) if line.strip()), "")

    @property
    def addresses(self) -> list[str]:
        """Where it listens, as it wrote down itself."""
        return (self.data / "p2p.addresses").read_text(encoding="utf-8").split()

    @contextmanager
    def asked(self) -> Iterator[Client]:
        """A client that reaches it, for the block. Raises `OSError` if it does not run."""
        url = (self.data / "http.url").read_text(encoding="utf-8").strip()
        with self._means.inside(self.number):
            yield Client(url)

    def status(self) -> dict[str, Any] | None:
        try:
            with self.asked() as client:
                return client.get("/api/ai/status")
        except (OSError, QnodeError):
            return None

    # --- what happens to it --------------------------------------------------------------------

    def kill(self) -> None:
        """SIGKILL: no goodbye, no flush."""
        if self.process is not None and self.running:
            self.process.kill()
            self.process.wait(STOP_S)
        self.paused = False

    def pause(self) -> None:
        if self.process is not None and self.running:
            self.process.send_signal(signal.SIGSTOP)
            self.paused = True

    def resume(self) -> None:
        if self.process is not None and self.paused and self.running:
            self.process.send_signal(signal.SIGCONT)
        self.paused = False

    def lose(self, what: str) -> None:
        """Of its disk, while it is dead: `nothing`; the `log`, of which a bit flips; the `disk`,
        with the ledger gone besides; or `all`."""
        match what:
            case "log" | "disk":
                _flip_a_bit(self.data / "consensus.log")
                for file in self.data.glob("ledger.sqlite*") if what == "disk" else ():
                    file.unlink()
            case "all":
                shutil.rmtree(self.data, ignore_errors=True)

    @property
    def _ballast(self) -> Path:
        return self.data / "ballast"

    def fill_disk(self) -> None:
        """Its disk is small and its own: all that is free is taken."""
        with self._ballast.open("ab") as file:
            while free := (state := os.statvfs(self.data)).f_bavail * state.f_frsize:
                try:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), free)
                except OSError as error:
                    if error.errno != errno.ENOSPC:  # the node was quicker: look again
                        raise

    def free_disk(self) -> None:
        self._ballast.unlink(missing_ok=True)


class LiveNetwork:
    """Nodes that founded a network together, and further processes with the keys of some of them;
    stopped when the block is left."""

    def __init__(
        self,
        folder: Path,
        nodes: int,
        twins: list[int],
        faults: dict[int, Fault],
        policy: Policy,
        means: Means,
        *,
        instant: bool,
    ) -> None:
        program = "--instant" if instant else ""
        self.nodes = [
            LiveNode(folder / f"node-{number}", number, means, faults.get(number), program)
            for number in range(nodes)
        ]
        for node in self.nodes:
            node.make()
        records = [read_member_record(node.folder / "member.json") for node in self.nodes]
        self.genesis: Genesis = combine("live", records, policy)
        for node in self.nodes:
            write_new(node.folder / "genesis.json", self.genesis.to_text())
        self.twins = {
            number: LiveNode(folder / f"node-{number}-twin", nodes + place, means, None, program)
            for place, number in enumerate(twins)
        }
        """By the number of the node whose key they have."""

    def __enter__(self) -> "LiveNetwork":
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.processes:
            node.kill()

    @property
    def processes(self) -> list[LiveNode]:
        return [*self.nodes, *self.twins.values()]

    def start(self) -> None:
        """The first node first: the others have to know its address, which stays the same."""
        first, *others = self.nodes
        first.start()
        self.wait((first.data / "p2p.addresses").exists, "the first node listens")
        port = first.addresses[0].split("/tcp/")[1].split("/")[0]
        config = first.folder / "qnode.toml"
        text = config.read_text(encoding="utf-8")
        write_whole(config, text.replace("/tcp/0", f"/tcp/{port}"))
        for node in others:
            set_bootstrap(node.folder, first.addresses)
            node.start()
        self.wait(self.whole, "all nodes are connected")
        known = [address for node in self.nodes for address in node.addresses]
        for number, twin in self.twins.items():
            twin.copy(self.nodes[number], known)

    def whole(self) -> bool:
        """Whether every node is connected with every key; those apart whose key runs twice."""
        states = [
            node.status() for number, node in enumerate(self.nodes) if number not in self.twins
        ]
        return all(
            state is not None
            and state["state"] == "ready"
            and state["reachable"] == len(self.nodes)
            for state in states
        )

    def wait(self, condition: Callable[[], Any], what: str, timeout_s: float = READY_S) -> None:
        end_s = time.monotonic() + timeout_s
        while not condition():
            for node in self.processes:
                if node.stopped_itself and not node.may_stop:
                    raise SimulatorError(
                        f"{node.name} stopped; see {node.folder / 'log'}: {node.last_words}"
                    )
            if time.monotonic() > end_s:
                raise TimeoutError(f"Not within {timeout_s:g} s: {what}.")
            time.sleep(POLL_S)


def _flip_a_bit(log: Path) -> None:
    """In the middle of what was recorded, so that no crash explains it."""
    data = bytearray(log.read_bytes())
    if len(data) > _LOG_PREFIX_BYTES:
        data[(_LOG_PREFIX_BYTES + len(data)) // 2] ^= 1
        log.write_bytes(data)


def _die_with_parent() -> None:
    """Linux: the kernel ends the node if the run is killed outright.

    Runs between fork and exec, where another thread's locks may be held for ever: one call, of a
    library that is there already.
    """
    if sys.platform == "linux":
        _LIBRARY.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
