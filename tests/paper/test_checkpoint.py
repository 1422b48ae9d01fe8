"""Castro and Liskov 1999, §4.3; docs/protocol.md §7: checkpoints, and what they let one forget."""

from dataclasses import replace
from typing import Any

import pytest

from pbft import digest, effects
from pbft.effects import Apply, ArmTimer, Broadcast, Compact, Persist, Reply, Send
from pbft.events import CatchUp, PeerUp, TimerFired
from pbft.messages import (
    AnswerCommitment,
    Checkpoint,
    Commit,
    DecidedSlot,
    Proposal,
    Request,
    Seal,
    Signed,
)
from pbft.policy import Policy
from pbft.records import AnswerDrawn, Decided, RequestAccepted, StableCheckpoint
from pbft.state import after, first_state
from pbft.types import Digest, ReplicaId
from tests.support import forge
from tests.support.cluster import Cluster
from tests.support.intervals import checkpoint_every
from tests.support.keyring import membership
from tests.support.solo import Solo
from tests.support.statements import contradictions


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Policy:
    """Checkpoints every two slots, another primary every four."""
    checkpoint_every(2, monkeypatch)
    return Policy(rotation_slots=4)


def slots(count: int) -> list[DecidedSlot]:
    made = []
    for number in range(1, count + 1):
        asked = forge.request(0, number)
        openings = tuple(forge.reveal(digest.request_id(asked), i) for i in range(4))
        batch = (forge.item(asked, openings, (9_600,) * 6),)
        of = forge.batch_digest(batch)
        made.append(DecidedSlot(batch, tuple(forge.commit(i, of, number) for i in (0, 2, 3))))
    return made


def state_after(made: list[DecidedSlot]) -> Digest:
    state = first_state(membership(4), Policy())
    for slot in made:
        state = after(state, slot)
    return state.digest


MADE = slots(4)
with pytest.MonkeyPatch.context() as patch:
    patch.setattr("pbft.state.CHECKPOINT_INTERVAL", 2)
    STATE = state_after(MADE[:2])


def at_two() -> Solo:
    """Replica 1 has applied two slots and made its checkpoint."""
    solo = Solo(1)
    for slot in MADE[:2]:
        solo.hear(slot, source=2)
    return solo


def low(solo: Solo) -> int:
    return solo.replica._normal_case._log.low_watermark


# --- making it stable --------------------------------------------------------------------------


def test_a_checkpoint_is_sent_at_every_multiple_of_the_interval() -> None:
    """§4.3: after slots 2 and 4, with the state chained over all slots so far."""
    solo = at_two()
    assert [(c.sequence_number, c.state) for c in solo.said(Checkpoint)] == [(2, STATE)]
    for slot in MADE[2:]:
        solo.hear(slot, source=2)
    assert [(c.sequence_number, c.state) for c in solo.said(Checkpoint)][1:] == [
        (4, state_after(MADE))
    ]


def test_a_checkpoint_is_stable_with_q_equal_ones() -> None:
    """§4.3: with the third of four, the own one among them; the proof is on disk first, then the
    log is compacted to it and what is above."""
    solo = at_two()
    solo.hear(forge.checkpoint(2, 2, STATE))
    assert (low(solo), solo.got(Compact)) == (0, [])
    solo.hear(forge.checkpoint(3, 2, STATE))
    assert low(solo) == 2
    proof = tuple(forge.checkpoint(i, 2, STATE) for i in (1, 2, 3))
    assert solo.last == [
        Persist(StableCheckpoint(proof)),
        Compact((StableCheckpoint(proof),)),
    ]
    assert [s.sequence_number for s in solo.replica._normal_case._log] == []


def test_another_state_is_not_counted() -> None:
    """§4.3: a faulty replica's checkpoint with another state makes nothing stable."""
    solo = at_two()
    solo.hear(forge.checkpoint(2, 2, STATE))
    solo.hear(forge.checkpoint(3, 2, forge.D1))
    assert low(solo) == 0
    solo.hear(forge.checkpoint(3, 2, STATE))
    assert low(solo) == 0, "one vote of each replica"
    solo.hear(forge.checkpoint(0, 2, STATE))
    assert low(solo) == 2


