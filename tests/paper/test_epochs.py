"""DESIGN 5, docs/protocol.md: members, policy and keys change while the network runs.

Castro and Liskov leave the set of replicas fixed; the rule followed here is that the last slot of a
configuration stops it, and the next one starts from its state (Lamport, Malkhi and Zhou, "Stoppable
Paxos", 2008).
"""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from pbft import digest, effects
from pbft.certificate import certify, from_text, rules_after, to_text, verify
from pbft.codec import decode, encode
from pbft.effects import MembersChanged, Persist, RecordEpoch, Retired
from pbft.epochs import certificate_fault
from pbft.errors import InvalidCertificate
from pbft.events import ChangeEndorsed, PeerDown, PeerUp
from pbft.execution import Tip
from pbft.item import Rules
from pbft.membership import Change, Join, Leave, Renew, ReplaceKey, SetPolicy
from pbft.messages import (
    AnswerCommitment,
    AnswerReveal,
    Checkpoint,
    Commit,
    DecidedSlot,
    EndorsedChange,
    Endorsement,
    EpochCertificate,
    Height,
    LedgerWanted,
    Prepare,
    Proposal,
    Seal,
    Signatory,
    Signed,
    items,
)
from pbft.outcome import Status
from pbft.policy import Policy
from pbft.records import (
    AnswerDrawn,
    EpochBegun,
    EpochEnded,
    Forgot,
    RequestAccepted,
)
from pbft.types import Epoch, ReplicaId, SequenceNumber
from tests.support import forge
from tests.support.cluster import NETWORK, Cluster
from tests.support.intervals import checkpoint_every
from tests.support.keyring import keyring, membership, public_key
from tests.support.solo import Solo
from tests.support.statements import contradictions

INTERVAL = 4
SALT = bytes(range(32))
STRIDE = 10
"""Effects between two crashes that are tried; 1 tries them all."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints every four slots, renewals every eight."""
    checkpoint_every(INTERVAL, monkeypatch, renewal=8)


def joins(number: int) -> Join:
    return Join(f"node{number}", public_key(number), (f"/ip4/127.0.0.1/tcp/{number}",))


def cluster_with(**kwargs: Any) -> Cluster:
    return Cluster(4, policy=Policy(rotation_slots=1_024), **kwargs)


def change(cluster: Cluster, wanted: Change, *endorsers: int) -> None:
    """A quorum wants it, and it takes effect."""
    cluster.endorse(wanted, *(endorsers or (0, 1, 2)))
    cluster.settle(40)


def epochs(cluster: Cluster, but: tuple[int, ...] = ()) -> set[int]:
    return {
        node.replica.state.membership.epoch
        for i, node in enumerate(cluster.nodes)
        if node.up and i not in but
    }


def check(cluster: Cluster, but: tuple[int, ...] = ()) -> None:
    """Nobody contradicts itself or is accused, and all have the same ledger and state, and the
    proof of every epoch. `but` are replicas that are gone or Byzantine."""
    alive = [node for i, node in enumerate(cluster.nodes) if i not in but]
    for node in cluster.nodes:
        assert contradictions(node.sent) == []
    longest = max(alive, key=lambda node: len(node.ledger))
    for node in alive:
        assert node.evidence == []
        assert {k: v.batch for k, v in node.ledger.items()} == {
            k: v.batch for k, v in longest.ledger.items()
        }
        assert node.state == longest.state
        assert [c.membership.epoch for c in node.epochs] == list(range(1, len(longest.epochs) + 1))
    assert longest.state is None or len(longest.epochs) == longest.state.membership.epoch
    genesis = Rules(NETWORK, cluster.members, cluster.policy, keyring(0))
    for slot in longest.ledger.values():
        for index, _ in items(slot.batch):
            verify(from_text(to_text(certify(slot, index, longest.epochs))), genesis)


def answerers(cluster: Cluster, node: int, request_id: Any) -> list[int]:
    reply = cluster.nodes[node].replies[request_id]
    item = reply.slot.batch[reply.index]
    return [reveal.message.replica for reveal in item.reveals]  # type: ignore[union-attr]


# --- the four changes --------------------------------------------------------------------------


def test_a_fifth_member_joins_and_answers() -> None:
    """Three of four endorse it; from the checkpoint on it has a number, votes and answers, and the
    quorum is four of five."""
    cluster = cluster_with(answers=["Paris"] * 5)
    fifth = cluster.join()
    cluster.ask(0)
    cluster.settle(20)
    assert cluster.nodes[fifth].replica.me is None
    change(cluster, joins(4))
    assert epochs(cluster) == {1}
    assert cluster.nodes[fifth].replica.me == 4
    request_id = cluster.ask(4)
    cluster.settle()
    assert answerers(cluster, 4, request_id) == [0, 1, 2, 3, 4]
    assert [request_id in node.replies for node in cluster.nodes] == [True] * 5
    commits = cluster.nodes[0].ledger[max(cluster.nodes[0].ledger)].commits
    assert len(commits) >= 4
    assert any(isinstance(m, Signed) and isinstance(m.message, Commit)
               for m in cluster.nodes[fifth].sent)  # fmt: skip
    check(cluster)


@pytest.mark.parametrize("leaver", [0, 3], ids=["primary", "backup"])
def test_a_member_leaves(leaver: int) -> None:
    """The rest goes on: three members, two of whom are a quorum; the one that left has no voice."""
    cluster = cluster_with()
    cluster.ask(1)
    cluster.settle(20)
    change(cluster, Leave(ReplicaId(leaver)))
    rest = [i for i in range(4) if i != leaver]
    assert cluster.nodes[1].state is not None
    assert cluster.nodes[1].state.membership.replicas == tuple(rest)
    request_id = cluster.ask(2)
    cluster.settle()
    assert answerers(cluster, 2, request_id) == rest
    cluster.ask(leaver)
    cluster.settle()
    assert cluster.nodes[leaver].rejected == [
        "This node does not take part in the network at present; ask another one."
    ]
    check(cluster, but=(leaver,))


