"""DESIGN 3 and 5: proof of misbehaviour reaches everybody, stands in the ledger once, and costs the
accused its weight; nothing else ever does."""

from typing import Any

import pytest

from pbft import effects
from pbft.effects import Broadcast, CompareAnswers, Report
from pbft.events import AnswersCompared, MotionsDue, TimerFired
from pbft.evidence import accused, evidence_fault, kind_of
from pbft.membership import ReplaceKey, SetPolicy
from pbft.messages import (
    Accusation,
    Commit,
    Equivocation,
    Evidence,
    Item,
    Prepare,
    Proposal,
    ViewChange,
)
from pbft.policy import Policy
from pbft.reputation import WEIGHT_INITIAL
from pbft.types import ReplicaId, SequenceNumber
from tests.support import forge
from tests.support.cluster import Cluster
from tests.support.intervals import checkpoint_every
from tests.support.keyring import public_key
from tests.support.proofs import (
    PROOFS,
    RULES,
    SPOILT,
    false_item,
    item,
    spoil,
)
from tests.support.solo import Solo
from tests.support.statements import contradictions

INTERVAL = 4


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints every four slots."""
    checkpoint_every(INTERVAL, monkeypatch)


# --- on its way to the ledger ------------------------------------------------------------------


@pytest.mark.parametrize("how", SPOILT)
@pytest.mark.parametrize("name", PROOFS)
def test_forged_foreign_and_stale_evidence_proves_nothing(name: str, how: str) -> None:
    """One of its two halves forged, of another network, epoch or replica: it is refused with a
    counted reason, passed on to nobody, and proposed by nobody."""
    spoilt = spoil(SPOILT[how], name)
    assert evidence_fault(spoilt, RULES) == "evidence"
    solo = Solo(0) if accused(spoilt) != 0 else Solo(1)
    solo.hear(Accusation(spoilt), source=2)
    if accused(spoilt) in range(4):
        assert solo.refusals() == ["evidence"]
    assert solo.got(Broadcast) == []
    assert solo.replica._motions._evidence == {}
    solo.hear(Accusation(PROOFS[name]), source=2)
    assert solo.refusals() == []
    assert len(solo.replica._motions._evidence) == 1


def weights(cluster: Cluster) -> list[list[int]]:
    return [[s.weight for s in node.state.standings] for node in cluster.nodes if node.state]


def proofs_in(cluster: Cluster, node: int = 0) -> list[Evidence]:
    return [
        entry.evidence
        for slot in cluster.nodes[node].ledger.values()
        for entry in slot.batch
        if isinstance(entry, Accusation)
    ]


def fill(cluster: Cluster, slots: int = INTERVAL) -> None:
    """Questions, until the ledger has so many slots."""
    while len(cluster.nodes[0].ledger) < slots:
        cluster.ask(1)
        cluster.settle(20)


def test_what_one_replica_finds_all_ledgers_hold_once() -> None:
    """R2 alone gets both of R3's votes. It reports, everybody hears of it, the primary proposes it
    once, and from the checkpoint on R3 has no weight anywhere."""
    cluster = Cluster(4)
    cluster.hear(2, 3, forge.prepare(3, forge.D1))
    cluster.hear(2, 3, forge.prepare(3, forge.D2))
    cluster.settle(20)
    assert [bool(node.evidence) for node in cluster.nodes] == [False, False, True, False]
    assert [proofs_in(cluster, i) for i in range(4)] == [[PROOFS["prepare"]]] * 4
    assert weights(cluster) == [[WEIGHT_INITIAL] * 4] * 4, "not within the interval"
    for target in range(4):
        cluster.hear(target, 1, Accusation(PROOFS["commit"]))
    fill(cluster, 2 * INTERVAL)
    assert len(proofs_in(cluster)) == 1, "one proof of one liar is enough"
    assert [row[3] for row in weights(cluster)] == [0] * 4
    assert [node.replica.view for node in cluster.nodes] == [0] * 4


@pytest.mark.parametrize("name", PROOFS)
def test_every_kind_gets_there(name: str) -> None:
    """Handed to the backups, any proof ends in the ledger; if it is about the primary, that one
    hears of it, keeps silent, and is replaced."""
    cluster = Cluster(4)
    cluster.hear(2, 1, Accusation(PROOFS[name]))
    for i in (1, 2):
        cluster.hear(i, 2, Accusation(PROOFS[name]))
    guilty = accused(PROOFS[name])
    if guilty == 0:
        cluster.drop = lambda source, _t, message: (
            source == 0
            and isinstance(message, Proposal)
            and any(isinstance(entry, Accusation) for entry in message.batch)
        )
    cluster.settle(60)
    assert proofs_in(cluster, 1) == [PROOFS[name]]
    assert cluster.nodes[1].replica.view == (1 if guilty == 0 else 0)
    fill(cluster)
    cluster.settle(20)
    for node in cluster.nodes[1:]:
        assert node.state is not None
        assert node.state.weight(guilty) == 0
    assert contradictions([m for node in cluster.nodes for m in node.sent]) == []


def test_weights_of_a_slot_are_the_same_for_whoever_applied_what() -> None:
    """The proof is in slot 1. R0 has applied it; R1 proposes slot 3 in the next view and has not.
    Within the interval both use the weights of its beginning, and accept each other's items; those
    of the next interval have none for R3."""
    cluster = Cluster(4)
    cluster.hear(0, 2, Accusation(PROOFS["prepare"]))
    cluster.settle(20)
    assert len(cluster.nodes[0].ledger) == 1
    seen: list[tuple[int, tuple[int, ...]]] = []

    def watch(i: ReplicaId, effect: effects.Effect) -> None:
        if i == 0 and isinstance(effect, effects.Apply):
            seen.extend(
                (effect.sequence_number, entry.weights)
                for entry in effect.slot.batch
                if isinstance(entry, Item)
            )

    cluster.watch = watch
    fill(cluster, INTERVAL + 1)
    assert [used for number, used in seen if number <= INTERVAL] == [(10_000,) * 4] * 3
    ((_, later),) = [entry for entry in seen if entry[0] > INTERVAL]
    assert later[3] == 0
    assert min(later[:3]) >= 10_000
    assert all("weights" not in node.refused for node in cluster.nodes)


def test_a_liar_without_weight_does_not_count_as_agreement() -> None:
    """Two say Paris and two Lyon. With equal weights nothing is agreed; when one of the two has no
    weight any more, two of the three that count agree."""
    cluster = Cluster(4, ["Paris", "Paris", "Lyon", "Lyon"], policy=Policy(attempts_max=1))
    before = cluster.ask(0)
    cluster.settle(20)
    cluster.hear(0, 2, Accusation(PROOFS["prepare"]))
    fill(cluster)
    after = cluster.ask(0)
    cluster.settle(20)
    outcomes = []
    for request_id in (before, after):
        reply = cluster.nodes[0].replies[request_id]
        outcomes.append(reply.slot.batch[reply.index].outcome)  # type: ignore[union-attr]
    assert outcomes[0].representative is None
    assert outcomes[1].clusters[0] == (0, 1)
    assert outcomes[1].agreement_rate_bp >= 6_666
    assert outcomes[1].representative in (0, 1)


def test_a_replaced_key_ends_what_was_proven() -> None:
    """The proof was against the old key; what is known of it now convicts nobody."""
    cluster = Cluster(4)
    cluster.hear(0, 2, Accusation(PROOFS["prepare"]))
    fill(cluster)
    cluster.endorse(ReplaceKey(ReplicaId(3), public_key(9)), 0, 1, 2)
    cluster.settle(30)
    state = cluster.nodes[0].state
    assert state is not None
    assert state.weight(ReplicaId(3)) == WEIGHT_INITIAL
    cluster.hear(0, 2, Accusation(PROOFS["commit"]))
    assert cluster.nodes[0].refused[-1] == "evidence"


def test_evidence_of_an_ended_epoch_counts_if_the_key_is_the_same() -> None:
    """Two votes of epoch 0 are as contradictory in epoch 1; an item is false by the rules of its
    own epoch only, and comes too late then."""
    cluster = Cluster(4)
    cluster.endorse(SetPolicy(Policy(attempts_max=1)), 0, 1, 2)
    cluster.settle(30)
    cluster.hear(0, 2, Accusation(PROOFS["false outcome"]))
    assert cluster.nodes[0].refused[-1:] == ["evidence"]
    cluster.hear(0, 2, Accusation(PROOFS["prepare"]))
    cluster.settle(30)
    assert proofs_in(cluster, 1) == [PROOFS["prepare"]]


def test_a_primary_cannot_propose_what_proves_nothing() -> None:
    """In a batch as on the wire: refused by whoever judges it."""
    for name, how in SPOILT.items():
        solo = Solo(1)
        solo.hear(forge.proposal((Accusation(spoil(how, "prepare")),)))
        assert solo.refusals()[-1] in {"evidence", "accusation-twice"}, name
        assert solo.said(Prepare) == []
    solo = Solo(1)
    solo.hear(forge.proposal((Accusation(PROOFS["prepare"]),)))
    assert len(solo.said(Prepare)) == 1


def test_oversized_evidence_is_not_kept() -> None:
    """Memory and batches are bounded: half a frame is the most that is put before the ledger."""
    solo = Solo(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pbft.motions.EVIDENCE_BYTES_MAX", 400)
        solo.hear(Accusation(PROOFS["false outcome"]), source=2)
        assert solo.replica._motions._evidence == {}
        solo.hear(Accusation(PROOFS["prepare"]), source=2)
    assert solo.replica._motions._evidence.keys() == {3}


# --- measured --------------------------------------------------------------------------------


def compared(solo: Solo, measured: tuple[int, ...]) -> None:
    """Own measurement of the answers it was asked to compare last."""
    asked = [e for e in solo.all if isinstance(e, CompareAnswers)][-1]
    solo.step(AnswersCompared(asked.request_id, asked.attempt, asked.answers, measured, ()))


@pytest.mark.parametrize(
    ("off", "prepared", "reported"),
    [(0, True, False), (200, True, False), (201, False, False), (600, False, False),
     (601, False, True), (5_000, False, True)],
)  # fmt: skip
def test_similarities_are_false_beyond_three_tolerances(
    off: int, prepared: bool, reported: bool
) -> None:
    """Up to one tolerance the item is accepted, up to three it is refused and nobody accused, above
    it the primary signed a lie: nobody else measures so differently."""
    solo = Solo(1)
    solo.hear(forge.proposal((item(),)))
    compared(solo, (9_600,) * 5 + (9_600 - off,))
    assert bool(solo.said(Prepare)) == prepared
    assert bool(solo.got(Report)) == reported
    if reported:
        assert kind_of(solo.got(Report)[0].evidence) == "false-item"
        assert len([e for e in solo.got(Broadcast) if isinstance(e.message, Accusation)]) == 1


@pytest.mark.parametrize(
    ("off", "kept", "accepted"), [(0, 0, 0), (399, 0, 0), (400, 0, 0), (401, 0, 1), (601, 1, 1)]
)
def test_an_accusation_about_similarities_is_measured(off: int, kept: int, accepted: int) -> None:
    """Whoever hears of it measures itself. It passes the accusation on as a primary beyond three
    tolerances, and accepts another primary's beyond two: those who measure a little less agree."""
    evidence = false_item(item())
    heard = Solo(1)
    heard.hear(Accusation(evidence), source=2)
    compared(heard, (9_600,) * 5 + (9_600 - off,))
    assert len(heard.replica._motions._evidence) == kept
    assert heard.refusals() == ([] if kept else ["evidence"])
    judge = Solo(2)
    proposal = forge.proposal((Accusation(evidence),), 1, view=1, replica=ReplicaId(1))
    judge.enter([forge.view_change(i, 1) for i in (0, 1, 3)])
    judge.hear(proposal)
    compared(judge, (9_600,) * 5 + (9_600 - off,))
    assert len(judge.said(Prepare)) == accepted


