"""Castro and Liskov 1999, end of §4.2, and DESIGN 3.8: replies, order of execution, catching up."""

from dataclasses import replace
from typing import Any

import pytest

from pbft import digest, effects
from pbft.certificate import certify, verify
from pbft.effects import Apply, ArmTimer, Broadcast, Persist, Refused, Reply, Send, SendLedger
from pbft.events import CatchUp, PeerDown, PeerUp, TimerFired
from pbft.evidence import accused
from pbft.item import with_outcome
from pbft.messages import (
    AnswerReveal,
    Commit,
    DecidedSlot,
    Height,
    LedgerWanted,
    Prepare,
    Proposal,
    Signed,
)
from pbft.records import Decided
from pbft.types import Epoch, ReplicaId, SequenceNumber
from tests.support import forge
from tests.support.cluster import Cluster, Node
from tests.support.scenes import before_the_proposal
from tests.support.solo import Solo


def nothing(_source: ReplicaId, _target: ReplicaId, _message: object) -> bool:
    return False


def slots(count: int, asker: int = 0) -> list[DecidedSlot]:
    """Decided slots 1..count, each proven by R0, R2 and R3."""
    made = []
    for number in range(1, count + 1):
        asked = forge.request(asker, number)
        openings = tuple(forge.reveal(digest.request_id(asked), i) for i in range(4))
        batch = (forge.item(asked, openings, (9_600,) * 6),)
        of = forge.batch_digest(batch)
        made.append(DecidedSlot(batch, tuple(forge.commit(i, of, number) for i in (0, 2, 3))))
    return made


def applied(solo: Solo) -> list[int]:
    return [effect.sequence_number for effect in solo.all if isinstance(effect, Apply)]


def replied(solo: Solo) -> list[int]:
    return [e.slot.sequence_number for e in solo.all if isinstance(e, Reply)]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 10])
def test_every_size_of_network_decides(n: int) -> None:
    """§4.2: with everybody alive, every question is answered alike at all, and certified."""
    cluster = Cluster(n)
    ids = [cluster.ask(i % n) for i in range(3)]
    cluster.settle()
    assert [sorted(node.ledger) for node in cluster.nodes] == [[1, 2, 3]] * n
    first = cluster.nodes[0]
    for node in cluster.nodes:
        assert set(node.replies) == set(ids)
        assert node.refused == []
        assert node.evidence == []
        assert node.inferences == 3
        for number, slot in node.ledger.items():
            assert slot.batch == first.ledger[number].batch
            verify(certify(slot, 0), forge.rules(n))


@pytest.mark.parametrize(("n", "down"), [(3, 1), (4, 1), (7, 2), (10, 3)])
def test_the_network_decides_without_the_replicas_it_may_lose(n: int, down: int) -> None:
    """§2: f crashed backups, and one of three, do not stop the others."""
    cluster = Cluster(n)
    for i in range(n - down, n):
        cluster.crash(i)
    cluster.ask(0)
    cluster.settle()
    assert [sorted(node.ledger) for node in cluster.nodes[: n - down]] == [[1]] * (n - down)


@pytest.mark.parametrize(("n", "down"), [(2, 1), (3, 2), (4, 2), (7, 3), (10, 4)])
def test_fewer_than_a_quorum_decide_nothing(n: int, down: int) -> None:
    """§2: with one more crashed, nothing is decided, and nobody says otherwise."""
    cluster = Cluster(n)
    for i in range(n - down, n):
        cluster.crash(i)
    cluster.ask(0)
    cluster.settle()
    assert [node.ledger for node in cluster.nodes] == [{}] * n


def test_a_clean_run_costs_no_more_than_it_must() -> None:
    """§4.2: four replicas send, per decision, one message each of every kind that is theirs, beside
    the heights that do not depend on decisions; the view stays the first."""
    cluster = Cluster(4)
    cluster.ask(1)
    cluster.settle()
    sent = [
        type(message.message if isinstance(message, Signed) else message).__name__
        for node in cluster.nodes
        for message in node.sent
    ]
    assert [node.replica.view for node in cluster.nodes] == [0] * 4
    assert {kind: sent.count(kind) for kind in sent if kind != "Height"} == {
        "Request": 1,
        "AnswerCommitment": 4,
        "Seal": 1,
        "AnswerReveal": 4,
        "Proposal": 1,
        "Prepare": 3,
        "Commit": 4,
    }