def test_a_leaver_retires_when_its_successors_are_proven() -> None:
    """Its signature is part of the proof; once that is complete, nobody needs it any more."""
    cluster = cluster_with()
    order: list[type] = []

    def watch(i: ReplicaId, effect: effects.Effect) -> None:
        if i == 3 and isinstance(effect, RecordEpoch | Retired):
            order.append(type(effect))

    cluster.watch = watch
    change(cluster, Leave(ReplicaId(3)))
    assert order[0] is RecordEpoch
    assert order[1:] == [Retired]
    assert cluster.nodes[3].retired
    assert len(cluster.nodes[3].epochs) == 1


def test_a_leaver_that_restarts_still_retires() -> None:
    """The others' signatures were lost to it; it comes back, gets the proof and retires then."""
    cluster = cluster_with()
    cluster.drop = lambda _s, target, message: (
        target == 3 and isinstance(message, Signed) and isinstance(message.message, Checkpoint)
    )
    cluster.endorse(Leave(ReplicaId(3)), 0, 1, 2)
    cluster.run()
    assert epochs(cluster) == {1}
    assert not cluster.nodes[3].retired
    cluster.crash(3)
    cluster.drop = lambda _s, _t, _m: False
    cluster.restart(3)
    cluster.settle(30)
    assert cluster.nodes[3].retired
    cluster.crash(3)
    cluster.restart(3)
    cluster.settle(30)
    assert cluster.nodes[3].retired, "also if it was stopped before it heard of it"


def test_a_replaced_key_is_the_same_member() -> None:
    """Its machine is lost: the operator starts another with a new key, which takes the old one's
    number, catches up from nothing, and votes. The old key is worth nothing."""
    cluster = cluster_with()
    cluster.ask(2)
    cluster.settle(20)
    cluster.replace(3, key=9)
    cluster.settle(20)
    assert cluster.nodes[3].replica.me is None
    assert len(cluster.nodes[3].ledger) == 1, "whoever has the genesis file can read"
    change(cluster, ReplaceKey(ReplicaId(3), public_key(9)))
    assert cluster.nodes[3].replica.me == 3
    request_id = cluster.ask(3)
    cluster.settle()
    assert answerers(cluster, 0, request_id) == [0, 1, 2, 3]
    old = forge.resign(forge.height(3, 1_000), epoch=1)
    cluster.hear(0, 3, old)
    assert cluster.nodes[0].refused[-1] == "signature"
    check(cluster)


def test_a_policy_is_used_by_later_outcomes() -> None:
    """The threshold is above what the answers reach: agreed before, no agreement after; and the
    certificate of either is checked against the policy of its epoch."""
    cluster = cluster_with()
    before = cluster.ask(0)
    cluster.settle(20)
    strict = replace(cluster.policy, similarity_threshold_bp=9_700, attempts_max=1)
    change(cluster, SetPolicy(strict))
    after = cluster.ask(0)
    cluster.settle()
    for request_id, status in [(before, Status.AGREED), (after, Status.NO_AGREEMENT)]:
        reply = cluster.nodes[1].replies[request_id]
        item = reply.slot.batch[reply.index]
        assert item.outcome.status is status  # type: ignore[union-attr]
    check(cluster)


def test_a_policy_that_forbids_an_open_question_ends_it() -> None:
    """The question is too long for the new policy: nobody proposes it, nobody is accused, and its
    asker is told."""
    cluster = cluster_with(answers=[None] * 4)
    cluster.ask(1)
    cluster.run()
    change(cluster, SetPolicy(replace(cluster.policy, prompt_bytes_max=3)))
    assert cluster.nodes[1].rejected == ["The question has 18 bytes; this network takes 3."]
    assert [len(list(n.replica._observation._rounds)) for n in cluster.nodes] == [0] * 4
    check(cluster)


def test_an_answer_that_a_new_policy_forbids_becomes_an_abstention() -> None:
    """Drawn before, too long now: its replica commits to silence in the new epoch, and all agree
    that it did."""
    cluster = cluster_with(answers=["Paris", "Paris", "Paris", "Paris is " + "long " * 10])
    cluster.drop = lambda _s, _t, message: (
        isinstance(message, Signed) and isinstance(message.message, AnswerCommitment)
        and message.message.epoch == 0
    )  # fmt: skip
    request_id = cluster.ask(0)
    cluster.run()
    change(cluster, SetPolicy(replace(cluster.policy, answer_bytes_max=20)))
    cluster.settle()
    reply = cluster.nodes[2].replies[request_id]
    item = reply.slot.batch[reply.index]
    notes = [r.message.answer.note for r in item.reveals]  # type: ignore[union-attr]
    assert notes == ["", "", "", "answer too long"]
    assert [node.inferences for node in cluster.nodes] == [1] * 4
    check(cluster)


# --- at the checkpoint -------------------------------------------------------------------------


def test_a_change_takes_effect_at_the_next_checkpoint() -> None:
    """In slot 2 of four: the primary fills slots 3 and 4 with empty batches at once."""
    cluster = cluster_with()
    cluster.ask(0)
    cluster.settle(20)
    cluster.endorse(Leave(ReplicaId(3)), 0, 1, 2)
    cluster.run()
    ledger = cluster.nodes[0].ledger
    assert [len(ledger[number].batch) for number in sorted(ledger)] == [1, 1, 0, 0]
    assert isinstance(ledger[2].batch[0], EndorsedChange)
    for node in cluster.nodes:
        assert node.state is not None
        assert (node.state.membership.epoch, node.state.membership.start) == (1, 4)
    check(cluster, but=(3,))


def test_empty_slots_come_only_with_a_change() -> None:
    """A primary that proposes empty batches for nothing is refused."""
    solo = Solo(1)
    solo.hear(forge.proposal((), 1))
    assert solo.refusals() == ["batch-empty"]
    assert solo.said(Prepare) == []


def test_nothing_is_proposed_beyond_a_checkpoint_that_is_not_applied() -> None:
    """Members, policy and weights may be others there. Slot 4 is held up; five more questions are
    ready, and the primary numbers none of them 5 before it has applied 4."""
    cluster = cluster_with()
    held: list[Any] = []

    def drop(_s: ReplicaId, _t: ReplicaId, message: object) -> bool:
        inner = message.message if isinstance(message, Signed) else None
        return isinstance(inner, Commit) and inner.sequence_number == INTERVAL

    cluster.drop = drop
    for i in range(9):
        cluster.ask(i % 4)
        cluster.run()
    for node in cluster.nodes:
        held += [m for m in node.sent if isinstance(m, Proposal)]
    numbers = {proposal.pre_prepare.message.sequence_number for proposal in held}
    assert numbers == {1, 2, 3, 4}
    cluster.drop = lambda _s, _t, _m: False
    cluster.reconnect()
    cluster.settle()
    assert [len(node.replies) for node in cluster.nodes] == [9] * 4
    check(cluster)


