"""Recipes of faults that brought other systems down and that no other test here is named for.

tests/README.md lists where each recipe is tested.
"""

import ast
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pbft import digest, effects
from pbft.effects import Apply
from pbft.events import PrimaryDue, Received, TimerFired
from pbft.membership import Leave, Renew, SetPolicy
from pbft.messages import (
    Accusation,
    Commit,
    DecidedSlot,
    EndorsedChange,
    Equivocation,
    Item,
    NewView,
    Prepare,
    Proposal,
    Signed,
    ViewChange,
    items,
)
from pbft.outcome import Status
from pbft.policy import Policy
from pbft.types import Epoch, ReplicaId, RequestId
from tests.support import forge
from tests.support.cluster import Cluster
from tests.support.intervals import checkpoint_every
from tests.support.scenes import before_the_proposal, only_item
from tests.support.solo import Solo
from tests.support.statements import contradictions


def decisions(cluster: Cluster) -> list[dict[int, Any]]:
    return [{number: slot.batch for number, slot in node.ledger.items()} for node in cluster.nodes]


# --- V10: a timer against the deciding vote ----------------------------------------------------


def caught_before_the_last_commit() -> tuple[Cluster, Proposal, list[tuple[int, int, Any]]]:
    """All replicas hold the proposal and are prepared; no commit has reached anybody."""
    cluster = Cluster(4)
    held: list[tuple[int, int, Any]] = []

    def drop(source: ReplicaId, target: ReplicaId, message: object) -> bool:
        is_commit = isinstance(message, Signed) and isinstance(message.message, Commit)
        if is_commit:
            held.append((source, target, message))
        return is_commit

    cluster.drop = drop
    cluster.ask(0)
    cluster.run()
    cluster.drop = lambda _s, _t, _m: False
    (proposal,) = [m for m in cluster.nodes[0].sent if isinstance(m, Proposal)]
    return cluster, proposal, held


@pytest.mark.parametrize("first", ["timer", "commit"])
@pytest.mark.parametrize("replica", [1, 2, 3])
def test_a_timer_and_the_deciding_commit_in_either_order(first: str, replica: int) -> None:
    """V10: the clock of one backup runs out just before, or just after, the commit that decides the
    slot. Before: it has left the view, and learns the decision with the next view or from a peer.
    After: it stays. Either way one batch has the number, everywhere."""
    cluster, proposal, held = caught_before_the_last_commit()
    batch = proposal.batch
    request_id = digest.request_id(only_item(proposal).request.message)
    timer = PrimaryDue(request_id, 0)
    mine = [(source, message) for source, target, message in held if target == replica]
    assert timer in cluster.nodes[replica].timers

    def expire() -> None:
        for _ in range(2):  # first it helps the primary, then it suspects it
            cluster.put(replica, TimerFired(timer))
            cluster.run()

    def commits(count: int) -> None:
        for source, message in mine[:count]:
            cluster.hear(replica, source, message)

    commits(1)
    if first == "timer":
        expire()
        assert not cluster.nodes[replica].replica._context.active
        commits(3)
        assert cluster.nodes[replica].ledger == {}, "it takes no part in that view any more"
    else:
        commits(2)
        assert list(cluster.nodes[replica].ledger) == [1]
        expire()
        assert cluster.nodes[replica].replica.view == 0
    for source, target, message in held:
        if target != replica:
            cluster.hear(target, source, message)
    cluster.settle()
    assert decisions(cluster) == [{1: batch}] * 4
    assert contradictions([m for node in cluster.nodes for m in node.sent]) == []
    assert [node.evidence for node in cluster.nodes] == [[]] * 4


def test_every_clock_expires_beside_the_deciding_commits() -> None:
    """V10: any subset of the four has left the view when the commits arrive; agreement holds, and
    everybody has the decision in the end."""
    for gone in range(16):
        cluster, proposal, held = caught_before_the_last_commit()
        request_id = digest.request_id(only_item(proposal).request.message)
        for replica in range(4):
            if gone >> replica & 1:
                for _ in range(2):
                    cluster.put(replica, TimerFired(PrimaryDue(request_id, 0)))
        for source, target, message in held:
            cluster.put(target, Received(ReplicaId(source), message))
        cluster.settle()
        assert decisions(cluster) == [{1: proposal.batch}] * 4, gone
        assert contradictions([m for node in cluster.nodes for m in node.sent]) == [], gone


# --- V11: locks in different views -------------------------------------------------------------


def test_two_locks_are_no_deadlock() -> None:
    """V11: R1 is prepared for batch A in view 0; R2 and R3 for batch B in view 1, all of them
    honest. In view 2 the newer certificate wins, and everybody prepares B, A's holder too."""
    a, b = forge.D1, forge.batch_digest(())
    lock_a = (forge.prepared(a, 1, view=0),)
    lock_b = (forge.prepared(b, 1, view=1),)
    votes = [
        forge.view_change(1, 2, prepared=lock_a),
        forge.view_change(2, 2, prepared=lock_b),
        forge.view_change(3, 2, prepared=lock_b),
    ]
    for order in (votes, votes[::-1]):
        solo = Solo(0)
        for vote in order[:2]:
            solo.hear(vote)
        solo.enter(votes)
        assert solo.replica._context.active
        assert [p.digest for p in solo.said(Prepare)] == [b]
    only_a = forge.new_view([votes[0], forge.view_change(0, 2), forge.view_change(3, 2)])
    assert [p.message.digest for p in only_a.message.pre_prepares] == [a]


