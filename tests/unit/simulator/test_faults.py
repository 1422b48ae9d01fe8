"""Each misbehaviour around a correct replica: the others decide, and what can be proven is."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest

from pbft import effects, events
from pbft.context import Configuration
from pbft.events import TimerFired
from pbft.evidence import accused
from pbft.keyring import Keyring
from pbft.messages import AnswerReveal, Equivocation, Finish, Signed
from pbft.outcome import Status
from pbft.policy import Policy
from pbft.replica import Replica
from pbft.types import ReplicaId, RequestId
from simulator.faults import FAULTS, Crash, Equivocate, Fault, Lie, Slow
from simulator.faults.crash import _is_reveal
from simulator.faults.lie import LIE
from simulator.faults.slow import DELAY_MS, HeldAnswer
from tests.support.cluster import NETWORK, Cluster, answer
from tests.support.commands import environment
from tests.support.forge import request
from tests.support.keyring import keyring, membership, public_key
from tests.support.typed import ASK_LABEL, ASK_NUMBER, ASK_SCHEMA, valued

Make = Callable[[Replica, Configuration, Keyring], Fault]


def wrapped(i: int, n: int, make: Make, policy: Policy | None = None) -> Fault:
    configuration = Configuration(NETWORK, public_key(i), membership(n), policy or Policy())
    return make(Replica(configuration, keyring(i)), configuration, keyring(i))


def cluster_with(
    fault: Make, at: int = 3, n: int = 4, answers: list[str | None] | None = None
) -> Cluster:
    """One replica of the cluster misbehaves."""
    cluster = Cluster(n, answers)
    cluster.nodes[at].replica = wrapped(at, n, fault)  # type: ignore[assignment]
    return cluster


def honest(cluster: Cluster, at: int) -> list[int]:
    return [i for i in range(cluster.n) if i != at]


def test_a_fault_that_changes_nothing_is_the_replica() -> None:
    """The wrapper shows what the daemon reads of a replica, and passes everything on."""
    cluster = cluster_with(Fault)
    asked = cluster.ask(node=3)
    cluster.settle()
    for node in cluster.nodes:
        assert asked in node.replies
    fault = cluster.nodes[3].replica
    assert (fault.view, fault.applied, fault.primary) == (0, 1, 0)


def kinds_of(fault: type[Fault]) -> Iterator[type[Fault]]:
    """The classes of the folder; others, of links and in tests, may be faults too."""
    for kind in fault.__subclasses__():
        if kind.__module__.startswith("simulator.faults."):
            yield kind
        yield from kinds_of(kind)


def test_every_fault_has_a_name() -> None:
    """No class is left out, and its name is that of the class, in small letters."""
    assert set(FAULTS.values()) == set(kinds_of(Fault))
    assert {name: name.title().replace("_", "") for name in FAULTS} == {
        name: kind.__name__ for name, kind in FAULTS.items()
    }


@pytest.mark.parametrize("name", sorted(FAULTS))
@pytest.mark.parametrize("at", [1, 2, 3])
def test_honest_replicas_decide_the_truth(name: str, at: int) -> None:
    """Whoever of the backups misbehaves: all others reply, alike, and say Paris."""
    with patch("os.kill"):  # a crash that does not happen is a replica like any other
        cluster = cluster_with(FAULTS[name], at)
        asked = cluster.ask(node=0)
        cluster.settle()
    items = set()
    for i in honest(cluster, at):
        reply = cluster.nodes[i].replies[asked]
        item = reply.slot.batch[reply.index]
        assert item.outcome.status in (Status.AGREED, Status.AGREED_LOW_CONFIDENCE)
        assert item.outcome.representative is not None
        said = {r.message.replica: r.message.answer.text for r in item.reveals}
        assert said[item.outcome.representative] == "Paris"
        items.add(item)
    assert len(items) == 1


# --- lie ---------------------------------------------------------------------------------------


def test_a_lie_is_committed_revealed_and_outvoted() -> None:
    """By the rules: the lie is in the item under the liar's signature, in a cluster of its own."""
    cluster = cluster_with(Lie)
    asked = cluster.ask(node=0)
    cluster.settle()
    reply = cluster.nodes[0].replies[asked]
    item = reply.slot.batch[0]
    said = {r.message.replica: r.message.answer.text for r in item.reveals}
    assert said == {0: "Paris", 1: "Paris", 2: "Paris", 3: LIE}
    assert item.outcome.clusters == ((0, 1, 2), (3,))
    assert all(cluster.nodes[i].evidence == [] for i in range(4))