def test_nothing_is_accepted_beyond_a_checkpoint_that_is_not_applied() -> None:
    """A proposal and votes for slot 5 wait until slot 4 is applied, however many sign them, and a
    decided slot 5 is not taken before its time either."""
    solo = Solo(1)
    batch = forge.batch_digest(())
    solo.hear(forge.proposal((), 5))
    for replica in (0, 2, 3):
        solo.hear(forge.prepare(replica, batch, 5))
        solo.hear(forge.commit(replica, batch, 5))
    assert solo.got(Persist) == []
    assert list(solo.replica._normal_case._log) == []
    decided = DecidedSlot((), tuple(forge.commit(i, batch, 5) for i in (0, 2, 3)))
    solo.hear(decided, source=2)
    assert solo.got(Persist) == []
    for number in range(1, 5):
        commits = tuple(forge.commit(i, batch, number) for i in (0, 2, 3))
        solo.hear(DecidedSlot((), commits), source=2)
    assert solo.replica.applied == 5, "what waited was read then"


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_an_open_question_outlives_the_epoch(cut: int) -> None:
    """Drawn and committed to in epoch 0, sealed, revealed and decided in epoch 1, once, and with
    the same words: no model is asked twice. `cut` is how far it got in epoch 0."""
    stages: list[Any] = [AnswerCommitment, Seal, AnswerReveal, Prepare]
    cluster = cluster_with()
    cluster.answers = ["Paris one", "Paris two", "Paris three", "Paris four"]

    def drop(_s: ReplicaId, _t: ReplicaId, message: object) -> bool:
        if isinstance(message, Proposal):
            return bool(items(message.batch)) and message.pre_prepare.message.epoch == 0
        inner = message.message if isinstance(message, Signed) else None
        return isinstance(inner, stages[cut]) and inner.epoch == 0 and cut < 3

    cluster.drop = drop
    request_id = cluster.ask(1)
    cluster.run()
    cluster.answers = ["Lyon"] * 4
    change(cluster, Leave(ReplicaId(3)))
    cluster.settle()
    assert [node.inferences for node in cluster.nodes] == [1] * 4
    decided = [
        (digest.request_id(item.request.message), item)
        for slot in cluster.nodes[0].ledger.values()
        for _, item in items(slot.batch)
    ]
    assert [key for key, _ in decided] == [request_id]
    texts = [reveal.message.answer.text for reveal in decided[0][1].reveals]
    assert texts == ["Paris one", "Paris two", "Paris three"]
    check(cluster, but=(3,))


def test_a_new_member_answers_a_question_that_was_open() -> None:
    """It is needed: of five, one is down. The asker repeats the question for it, and what others
    said of it before the new member was one waits to be read."""
    cluster = cluster_with(answers=["Paris"] * 5)
    cluster.drop = lambda source, _t, message: (
        isinstance(message, Signed) and isinstance(message.message, AnswerCommitment)
        and (message.message.epoch == 0 or source == 2)
    )  # fmt: skip
    request_id = cluster.ask(1)
    cluster.run()
    fifth = cluster.join()
    cluster.settle(10)
    change(cluster, joins(4), 0, 1, 3)
    assert request_id in cluster.nodes[fifth].replies
    assert answerers(cluster, 1, request_id) == [0, 1, 3, 4]


def test_a_new_member_answers_a_further_attempt_that_was_open() -> None:
    """It learned of the attempt from the ledger, when it had no say yet: it asks its model when it
    has one. Of five, one is silent, so that it is needed."""
    policy = Policy(rotation_slots=1_024, attempts_max=2)
    answers: list[str | None] = ["Paris", "Lyon", "Nice", "Metz", "Brest"]
    cluster = Cluster(4, policy=policy, answers=answers)
    cluster.drop = lambda source, _t, message: (
        isinstance(message, Signed) and isinstance(message.message, AnswerCommitment)
        and message.message.attempt == 1 and (message.message.epoch == 0 or source == 2)
    )  # fmt: skip
    request_id = cluster.ask(1)
    cluster.run()
    assert [len(node.ledger) for node in cluster.nodes] == [1] * 4, "no agreement: once more"
    fifth = cluster.join()
    cluster.settle(10)
    change(cluster, joins(4), 0, 1, 3)
    assert cluster.nodes[fifth].inferences == 1
    assert answerers(cluster, 1, request_id) == [0, 1, 3, 4]
    assert [node.inferences for node in cluster.nodes[:4]] == [2] * 4, "nobody is asked twice"
    check(cluster)


def test_the_asker_leaves_while_its_question_is_open() -> None:
    """Nobody waits for it: the round is given up by all, and nobody is suspected for it."""
    cluster = cluster_with(answers=[None] * 4)
    cluster.ask(3)
    cluster.run()
    change(cluster, Leave(ReplicaId(3)))
    assert [len(list(n.replica._observation._rounds)) for n in cluster.nodes] == [0] * 4
    assert [n.replica.view for n in cluster.nodes[:3]] == [0] * 3
    assert (
        cluster.nodes[3].rejected
        == ["The node that asked is no member any more, or has another key; ask anew."]
        or cluster.nodes[3].rejected == []
    )
    cluster.answers = ["Paris"] * 4
    later = cluster.ask(0)
    cluster.settle()
    assert later in cluster.nodes[0].replies


