"""Real nodes: `qnode run` processes over loopback, watched with absolute deadlines."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from daemon.files import write_new, write_whole
from daemon.genesis import Genesis, combine
from daemon.identity import read_member_record
from daemon.setup import init
from pbft.policy import Policy
from tests.support.commands import environment
from tests.support.serving import Reply, call

QNODE = "daemon.cli"
INSTANT = "tests.support.instant"
"""The same daemon with a model that answers at once."""

READY_S = 120.0
DECIDED_S = 90.0
STOPPED_S = 15.0
POLL_S = 0.05
_PR_SET_PDEATHSIG = 1

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout_s: float, what: str, *nodes: "RealNode") -> T:
    """Polls until the condition is true and returns its value; says what did not come."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            logs = "\n".join(f"--- {node.name}\n{node.output()[-2_000:]}" for node in nodes)
            raise AssertionError(f"{what}: not within {timeout_s:g} s.\n{logs}")
        time.sleep(POLL_S)


class RealNode:
    """One member's folder, and its process in each of its lives."""

    def __init__(self, folder: Path, program: str = QNODE, **options: Any) -> None:
        self.name = folder.name
        self.program = program
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        settings: dict[str, Any] = {
            "name": folder.name,
            "addresses": [],
            "listen": "/ip4/127.0.0.1/tcp/0",
            "http_port": 0,
            "threads": 1,
            "mdns": False,
        }
        init(folder, **{**settings, **options})

    def configure(self, old: str, new: str) -> None:
        """Changes the configuration by replacing a text that must be there."""
        path = self.folder / "qnode.toml"
        text = path.read_text(encoding="utf-8")
        assert old in text
        write_whole(path, text.replace(old, new))

    def start(
        self,
        *options: str,
        config: str = "qnode.toml",
        file_bytes_max: int | None = None,
    ) -> None:
        """Starts the process; its output is added to `output.txt`."""
        assert not self.running
        for stale in ("http.url", "p2p.addresses"):
            (self.folder / "data" / stale).unlink(missing_ok=True)

        def before_exec() -> None:
            if sys.platform == "linux":  # no orphans, should the tests themselves be killed
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if file_bytes_max is not None:
                import resource

                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max, file_bytes_max))

        with (self.folder / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                [
                    *(sys.executable, "-m", self.program, "run"),
                    *("--config", str(self.folder / config)),
                    *options,
                ],
                env=environment(),
                stdin=subprocess.DEVNULL,
                # A pipe could fill up; a file is also there to look at after a failure.
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=before_exec,
            )

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self.process.poll() if self.process else None

    def output(self) -> str:
        """What all lives wrote to the terminal."""
        path = self.folder / "output.txt"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    @property
    def url(self) -> str:
        return (self.folder / "data" / "http.url").read_text(encoding="utf-8").strip()

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL: no goodbye, no flush."""
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(STOPPED_S)

    def ended(self, timeout_s: float = STOPPED_S) -> int:
        """The exit code, once the process has ended."""
        assert self.process is not None
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.name} did not end within {timeout_s:g} s.\n{self.output()[-2_000:]}"
            ) from None

    # --- asking ----------------------------------------------------------------------------------

    def get(self, path: str) -> Reply:
        return call(self.url, "GET", path)

    def ask(self, question: str, **fields: Any) -> Reply:
        """Waits for the decision."""
        return self._post({"question": question, "max_tokens": 24, **fields})

    def submit(self, question: str, **fields: Any) -> str:
        """Does not wait; the request's id."""
        body = {"question": question, "max_tokens": 24, **fields}
        reply = self._post(body, Prefer="respond-async")
        assert reply.status == 202, reply.body
        request_id: str = reply.json["request_id"]
        return request_id

    def _post(self, body: dict[str, Any], **headers: str) -> Reply:
        return call(self.url, "POST", "/api/ai/query", body, DECIDED_S, **headers)

    def status(self) -> dict[str, Any] | None:
        """None while the port is not open."""
        try:
            reply = self.get("/api/ai/status")
        except OSError:
            return None
        status: dict[str, Any] = reply.json
        return status

    def record(self, request_id: str) -> dict[str, Any] | None:
        """The consensus record once it is decided here; None before."""
        try:
            reply = self.get(f"/api/consensus/{request_id}")
        except OSError:
            return None
        if reply.status != 200 or reply.json["status"] == "deciding":
            return None
        record: dict[str, Any] = reply.json
        return record

    def decided(self, request_id: str) -> dict[str, Any]:
        """Waits for the consensus record."""
        return wait_until(
            lambda: self.record(request_id) or {}, DECIDED_S, f"{request_id} decided", self
        )


class RealNetwork:
    """Nodes that founded a network together; the first one is everybody's bootstrap address."""

    def __init__(
        self, folder: Path, *names: str, policy: Policy | None = None, program: str = QNODE
    ) -> None:
        self.folder = folder
        self.nodes = [RealNode(folder / name, program) for name in names]
        records = [read_member_record(node.folder / "member.json") for node in self.nodes]
        self.genesis: Genesis = combine("e2e", records, policy or Policy())
        self.genesis_path = folder / "genesis.json"
        write_new(self.genesis_path, self.genesis.to_text())
        for node in self.nodes:
            write_new(node.folder / "genesis.json", self.genesis.to_text())

    def start(self) -> None:
        """Starts all nodes, which find each other through the first."""
        first, *others = self.nodes
        first.start()
        addresses = first.folder / "data" / "p2p.addresses"
        wait_until(addresses.exists, READY_S, "the first node listens", first)
        listed = ", ".join(f'"{a}"' for a in addresses.read_text(encoding="utf-8").split())
        # A restart of the first node must not move its port away from under the others.
        port = addresses.read_text(encoding="utf-8").split("/tcp/")[1].split("/")[0]
        first.configure("/ip4/127.0.0.1/tcp/0", f"/ip4/127.0.0.1/tcp/{port}")
        for node in others:
            node.configure("bootstrap = []", f"bootstrap = [{listed}]")
            node.start()

    def restore(self) -> None:
        """All nodes run, are ready, reach each other and have the same ledger."""
        for node in self.nodes:
            if not node.running:
                node.start()
        wait_until(self.whole, READY_S, "the network is whole", *self.nodes)

    def whole(self) -> bool:
        states = [node.status() for node in self.nodes]
        return (
            all(
                state is not None
                and state["state"] == "ready"
                and state["reachable"] == len(states)
                for state in states
            )
            and len({state["decided"] for state in states if state is not None}) == 1
        )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> list[int]:
        """The signal to all that run; their exit codes."""
        running = [node for node in self.nodes if node.running]
        for node in running:
            node.signal(number)
        return [node.ended() for node in running]

    def kill_all(self) -> None:
        for node in self.nodes:
            if node.running:
                node.kill()


def processes_of(folder: Path) -> list[int]:
    """Processes whose command line names the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue  # it has just ended
        if str(folder).encode() in command and int(path.parent.name) != os.getpid():
            found.append(int(path.parent.name))
    return found
