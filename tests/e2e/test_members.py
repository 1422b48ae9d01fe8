"""Who the members are, changed while real nodes run: by their operators' own commands.

The tests share one network and run in the order of this file; each finds it whole.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.files import write_new
from daemon.node import PEERS_FILE
from tests.support.commands import qnode
from tests.support.network import INSTANT, READY_S, RealNetwork, RealNode, wait_until
from tests.support.serving import call

pytestmark = [pytest.mark.network]

FRANCE = "What is the capital of France?"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNetwork]:
    folder = tmp_path_factory.mktemp("members")
    network = RealNetwork(folder, "ada", "bob", "cyd", "dan", program=INSTANT)
    try:
        network.start()
        yield network
    finally:
        network.kill_all()


@pytest.fixture
def network(running: RealNetwork) -> RealNetwork:
    running.restore()
    return running


def members(node: RealNode, *arguments: str) -> subprocess.CompletedProcess[str]:
    return qnode("members", *arguments, "--config", str(node.folder / "qnode.toml"))


def listed(node: RealNode) -> dict[str, Any]:
    document: dict[str, Any] = node.get("/api/cluster/members").json
    return document


def carry(network: RealNetwork, *change: str) -> None:
    """One operator proposes, a quorum endorses, and the nodes enter the next epoch."""
    first = network.nodes[0]
    before = listed(first)["epoch"]
    needed = listed(first)["quorum"] - 1
    others = [node for node in network.nodes[1:] if node.running][:needed]
    proposed = members(first, "propose", *change, "--json")
    assert proposed.returncode == 0, proposed.stderr
    change_id = json.loads(proposed.stdout)["id"]
    for node in others:
        known = [c["id"] for c in wait_until(lambda n=node: listed(n)["wanted"], 20, "it is known")]
        assert change_id in known
        endorsed = members(node, "endorse", change_id)
        assert endorsed.returncode == 0, endorsed.stderr
    wait_until(
        lambda: all(listed(node)["epoch"] == before + 1 for node in network.nodes[:3]),
        READY_S,
        f"the epoch after {before}",
        *network.nodes,
    )


def newcomer(network: RealNetwork, name: str, folder: str) -> RealNode:
    """A node with a key of its own, that knows the genesis file and the first node's address."""
    node = RealNode(network.folder / folder, INSTANT, name=name)
    write_new(node.folder / "genesis.json", network.genesis.to_text())
    addresses = (network.nodes[0].folder / "data" / "p2p.addresses").read_text(encoding="utf-8")
    node.configure("bootstrap = []", f"bootstrap = {json.dumps(addresses.split())}")
    return node


def test_a_stranger_is_told_how_to_become_a_member(network: RealNetwork) -> None:
    """Without --join a key that is nobody's is most likely a mistake."""
    stranger = newcomer(network, "eve", "stranger")
    stranger.start()
    assert stranger.ended(READY_S) == 2
    assert "qnode members propose join" in stranger.output()
    assert "Traceback" not in stranger.output()


def test_only_the_operator_endorses(network: RealNetwork) -> None:
    """The port is open to everybody on the machine; the data folder is not."""
    url = network.nodes[0].url
    body = {"change": {"Leave": {"replica": 1}}}
    for headers in ({}, {"X_Qnode_Operator": "0" * 64}):
        reply = call(url, "POST", "/api/cluster/changes", body, **headers)
        assert (reply.status, reply.error["code"]) == (403, "operator_only")
    token = network.nodes[0].folder / "data" / "operator.token"
    assert token.stat().st_mode & 0o777 == 0o600
    shown = {"X_Qnode_Operator": token.read_text(encoding="utf-8").strip()}
    for bad in ({}, {"change": 1}, {"change": {"Leave": {"replica": "x"}}}, {"id": "nobody's"}):
        reply = call(url, "POST", "/api/cluster/changes", bad, **shown)
        assert reply.status in (400, 404)
        assert reply.error["message"]


def test_a_fifth_node_joins_and_answers(network: RealNetwork) -> None:
    """It starts before it is a member, follows, is let in by three operators, and then answers a
    question itself, with a certificate that the genesis file alone verifies."""
    fifth = newcomer(network, "eve", "eve")
    fifth.start("--join")
    record = str(fifth.folder / "member.json")
    carry(network, "join", record)
    network.nodes.append(fifth)
    network.restore()
    assert listed(fifth)["epoch"] == 1
    assert [m["name"] for m in listed(fifth)["members"]] == ["ada", "bob", "cyd", "dan", "eve"]
    reply = fifth.ask(FRANCE)
    assert reply.status == 200, reply.body
    answer = reply.json
    assert (answer["epoch"], answer["replicas"], answer["quorum"]) == (1, 5, 4)
    assert next(a for a in answer["answers"] if a["name"] == "eve")["text"]
    path = network.folder / "epoch-1.json"
    path.write_bytes(fifth.get(answer["certificate"]).body)
    verified = qnode("verify", str(path), "--genesis", str(network.genesis_path), "--json")
    assert verified.returncode == 0, verified.stdout
    assert json.loads(verified.stdout)["epoch"] == 1
    changed = path.read_text(encoding="utf-8").replace('"name": "eve"', '"name": "eva"')
    path.write_text(changed, encoding="utf-8")
    assert qnode("verify", str(path), "--genesis", str(network.genesis_path)).returncode == 1


