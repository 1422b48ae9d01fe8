"""Four real nodes with real small models: asked, broken, asked again.

The tests share one network and run in the order of this file; each finds it whole.
"""

import json
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.verification import verify_bytes
from pbft.errors import InvalidCertificate
from tests.support.commands import qnode
from tests.support.network import DECIDED_S, STOPPED_S, RealNetwork, RealNode, wait_until
from tests.support.serving import call

pytestmark = [pytest.mark.network, pytest.mark.model]

FRANCE = "What is the capital of France?"
NAMES = ("node-1", "node-2", "node-3", "node-4")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNetwork]:
    network = RealNetwork(tmp_path_factory.mktemp("network"), *NAMES)
    try:
        network.start()
        yield network
    finally:
        network.kill_all()


@pytest.fixture
def network(running: RealNetwork) -> RealNetwork:
    """All four are up, connected and equally far, whatever the test before did."""
    running.restore()
    return running


@pytest.fixture(scope="module")
def france(running: RealNetwork) -> dict[str, Any]:
    """The record of the first question, asked at a backup."""
    running.restore()
    reply = running.nodes[1].ask(FRANCE)
    assert reply.status == 200, reply.body
    record: dict[str, Any] = reply.json
    return record


@pytest.fixture(scope="module")
def certificate(running: RealNetwork, france: dict[str, Any]) -> bytes:
    return running.nodes[1].get(france["certificate"]).body


def test_the_network_agrees_about_france(france: dict[str, Any], network: RealNetwork) -> None:
    """Four small models say Paris in four ways, and a quorum signs that they mean the same."""
    assert france["status"] in ("agreed", "agreed_low_confidence")
    assert "Paris" in france["answer"]
    assert len(france["signatures"]) >= 3
    assert {s["name"] for s in france["signatures"]} <= set(NAMES)
    assert france["agreement_rate"] >= 2 / 3


def test_a_record_has_every_part(france: dict[str, Any], network: RealNetwork) -> None:
    """Who said what, how alike, who voted, when, and with which certificate."""
    same = network.nodes[1].record(france["request_id"])
    assert same == {key: value for key, value in france.items() if key != "mode"}
    assert (france["question"], france["asked"], france["mode"]) == (FRANCE, "node-2", "consensus")
    assert (france["replicas"], france["quorum"]) == (4, 3)
    assert [a["name"] for a in france["answers"]] == sorted(a["name"] for a in france["answers"])
    for answer in france["answers"]:
        assert answer["model"] == "packaged:smollm2-135m-instruct"
        assert answer["text"]
        assert 0 < answer["elapsed_s"] < DECIDED_S
    n = len(france["answers"])
    matrix = france["similarity"]["matrix"]
    assert len(matrix) == n
    assert all(matrix[i][i] == 1.0 and len(matrix[i]) == n for i in range(n))
    assert all(matrix[i][j] == matrix[j][i] for i in range(n) for j in range(n))
    clustered = [name for cluster in france["clusters"] for name in cluster]
    assert sorted(clustered) == france["similarity"]["names"]
    assert france["seals"][0]["primary"] == "node-1"
    assert france["evidence"] == []
    assert france["network"] == network.genesis.network.hex()
    stages = [entry["stage"] for entry in france["timeline"]]
    times = [entry["at_s"] for entry in france["timeline"]]
    for stage in ("accepted", "committed", "sealed", "revealed", "proposed", "prepared", "decided"):
        assert stage in stages
    assert times == sorted(times)
    assert france["elapsed_s"] >= france["inference_s"] > 0


def test_every_node_tells_the_same_story(france: dict[str, Any], network: RealNetwork) -> None:
    """The decision is the network's, not that of the node that was asked: signatures may be those
    of another quorum, everything else is equal."""
    for node in network.nodes:
        record = node.decided(france["request_id"])
        for part in ("answer", "answers", "similarity", "clusters", "sequence_number", "seals"):
            assert record[part] == france[part]
        data = node.get(record["certificate"]).body
        assert verify_bytes(data, network.genesis)["answer"] == france["answer"]