def test_nobody_is_suspected_for_what_it_measures_otherwise() -> None:
    """R1 measures 601 off and accuses the old primary; all others measure 599 and propose nothing.
    R1 does not leave view after view for that: only what proves itself is owed."""
    solo = Solo(1)
    solo.hear(forge.proposal((item(),)))
    compared(solo, (9_600,) * 5 + (8_999,))
    assert len(solo.replica._motions._evidence) == 1
    solo.step(TimerFired(MotionsDue()))
    solo.step(TimerFired(MotionsDue()))
    assert solo.said(ViewChange) == []
    solo = Solo(1)
    solo.hear(Accusation(PROOFS["prepare"]), source=2)
    solo.step(TimerFired(MotionsDue()))
    solo.step(TimerFired(MotionsDue()))
    assert len(solo.said(ViewChange)) == 1


def test_a_proposed_motion_that_comes_to_no_decision_is_the_primarys_to_answer_for() -> None:
    """No question is open whose clock would run: the primary proposed what everybody wants, perhaps
    only to some, and nothing follows. It is suspected as if it had proposed nothing."""
    solo = Solo(1)
    solo.hear(Accusation(PROOFS["prepare"]), source=2)
    solo.hear(forge.proposal((Accusation(PROOFS["prepare"]),)))
    assert len(solo.said(Prepare)) == 1
    solo.step(TimerFired(MotionsDue()))
    assert solo.said(ViewChange) == []
    solo.step(TimerFired(MotionsDue()))
    assert len(solo.said(ViewChange)) == 1