def test_a_late_message_of_the_old_epoch_accuses_nobody() -> None:
    """R3 repeats what R0 signed in epoch 0: the same attempt has another seal, commitment and
    reveal in epoch 1, and that is no equivocation."""
    cluster = cluster_with()
    cluster.drop = lambda _s, _t, message: (
        isinstance(message, Proposal)
        and bool(items(message.batch))
    )  # fmt: skip
    cluster.ask(1)
    cluster.run()
    old = [
        m
        for node in cluster.nodes
        for m in node.sent
        if isinstance(m, Signed) and isinstance(m.message, AnswerCommitment | Seal | AnswerReveal)
    ]
    assert len(old) == 9
    change(cluster, SetPolicy(Policy(attempts_max=1)))
    for message in (*old, *old):
        for target in range(4):
            cluster.hear(target, 3, message)
    assert [node.evidence for node in cluster.nodes] == [[]] * 4
    two_ago = forge.resign(old[0], epoch=7)
    cluster.hear(0, 3, two_ago)
    cluster.drop = lambda _s, _t, _m: False
    cluster.reconnect()
    cluster.settle()
    assert [len(node.replies) for node in cluster.nodes] == [1] * 4
    check(cluster)


# --- those who were away -----------------------------------------------------------------------


def test_a_member_that_was_down_through_two_epochs_votes_again() -> None:
    """It applies the slots of each epoch under that epoch's members, gets both proofs, and takes
    part from there."""
    cluster = cluster_with(answers=["Paris"] * 5)
    cluster.ask(0)
    cluster.settle(10)
    cluster.crash(3)
    fifth = cluster.join()
    cluster.settle(10)
    change(cluster, joins(4))
    change(cluster, SetPolicy(replace(cluster.policy, attempts_max=1)), 0, 1, 2, 4)
    assert epochs(cluster) == {2}
    cluster.restart(3)
    cluster.settle(30)
    assert epochs(cluster) == {2}
    cluster.crash(1)
    request_id = cluster.ask(3)
    cluster.settle()
    assert 3 in answerers(cluster, 3, request_id)
    assert request_id in cluster.nodes[fifth].replies
    cluster.restart(1)
    cluster.settle()
    check(cluster)


def test_the_proof_may_come_before_the_ledger() -> None:
    """A member that is behind is sent the certificate first and the slots then; at the end of the
    epoch it signs the checkpoint all the same, and nothing is proven twice."""
    cluster = cluster_with()
    change(cluster, SetPolicy(Policy(attempts_max=1)))
    proof = cluster.nodes[0].epochs[0]
    solo = Solo(3)
    solo.hear(proof, source=0)
    assert solo.got(RecordEpoch) == [RecordEpoch(proof)]
    for number in sorted(cluster.nodes[0].ledger):
        solo.hear(cluster.nodes[0].ledger[number], source=0)
    assert (solo.replica.state.membership.epoch, solo.replica.applied) == (1, 4)
    assert [c.sequence_number for c in solo.said(Checkpoint)] == [4]
    assert len([e for e in solo.all if isinstance(e, RecordEpoch)]) == 1
    again = Solo(3, records=solo.log, tip=Tip(solo.replica.state, (), proof))
    assert again.replica.state == solo.replica.state
    assert again.replica.takes_part


@pytest.mark.parametrize("when", ["before", "long after"])
def test_a_new_member_comes_with_an_empty_disk(when: str) -> None:
    """Started before it is a member, it follows the ledger and takes part at once; started two
    epochs later it replays everything, and takes part then."""
    cluster = cluster_with(answers=["Paris"] * 5)
    cluster.ask(0)
    cluster.settle(10)
    if when == "before":
        cluster.join()
        cluster.settle(10)
        assert len(cluster.nodes[4].ledger) == 1
    change(cluster, joins(4))
    if when == "long after":
        change(cluster, SetPolicy(replace(cluster.policy, attempts_max=1)), 0, 1, 2, 3)
        for _ in range(2 * INTERVAL):
            cluster.ask(2)
            cluster.settle(10)
        cluster.join()
    cluster.settle(40)
    assert cluster.nodes[4].replica.me == 4
    request_id = cluster.ask(4)
    cluster.settle()
    assert answerers(cluster, 4, request_id) == [0, 1, 2, 3, 4]
    check(cluster)


def test_who_is_no_member_reads_and_signs_nothing() -> None:
    """It asks for the ledger, and that is all it ever sends."""
    cluster = cluster_with()
    cluster.join()
    for _ in range(INTERVAL + 1):
        cluster.ask(0)
        cluster.settle(10)
    outsider = cluster.nodes[4]
    assert len(outsider.ledger) == INTERVAL + 1
    assert {type(m) for m in outsider.sent} == {LedgerWanted}
    assert outsider.state == cluster.nodes[0].state


# --- crashes -----------------------------------------------------------------------------------


def survives(replica: int, count: int, then_all: bool = False) -> bool:
    """One crash around the end of an epoch, with a question open; False if there are fewer effects
    than `count`. `then_all`: the power fails for everybody at that moment."""
    cluster = cluster_with(answers=["Paris"] * 5)
    fifth = cluster.join()
    cluster.settle(10)
    first = cluster.ask(1)
    left = count

    def watch(me: ReplicaId, _effect: effects.Effect) -> None:
        nonlocal left
        if me == replica and left > 0:
            left -= 1
            if left == 0:
                for i in range(5) if then_all else (replica,):
                    cluster.crash(i)

    cluster.watch = watch
    cluster.endorse(joins(4), 0, 1, 2)
    cluster.settle(16)
    if left > 0:
        return False
    cluster.answers = ["Lyon"] * 5
    for i in range(5):
        if not cluster.nodes[i].up:
            cluster.restart(i)
    cluster.settle(60)
    cluster.endorse(joins(4), 0, 1, 2)  # whoever still wants it
    cluster.settle(60)
    last = cluster.ask(2)
    cluster.settle(200)
    where = f"R{replica} crashed after effect {count}"
    assert epochs(cluster) == {1}, where
    assert cluster.nodes[fifth].replica.me == 4, where
    for node in cluster.nodes:
        assert last in node.replies or node is cluster.nodes[fifth], where
        drawn = [r for r in node.log if isinstance(r, AnswerDrawn)]
        assert len({(r.request_id, r.attempt) for r in drawn}) == len(drawn), where
    accepted = any(
        isinstance(r, RequestAccepted) and digest.request_id(r.request.message) == first
        for r in cluster.nodes[1].log
    )
    assert not accepted or first in cluster.nodes[1].final, where
    try:
        check(cluster)
    except AssertionError as failure:
        failure.add_note(where)
        raise
    return True


