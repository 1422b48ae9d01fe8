"""Real nodes on this machine: processes that are started, stopped, paused and asked."""

import ctypes
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
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

READY_S = 180.0
STOP_S = 10.0
POLL_S = 0.1
_PR_SET_PDEATHSIG = 1


class LiveNode:
    """One member: its folder, and its process in each of its lives."""

    def __init__(self, folder: Path, fault: tuple[str, dict[str, Any]] | None, *, instant: bool):
        self.name = folder.name
        self.folder = folder
        self.fault = fault
        self._instant = instant
        self.process: subprocess.Popen[bytes] | None = None
        self.paused = False
        init(
            folder, name=folder.name, addresses=[], listen="/ip4/127.0.0.1/tcp/0", http_port=0,
            threads=1, mdns=False,
        )  # fmt: skip

    def start(self) -> None:
        for stale in ("http.url", "p2p.addresses"):
            (self.folder / "data" / stale).unlink(missing_ok=True)
        command = [sys.executable, "-m", "simulator.live", "--links", str(self.links)]
        if self.fault is not None:
            kind, settings = self.fault
            command += ["--fault", kind, "--settings", json.dumps(settings)]
        if self._instant:
            command.append("--instant")
        with (self.folder / "log").open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603  # our own program
                [*command, str(self.folder / "qnode.toml")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # no threads here yet
            )

    @property
    def links(self) -> Path:
        return self.folder / "links.json"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def client(self) -> Client:
        return Client((self.folder / "data" / "http.url").read_text(encoding="utf-8").strip())

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

    def status(self) -> dict[str, Any] | None:
        try:
            return self.client.get("/api/ai/status")
        except (OSError, QnodeError):
            return None


class LiveNetwork:
    """Nodes that founded a network together; stopped when the block is left."""

    def __init__(
        self,
        folder: Path,
        nodes: int,
        faults: dict[int, tuple[str, dict[str, Any]]],
        policy: Policy,
        *,
        instant: bool,
    ) -> None:
        self.nodes = [
            LiveNode(folder / f"node-{number}", faults.get(number), instant=instant)
            for number in range(nodes)
        ]
        records = [read_member_record(node.folder / "member.json") for node in self.nodes]
        self.genesis: Genesis = combine("live", records, policy)
        for node in self.nodes:
            write_new(node.folder / "genesis.json", self.genesis.to_text())

    def __enter__(self) -> "LiveNetwork":
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            node.kill()

    def start(self) -> None:
        """The first node first: the others have to know its address, which stays the same."""
        first, *others = self.nodes
        first.start()
        addresses = first.folder / "data" / "p2p.addresses"
        self.wait(addresses.exists, "the first node listens")
        listed = addresses.read_text(encoding="utf-8").split()
        port = listed[0].split("/tcp/")[1].split("/")[0]
        config = first.folder / "qnode.toml"
        text = config.read_text(encoding="utf-8")
        write_whole(config, text.replace("/ip4/127.0.0.1/tcp/0", f"/ip4/127.0.0.1/tcp/{port}"))
        for node in others:
            set_bootstrap(node.folder, listed)
            node.start()
        self.wait(self.whole, "all nodes are connected")

    def whole(self) -> bool:
        states = [node.status() for node in self.nodes]
        return all(
            state is not None and state["state"] == "ready" and state["reachable"] == len(states)
            for state in states
        )

    def wait(self, condition: Callable[[], Any], what: str, timeout_s: float = READY_S) -> None:
        end_s = time.monotonic() + timeout_s
        while not condition():
            for node in self.nodes:
                if node.process is not None and node.process.poll() not in (None, -signal.SIGKILL):
                    raise SimulatorError(f"{node.name} stopped; see {node.folder / 'log'}.")
            if time.monotonic() > end_s:
                raise TimeoutError(f"Not within {timeout_s:g} s: {what}.")
            time.sleep(POLL_S)


def _die_with_parent() -> None:
    """Linux: the kernel ends the node if the run is killed outright."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
