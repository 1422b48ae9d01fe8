"""What a reader of the core found: each of these stopped a network, or made two nodes differ."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from pbft import digest, effects, judging
from pbft.events import AnswersCompared, NewViewDue, PrimaryDue, Received, RevealGrace
from pbft.membership import Leave
from pbft.messages import (
    Accusation,
    AnswerCommitment,
    AnswerReveal,
    BatchContent,
    Commit,
    FalseItem,
    Item,
    Kind,
    LedgerWanted,
    Prepare,
    PrePrepare,
    Proposal,
    Request,
    Seal,
    Signed,
    ViewChange,
)
from pbft.policy import Policy
from pbft.types import Epoch, ReplicaId, SequenceNumber, View, quorum_size
from tests.support import forge
from tests.support.cluster import NETWORK, Cluster
from tests.support.scenes import before_the_proposal
from tests.support.solo import Solo


def said(message: Any) -> Any:
    if isinstance(message, Proposal):
        return message.pre_prepare.message
    return message.message if isinstance(message, Signed) else message


# --- a request in two slots ----------------------------------------------------------------------


@dataclass
class TwoSlots:
    """Loses messages so that a request is prepared under two numbers in two views, with an answer
    more in one of them, and a third view takes over both."""

    phase: int = 0
    asked: list[bytes] = field(default_factory=list)

    def __call__(self, source: ReplicaId, target: ReplicaId, message: Any) -> bool:
        inner = said(message)
        match self.phase, inner:
            case 0, _ if isinstance(message, Proposal) and inner.sequence_number == 1:
                return True
            case 0, AnswerReveal(replica=3) if inner.request_id == self.asked[-1]:
                return target == 0
            case 0, Prepare():
                return target != 3
            case (0, Commit()) | (1, Commit()):
                return True
            case 1, _ if 3 in (source, target):
                return True
            case 1, Prepare():
                return target != 2
            case 2, Prepare(view=1) | Commit(view=1):
                return True
            case 2, _ if target == 3 and isinstance(message, BatchContent | Proposal):
                return True
            case 2, ViewChange(view=2):
                return source == 0 and target == 2
        return False


def test_all_nodes_answer_a_request_from_its_first_slot() -> None:
    """§7: of two slots with one attempt the first counts, whichever is decided first."""
    policy = Policy(attempts_max=1)
    cluster = Cluster(4, ["Paris", "Paris it is", "Lyon", "Lyon"], policy)
    cluster.drop = lose = TwoSlots()
    for prompt in ("Y?", "X?"):
        lose.asked.append(b"")
        lose.asked[-1] = cluster.ask(0, prompt=prompt)
        cluster.run()
    cluster.fire_all(RevealGrace)
    cluster.run()
    lose.phase = 1
    for _ in range(6):
        cluster.fire_all(PrimaryDue)
        cluster.run()
        if all(cluster.nodes[n].replica.view == 1 for n in (0, 1, 2)):
            break
    cluster.fire_all(RevealGrace)
    cluster.run()
    lose.phase = 2
    cluster.reconnect()
    cluster.run()
    for _ in range(8):
        cluster.fire_all(PrimaryDue)
        cluster.fire_all(NewViewDue)
        cluster.run()
        if all(node.replica.view >= 2 and node.replica.active for node in cluster.nodes):
            break
    lose.phase = 3
    cluster.settle()
    replies = [node.replies[lose.asked[-1]] for node in cluster.nodes]
    assert {reply.slot.sequence_number for reply in replies} == {1}
    assert len({node.replica.state.digest for node in cluster.nodes}) == 1


# --- too large, too many -------------------------------------------------------------------------


def test_a_batch_that_would_not_fit_when_decided_is_not_prepared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A decided slot has a quorum of signatures more than its proposal; nobody could send it."""
    cluster, proposal = before_the_proposal()
    monkeypatch.setattr(judging, "BATCH_BYTES_MAX", 100)
    cluster.hear(1, 0, proposal)
    assert cluster.nodes[1].refused == ["batch-large"]