@pytest.mark.parametrize(
    ("replica", "then_all"),
    [(0, False), (2, False), (4, False), (1, True)],
    ids=["primary", "backup", "joiner", "everybody"],
)
def test_a_crash_at_any_point_of_an_epochs_end_is_survived(replica: int, then_all: bool) -> None:
    """S7: between any two effects, with restart from log and ledger: nothing that was signed is
    contradicted, every question is answered, and everybody gets the proof of the new epoch."""
    count = 1
    while survives(replica, count, then_all):
        count += STRIDE
    assert count > 4 * STRIDE


def test_the_record_of_the_ended_epoch_is_written_before_the_ledger() -> None:
    """S7: once the ledger stands at the new epoch, nobody could tell who the old members were, and
    the own signature under the new ones would be lost."""
    cluster = cluster_with()
    seen: list[str] = []

    def watch(i: ReplicaId, effect: effects.Effect) -> None:
        if i == 1 and isinstance(effect, Persist) and isinstance(effect.record, EpochEnded):
            seen.append("record")
        if i == 1 and isinstance(effect, effects.Apply) and effect.state.membership.epoch == 1:
            seen.append("ledger")
        if (
            i == 1
            and isinstance(effect, effects.Broadcast)
            and isinstance(getattr(effect.message, "message", None), Checkpoint)
        ):
            seen.append("message")

    cluster.watch = watch
    change(cluster, Leave(ReplicaId(3)))
    assert seen == ["record", "ledger", "message"]


def test_a_member_alone_proves_its_next_epoch_after_a_crash() -> None:
    """n = 1: nobody else can send the signature that was on disk already."""
    cluster = Cluster(1)
    wanted = SetPolicy(Policy(attempts_max=1))

    def watch(_i: ReplicaId, effect: effects.Effect) -> None:
        if isinstance(effect, Persist) and isinstance(effect.record, EpochEnded):
            cluster.crash(0)

    cluster.watch = watch
    cluster.endorse(wanted, 0)
    cluster.settle(10)
    assert not cluster.nodes[0].up
    cluster.watch = lambda _i, _e: None
    cluster.restart(0)
    cluster.settle(10)
    assert [c.policy for c in cluster.nodes[0].epochs] == [wanted.policy]


# --- the proof ---------------------------------------------------------------------------------


def proven() -> tuple[EpochCertificate, Rules]:
    """A right certificate of epoch 1, and the rules of epoch 0."""
    new = replace(
        membership(4), epoch=Epoch(1), start=SequenceNumber(4), members=membership(4).members[:3]
    )
    policy = Policy(attempts_max=1)
    rest = forge.D1
    state = digest.state_digest(digest.configuration_digest(new, policy), rest)
    checkpoints = tuple(forge.checkpoint(i, 4, state) for i in (0, 1, 3))
    return EpochCertificate(new, policy, rest, checkpoints), forge.rules(4)


def test_the_proof_of_an_epoch_is_its_predecessors_signatures() -> None:
    """What is spoilt below is right before: a leaver's signature counts, as it was a member."""
    certificate, rules = proven()
    assert certificate_fault(certificate, rules) is None
    assert rules_after(rules, [certificate]).membership == certificate.membership
    solo = Solo(2)
    solo.hear(certificate, source=0)
    assert solo.got(RecordEpoch) == [RecordEpoch(certificate)]


def spoilt() -> dict[str, EpochCertificate]:
    right, _ = proven()
    one, two, three = right.checkpoints
    other_state = forge.checkpoint(3, 4, forge.D2)
    foreign = forge.resign(three, network=bytes(32))
    return {
        "too few": replace(right, checkpoints=(one, two)),
        "none": replace(right, checkpoints=()),
        "one twice": replace(right, checkpoints=(one, two, two)),
        "out of order": replace(right, checkpoints=(two, one, three)),
        "one for another state": replace(right, checkpoints=(one, two, other_state)),
        "one more, for another state": replace(
            right, checkpoints=(one, two, forge.checkpoint(2, 4, forge.D2), three)
        ),
        "one of another network": replace(right, checkpoints=(one, two, foreign)),
        "one by a stranger": replace(
            right,
            checkpoints=(one, two, forge.sign_as(9, replace(three.message, replica=ReplicaId(9)))),
        ),
        "one in another's name": replace(
            right, checkpoints=(one, two, forge.sign_as(2, three.message))
        ),
        "another rest": replace(right, rest=forge.D2),
        "another policy": replace(right, policy=Policy()),
        "more members": replace(
            right, membership=replace(right.membership, members=membership(4).members)
        ),
        "nobody": replace(right, membership=replace(right.membership, members=())),
        "another start": replace(
            right, membership=replace(right.membership, start=SequenceNumber(8))
        ),
        "no start": replace(right, membership=replace(right.membership, start=SequenceNumber(0))),
        "the same epoch": replace(right, membership=replace(right.membership, epoch=Epoch(0))),
        "an epoch skipped": replace(right, membership=replace(right.membership, epoch=Epoch(2))),
        "of an epoch to come": replace(
            right,
            checkpoints=tuple(forge.resign(c, epoch=1) for c in right.checkpoints),
        ),
    }


@pytest.mark.parametrize("name", spoilt())
def test_what_does_not_prove_an_epoch_is_refused(name: str) -> None:
    """Signed by too few, twice, for another state, start, network or epoch, or skipping one:
    counted by the replica, and one sentence for whoever verifies a certificate."""
    certificate, rules = spoilt()[name], forge.rules(4)
    fault = certificate_fault(certificate, rules)
    assert fault is not None
    assert fault.endswith(".")
    with pytest.raises(InvalidCertificate):
        rules_after(rules, [certificate])
    solo = Solo(2)
    solo.hear(certificate, source=0)
    assert solo.got(RecordEpoch) == []
    if certificate.membership.epoch > 0:
        assert solo.refusals() == ["epoch-proof"]