def test_two_liars_of_four_are_not_outvoted() -> None:
    """Beyond f nothing is promised, and the network says that it does not agree."""
    cluster = cluster_with(Lie)
    cluster.nodes[2].replica = wrapped(2, 4, Lie)  # type: ignore[assignment]
    asked = cluster.ask(node=0)
    cluster.settle()
    item = cluster.nodes[0].replies[asked].slot.batch[0]
    assert item.outcome.status is Status.NO_AGREEMENT
    assert item.outcome.representative is None


@pytest.mark.parametrize(
    ("asked", "true"), [(ASK_LABEL, "flat"), (ASK_NUMBER, "5"), (ASK_SCHEMA, "flat 5 Paris")]
)
def test_a_liar_lies_in_values_too(asked: dict[str, Any], true: str) -> None:
    """Its values are well-formed and wrong in every field, and are outvoted."""
    cluster = cluster_with(Lie, answers=[true] * 4)
    cluster.draw = valued
    cluster.ask(node=0, **asked)
    cluster.settle()
    (item,) = cluster.nodes[0].ledger[1].batch
    assert len(item.reveals) == 4
    assert [field.value for field in item.outcome.fields] == true.split()
    for field in item.outcome.fields:
        assert [exclusion.replica for exclusion in field.excluded] == [3]


def test_a_liar_lies_where_it_would_abstain() -> None:
    """A model that failed does not silence it."""
    fault = wrapped(3, 4, Lie)
    asked = request(replica=3)
    fault.step(events.Started())
    request_id = _only_request(fault.step(events.Submitted(asked)))
    abstention = answer("", finish=Finish.ABSTAINED)
    turn = fault.step(events.AnswerReady(request_id, 0, abstention, bytes(32)))
    (drawn,) = [e.record for e in turn if isinstance(e, effects.Persist)]
    assert drawn.answer.text == LIE  # type: ignore[union-attr]
    assert drawn.answer.finish is Finish.STOP  # type: ignore[union-attr]


def _only_request(turn: list[effects.Effect]) -> RequestId:
    (request_id,) = {e.request_id for e in turn if isinstance(e, effects.RunInference)}
    return request_id


# --- slow --------------------------------------------------------------------------------------


def test_an_answer_is_held_for_its_delay() -> None:
    """No effect but a timer; when it fires the answer goes in as it was."""
    fault = wrapped(3, 4, lambda *parts: Slow(*parts, delay_ms=77))
    plain = wrapped(3, 4, Fault)
    asked = request(replica=3)
    ready = None
    for each in (fault, plain):
        turn = each.step(events.Submitted(asked))
        ready = events.AnswerReady(_only_request(turn), 0, answer("Paris"), bytes(32))
    assert ready is not None
    held = HeldAnswer(ready.request_id, 0)
    assert fault.step(ready) == [effects.ArmTimer(held, 77)]  # type: ignore[arg-type]
    fired = TimerFired(held)  # type: ignore[arg-type]
    assert fault.step(fired) == plain.step(ready)
    assert fault.step(fired) == plain.step(fired)


def test_timers_of_the_replica_pass() -> None:
    """Only the fault's own are kept back."""
    fault, plain = wrapped(3, 4, Slow), wrapped(3, 4, Fault)
    asked = request(replica=3)
    for each in (fault, plain):
        request_id = _only_request(each.step(events.Submitted(asked)))
    fired = TimerFired(events.AnswerDeadline(request_id, 0))
    assert fault.step(fired) == plain.step(fired)


def test_a_slow_replica_is_left_out_of_the_seal() -> None:
    """The others' grace is over before its answer comes: the seal is without it, the slot is not
    late, and it still signs the decision."""
    assert Policy().seal_grace_ms < DELAY_MS
    cluster = cluster_with(Slow)
    asked = cluster.ask(node=0)
    cluster.run()
    cluster.fire_all(events.SealGrace)
    cluster.run()
    for node in cluster.nodes:
        item = node.replies[asked].slot.batch[0]
        (seal,) = item.seals
        assert [c.message.replica for c in seal.message.commitments] == [0, 1, 2]
    cluster.fire_all(HeldAnswer)
    cluster.run()
    assert all(node.evidence == [] for node in cluster.nodes)
    assert all(node.refused == [] for node in cluster.nodes)


# --- crash -------------------------------------------------------------------------------------


def reveals_of(turn: list[effects.Effect]) -> list[effects.Effect]:
    return [effect for effect in turn if _is_reveal(effect)]


def test_it_dies_where_it_would_reveal() -> None:
    """Not before, so that its commitment is in the seal."""
    with patch("os.kill") as kill:
        cluster = cluster_with(Crash)
        cluster.watch = lambda replica, effect: killed_at(kill, replica, effect)
        cluster.ask(node=0)
        cluster.settle(3)
    assert kill.call_count == 1
    assert kill.call_args.args[1] == signal.SIGKILL