# --- order -------------------------------------------------------------------------------------


def test_the_reply_does_not_wait_for_the_ledger() -> None:
    """DESIGN 3.8: slot 2 is answered as soon as it is decided, applied when slot 1 is."""
    solo = Solo(1)
    one, two = slots(2)
    solo.hear(two, source=2)
    assert (replied(solo), applied(solo)) == ([2], [])
    solo.hear(one, source=2)
    assert (replied(solo), applied(solo)) == ([2, 1], [1, 2])


def test_slots_are_applied_in_order_without_gaps() -> None:
    """§4.2: whatever order slots are decided in, the ledger grows by one at a time."""
    solo = Solo(1)
    made = slots(6)
    for index in (5, 1, 3, 0, 4, 2):
        solo.hear(made[index], source=2)
        assert applied(solo) == list(range(1, len(applied(solo)) + 1))
    assert applied(solo) == [1, 2, 3, 4, 5, 6]


def test_a_decision_is_on_disk_before_it_is_told() -> None:
    """DESIGN 6: Persist(Decided) stands before Reply and Apply."""
    solo = Solo(1)
    found = solo.hear(slots(1)[0], source=2)
    kinds = [type(effect) for effect in found if isinstance(effect, Persist | Reply | Apply)]
    assert kinds == [Persist, Reply, Apply]


def test_a_slot_is_decided_once() -> None:
    """P9: a slot or a proposal that comes again is neither answered, applied nor logged again."""
    solo = Solo(1)
    made = slots(3)
    for slot in (made[0], made[2], made[0], made[2]):
        solo.hear(slot, source=2)
    assert (replied(solo), applied(solo)) == ([1, 3], [1])
    assert len([record for record in solo.log if isinstance(record, Decided)]) == 2


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_is_decided_under_two_numbers_is_replied_to_once(order: tuple[int, int]) -> None:
    """§4.4: one view prepared a request in slot 2, a later one in slot 1, and a third took over
    both. Whichever is heard of first: one reply, and the second slot moves no weight."""
    solo = Solo(1)
    first = slots(1)[0]
    of = forge.batch_digest(first.batch)
    second = DecidedSlot(first.batch, tuple(forge.commit(i, of, 2) for i in (0, 2, 3)))
    for place in order:
        solo.hear((first, second)[place], source=2)
    assert applied(solo) == [1, 2]
    assert len(replied(solo)) == 1
    one, two = (effect.state for effect in solo.all if isinstance(effect, Apply))
    assert one.standings == two.standings


def test_an_old_proposal_is_not_executed_again() -> None:
    """P9: the primary's pre-prepare of an applied slot is ignored; its batch under a new number is
    refused."""
    cluster, honest = before_the_proposal()
    cluster.hear(1, 0, honest)
    for target in (2, 3):
        cluster.hear(target, 0, honest)
    cluster.settle()
    assert sorted(cluster.nodes[1].ledger) == [1]
    before = len(cluster.nodes[1].sent)
    cluster.hear(1, 0, honest)
    assert cluster.nodes[1].refused == []
    cluster.hear(1, 0, forge.proposal(honest.batch, number=2))
    assert cluster.nodes[1].refused == ["request-twice"]
    assert len(cluster.nodes[1].sent) == before
    assert sorted(cluster.nodes[1].ledger) == [1]


def test_a_forgotten_request_is_not_executed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """P9: a primary cannot bring back an item so old that nobody remembers its decision."""
    monkeypatch.setattr("pbft.history.REMEMBERED_MAX", 3)
    solo = Solo(1)
    made = slots(5)
    for slot in made:
        solo.hear(slot, source=2)
    solo.hear(forge.proposal(made[0].batch, number=6))
    assert solo.refusals() != []
    assert solo.got(effects.CompareAnswers) == []