def test_honest_embedders_may_differ_without_accusing_anyone() -> None:
    """O1: each machine measures up to a tolerance higher or lower; every item is decided in the
    first view, and no evidence is found."""
    cluster = Cluster(4)
    turn = 0

    def jitter(texts: tuple[str, ...]) -> Any:
        nonlocal turn
        turn += 1
        pairs = len(texts) * (len(texts) - 1) // 2
        return tuple(9_500 + (-100, 0, 100)[(turn + i) % 3] for i in range(pairs)), ()

    cluster.compare = jitter
    for i in range(4):
        cluster.ask(i)
    cluster.settle()
    assert [len(node.replies) for node in cluster.nodes] == [4] * 4
    assert [node.evidence for node in cluster.nodes] == [[]] * 4
    assert [node.replica.view for node in cluster.nodes] == [0] * 4


def test_evidence_holds_no_times() -> None:
    """O3: what two replicas find of the same fault is the same, byte for byte."""
    found = []
    for me in (1, 2):
        solo = Solo(me)
        solo.hear(forge.commit(3, forge.D1))
        for _ in range(me):
            solo.hear(forge.height(0, 0))
        solo.hear(forge.commit(3, forge.D2))
        found += solo.got(Report)
    assert found[0] == found[1]
    assert isinstance(found[0].evidence, Equivocation)
    assert isinstance(found[0].evidence.first.message, Commit)
    assert found[0].evidence.first.message.sequence_number == SequenceNumber(1)