def test_a_certificate_carries_the_chain_up_to_its_epoch() -> None:
    """Without it, with a link missing, doubled or too many, an answer of epoch 2 proves nothing;
    with it, the genesis file is enough."""
    cluster = cluster_with()
    change(cluster, SetPolicy(replace(cluster.policy, attempts_max=1)))
    change(cluster, Leave(ReplicaId(3)))
    request_id = cluster.ask(0)
    cluster.settle()
    node = cluster.nodes[0]
    reply = node.replies[request_id]
    right = certify(reply.slot, reply.index, node.epochs)
    genesis = Rules(NETWORK, cluster.members, cluster.policy, keyring(0))
    assert verify(right, genesis).membership.epoch == 2
    first, second = right.epochs
    for chain in [
        (),
        (first,),
        (second,),
        (first, first),
        (second, first),
        (first, second, second),
    ]:
        with pytest.raises(InvalidCertificate):
            verify(replace(right, epochs=chain), genesis)
    early = replace(right, sequence_number=SequenceNumber(8))
    with pytest.raises(InvalidCertificate):
        verify(early, genesis)


# --- who may want what -------------------------------------------------------------------------


def test_a_change_takes_a_quorum() -> None:
    """Two of four want it: nothing happens, however long."""
    cluster = cluster_with()
    change(cluster, Leave(ReplicaId(3)), 0, 1)
    assert epochs(cluster) == {0}
    assert [node.replica.view for node in cluster.nodes] == [0] * 4
    assert [len(node.replica.changes[0].endorsements) for node in cluster.nodes] == [2] * 4
    cluster.endorse(Leave(ReplicaId(3)), 2)
    cluster.settle(20)
    assert epochs(cluster) == {1}


def test_endorsements_survive_crashes() -> None:
    """What an operator wanted is on disk before anyone hears of it, and is said again."""
    cluster = cluster_with()
    cluster.drop = lambda _s, _t, message: (
        isinstance(message, Signed) and isinstance(message.message, Endorsement)
    )
    cluster.endorse(Leave(ReplicaId(3)), 0, 1, 2)
    cluster.run()
    for i in range(4):
        cluster.crash(i)
    cluster.drop = lambda _s, _t, _m: False
    for i in range(4):
        cluster.restart(i)
    cluster.settle(20)
    assert epochs(cluster) == {1}
    check(cluster, but=(3,))


def test_two_changes_wanted_at_once() -> None:
    """One of them ends the epoch; the other was wanted for that one, and must be endorsed anew."""
    cluster = cluster_with()
    policy = SetPolicy(replace(cluster.policy, attempts_max=1))
    for i in range(4):
        cluster.endorse(policy, i)
        cluster.endorse(Leave(ReplicaId(3)), i)
    cluster.settle(30)
    assert epochs(cluster) == {1}
    state = cluster.nodes[0].state
    assert state is not None
    assert (state.policy == policy.policy) != (state.membership.n == 3)
    assert [node.replica.changes for node in cluster.nodes] == [()] * 4
    left = policy if state.policy != policy.policy else Leave(ReplicaId(3))
    change(cluster, left)
    assert epochs(cluster) == {2}
    check(cluster, but=(3,))


def test_an_operator_is_told_why_not() -> None:
    """One sentence for each wish that can't be granted."""
    cluster = cluster_with()
    cluster.endorse(Leave(ReplicaId(7)), 0)
    cluster.endorse(Renew(ReplicaId(0), SALT), 0)
    cluster.run()
    assert [note.refused for note in cluster.nodes[0].noted] == [
        "Nobody is member 7.",
        "Only a member that takes part in the network endorses changes.",
    ]
    assert cluster.nodes[0].replica.changes == ()
    outsider = cluster.join()
    cluster.endorse(joins(4), outsider)
    cluster.settle(10)
    assert cluster.nodes[outsider].noted[0].refused is not None


@pytest.mark.parametrize(
    ("wanted", "away", "refused"),
    [
        (joins(4), (), False),
        (joins(4), (3,), True),
        (Leave(ReplicaId(3)), (3,), False),
        (Leave(ReplicaId(2)), (3,), False),
        (Leave(ReplicaId(2)), (1, 3), True),
        (ReplaceKey(ReplicaId(3), public_key(9)), (3,), False),
        (ReplaceKey(ReplicaId(2), public_key(9)), (3,), True),
        (SetPolicy(Policy(attempts_max=1)), (3,), False),
        (SetPolicy(Policy(attempts_max=1)), (2, 3), True),
    ],
    ids=str,
)
def test_members_cannot_vote_themselves_below_a_working_quorum(
    wanted: Change, away: tuple[int, ...], refused: bool
) -> None:
    """An endorsement is refused if those of the next epoch who are connected and known could not
    decide anything: a fifth member may not come while the fourth is away, as four of five are
    needed and the new one has yet to show up."""
    solo = Solo(0)
    for replica in away:
        solo.step(PeerDown(ReplicaId(replica)))
    solo.step(ChangeEndorsed(wanted))
    (note,) = solo.got(effects.ChangeNoted)
    assert (note.refused is not None) == refused
    assert (solo.said(Endorsement) == []) == refused
    for replica in away:
        solo.step(PeerUp(ReplicaId(replica)))
    solo.step(ChangeEndorsed(wanted))
    (note,) = solo.got(effects.ChangeNoted)
    assert note.refused is None


BAD_ENDORSEMENTS: list[tuple[str, Any]] = [
    ("epoch", {"epoch": 7}),
    ("signature", {"network": bytes(32)}),
    ("signature", {"replica": ReplicaId(9)}),
    ("change", {"change": Leave(ReplicaId(9))}),
    ("change", {"change": Renew(ReplicaId(2), SALT)}),
]


@pytest.mark.parametrize(("reason", "changes"), BAD_ENDORSEMENTS, ids=str)
def test_a_wrong_endorsement_is_refused(reason: str, changes: dict[str, Any]) -> None:
    """Of another network, a stranger, about nobody, or a renewal of somebody else. One of an epoch
    to come waits for it."""
    solo = Solo(1)
    right = forge.sign(Endorsement(NETWORK, Epoch(0), Leave(ReplicaId(0)), ReplicaId(3)))
    made = replace(right.message, **changes)
    solo.hear(forge.sign_as(made.replica, made), source=3)
    if reason == "epoch":
        assert (solo.refusals(), len(solo.replica._early._waiting)) == ([], 1)
    else:
        assert solo.refusals() == [reason]
    assert solo.replica.changes == ()
    solo.hear(right)
    assert len(solo.replica.changes) == 1