def test_two_questions_under_one_number_do_not_stop_the_ledger() -> None:
    """P9: R3 is faulty and asks two questions under one number; the second takes longer to answer.
    The honest primary must not propose what honest backups refuse: slots after it are applied."""
    cluster = Cluster(4)
    first, second = (forge.sign(forge.request(3, 7, prompt=p)) for p in ("One?", "Two?"))
    slow: list[tuple[ReplicaId, effects.RunInference]] = []
    perform = cluster.perform

    def hold(me: ReplicaId, node: Node, effect: effects.Effect) -> None:
        if isinstance(effect, effects.RunInference) and effect.request == second.message:
            slow.append((me, effect))
        else:
            perform(me, node, effect)

    cluster.perform = hold  # type: ignore[method-assign]
    for request in (first, second):
        for target in (0, 1, 2):
            cluster.deliver(ReplicaId(3), ReplicaId(target), request)
    cluster.run()
    for me, effect in slow:
        perform(me, cluster.nodes[me], effect)
    cluster.settle()
    honest = cluster.ask(0)
    cluster.settle()
    for node in cluster.nodes[:3]:
        assert honest in node.replies
        assert [
            item.request.message.replica for slot in node.ledger.values() for item in slot.batch
        ] == [3, 0]


def test_two_questions_under_one_number_at_the_same_time() -> None:
    """P9: as above, with both questions under way at once and reaching replicas in either order."""
    cluster = Cluster(4)
    first, second = (forge.sign(forge.request(3, 7, prompt=p)) for p in ("One?", "Two?"))
    for target, pair in enumerate([(first, second), (first, second), (second, first)]):
        for request in pair:
            cluster.deliver(ReplicaId(3), ReplicaId(target), request)
    honest = cluster.ask(0)
    cluster.settle()
    for node in cluster.nodes[:3]:
        assert honest in node.replies
        asked = [item.request.message for slot in node.ledger.values() for item in slot.batch]
        assert [request.replica for request in asked].count(ReplicaId(3)) <= 1
        assert [request.replica for request in asked].count(ReplicaId(0)) == 1


def test_a_sequence_number_is_part_of_what_is_certified() -> None:
    """P6: R0 gives item a to slot 1 at R3 and to slot 2 at R1 and R2; commits for one number prove
    nothing about the other."""
    (slot,) = slots(1)
    moved = replace(
        slot,
        commits=tuple(
            replace(commit, message=replace(commit.message, sequence_number=2))
            for commit in slot.commits
        ),
    )
    solo = Solo(1)
    assert solo.hear(moved, source=0) == [Refused(ReplicaId(0), "proof")]


def test_an_equivocating_primary_splits_nobody() -> None:
    """P7: proposal A for R1 and R2, B for R3. R1 and R2 decide A; R3 cannot decide B, follows the
    quorum's proof, and the evidence stays."""
    cluster, honest = before_the_proposal()
    item = honest.batch[0]
    other = forge.proposal(
        (with_outcome(replace(item, similarities_bp=(9_500,) * 6), 4, cluster.policy),)
    )
    cluster.nodes[0].timers.clear()
    for target, proposal in [(1, honest), (2, honest), (3, other)]:
        cluster.hear(target, 0, proposal)
    cluster.hear(3, 1, honest)
    cluster.settle()
    cluster.reconnect()
    cluster.settle()
    assert {forge.batch_digest(node.ledger[1].batch) for node in cluster.nodes} == {
        honest.pre_prepare.message.digest
    }
    assert [accused(evidence) for evidence in cluster.nodes[3].evidence] == [0]


# --- catching up -------------------------------------------------------------------------------


def test_a_replica_that_was_down_catches_up() -> None:
    """DESIGN 5: when it is back, both sides say how far they are; the one ahead sends the rest."""
    cluster = Cluster(4)
    cluster.crash(3)
    for _ in range(40):
        cluster.ask(0)
    cluster.settle()
    cluster.restart(3)
    cluster.run()
    assert cluster.nodes[3].ledger == cluster.nodes[0].ledger
    assert len(cluster.nodes[3].replies) == 40
    assert cluster.nodes[3].refused == []
    assert cluster.nodes[3].inferences == 0


def test_a_long_absence_is_made_up_for_in_portions() -> None:
    """DESIGN 5: 32 slots at a time; the receiver asks on by itself until it has all."""
    cluster = Cluster(4)
    cluster.crash(3)
    for _ in range(70):
        cluster.ask(0)
        cluster.settle(2)
    assert max(cluster.nodes[0].ledger) == 70
    cluster.restart(3)
    cluster.run()
    assert sorted(cluster.nodes[3].ledger) == list(range(1, 71))