def test_the_policy_changes(network: RealNetwork, tmp_path: Path) -> None:
    """Some fields of it, everywhere at the same slot."""
    wanted = tmp_path / "policy.json"
    wanted.write_text('{"tokens_max": 99}')
    carry(network, "policy", str(wanted))
    network.restore()
    assert [listed(node)["policy"]["tokens_max"] for node in network.nodes] == [99] * 5


def test_a_lost_log_is_repaired_by_the_others(network: RealNetwork) -> None:
    """S8: a flipped bit is said in one sentence, the node is silent until a new epoch begins for
    it, and then it is a full member again, with the same ledger."""
    node = network.nodes[4]
    epoch = listed(node)["epoch"]
    node.kill()
    path = node.folder / "data" / "consensus.log"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    node.start("--join")
    wait_until(
        lambda: (node.status() or {}).get("state") == "ready" and listed(node)["epoch"] > epoch,
        READY_S,
        "the node votes again",
        *network.nodes,
    )
    assert "is damaged at byte" in node.output()
    assert "Traceback" not in node.output()
    assert (path.parent / "consensus.log.damaged-1").read_bytes() == bytes(data)
    network.restore()
    assert node.ask(FRANCE).status == 200


def test_a_member_that_is_needed_cannot_be_voted_out_by_mistake(network: RealNetwork) -> None:
    """With one of five away and four needed, a new key for another one would stop the network."""
    network.nodes[4].kill()
    absent = newcomer(network, "fay", "fay")
    wait_until(lambda: listed(network.nodes[0])["members"][4]["connected"] is False, 30, "gone")
    record = str(absent.folder / "member.json")
    refused = members(network.nodes[0], "propose", "replace", "dan", record)
    assert refused.returncode == 2
    assert "are needed to go on" in refused.stderr
    network.nodes[4].start()


def test_a_member_gets_another_key(network: RealNetwork) -> None:
    """The node of the old key is let go; the one with the new key takes its place and number."""
    old = network.nodes[3]
    new = newcomer(network, "dan", "dan-again")
    carry(network, "replace", "dan", str(new.folder / "member.json"))
    assert old.ended(READY_S) == 0
    assert "is no member any more" in old.output()
    network.nodes[3] = new
    new.start()
    assert new.ended(READY_S) == 2, "the key is in no file it has"
    new.start("--join")
    network.restore()
    assert listed(new)["members"][3] == {**listed(new)["members"][3], "name": "dan", "replica": 3}
    assert new.ask(FRANCE).status == 200


def test_a_member_leaves(network: RealNetwork) -> None:
    """Its process ends by itself, in peace; the others go on as four."""
    leaver = network.nodes[4]
    carry(network, "leave", "eve")
    assert leaver.ended(READY_S) == 0
    assert "is no member any more" in leaver.output()
    assert network.nodes.pop() is leaver
    network.restore()
    assert [m["name"] for m in listed(network.nodes[0])["members"]] == ["ada", "bob", "cyd", "dan"]
    assert network.nodes[2].ask(FRANCE).status == 200
    history = members(network.nodes[1], "history", "--json")
    epochs = json.loads(history.stdout)["epochs"]
    assert [epoch["epoch"] for epoch in epochs] == list(range(len(epochs)))
    assert all(epoch["proven"] for epoch in epochs)
    drawn = members(network.nodes[1], "history")
    assert "eve leaves" in drawn.stdout


def test_after_a_restart_the_members_are_the_same(network: RealNetwork) -> None:
    """Everything is on disk: no genesis file speaks of the new members."""
    before = listed(network.nodes[0])
    network.stop()
    for node in network.nodes:
        node.start()
    network.restore()
    after = listed(network.nodes[0])
    assert (after["epoch"], after["members"]) == (before["epoch"], before["members"])
    assert network.nodes[3].ask(FRANCE).status == 200


def test_a_member_that_was_away_when_it_left_is_told(network: RealNetwork) -> None:
    """Nobody sends it the proof any more; that the others don't know it is enough to end it."""
    *others, away = network.nodes
    peers = away.folder / "data" / PEERS_FILE
    addresses = [(node.folder / "data" / "p2p.addresses").read_text().strip() for node in others]
    wait_until(
        lambda: peers.exists() and all(address in peers.read_text() for address in addresses),
        30,
        "it has written down where to find the others",
    )
    away.kill()
    wait_until(lambda: listed(network.nodes[0])["members"][3]["connected"] is False, 30, "gone")
    carry(network, "leave", "dan")
    away.start()
    assert away.ended(READY_S) == 0
    assert "is no member any more (3 of the others say so)" in away.output()