def test_a_certificate_verifies_offline(
    certificate: bytes, france: dict[str, Any], network: RealNetwork, tmp_path: Path
) -> None:
    """`qnode verify` with the genesis file alone tells what the node told."""
    path = tmp_path / "certificate.json"
    path.write_bytes(certificate)
    done = qnode("verify", path, "--genesis", network.genesis_path, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document.pop("valid") is True
    assert document == {key: france[key] for key in document}
    assert qnode("verify", path, "--genesis", network.genesis_path).returncode == 0


def test_a_changed_byte_is_found_by_the_command(
    certificate: bytes, network: RealNetwork, tmp_path: Path
) -> None:
    """`qnode verify` ends with 1 and a reason."""
    path = tmp_path / "certificate.json"
    for position in (10, len(certificate) // 2, len(certificate) - 2):
        changed = bytearray(certificate)
        changed[position] ^= 1
        path.write_bytes(changed)
        done = qnode("verify", path, "--genesis", network.genesis_path, "--json")
        assert done.returncode == 1, done.stderr
        document = json.loads(done.stdout)
        assert document["valid"] is False
        assert document["reason"].endswith(".")


def test_no_single_byte_of_a_certificate_can_be_changed(
    certificate: bytes, network: RealNetwork
) -> None:
    """At 300 places drawn by a fixed seed: another value, a byte less, a byte more."""
    draw = random.Random(1)  # noqa: S311 - repeatable
    for position in draw.sample(range(len(certificate)), 300):
        before, after = certificate[:position], certificate[position + 1 :]
        other = bytes([certificate[position] ^ draw.randrange(1, 256)])
        for changed in (
            before + other + after,
            before + after,
            before + b" " + certificate[position:],
        ):
            with pytest.raises(InvalidCertificate, match=r"\.$"):
                verify_bytes(changed, network.genesis)


def test_another_node_answers_too(network: RealNetwork) -> None:
    """Members are equal: the primary itself can be asked as well."""
    reply = network.nodes[0].ask(FRANCE)
    assert reply.status == 200, reply.body
    assert reply.json["asked"] == "node-1"
    assert len(reply.json["signatures"]) >= 3


def test_a_chinese_question_is_answered_or_abstained_from(network: RealNetwork) -> None:
    """The small model hardly writes Chinese; the network decides about it all the same."""
    reply = network.nodes[2].ask("法國的首都是哪裡？", language="zh-TW")
    assert reply.status == 200, reply.body
    assert reply.json["question"] == "法國的首都是哪裡？"
    assert reply.json["language"] == "zh-TW"
    assert reply.json["status"] in ("agreed", "agreed_low_confidence", "no_agreement")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (json.dumps({"question": "a" * 1_000_000}).encode(), 413),
        (json.dumps({"question": "a" * 20_000}).encode(), 413),
        (b'{"question": ""}', 400),
        (b'{"question": 1}', 400),
        (b"nonsense", 400),
        (b'{"question": "a", "mode": "x"}', 400),
        (b'{"question": "a", "x": 1}', 400),
        (b'{"question": "\\ud800"}', 400),
    ],
)
def test_bad_questions_do_no_harm(network: RealNetwork, body: bytes, status: int) -> None:
    """Each is refused with a sentence."""
    reply = call(network.nodes[0].url, "POST", "/api/ai/query", body)
    assert reply.status == status
    assert reply.error


def test_the_longest_question_is_decided(network: RealNetwork) -> None:
    """16 KiB are more than the small model reads: the members abstain, and the network says so."""
    reply = network.nodes[1].ask("Why? " * 3_276, max_tokens=8, timeout_s=20)
    assert reply.status == 200, reply.body
    assert reply.json["status"] in ("no_agreement", "agreed", "agreed_low_confidence")


def test_questions_at_once_are_all_decided(network: RealNetwork) -> None:
    """Two users at two nodes, in the same moment."""
    questions = {1: FRANCE, 2: "What is 2 + 2?"}
    replies: dict[int, Any] = {}

    def ask(at: int, question: str) -> None:
        replies[at] = network.nodes[at].ask(question)

    threads = [threading.Thread(target=ask, args=item) for item in questions.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * DECIDED_S)
    assert {at: reply.status for at, reply in replies.items()} == {1: 200, 2: 200}
    assert {at: reply.json["question"] for at, reply in replies.items()} == questions
    assert replies[1].json["request_id"] != replies[2].json["request_id"]


def test_single_mode_is_one_nodes_word(network: RealNetwork) -> None:
    """It is labelled as such, leaves no certificate, and no slot in the ledger."""
    before = network.nodes[3].status()
    reply = network.nodes[3].ask(FRANCE, mode="single")
    assert reply.status == 200, reply.body
    record = reply.json
    assert (record["mode"], record["agreed"], record["name"]) == ("single", False, "node-4")
    assert record["answer"]
    assert "certificate" not in record
    after = network.nodes[3].status()
    assert before is not None
    assert after is not None
    assert before["decided"] == after["decided"]


def test_the_command_line_asks_and_shows(network: RealNetwork, tmp_path: Path) -> None:
    """`qnode ask` finds its node by the configuration, and saves a certificate that verifies."""
    config = network.nodes[1].folder / "qnode.toml"
    path = tmp_path / "certificate.json"
    done = qnode("ask", FRANCE, "--max-tokens", "24", "--config", config, "--certificate", path)
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout
    assert qnode("verify", path, "--genesis", network.genesis_path).returncode == 0
    done = qnode("status", "--config", config)
    assert done.returncode == 0, done.stderr
    assert "4 of 4 members reachable" in done.stdout
    done = qnode("ask", "", "--config", config)
    assert "The question is empty." in done.stderr
    assert "Traceback" not in done.stderr


def test_status_names_everyone(network: RealNetwork) -> None:
    """Each node sees the same members, primary and quorum, and itself in its place."""
    for number, node in enumerate(network.nodes):
        status = node.status()
        assert status is not None
        assert (status["name"], status["replica"]) == (NAMES[number], number)
        assert (status["members"], status["primary"]) == (list(NAMES), "node-1")
        assert (status["reachable"], status["quorum"], status["faults_tolerated"]) == (4, 3, 1)
        assert [peer["name"] for peer in status["peers"]] == [n for n in NAMES if n != node.name]
        assert status["evidence"] == []
        assert status["open_requests"] == 0