def killed_at(kill: object, replica: ReplicaId, effect: effects.Effect) -> None:
    if replica == 3 and _is_reveal(effect):
        assert kill.call_count == 1  # type: ignore[attr-defined]


def test_only_a_broadcast_reveal_is_the_moment() -> None:
    """Neither other messages nor a reveal sent to one peer."""
    cluster = Cluster(4)
    seen: list[effects.Effect] = []
    cluster.watch = lambda _replica, effect: seen.append(effect)
    cluster.ask(node=0)
    cluster.settle()
    fatal = reveals_of(seen)
    assert len(fatal) == 4
    for effect in fatal:
        assert isinstance(effect, effects.Broadcast)
        assert isinstance(effect.message, Signed)
        assert isinstance(effect.message.message, AnswerReveal)
        assert not _is_reveal(effects.Send(ReplicaId(1), effect.message))


def test_its_process_really_dies() -> None:
    """SIGKILL, without a word; the step before the reveal still returns."""
    script = """
from tests.unit.simulator.test_faults import cluster_with
from simulator.faults import Crash
cluster = cluster_with(Crash)
cluster.ask(node=0)
print("asked", flush=True)
cluster.settle()
print("still alive", flush=True)
"""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", script],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGKILL, "asked\n", "")


def test_the_others_go_on_without_it() -> None:
    """Sealed and silent: three reveals are a quorum when the grace is over."""
    cluster = Cluster(4)

    def watch(replica: ReplicaId, effect: effects.Effect) -> None:
        if replica == 3 and _is_reveal(effect):
            cluster.crash(3)

    def drop(source: ReplicaId, _target: ReplicaId, message: object) -> bool:
        return (
            source == 3
            and isinstance(message, Signed)
            and isinstance(message.message, AnswerReveal)
        )

    cluster.watch, cluster.drop = watch, drop
    asked = cluster.ask(node=0)
    cluster.settle(3)
    for i in range(3):
        item = cluster.nodes[i].replies[asked].slot.batch[0]
        assert [reveal.message.replica for reveal in item.reveals] == [0, 1, 2]
        sealed = [c.message.replica for s in item.seals for c in s.message.commitments]
        assert sealed == [0, 1, 2, 3]


# --- equivocate --------------------------------------------------------------------------------


def test_two_versions_go_out_under_good_signatures() -> None:
    """Every second peer gets the other one; nobody gets both, nobody is left out."""
    fault = wrapped(3, 4, Equivocate)
    asked = request(replica=3)
    request_id = _only_request(fault.step(events.Submitted(asked)))
    turn = fault.step(events.AnswerReady(request_id, 0, answer("Paris"), bytes(32)))
    sends = [effect for effect in turn if isinstance(effect, effects.Send)]
    assert [send.replica for send in sends] == [0, 1, 2]
    assert not [effect for effect in turn if isinstance(effect, effects.Broadcast)]
    messages = [send.message for send in sends]
    assert messages[0] == messages[2] != messages[1]
    key = membership(4).public_key(ReplicaId(3))
    assert key is not None
    for message in messages:
        assert isinstance(message, Signed)
        assert keyring(0).verify(key, message.message, message.signature)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_honest_replicas_hold_the_proof(at: int) -> None:
    """Two signatures of one replica for one thing, found by an honest one; and only against the
    one that lied."""
    cluster = cluster_with(Equivocate, at)
    cluster.ask(node=0)
    cluster.settle()
    found = [e for i in honest(cluster, at) for e in cluster.nodes[i].evidence]
    assert found
    for evidence in found:
        assert isinstance(evidence, Equivocation)
        assert accused(evidence) == at
        assert evidence.first.message != evidence.second.message
        key = membership(4).public_key(ReplicaId(at))
        assert key is not None
        for signed in (evidence.first, evidence.second):
            assert keyring(0).verify(key, signed.message, signed.signature)


def test_ledgers_stay_equal_over_many_questions() -> None:
    """An equivocator among seven, ten questions: one history."""
    cluster = cluster_with(Equivocate, at=5, n=7)
    asked = [cluster.ask(node=number % 5, prompt=f"Question {number}?") for number in range(10)]
    cluster.settle(12)
    ledgers = [
        {number: slot.batch for number, slot in cluster.nodes[i].ledger.items()}
        for i in honest(cluster, 5)
    ]
    assert all(ledger == ledgers[0] for ledger in ledgers)
    for i in honest(cluster, 5):
        assert set(asked) <= set(cluster.nodes[i].replies)