def test_a_member_wants_at_most_eight_things() -> None:
    """Memory is bounded: the oldest wish makes room."""
    solo = Solo(1)
    for number in range(20):
        wanted = joins(10 + number)
        solo.hear(forge.sign(Endorsement(NETWORK, Epoch(0), wanted, ReplicaId(3))))
    assert sorted(int(c.change.name[4:]) for c in solo.replica.changes) == list(  # type: ignore[union-attr]
        range(22, 30)
    )


def batch_of(change_: Change, *endorsers: int, epoch: int = 0) -> tuple[EndorsedChange]:
    signatures = tuple(
        Signatory(
            ReplicaId(i),
            forge.sign(Endorsement(NETWORK, Epoch(epoch), change_, ReplicaId(i))).signature,
        )
        for i in endorsers
    )
    return (EndorsedChange(Epoch(epoch), change_, signatures),)


LEAVES = Leave(ReplicaId(3))
GARBAGE = Signatory(ReplicaId(2), bytes(64))


@pytest.mark.parametrize(
    ("reason", "batch"),
    [
        ("endorsements", batch_of(LEAVES, 0, 1)),
        ("endorsements", batch_of(LEAVES)),
        ("endorsements", batch_of(LEAVES, 0, 1, 1)),
        ("endorsements", batch_of(LEAVES, 2, 1, 0)),
        ("signature", (replace(batch_of(LEAVES, 0, 1)[0],
                               endorsements=(*batch_of(LEAVES, 0, 1)[0].endorsements, GARBAGE)),)),
        ("change", batch_of(Leave(ReplicaId(9)), 0, 1, 2)),
        ("change", batch_of(LEAVES, 0, 1, 2, epoch=1)),
        ("change-twice", batch_of(LEAVES, 0, 1, 2) + batch_of(Leave(ReplicaId(2)), 0, 1, 3)),
        ("endorsements", batch_of(Renew(ReplicaId(2), SALT), 3)),
        ("endorsements", batch_of(Renew(ReplicaId(2), SALT), 0, 1, 3)),
        ("endorsements", batch_of(Renew(ReplicaId(2), SALT))),
    ],
    ids=str,
)  # fmt: skip
def test_a_primary_cannot_change_the_members_by_itself(reason: str, batch: Any) -> None:
    """A change stands in the ledger only with a quorum's signatures, each once and in order; one at
    a time; a renewal only with the signature of the one that forgot."""
    solo = Solo(1)
    solo.hear(forge.proposal(batch))
    assert solo.refusals() == [reason]
    assert solo.said(Prepare) == []


def test_a_second_change_in_a_later_slot_is_refused() -> None:
    """One change ends the epoch, even while it is not decided."""
    solo = Solo(1)
    solo.hear(forge.proposal(batch_of(LEAVES, 0, 1, 2), 1))
    solo.hear(forge.proposal(batch_of(Leave(ReplicaId(2)), 0, 1, 3), 2))
    assert solo.refusals() == ["change-twice"]
    assert [p.sequence_number for p in solo.said(Prepare)] == [1]


def test_a_primary_that_proposes_no_change_is_replaced() -> None:
    """The others hold the quorum's endorsements, and so, in the end, does the primary: sent what it
    may lack, then suspected. The next one proposes it."""
    cluster = cluster_with()
    cluster.drop = lambda source, _t, message: source == 0 and isinstance(message, Proposal)
    cluster.endorse(LEAVES, 1, 2, 3)
    cluster.settle(40)
    assert epochs(cluster, but=(0,)) == {1}
    assert cluster.nodes[1].ledger[1].commits[0].message.view == 1
    cluster.drop = lambda _s, _t, _m: False
    cluster.reconnect()
    cluster.settle(40)
    check(cluster, but=(3,))


def test_a_primary_that_fills_no_slots_is_replaced() -> None:
    """The change is decided in slot 1, and the primary leaves 2 to 4 open: the next fills them."""
    cluster = cluster_with()
    cluster.drop = lambda source, _t, message: (
        source == 0
        and isinstance(message, Proposal)
        and message.pre_prepare.message.sequence_number > 1
    )
    cluster.endorse(LEAVES, 0, 1, 2)
    cluster.settle(40)
    assert epochs(cluster, but=(0,)) == {1}
    cluster.drop = lambda _s, _t, _m: False
    cluster.reconnect()
    cluster.settle(40)
    check(cluster, but=(3,))


# --- those who forgot --------------------------------------------------------------------------


def forgets(cluster: Cluster, i: int, salt: bytes, ledger: bool = True) -> None:
    """Its log is damaged beyond repair; without `ledger` the whole disk is."""
    cluster.crash(i)
    node = cluster.nodes[i]
    node.log[:] = [Forgot(salt)]
    if not ledger:
        node.ledger.clear()
        node.final.clear()
        node.epochs.clear()
        node.state = None
    cluster.restart(i)


SILENT = (Height, Endorsement)


@pytest.mark.parametrize("ledger", [True, False], ids=["log lost", "whole disk lost"])
def test_who_forgot_what_it_signed_gets_back_in_by_an_epoch(ledger: bool) -> None:
    """It signs nothing but the wish for a new epoch; when that has begun through this very wish,
    it takes part again, and has contradicted nothing."""
    cluster = cluster_with()
    for _ in range(2):
        cluster.ask(3)
        cluster.settle(10)
    before = len(cluster.nodes[3].sent)
    cluster.drop = lambda _s, _t, message: (
        isinstance(message, Signed) and isinstance(message.message, Endorsement)
    )
    forgets(cluster, 3, SALT, ledger)
    cluster.ask(0)
    cluster.settle(20)
    assert not cluster.nodes[3].replica.takes_part
    assert len(cluster.nodes[3].ledger) == 3, "it reads"
    said = [m for m in cluster.nodes[3].sent[before:] if isinstance(m, Signed)]
    assert {type(m.message) for m in said} <= set(SILENT)
    cluster.drop = lambda _s, _t, _m: False
    cluster.reconnect()
    cluster.settle(30)
    assert epochs(cluster) == {1}
    assert cluster.nodes[3].replica.takes_part
    assert cluster.nodes[3].log[0] == EpochBegun(Epoch(1))
    cluster.crash(2)
    request_id = cluster.ask(3)
    cluster.settle(60)
    assert answerers(cluster, 3, request_id) == [0, 1, 3]
    cluster.restart(2)
    cluster.settle()
    check(cluster)