def test_an_unknown_request_is_404(network: RealNetwork) -> None:
    """At every place where one can ask for it."""
    for place in ("consensus", "certificates"):
        reply = network.nodes[0].get(f"/api/{place}/{'00' * 32}")
        assert (reply.status, reply.error["code"]) == (404, "not_found")


def test_one_killed_backup_does_not_stop_the_others(
    network: RealNetwork, france: dict[str, Any]
) -> None:
    """SIGKILL during a question: three decide. When it comes back it catches up with what it
    missed, and has what it knew before."""
    victim = network.nodes[3]
    request_id = network.nodes[1].submit("Name the largest planet of the solar system.")
    victim.kill()
    record = network.nodes[1].decided(request_id)
    assert len(record["signatures"]) == 3
    later = network.nodes[2].ask(FRANCE)
    assert later.status == 200, later.body
    assert "node-4" not in {s["name"] for s in later.json["signatures"]}
    victim.start()
    network.restore()
    for node in (victim, network.nodes[0]):
        for known in (france["request_id"], request_id, later.json["request_id"]):
            assert node.record(known) is not None
            data = node.get(f"/api/certificates/{known}").body
            verify_bytes(data, network.genesis)


def test_a_killed_primary_is_replaced(network: RealNetwork) -> None:
    """SIGKILL for the primary during a question: the others put the next one in its place and
    decide; when it comes back it learns of both."""
    primary = network.nodes[0]
    request_id = network.nodes[1].submit("Name the largest ocean of the world.")
    primary.kill()
    record = network.nodes[1].decided(request_id)
    assert record["view"] == 1
    assert {"node-2", "node-3", "node-4"} == {s["name"] for s in record["signatures"]}
    primary.start()
    network.restore()

    def follows() -> bool:
        status = primary.status()
        return status is not None and (status["view"], status["primary"]) == (1, "node-2")

    wait_until(follows, 40, "the old primary enters the new view", primary)
    verify_bytes(primary.get(f"/api/certificates/{request_id}").body, network.genesis)


def test_an_accepted_question_survives_three_deaths(network: RealNetwork) -> None:
    """SIGKILL for the node that said 202 and two others at once: when they are back, it is
    decided. What was accepted is not lost."""
    asked = network.nodes[1]
    request_id = asked.submit("How many legs does a spider have?")
    for node in network.nodes[1:]:
        node.signal(signal.SIGKILL)
    for node in network.nodes[1:]:
        node.ended()
    for node in network.nodes[1:]:
        node.start()
    record = asked.decided(request_id)
    assert record["question"] == "How many legs does a spider have?"
    verify_bytes(asked.get(record["certificate"]).body, network.genesis)


def test_what_was_decided_is_remembered(network: RealNetwork, france: dict[str, Any]) -> None:
    """Three of the four were killed since: the first decision is at all of them as it was."""
    for node in network.nodes:
        record = node.record(france["request_id"])
        assert record is not None
        assert (record["answer"], record["answers"]) == (france["answer"], france["answers"])


def test_a_node_that_is_told_to_stop_stops(network: RealNetwork) -> None:
    """With exit code 0, in the middle of a question, which the others decide."""
    node = network.nodes[3]
    request_id = network.nodes[1].submit("Tell me a long story about the sea.", max_tokens=200)
    before = len(node.output())
    node.signal(signal.SIGTERM)
    assert node.ended() == 0
    assert node.output()[before:].rstrip().endswith("qnode: stopping.")
    network.nodes[1].decided(request_id)


def test_without_a_quorum_nothing_is_promised(running: RealNetwork) -> None:
    """Two of four are away: 503 in a sentence, and single mode still answers."""
    for node in running.nodes[2:]:
        if node.running:
            node.kill()
    left = running.nodes[1]

    def alone() -> bool:
        status = left.status()
        return status is not None and not status["can_agree"]

    wait_until(alone, 40, "the node notices that it has no quorum", left)
    reply = left.ask(FRANCE)
    assert (reply.status, reply.error["code"]) == (503, "no_quorum")
    assert left.ask(FRANCE, mode="single").status == 200


def test_no_node_ever_showed_a_traceback(running: RealNetwork) -> None:
    """In all the lives that these tests gave them; and those that are left stop together, promptly,
    with 0, by SIGINT as by SIGTERM."""
    began = time.monotonic()
    codes = running.stop(signal.SIGINT)
    assert codes == [0] * len(codes)
    assert time.monotonic() - began < STOPPED_S
    for node in running.nodes:
        assert "Traceback" not in node.output()
        assert "Traceback" not in log_file(node)
        assert not [e for e in entries(node) if e["level"] in ("error", "critical")]


def log_file(node: RealNode) -> str:
    return (node.folder / "data" / "qnode.log").read_text(encoding="utf-8")


def entries(node: RealNode) -> list[dict[str, Any]]:
    """The log file is JSON lines, every one of them."""
    return [json.loads(line) for line in log_file(node).splitlines()]