def test_the_same_checkpoint_again_does_not_count() -> None:
    """P1: one replica's checkpoint, sent three times, is one."""
    solo = at_two()
    for _ in range(3):
        solo.hear(forge.checkpoint(2, 2, STATE))
    assert low(solo) == 0


def test_a_checkpoint_without_the_own_one_is_not_stable() -> None:
    """§10: three others are ahead; this one replays the slots and is stable when it is there."""
    solo = Solo(1)
    for replica in (0, 2, 3):
        solo.hear(forge.checkpoint(replica, 2, STATE))
    assert low(solo) == 0
    for slot in MADE[:2]:
        solo.hear(slot, source=2)
    assert low(solo) == 2


BAD_CHECKPOINTS: list[tuple[str, Signed[Checkpoint]]] = [
    ("watermarks", forge.checkpoint(3, 3, STATE)),
    ("watermarks", forge.checkpoint(3, 258, STATE)),
    ("watermarks", forge.checkpoint(3, 2**64 - 2, STATE)),
    ("epoch", forge.resign(forge.checkpoint(3, 2, STATE), epoch=1)),
    ("signature", forge.resign(forge.checkpoint(3, 2, STATE), network=bytes(32))),
    ("signature", forge.sign_as(3, forge.checkpoint(0, 2, STATE).message)),
    (
        "signature",
        forge.sign_as(3, replace(forge.checkpoint(3, 2, STATE).message, replica=ReplicaId(4))),
    ),
]


@pytest.mark.parametrize(("reason", "bad"), BAD_CHECKPOINTS)
def test_a_wrong_checkpoint_is_refused(reason: str, bad: Signed[Checkpoint]) -> None:
    """V15, P4: between checkpoints, outside the window, of another epoch or network, or in
    another's name: it takes no memory and completes no quorum."""
    solo = at_two()
    solo.hear(forge.checkpoint(2, 2, STATE))
    solo.hear(bad, source=3)
    assert solo.refusals() == [reason]
    assert low(solo) == 0
    assert list(solo.replica._checkpoints._votes) == [2]


def test_a_checkpoint_that_is_not_stable_is_sent_again() -> None:
    """§7: to every peer that comes up, until it is stable."""
    solo = at_two()
    mine = forge.checkpoint(1, 2, STATE)
    solo.step(PeerUp(ReplicaId(3)))
    assert Send(ReplicaId(3), mine) in solo.last
    for replica in (2, 3):
        solo.hear(forge.checkpoint(replica, 2, STATE))
    solo.step(PeerUp(ReplicaId(3)))
    assert Send(ReplicaId(3), mine) not in solo.last


def test_the_watermarks_move_with_the_stable_checkpoint() -> None:
    """§4.2, §4.3: votes at or below the low watermark are ignored, up to 256 above taken, or kept
    until their interval begins, and above that refused."""
    solo = at_two()
    assert solo.hear(forge.commit(3, forge.D1, 257)) != []
    for replica in (2, 3):
        solo.hear(forge.checkpoint(replica, 2, STATE))
    assert solo.hear(forge.commit(3, forge.D1, 2)) == []
    assert solo.hear(forge.commit(3, forge.D1, 258)) == []
    solo.hear(forge.commit(3, forge.D1, 259))
    assert solo.refusals() == ["watermarks"]
    assert solo.hear(forge.commit(3, forge.D1, 4)) == []
    assert [s.sequence_number for s in solo.replica._normal_case._log] == [4]
    assert len(solo.replica._early._waiting[ReplicaId(3)]) == 1


def test_slots_above_the_stable_checkpoint_stay() -> None:
    """§7: not what is applied is forgotten but what is stable: a new view may need it."""
    solo = at_two()
    solo.hear(MADE[2], source=2)
    for replica in (2, 3):
        solo.hear(forge.checkpoint(replica, 2, STATE))
    assert [s.sequence_number for s in solo.replica._normal_case._log] == [3]
    assert solo.log[1:] == [Decided(MADE[2])]


# --- those who are behind ----------------------------------------------------------------------