def test_commits_of_three_views_are_no_deadlock() -> None:
    """V11: R2 has sent its commit in view 0 and R3 in view 1, R0 and R1 ask for view 2. All are
    honest, nothing is lost from now on: the slot is decided, with the batch that was locked."""
    cluster = Cluster(4)

    def drop(_s: ReplicaId, target: ReplicaId, message: object) -> bool:
        inner = message.message if isinstance(message, Signed) else None
        if isinstance(inner, Prepare):
            return target != 2 + min(inner.view, 1)
        return isinstance(inner, Commit | NewView) and not (
            isinstance(inner, NewView) and inner.view == 1
        )

    cluster.drop = drop
    cluster.ask(0)
    cluster.settle(30)
    committed = {
        m.message.view: m.message.digest
        for node in cluster.nodes
        for m in node.sent
        if isinstance(m, Signed) and isinstance(m.message, Commit)
    }
    assert 0 in committed
    cluster.drop = lambda _s, _t, _m: False
    cluster.reconnect()
    cluster.settle()
    assert [len(node.ledger) for node in cluster.nodes] == [1] * 4
    assert {forge.batch_digest(node.ledger[1].batch) for node in cluster.nodes} == {committed[0]}


# --- C3: a primary that is just fast enough ----------------------------------------------------


def test_a_primary_that_dawdles_is_not_primary_for_long() -> None:
    """C3: it holds each proposal back until just before the others suspect it, and so is never
    suspected. After `rotation_slots` slots another one leads all the same, and the network is as
    fast as ever."""
    with pytest.MonkeyPatch.context() as patch:
        checkpoint_every(4, patch)
        cluster = Cluster(4, policy=Policy(rotation_slots=4))
        late: list[tuple[int, Any]] = []

        def drop(source: ReplicaId, target: ReplicaId, message: object) -> bool:
            dawdles = source == 0 and isinstance(message, Proposal)
            if dawdles:
                late.append((target, message))
            return dawdles

        cluster.drop = drop
        times = []
        asked_ms = 0

        def watch(i: ReplicaId, effect: effects.Effect) -> None:
            if i == 1 and isinstance(effect, effects.Reply):
                times.append(cluster.now_ms - asked_ms)

        cluster.watch = watch
        for number in range(1, 7):
            asked_ms = cluster.now_ms
            request_id = cluster.ask(1)
            cluster.settle(3.4)
            while late:
                target, message = late.pop(0)
                cluster.put(target, Received(ReplicaId(0), message))
            cluster.run()
            assert request_id in cluster.nodes[1].replies, number
        assert [node.replica.view for node in cluster.nodes] == [1] * 4
        assert min(times[:4]) > 1_000, "it dawdled"
        assert times[4:] == [0, 0]


# --- O5: more liars than the protocol tolerates ------------------------------------------------


def test_more_than_f_liars_are_outside_of_the_guarantee() -> None:
    """O5: two of four sign whatever they like: with one honest replica's votes they decide two
    batches for one slot. The protocol does not promise to prevent that, and does not hide it: each
    of the two signed both, and whoever sees both certificates can prove it."""
    one, other = forge.batch_digest(()), forge.D1
    first = [forge.commit(i, one) for i in (0, 2, 3)]
    second = [forge.commit(i, other) for i in (1, 2, 3)]
    solo = Solo(0)
    for commit in (*first[1:], *second):
        solo.hear(commit)
    found = [e.evidence for e in solo.all if isinstance(e, effects.Report)]
    assert found == [Equivocation(first[1], second[1]), Equivocation(first[2], second[2])]


def test_what_f_plus_one_colluders_agree_on_says_who_stands_behind_it() -> None:
    """O5: two of four give the same false answer and the two honest ones differ. It does not reach
    two thirds of the weight: no agreement, and the outcome names who is in which cluster."""
    cluster = Cluster(4, ["Paris", "Nice", "Lie", "Lie"], Policy(attempts_max=1))
    request_id = cluster.ask(0)
    cluster.settle()
    reply = cluster.nodes[0].replies[request_id]
    item = reply.slot.batch[reply.index]
    assert isinstance(item, Item)
    assert item.outcome.status is Status.NO_AGREEMENT
    assert item.outcome.clusters[0] == (2, 3)
    assert item.outcome.representative is None


# --- S6, S8, S9: what was stored or sent -------------------------------------------------------


def slot_of(batch: Any, number: int = 1) -> DecidedSlot:
    of = forge.batch_digest(batch)
    return DecidedSlot(batch, tuple(forge.commit(i, of, number) for i in (0, 2, 3)))


def asked(number: int) -> Item:
    request = forge.request(0, number)
    request_id: RequestId = digest.request_id(request)
    return forge.item(request, tuple(forge.reveal(request_id, i) for i in range(4)), (9_600,) * 6)