def test_more_seals_than_a_view_change_can_carry_are_not_taken() -> None:
    n = 52
    solo = Solo(1, n)
    request = Request(NETWORK, ReplicaId(2), 1, Kind.TEXT, "Capital of France?", "", 64, 10_000)
    known = digest.request_id(request)
    solo.hear(forge.sign(request))
    commitments = [
        forge.sign(AnswerCommitment(NETWORK, Epoch(0), known, 0, bytes([i]) * 32, ReplicaId(i)))
        for i in range(n)
    ]
    quorum, others = quorum_size(n), [i for i in range(n) if i != 1]
    groups = [others[:quorum], *([i] for i in others[quorum : quorum + 16])]
    previous = digest.DIGEST_ZERO
    for number, group in enumerate(groups):
        chosen = tuple(commitments[i] for i in group)
        seal = Seal(NETWORK, Epoch(0), known, 0, View(0), number, previous, chosen, ReplicaId(0))
        solo.hear(forge.sign(seal), 0)
        previous = digest.seal_digest(seal)
    assert solo.refusals() == ["seals-many"]


# --- who left knows the end ----------------------------------------------------------------------


def test_a_member_that_left_is_asked_for_the_slot_that_it_alone_knows() -> None:
    """It says no height any more; that it asks for more than we have says it."""
    cluster = Cluster(4)
    cluster.ask(0)
    cluster.settle()

    def drop(source: ReplicaId, target: ReplicaId, message: Any) -> bool:
        inner = said(message)
        last = isinstance(inner, Commit) and inner.sequence_number == 64
        lost = last and inner.replica in (1, 3) and target in (0, 2)
        return lost or (3 in (source, target) and target != 1)

    cluster.drop = drop
    cluster.endorse(Leave(ReplicaId(1)), 0, 1, 2, 3)
    cluster.run()
    assert [cluster.nodes[n].replica.applied for n in (0, 1, 2)] == [63, 64, 63]
    cluster.crash(3)
    cluster.drop = lambda *_: False
    cluster.run()
    cluster.reconnect()
    for _ in range(5):
        cluster.settle(seconds=120)
    assert [cluster.nodes[n].replica.state.membership.epoch for n in (0, 2)] == [1, 1]


def test_who_asks_for_what_we_lack_is_asked_in_turn() -> None:
    solo = Solo(1)
    solo.hear(LedgerWanted(SequenceNumber(5), Epoch(0)), source=3)
    assert solo.got(effects.Send) == [
        effects.Send(ReplicaId(3), LedgerWanted(SequenceNumber(1), Epoch(0)))
    ]


# --- what is kept out of the ledger --------------------------------------------------------------


def test_a_primary_that_proposes_answers_only_is_replaced_while_questions_come() -> None:
    """§9: each answer is progress, but not of the change that all want."""
    cluster = Cluster(4)
    cluster.nodes[0].replica._motions.ready = list  # type: ignore[method-assign, assignment]
    cluster.endorse(Leave(ReplicaId(0)), 1, 2, 3)
    for number in range(40):
        cluster.ask(1, prompt=f"Question {number}?")
        cluster.run()
        cluster.now_ms += 1_000
        cluster.settle(0)
        if cluster.nodes[1].replica.state.membership.epoch:
            return
    pytest.fail("the change was left out for 40 seconds")


# --- accusations that cost others more than the accuser ------------------------------------------


def test_one_accusation_of_a_peer_is_measured_at_a_time_and_a_refuted_one_never_again() -> None:
    cluster = Cluster(4)
    for number in range(3):
        cluster.ask(0, prompt=f"Question {number}?")
        cluster.settle()
    decided = [
        entry
        for number in sorted(cluster.nodes[1].ledger)
        for entry in cluster.nodes[1].ledger[number].batch
        if isinstance(entry, Item)
    ]

    def accusation(item: Item) -> Accusation:
        entries = (digest.item_digest(item),)
        claimed = digest.batch_digest(entries)
        proposed = PrePrepare(NETWORK, Epoch(0), View(3), SequenceNumber(1), claimed, ReplicaId(3))
        return Accusation(FalseItem(forge.sign(proposed), entries, 0, item))

    replica = cluster.nodes[1].replica
    asked = []
    for item in decided * 3:
        produced = replica.step(Received(ReplicaId(3), accusation(item)))
        asked += [effect for effect in produced if isinstance(effect, effects.CompareAnswers)]
    assert len(asked) == 1
    (one,) = asked
    result = AnswersCompared(one.request_id, one.attempt, one.answers, *cluster.compare(one.texts))
    replica.step(result)
    produced = replica.step(Received(ReplicaId(3), accusation(decided[0])))
    assert effects.Refused(ReplicaId(3), "evidence-again") in produced
    assert not replica.state.standing(ReplicaId(3)).convicted