def test_who_asks_gets_the_next_slots() -> None:
    """DESIGN 5: exactly what the other lacks, at most 32, and no slot for who is not behind."""
    solo = Solo(1)
    for slot in slots(40):
        solo.hear(slot, source=2)
    for first, sent in [(0, (1, 31)), (1, (1, 32)), (6, (6, 37)), (31, (31, 40)), (40, (40, 40))]:
        wanted = LedgerWanted(SequenceNumber(first), Epoch(0))
        solo.step(TimerFired(CatchUp()))
        assert solo.hear(wanted, source=3) == [SendLedger(ReplicaId(3), *sent, Epoch(0))]  # type: ignore[arg-type]
    for first in (41, 42, 2**64 - 1):
        solo.hear(LedgerWanted(SequenceNumber(first), Epoch(0)), source=3)
        assert solo.got(SendLedger) == []


def test_who_asks_again_and_again_is_sent_the_same_once() -> None:
    """V15: until the next look a peer gets each slot once, so that it cannot keep a replica busy
    by asking; what follows it gets at once, and the same again after the look or a reconnection."""
    solo = Solo(1)
    for slot in slots(40):
        solo.hear(slot, source=2)

    def sent(first: int, source: int = 3) -> list[tuple[int, int]]:
        solo.hear(LedgerWanted(SequenceNumber(first), Epoch(0)), source=source)
        return [(effect.first, effect.last) for effect in solo.got(SendLedger)]

    assert sent(1) == [(1, 32)]
    assert sent(1) == []
    assert sent(1, source=0) == [(1, 32)], "others are not affected"
    assert sent(17) == [(33, 40)]
    assert sent(30) == []
    solo.step(TimerFired(CatchUp()))
    assert sent(1) == [(1, 32)]
    solo.step(PeerDown(ReplicaId(3)))
    solo.step(PeerUp(ReplicaId(3)))
    assert sent(1) == [(1, 32)]


def test_who_is_behind_asks_one_that_is_ahead() -> None:
    """DESIGN 5: one at a time, and another one when time has passed without an answer."""
    solo = Solo(1)
    wanted = LedgerWanted(SequenceNumber(1), Epoch(0))
    assert solo.hear(forge.height(3, 0)) == []
    assert solo.hear(forge.height(3, 40)) == [Send(ReplicaId(3), wanted)]
    assert solo.hear(forge.height(2, 40)) == []
    solo.step(TimerFired(CatchUp()))
    assert solo.got(Send) == [Send(ReplicaId(2), wanted)]
    assert solo.hear(forge.height(2, 40)) == solo.hear(forge.height(3, 40)) == []
    solo.step(PeerDown(ReplicaId(2)))
    assert solo.got(Send) == [Send(ReplicaId(3), wanted)]
    solo.step(PeerDown(ReplicaId(3)))
    assert solo.got(Send) == []
    assert solo.hear(forge.height(2, 40)) == [Send(ReplicaId(2), wanted)]


def test_a_liar_does_not_keep_a_laggard_behind() -> None:
    """V15: R3 says all the time that it is far ahead, and sends nothing. When it was no help once,
    another one is asked; and it again, if nobody else is ahead."""
    solo = Solo(1)
    boast, true = forge.height(3, 2**40), forge.height(2, 1)
    wanted = LedgerWanted(SequenceNumber(1), Epoch(0))
    assert solo.hear(boast) == [Send(ReplicaId(3), wanted)]
    solo.step(TimerFired(CatchUp()))
    assert solo.hear(boast) == []
    assert solo.hear(true) == [Send(ReplicaId(2), wanted)]
    solo.hear(slots(1)[0], source=2)
    assert solo.replica.applied == 1
    assert solo.hear(boast) == [], "it was no help, and R2 was"
    solo.step(TimerFired(CatchUp()))
    assert solo.hear(boast) == [Send(ReplicaId(3), replace(wanted, first=SequenceNumber(2)))]