def test_state_that_the_certified_digest_does_not_bind_is_not_taken() -> None:
    """S6: a peer sends a laggard the right commits with another batch, fewer entries, or more; each
    slot is checked against its certified digest, and nothing is applied."""
    right = slot_of((asked(1), asked(2)))
    solo = Solo(1)
    for batch in [(asked(1),), (asked(2), asked(1)), (asked(1), asked(2), asked(3)), ()]:
        solo.hear(replace(right, batch=batch), source=2)
        assert solo.refusals() == ["proof"]
        assert solo.got(Apply) == []
    for commits in [right.commits[:2], right.commits[:2] * 2, right.commits[::-1]]:
        solo.hear(replace(right, commits=commits), source=2)
        assert solo.refusals() == ["proof"]
    solo.hear(right, source=2)
    assert [effect.sequence_number for effect in solo.got(Apply)] == [1]


def test_any_prefix_of_the_log_can_be_read_back() -> None:
    """S8: the tail of the log was never flushed (the storage cuts what is torn, see
    tests/unit/daemon/test_record_log.py): a replica starts from every prefix of the records, and
    what it says then contradicts nothing in that prefix."""
    cluster = Cluster(4, ["Paris", "Lyon", "Nice", "Metz"])
    cluster.ask(1)
    cluster.settle(20)
    log = list(cluster.nodes[1].log)
    assert len(log) > 10
    for length in range(len(log) + 1):
        solo = Solo(1, records=log[:length])
        sent = [e.message for e in solo.all if isinstance(e, effects.Broadcast | effects.Send)]
        assert contradictions(sent) == []
        again = Solo(1, records=log[:length])
        assert again.all == solo.all, "the same every time"


def test_a_decided_entry_that_cannot_be_carried_out_halts_nobody() -> None:
    """S9: a quorum decided what makes no sense any more: changes of nobody or of another epoch, a
    renewal out of turn, proof against a stranger. Each is applied without effect, on all replicas
    alike, and the next slot follows."""
    with pytest.MonkeyPatch.context() as patch:
        checkpoint_every(4, patch)
        nonsense: list[Any] = [
            EndorsedChange(Epoch(0), Leave(ReplicaId(9)), ()),
            EndorsedChange(Epoch(7), Leave(ReplicaId(1)), ()),
            EndorsedChange(Epoch(0), SetPolicy(Policy()), ()),
            EndorsedChange(Epoch(0), Renew(ReplicaId(9), bytes(32)), ()),
            Accusation(Equivocation(forge.prepare(9, forge.D1), forge.prepare(9, forge.D2))),
        ]
        states = []
        for me in (0, 1):
            solo = Solo(me)
            for number in range(1, 6):
                batch = tuple(nonsense) if number < 3 else (asked(number),)
                solo.hear(slot_of(batch, number), source=2)
            assert solo.replica.applied == 5
            assert solo.replica.state.membership.epoch == 0
            states.append(solo.replica.state)
        assert states[0] == states[1]


# --- S2: a new primary that is behind ----------------------------------------------------------


def test_a_primary_that_is_behind_orders_nothing_twice() -> None:
    """S2: R1 missed slot 1 and becomes primary. The request of slot 1 is still open there: it is in
    the new view's slots, is taken over, and is not proposed under another number."""
    cluster, proposal = before_the_proposal()
    cluster.drop = lambda _s, target, message: (
        target == 1
        and not (isinstance(message, Signed) and isinstance(message.message, ViewChange))
    )
    for i in (2, 3):
        cluster.hear(i, 0, proposal)
    cluster.run()
    assert [len(node.ledger) for node in cluster.nodes] == [1, 0, 1, 1]
    cluster.crash(0)
    cluster.drop = lambda _s, _t, _m: False
    cluster.ask(2)
    cluster.settle()
    for node in cluster.nodes[1:]:
        numbers = [
            item.request.message.number
            for slot in node.ledger.values()
            for _, item in items(slot.batch)
        ]
        assert sorted(numbers) == [1, 2]


# --- the list ----------------------------------------------------------------------------------

TESTS = Path(__file__).parents[1]
IDS = {
    *(f"P{i}" for i in range(1, 10)), *(f"V{i}" for i in range(1, 16)),
    *(f"S{i}" for i in range(1, 10)), *(f"C{i}" for i in range(1, 4)),
    *(f"O{i}" for i in range(1, 6)),
}  # fmt: skip


def test_every_recipe_is_tested_where_the_list_says() -> None:
    """tests/README.md names, for each recipe, tests that exist and whose docstrings name it."""
    docstrings = {
        f"{path.stem}::{node.name}": ast.get_docstring(node) or ""
        for path in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    listed = {}
    for line in (TESTS / "README.md").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"\| ([PVSCO]\d+) \|", line):
            listed[match[1]] = re.findall(r"`([^`]+)`", line)
    assert listed.keys() == IDS
    for recipe, names in listed.items():
        assert names, recipe
        for name in names:
            assert re.search(rf"\b{recipe}\b", docstrings[name]), (recipe, name)
