"""One node by itself, or almost: what stops it, in a process of its own.

A network of one member decides alone, which keeps these tests short.
"""

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from daemon.verification import verify_bytes
from tests.support.commands import environment, failed, qnode
from tests.support.network import READY_S, RealNetwork, RealNode, wait_until
from tests.support.serving import call

pytestmark = pytest.mark.network

START_S = 30.0


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[RealNetwork]:
    """A network of one, not started."""
    network = RealNetwork(tmp_path, "alone")
    yield network
    network.kill_all()


def refused(node: RealNode, code: int = 2) -> str:
    """The sentence with which a node that was started must have ended."""
    assert node.ended(READY_S) == code, node.output()[-3_000:]
    assert "Traceback" not in node.output(), node.output()[-3_000:]
    lines = node.output().strip().splitlines()
    assert [line for line in lines if line.startswith("qnode: ")] == lines[-1:]
    return lines[-1]


def ready(node: RealNode) -> None:
    def is_ready() -> bool:
        assert node.running, node.output()[-3_000:]
        status = node.status()
        return status is not None and status["state"] == "ready"

    wait_until(is_ready, READY_S, f"{node.name} is ready", node)


def listening(node: RealNode) -> None:
    path = node.folder / "data" / "http.url"
    wait_until(path.exists, START_S, f"{node.name} listens", node)


def test_a_port_in_use(alone: RealNetwork) -> None:
    """Found before a model is loaded; the sentence has the port."""
    (node,) = alone.nodes
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        node.configure("port = 0", f"port = {port}")
        node.start()
        assert f"Port {port} of 127.0.0.1 is in use" in refused(node)
    assert "loading" not in node.output()


def test_a_foreign_key(alone: RealNetwork, tmp_path: Path) -> None:
    """The key of somebody who is no member."""
    (node,) = alone.nodes
    stranger = RealNode(tmp_path / "stranger")
    shutil.copy(stranger.folder / "identity.key", node.folder / "identity.key")
    node.start()
    assert "is not one of the 1 members" in refused(node)


def test_a_genesis_without_this_node(alone: RealNetwork, tmp_path: Path) -> None:
    """The member list of another network; what the node has on disk stays as it was."""
    (node,) = alone.nodes
    other = RealNetwork(tmp_path / "other", "somebody")
    shutil.copy(other.genesis_path, node.folder / "genesis.json")
    node.start()
    assert "is not one of the 1 members" in refused(node)


def test_an_unreadable_key(alone: RealNetwork) -> None:
    """Rubbish where the key should be."""
    (node,) = alone.nodes
    key = node.folder / "identity.key"
    key.write_text("rubbish")
    node.start()
    assert "holds no unencrypted PEM private key" in refused(node)


def test_one_data_folder_twice(alone: RealNetwork) -> None:
    """The second process leaves the first alone."""
    (node,) = alone.nodes
    node.start()
    listening(node)
    done = qnode("run", "--config", node.folder / "qnode.toml")
    assert "this node is running already" in failed(done)
    assert node.status() is not None
    assert node.running


def test_a_data_folder_that_cannot_be_written(alone: RealNetwork) -> None:
    """In a file system that takes no new files: one sentence."""
    (node,) = alone.nodes
    node.configure('data = "data"', 'data = "/proc/qnode"')
    done = qnode("run", "--config", node.folder / "qnode.toml")
    assert "/proc/qnode" in failed(done)


def test_a_disk_without_any_room(alone: RealNetwork) -> None:
    """The log has its first line, the ledger not its first page: one sentence, code 2."""
    (node,) = alone.nodes
    node.start(file_bytes_max=2_048)
    refused(node)


@pytest.mark.parametrize(
    ("command", "delay_s"), [("daemon", 0.5), ("daemon", 2.0), ("daemon", 5.0), ("live", 0.5)]
)
def test_ctrl_c_at_any_moment_of_the_start(
    alone: RealNetwork, command: str, delay_s: float
) -> None:
    """While modules are imported, while the ports open, while the model is loaded: it ends at once,
    and there is no traceback."""
    code, output = interrupted(alone.nodes[0], command, delay_s)
    assert "Traceback" not in output, output[-3_000:]
    assert "Fatal" not in output, output[-3_000:]
    # Python ends by the signal itself if C code, such as torch's, was interrupted.
    assert code in (0, 130, -signal.SIGINT), output[-3_000:]