def test_who_forgot_keeps_nothing_of_the_epoch_for_later() -> None:
    """It takes no part in any view of this epoch, however far the others go: only what is of the
    next one waits to be read."""
    solo = Solo(3, records=(Forgot(SALT),))
    for view in range(1, 9):
        assert solo.hear(forge.commit(1, forge.D1, view=view)) == []
        assert solo.hear(forge.prepare(1, forge.D1, view=view)) == []
    assert solo.replica._early._waiting == {}
    later = replace(forge.commit(1, forge.D1).message, epoch=Epoch(1))
    solo.hear(forge.sign(later))
    assert len(solo.replica._early._waiting[ReplicaId(1)]) == 1


def test_an_old_renewal_gives_no_voice_back() -> None:
    """R3 renewed itself into epoch 1, signed there, and loses its whole disk: replaying the ledger,
    it sees epoch 1 begin through its own wish, and still signs nothing there: the wish was made
    before the loss. It is a second one, as soon as that may be, that lets it in again."""
    cluster = cluster_with()
    forgets(cluster, 3, SALT)
    cluster.settle(30)
    assert epochs(cluster) == {1}
    assert cluster.nodes[3].replica.takes_part
    cluster.ask(3)
    cluster.settle(20)
    cluster.answers[3] = "Lyon"
    before = len(cluster.nodes[3].sent)
    forgets(cluster, 3, bytes(32 * [7]), ledger=False)
    cluster.settle(30)
    assert len(cluster.nodes[3].ledger) == len(cluster.nodes[0].ledger)
    assert not cluster.nodes[3].replica.takes_part
    said = [m for m in cluster.nodes[3].sent[before:] if isinstance(m, Signed)]
    assert {type(m.message) for m in said} <= set(SILENT)
    for _ in range(8):
        cluster.ask(0)
        cluster.settle(20)
    assert epochs(cluster) == {2}
    assert cluster.nodes[3].replica.takes_part
    check(cluster)


def test_a_renewal_that_was_crashed_upon_counts() -> None:
    """S7: the ledger has the epoch that began through the own wish; the log was not compacted yet,
    and says that something was forgotten. That was before."""
    cluster = cluster_with()
    forgets(cluster, 3, SALT)

    def watch(i: ReplicaId, effect: effects.Effect) -> None:
        if i == 3 and isinstance(effect, effects.Apply) and effect.state.membership.epoch == 1:
            cluster.crash(3)

    cluster.watch = watch
    cluster.settle(10)
    assert not cluster.nodes[3].up
    assert Forgot(SALT) in cluster.nodes[3].log
    cluster.watch = lambda _i, _e: None
    cluster.restart(3)
    cluster.settle(30)
    assert cluster.nodes[3].replica.takes_part
    check(cluster)


def test_renewal_comes_once_in_so_many_slots() -> None:
    """A replica that forgets all the time stays silent, and costs the others an epoch in eight
    slots (1,024 outside of this test)."""
    cluster = cluster_with()
    forgets(cluster, 3, SALT)
    cluster.settle(30)
    assert epochs(cluster) == {1}
    forgets(cluster, 3, bytes(32 * [7]))
    cluster.settle(60)
    assert epochs(cluster) == {1}
    assert not cluster.nodes[3].replica.takes_part
    assert [node.replica.view for node in cluster.nodes[:3]] == [0] * 3, "nobody is suspected"
    check(cluster)


def test_who_lost_its_ledger_and_not_its_log_stays_silent() -> None:
    """The log speaks of epoch 1 and the ledger begins anew in epoch 0: what was signed there was
    compacted away. It follows, signs nothing, and comes back by a renewal."""
    cluster = cluster_with()
    change(cluster, SetPolicy(replace(cluster.policy, attempts_max=1)))
    cluster.ask(3)
    cluster.settle(20)
    cluster.crash(3)
    node = cluster.nodes[3]
    assert EpochBegun(Epoch(1)) in node.log
    node.ledger.clear()
    node.epochs.clear()
    node.final.clear()
    node.state = None
    before = len(node.sent)
    cluster.drop = lambda _s, _t, message: (
        isinstance(message, Signed) and isinstance(message.message, Endorsement)
    )
    cluster.restart(3)
    cluster.settle(30)
    assert len(cluster.nodes[3].ledger) == len(cluster.nodes[0].ledger)
    assert not cluster.nodes[3].replica.takes_part
    old, new = cluster.nodes[3].sent[:before], cluster.nodes[3].sent[before:]
    said = [m for m in new if isinstance(m, Signed) and m not in old]
    assert {type(m.message) for m in said} <= set(SILENT)
    cluster.crash(3)
    cluster.drop = lambda _s, _t, _m: False
    cluster.restart(3)
    cluster.settle(40)
    assert epochs(cluster) == {2}
    assert cluster.nodes[3].replica.takes_part
    check(cluster)


# --- the driver --------------------------------------------------------------------------------


def test_the_driver_is_told_whom_to_be_connected_with() -> None:
    """While the proof is incomplete, with the old members too; then with the new ones alone."""
    cluster = cluster_with()
    told: list[list[str]] = []

    def watch(i: ReplicaId, effect: effects.Effect) -> None:
        if i == 0 and isinstance(effect, MembersChanged):
            told.append(sorted(member.name for member in effect.members))

    cluster.watch = watch
    cluster.join()
    cluster.endorse(Leave(ReplicaId(3)), 0, 1, 2)
    cluster.settle(20)
    assert told[0] == ["node0", "node1", "node2", "node3"]
    assert told[-1] == ["node0", "node1", "node2"]
    assert all(len(a) >= len(b) for a, b in pairwise(told))


def test_the_wire_carries_every_message_of_an_epoch() -> None:
    """Certificates and wishes survive the codec as they are."""
    certificate, _ = proven()
    endorsement = forge.sign(Endorsement(NETWORK, Epoch(0), joins(4), ReplicaId(3)))
    wanted = LedgerWanted(SequenceNumber(1), Epoch(0))
    for message in (certificate, endorsement, wanted):
        assert decode(encode(message)) == message