def test_a_liar_that_sends_one_slot_at_a_time_has_one_turn() -> None:
    """V15: R3 says first that it is far ahead, and sends a slot between two looks. Then others are
    asked, in turn, whoever is the first to say a height; it is not asked again while they send what
    they say they have."""
    solo = Solo(1)
    made = slots(64)
    boast = forge.height(3, 2**40)
    solo.hear(boast)
    for replica in (0, 2):
        solo.hear(forge.height(replica, 64))
    solo.hear(made[0], source=3)
    asked = []
    for first in (1, 33):
        solo.step(TimerFired(CatchUp()))
        asked += [effect.replica for effect in solo.got(Send)]
        assert solo.hear(boast) == []
        for slot in made[first : first + 32]:
            solo.hear(slot, source=asked[-1])
    assert asked == [0, 2]
    assert applied(solo) == list(range(1, 65))


def test_an_answer_goes_on_where_it_ended() -> None:
    """DESIGN 5: whoever sends what it said it has is asked on at once, without a look between."""
    solo = Solo(1)
    solo.hear(forge.height(3, 64))
    made = slots(64)
    for slot in made[:32]:
        solo.hear(slot, source=3)
    assert solo.got(Send) == [Send(ReplicaId(3), LedgerWanted(SequenceNumber(33), Epoch(0)))]


def test_a_height_is_the_senders_own() -> None:
    """DESIGN 5: nobody makes a replica send the ledger to somebody else."""
    solo = Solo(1)
    solo.hear(slots(1)[0], source=2)
    assert solo.hear(forge.height(2, 0), source=3) == [Refused(ReplicaId(3), "signature")]
    forged = forge.sign_as(3, forge.height(2, 0).message)
    assert solo.hear(forged, source=2) == [Refused(ReplicaId(2), "signature")]


def with_commits(slot: DecidedSlot, *commits: Signed[Commit]) -> DecidedSlot:
    return replace(slot, commits=commits)


def changed(slot: DecidedSlot, **changes: Any) -> DecidedSlot:
    """All signers change the same field and sign again."""
    return with_commits(slot, *(forge.resign(commit, **changes) for commit in slot.commits))


def broken_slots() -> dict[str, DecidedSlot]:
    slot, other = slots(2)
    one, two, three = slot.commits
    of = one.message.digest
    prepares = [forge.prepare(c.message.replica, of).signature for c in slot.commits]
    nobody = forge.sign_as(3, replace(three.message, replica=ReplicaId(4)))
    return {
        "too few": with_commits(slot, one, two),
        "one twice": with_commits(slot, one, two, two),
        "unsorted": with_commits(slot, three, two, one),
        "no commits": with_commits(slot),
        "no batch": replace(slot, batch=()),
        "another batch": replace(slot, batch=other.batch),
        "unsigned": with_commits(slot, one, two, replace(three, signature=bytes(64))),
        "prepares": with_commits(
            slot, *(replace(c, signature=s) for c, s in zip(slot.commits, prepares, strict=True))
        ),
        "two numbers": with_commits(slot, one, two, forge.commit(3, of, 2)),
        "two views": with_commits(slot, one, two, forge.resign(three, view=1)),
        "another epoch": changed(slot, epoch=1),
        "another network": changed(slot, network=bytes(32)),
        "nobody": with_commits(slot, one, two, nobody),
    }


@pytest.mark.parametrize("slot", broken_slots().values(), ids=broken_slots())
def test_a_slot_without_proof_is_not_taken(slot: DecidedSlot) -> None:
    """P1, P2, P3, P4: only a quorum of different members' own commits for this batch decides."""
    solo = Solo(1)
    assert solo.hear(slot, source=2) == [Refused(ReplicaId(2), "proof")]


def test_a_proof_needs_no_particular_messenger() -> None:
    """DESIGN 5: the slot proves itself, whoever sends it."""
    solo = Solo(1)
    solo.hear(slots(1)[0], source=3)
    assert applied(solo) == [1]


def test_slots_far_ahead_are_not_stored() -> None:
    """V15: memory for slots that cannot be applied yet ends with the interval, beyond which other
    members may count."""
    solo = Solo(1)
    made = slots(66)
    for slot in made[1:]:
        solo.hear(slot, source=2)
    assert max(replied(solo)) == 64
    assert len(solo.replica._execution._pending) == 63


def test_a_gap_makes_the_replica_ask_again() -> None:
    """§7: while something decided waits for a missing slot, the question comes every second."""
    solo = Solo(1)
    one, two = slots(2)
    solo.hear(two, source=2)
    again = [Broadcast(forge.height(1, 0)), ArmTimer(CatchUp(), 1_000)]
    assert solo.step(TimerFired(CatchUp())) == again
    assert solo.step(TimerFired(CatchUp())) == again
    solo.hear(one, source=2)
    assert applied(solo) == [1, 2]