def test_ctrl_c_before_the_first_line_of_ours(alone: RealNetwork) -> None:
    """While the interpreter itself starts the words are the interpreter's; from `main` on they are
    ours. It loses an interrupt that comes in one of its callbacks; then the next one counts."""
    for delay_s in (0.02, 0.05, 0.08, 0.11):
        code, output = interrupted(alone.nodes[0], "daemon", delay_s, signals=2)
        assert not re.search(r'cli\.py", line \d+, in main', output), output[-3_000:]
        assert code in (0, 1, 130, -signal.SIGINT), output[-3_000:]


def interrupted(node: RealNode, command: str, delay_s: float, signals: int = 1) -> tuple[int, str]:
    """Exit code and output of a node that gets SIGINT so long after its start; again while it goes
    on, up to so many signals."""
    config = str(node.folder / "qnode.toml")
    module = {
        "daemon": ["-m", "daemon.cli", "run", "--config", config],
        "live": ["-m", "simulator.live", "--fault", "lie", config],
    }[command]
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, *module],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Whoever runs the tests in the background may ignore it, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        time.sleep(delay_s)
        try:
            for _ in range(signals):
                process.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=15)
                    break
            output, _ = process.communicate(timeout=1)
        finally:
            process.kill()
    return process.returncode, output


def test_ctrl_c_by_somebody_impatient(alone: RealNetwork) -> None:
    """Five times in a row: still no traceback."""
    (node,) = alone.nodes
    node.start()
    listening(node)
    for _ in range(5):
        if node.running:
            node.signal(signal.SIGINT)
    assert node.ended() in (0, 130, -signal.SIGINT)
    assert "Traceback" not in node.output()


@pytest.mark.model
def test_a_model_that_cannot_be_loaded(alone: RealNetwork) -> None:
    """One sentence with the name, exit code 2."""
    (node,) = alone.nodes
    node.configure('name = "auto" ', 'name = "packaged:gpt-9" ')
    node.start()
    assert "no packaged language model gpt-9" in refused(node)


@pytest.mark.model
def test_two_nodes_with_one_key(tmp_path: Path) -> None:
    """A copied key in a second data folder: the copy learns it from the third member and stops; the
    original goes on."""
    network = RealNetwork(tmp_path, "first", "second", "third")
    first, second, _ = network.nodes
    try:
        first.start()
        listening(first)
        addresses = (first.folder / "data" / "p2p.addresses").read_text().split()
        second.configure("bootstrap = []", f'bootstrap = ["{addresses[0]}"]')
        second.start()

        def connected() -> bool:
            status = second.status()
            return status is not None and status["reachable"] == 2

        wait_until(connected, READY_S, "the second is connected", second)
        copy = RealNode(tmp_path / "copy")
        for name in ("identity.key", "genesis.json", "qnode.toml"):
            shutil.copy(second.folder / name, copy.folder / name)
        network.nodes.append(copy)
        copy.start()
        sentence = refused(copy)
        assert "Another running node uses this node's key" in sentence
        assert second.running
        status = second.status()
        assert status is not None
        assert status["reachable"] == 2
    finally:
        network.kill_all()


@pytest.mark.model
def test_a_disk_that_runs_full_loses_nothing_that_was_decided(alone: RealNetwork) -> None:
    """The node ends with one sentence and code 2; with room again it has every decision it gave
    out, and goes on."""
    (node,) = alone.nodes
    node.start(file_bytes_max=96 * 1024)
    call_until_loaded(node)
    decided: list[str] = []
    accepted: list[str] = []
    deadline = time.monotonic() + READY_S
    while node.running and time.monotonic() < deadline:
        try:
            reply = node.ask("Say yes.", max_tokens=2)
        except (OSError, ValueError):
            break  # it ended while we asked
        if reply.status == 200:
            decided.append(reply.json["request_id"])
        elif "request_id" in reply.json:
            accepted.append(reply.json["request_id"])
    sentence = refused(node)
    assert "make room" in sentence.lower()
    assert decided
    node.start()
    ready(node)
    for request_id in decided + accepted:
        node.decided(request_id)
        verify_bytes(node.get(f"/api/certificates/{request_id}").body, alone.genesis)
    assert node.ask("Say yes.", max_tokens=2).status == 200


def call_until_loaded(node: RealNode) -> None:
    """While the model is loaded questions are turned away with 503, then they are answered."""
    listening(node)
    seen: list[tuple[int, str]] = []

    def answered() -> bool:
        body = {"question": "Say yes.", "max_tokens": 2}
        reply = call(node.url, "POST", "/api/ai/query", body, 60)
        seen.append((reply.status, "" if reply.status == 200 else reply.error["code"]))
        return reply.status == 200

    wait_until(answered, READY_S, "the node answers", node)
    assert set(seen) == {(503, "loading"), (200, "")}