def test_a_laggard_of_an_idle_network_catches_up() -> None:
    """S5: the others stand at a checkpoint and say nothing but heights."""
    cluster = Cluster(4)
    cluster.crash(3)
    for _ in range(4):
        cluster.ask(0)
        cluster.settle()
    cluster.restart(3)
    cluster.settle()
    assert sorted(cluster.nodes[3].ledger) == [1, 2, 3, 4]
    assert cluster.nodes[3].state == cluster.nodes[0].state
    assert cluster.nodes[3].refused == []


def test_a_view_that_starts_above_the_own_ledger() -> None:
    """S1, V5: the new view's stable checkpoint is 2 and this replica has applied nothing: it takes
    the watermark, asks every second, and applies each slot once."""
    solo = Solo(1)
    proof = tuple(forge.checkpoint(i, 2, STATE) for i in (0, 2, 3))
    votes = [forge.view_change(i, 2, stable=2, proof=proof) for i in (0, 2, 3)]
    solo.enter(votes)
    assert (low(solo), solo.replica.applied) == (2, 0)
    solo.step(TimerFired(CatchUp()))
    assert solo.got(ArmTimer) == [ArmTimer(CatchUp(), 1_000)]
    for slot in (*MADE, *MADE):
        solo.hear(slot, source=2)
    assert [e.sequence_number for e in solo.all if isinstance(e, Apply)] == [1, 2, 3, 4]


def test_a_view_that_starts_below_the_own_ledger() -> None:
    """S1, S3: the new view's slots 1 and 2 are applied here already: it votes for them once more
    and neither applies nor answers them again."""
    solo = at_two()
    digests = [forge.batch_digest(slot.batch) for slot in MADE[:2]]
    prepared = tuple(forge.prepared(of, number) for number, of in enumerate(digests, start=1))
    solo.enter([forge.view_change(i, 2, prepared=prepared) for i in (0, 2, 3)])
    for number, of in enumerate(digests, start=1):
        solo.hear(forge.prepare(3, of, number, 2))
        for replica in (0, 2, 3):
            solo.hear(forge.commit(replica, of, number, 2))
    assert [c.sequence_number for c in solo.said(Commit) if c.view == 2] == [1, 2]
    assert len([e for e in solo.all if isinstance(e, Apply)]) == 2
    assert len([e for e in solo.all if isinstance(e, Reply)]) == 2


# --- the compacted log -------------------------------------------------------------------------


def test_the_log_stays_small() -> None:
    """§7: it holds what is open, not what was."""
    cluster = Cluster(4)
    lengths = []
    for _ in range(8):
        for _ in range(2):
            cluster.ask(1)
            cluster.settle()
        lengths.append(max(len(node.log) for node in cluster.nodes))
    assert lengths[-1] <= lengths[0] + 1


def test_a_compacted_log_restores_what_it_was_made_from(small: Policy) -> None:
    """§7: a replica that starts from a compacted log would compact to the very same records: what
    is needed is all there, and nothing more."""
    cluster = Cluster(4, policy=small)
    checked = 0

    def check(i: ReplicaId, effect: effects.Effect) -> None:
        nonlocal checked
        if isinstance(effect, Compact):
            node = cluster.nodes[i]
            again = cluster._replica(i, effect.records, node.tip)
            assert tuple(again._live_records()) == effect.records
            checked += len(effect.records) > 1

    cluster.watch = check
    for i in range(9):
        cluster.ask(i % 4)
        if i % 3:
            cluster.ask(1)
        cluster.settle()
    assert checked > 5


def test_open_requests_outlive_the_checkpoint(small: Policy) -> None:
    """O4: an answer was drawn and not yet counted when the log was compacted; after a restart the
    model is not asked again."""
    cluster = Cluster(4, policy=replace(small, attempts_max=1))
    cluster.answers = [None, "Paris", None, None]
    open_id = cluster.ask(1, "Slow?")
    cluster.run()
    cluster.answers = ["Paris"] * 4
    for _ in range(2):
        cluster.ask(0)
        cluster.run()
    node = cluster.nodes[1]
    assert isinstance(node.log[0], StableCheckpoint)
    assert [type(r) for r in node.log if isinstance(r, RequestAccepted | AnswerDrawn)] == [
        RequestAccepted,
        AnswerDrawn,
    ]
    cluster.crash(1)
    cluster.restart(1)
    cluster.settle()
    assert cluster.nodes[1].inferences == 3
    assert open_id in cluster.nodes[3].replies