def test_heights_are_sent_from_time_to_time() -> None:
    """§7: from the start on, every five seconds, whether anything happens or not: it is how a
    replica finds out that it is behind."""
    solo = Solo(1)
    assert solo.last == [ArmTimer(CatchUp(), 5_000)]
    for count in (0, 1, 2):
        again = [Broadcast(forge.height(1, count)), ArmTimer(CatchUp(), 5_000)]
        assert solo.step(TimerFired(CatchUp())) == again
        solo.hear(slots(3)[count], source=2)


def test_decided_slots_that_wait_are_passed_on() -> None:
    """DESIGN 5: to a peer that comes up, also what is decided and not yet applied is sent."""
    solo = Solo(1)
    two = slots(2)[1]
    solo.hear(two, source=2)
    solo.step(PeerUp(ReplicaId(3)))
    assert solo.got(Send) == [
        Send(ReplicaId(3), forge.height(1, 0)),
        Send(ReplicaId(3), two),
    ]


def test_a_late_proposal_for_a_decided_slot_is_no_fault() -> None:
    """DESIGN 5: the slot came by catching up before its pre-prepare; the primary did no wrong."""
    solo = Solo(1)
    two = slots(2)[1]
    solo.hear(two, source=2)
    solo.hear(forge.proposal(two.batch, number=2))
    assert solo.refusals() == []


def test_a_replica_from_which_the_proposal_is_hidden_learns_the_decision() -> None:
    """C2: R0 is faulty and hides its pre-prepare from R2, whose user asked; R2 sees a quorum of
    commits for a batch it does not have, and gets it without a new connection."""
    cluster = Cluster(4)
    cluster.drop = lambda source, target, message: (
        isinstance(message, Proposal) and (source, target) == (0, 2)
    )
    request_id = cluster.ask(2)
    cluster.settle()
    assert request_id in cluster.nodes[0].replies
    assert request_id in cluster.nodes[2].replies


def test_an_asker_that_leaves_out_the_primary_harms_nobody() -> None:
    """C1: R3 asks the backups only. The primary is not blamed, and other questions are decided."""
    cluster = Cluster(4)
    secret = forge.sign(forge.request(3, 7))
    for target in (1, 2):
        cluster.hear(target, 3, secret)
    asked = cluster.ask(1)
    cluster.settle()
    for node in cluster.nodes[:3]:
        assert asked in node.replies
        assert node.evidence == []
        assert node.refused == []


# --- resending ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [AnswerReveal, Prepare, Commit, Height, Proposal])
def test_what_was_lost_is_sent_again_on_a_new_connection(kind: type) -> None:
    """DESIGN 5: a connection that lost all messages of a kind heals when it comes up again."""

    def lost(_source: ReplicaId, _target: ReplicaId, message: object) -> bool:
        return isinstance(message.message if isinstance(message, Signed) else message, kind)

    cluster = Cluster(4)
    cluster.drop = lost
    request_id = cluster.ask(1)
    cluster.settle(3)
    cluster.drop = nothing
    cluster.reconnect()
    cluster.settle()
    assert [request_id in node.replies for node in cluster.nodes] == [True] * 4
    assert [node.evidence for node in cluster.nodes] == [[]] * 4


def test_everything_lost_is_sent_again() -> None:
    """DESIGN 5: no message arrives; when the connections are up again, the question is answered."""
    cluster = Cluster(4)
    cluster.drop = lambda _source, _target, _message: True
    request_id = cluster.ask(1)
    cluster.run()
    cluster.drop = nothing
    cluster.reconnect()
    cluster.settle()
    assert [request_id in node.replies for node in cluster.nodes] == [True] * 4


def test_a_new_connection_brings_nothing_new_to_a_quiet_network() -> None:
    """DESIGN 5: without open requests only heights are exchanged."""
    cluster = Cluster(4)
    cluster.ask(0)
    cluster.settle()
    for node in cluster.nodes:
        node.sent.clear()
    cluster.reconnect()
    cluster.run()
    sent: list[Any] = [message for node in cluster.nodes for message in node.sent]
    assert len(sent) == 12
    assert all(isinstance(message.message, Height) for message in sent)