def test_who_lost_its_ledger_answers_nothing_anew() -> None:
    """O4: the ledger is gone, and the log was compacted at a checkpoint: what was answered before
    it is forgotten. The questions come again before the ledger does: the model is not asked, and
    nothing is sealed; a question that is new waits until the ledger is there."""
    cluster = Cluster(4)
    for _ in range(2):
        cluster.ask(1)
        cluster.settle()
    node = cluster.nodes[0]
    assert isinstance(node.log[0], StableCheckpoint)
    questions = [m for n in cluster.nodes for m in n.sent
                 if isinstance(m, Signed) and isinstance(m.message, Request | AnswerCommitment)
                 and m.message.replica != 0]  # fmt: skip
    solo = Solo(0, records=node.log)
    for message in questions:
        solo.hear(message)
    new = forge.sign(forge.request(2, 77))
    solo.hear(new)
    assert [e for e in solo.all if isinstance(e, effects.RunInference)] == []
    assert solo.said(Seal) == []
    for number in (1, 2):
        solo.hear(node.ledger[number], source=2)
    asked = [e.request for e in solo.all if isinstance(e, effects.RunInference)]
    assert asked == [new.message]
    assert solo.said(Seal) == []


def survives_a_crash(policy: Policy, replica: int, count: int) -> bool:
    """One crash among seven questions, three checkpoints and a rotation; False if the replica has
    fewer effects than `count`."""
    cluster = Cluster(4, policy=policy)
    left = count

    def watch(me: ReplicaId, _effect: effects.Effect) -> None:
        nonlocal left
        if me == replica:
            left -= 1
            if left == 0:
                cluster.crash(replica)

    cluster.watch = watch
    for i in range(6):
        cluster.ask((replica + 1 + i % 3) % 4)
        cluster.run()
    if left > 0:
        return False
    cluster.settle(1)
    cluster.restart(replica)
    last = cluster.ask(replica)
    cluster.settle()
    where = f"R{replica} crashed after effect {count}"
    for node in cluster.nodes:
        assert contradictions(node.sent) == [], where
        assert node.evidence == [], where
        assert last in node.replies, where
        assert len(node.ledger) == len(cluster.nodes[0].ledger), where
        assert sum(len(slot.batch) for slot in node.ledger.values()) == 7, where
    return True


@pytest.mark.parametrize("replica", [0, 1, 2], ids=["primary", "next primary", "backup"])
def test_a_crash_between_checkpoints_is_survived(replica: int, small: Policy) -> None:
    """S7: recovery from the compacted log, at any point, contradicts nothing that was signed."""
    count = 1 + replica
    while survives_a_crash(small, replica, count):
        count += 37
    assert count > 100


def test_a_primary_goes_on_above_its_checkpoint(small: Policy) -> None:
    """S4: restarted from a compacted log, it gives the next number, not one that was used."""
    cluster = Cluster(4, policy=small)
    for _ in range(3):
        cluster.ask(1)
        cluster.run()
    cluster.crash(0)
    cluster.restart(0)
    cluster.run()
    cluster.ask(2)
    cluster.run()
    numbers: list[Any] = [
        m.pre_prepare.message.sequence_number
        for m in cluster.nodes[0].sent
        if isinstance(m, Proposal)
    ]
    assert sorted(set(numbers)) == [1, 2, 3, 4]
    assert not [e for e in cluster.nodes[0].refused if e != "view"]
    assert contradictions(cluster.nodes[0].sent) == []
    assert [sorted(node.ledger) for node in cluster.nodes] == [[1, 2, 3, 4]] * 4


def test_broadcast_follows_the_record_of_the_checkpoint_only_when_stable() -> None:
    """§7: a checkpoint needs no record of its own: it follows from the ledger, byte for byte."""
    solo = at_two()
    assert not [r for r in solo.log if isinstance(r, StableCheckpoint)]
    assert Broadcast(forge.checkpoint(1, 2, STATE)) in solo.all
