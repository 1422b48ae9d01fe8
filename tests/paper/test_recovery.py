"""DESIGN 5: a restarted replica replays its log and never contradicts what it signed."""

import pytest

from pbft import digest, effects
from pbft.effects import Persist
from pbft.events import AnswerReady
from pbft.messages import (
    AnswerCommitment,
    AnswerReveal,
    Commit,
    Equivocation,
    Height,
    Prepare,
    Proposal,
    Request,
    Seal,
    Signed,
    ViewChange,
    WireMessage,
)
from pbft.new_view import view_change_fault
from pbft.proposing import PROPOSALS_OPEN_MAX
from pbft.records import (
    AnswerDrawn,
    Decided,
    Prepared,
    ProposalAccepted,
    Record,
    RequestAccepted,
    Sealed,
)
from pbft.types import ReplicaId
from tests.support import forge
from tests.support.cluster import Cluster, answer
from tests.support.solo import Solo
from tests.support.statements import contradictions


class CrashPoint:
    """Crashes one replica after its `count`-th effect, or its `count`-th effect of one kind."""

    def __init__(self, cluster: Cluster, replica: int, count: int, kind: type = object) -> None:
        self.left = count
        self._cluster, self._replica, self._kind = cluster, replica, kind
        cluster.watch = self

    def __call__(self, replica: ReplicaId, effect: effects.Effect) -> None:
        if replica == self._replica and isinstance(effect, self._kind):
            self.left -= 1
            if self.left == 0:
                self._cluster.crash(self._replica)


def crash_and_recover(replica: int, count: int, kind: type) -> bool:
    """Checks a run with one crash; False if the replica has fewer effects than `count`."""
    cluster = Cluster(4)
    point = CrashPoint(cluster, replica, count, kind)
    first = cluster.ask(1)
    cluster.settle(4)
    # Asked once more, the model would say something else, under another salt.
    cluster.answers[replica] = "Lyon"
    reached = not cluster.nodes[replica].up
    if reached:
        cluster.restart(replica)
    elif point.left > 0:
        return False
    second = cluster.ask(0)
    cluster.settle()
    where = f"R{replica} crashed after effect {count}"
    for node in cluster.nodes:
        assert contradictions(node.sent) == [], where
        assert node.evidence == [], where
        assert second in node.replies, where
        assert node.ledger == cluster.nodes[0].ledger or _same(node.ledger, cluster), where
        drawn = [r for r in node.log if isinstance(r, AnswerDrawn)]
        assert len({(r.request_id, r.attempt) for r in drawn}) == len(drawn), where
    accepted = any(isinstance(r, RequestAccepted) and digest.request_id(r.request.message) == first
                   for r in cluster.nodes[1].log)  # fmt: skip
    if accepted:
        for node in cluster.nodes:
            decided = [
                digest.request_id(item.request.message)
                for slot in node.ledger.values()
                for item in slot.batch
            ]
            assert sorted(decided) == sorted([first, second]), where
    return True


def _same(ledger: dict[int, object], cluster: Cluster) -> bool:
    """The same batches; the commits that prove them may be of different quorums."""
    return {k: v.batch for k, v in ledger.items()} == {  # type: ignore[attr-defined]
        k: v.batch for k, v in cluster.nodes[0].ledger.items()
    }


@pytest.mark.parametrize(
    ("replica", "kind"),
    [(0, object), (1, Persist), (2, object)],
    ids=["primary, any effect", "asker, each record", "backup, any effect"],
)
def test_a_crash_at_any_point_is_survived(replica: int, kind: type) -> None:
    """S7, O4: crash after each record, and between any two effects: after the restart nothing that
    was signed is contradicted, nobody is accused, and both questions are decided everywhere."""
    count = 1
    while crash_and_recover(replica, count, kind):
        count += 1
    assert count > (5 if kind is Persist else 25)


def test_everything_said_is_on_disk_first() -> None:
    """S7: at the moment a message leaves, the log holds the record from which it follows."""
    cluster = Cluster(4)
    checked: set[type] = set()

    def check(replica: ReplicaId, effect: effects.Effect) -> None:
        if isinstance(effect, effects.Broadcast | effects.Send):
            log = cluster.nodes[replica].log
            assert follows(effect.message, log, replica), effect.message
            message = effect.message
            checked.add(type(message.message if isinstance(message, Signed) else message))

    cluster.watch = check
    cluster.ask(1)
    cluster.settle()
    assert checked == {
        Request,
        AnswerCommitment,
        Seal,
        AnswerReveal,
        Proposal,
        Prepare,
        Commit,
        Height,
    }


def follows(message: WireMessage, log: list[Record], me: int) -> bool:
    match message:
        case Proposal():
            return ProposalAccepted(message) in log
        case Signed(Request()):
            return RequestAccepted(message, 0) in log
        case Signed(Seal()):
            return Sealed(message) in log
        case Signed(AnswerCommitment(commitment=hidden)):
            return any(
                isinstance(r, AnswerDrawn)
                and forge.commitment(
                    forge.reveal(r.request_id, me, r.answer, r.salt)
                ).message.commitment == hidden
                for r in log
            )  # fmt: skip
        case Signed(AnswerReveal()):
            return any(
                isinstance(r, Sealed)
                and me in [c.message.replica for c in r.seal.message.commitments]
                for r in log
            )
        case Signed(Prepare(digest=of)):
            return any(
                isinstance(r, ProposalAccepted) and r.proposal.pre_prepare.message.digest == of
                for r in log
            )
        case Signed(Commit(digest=of)):
            return any(
                (isinstance(r, Prepared) and r.pre_prepare.digest == of)
                or (isinstance(r, Decided) and forge.batch_digest(r.slot.batch) == of)
                for r in log
            )
        case _:
            return True


def test_the_model_is_not_asked_again_for_a_logged_answer() -> None:
    """O4: after the restart the commitment is the one sent before, from the log."""
    cluster = Cluster(4)
    CrashPoint(cluster, 2, 2, Persist)
    cluster.ask(0)
    cluster.run()
    assert [type(record) for record in cluster.nodes[2].log] == [RequestAccepted, AnswerDrawn]
    cluster.watch = lambda _replica, _effect: None
    cluster.answers[2] = "Lyon"
    cluster.restart(2)
    cluster.settle()
    assert cluster.nodes[2].inferences == 1
    (slot,) = cluster.nodes[0].ledger.values()
    texts = [reveal.message.answer.text for reveal in slot.batch[0].reveals]
    assert texts == ["Paris"] * len(texts)


def test_the_model_is_asked_again_if_nothing_was_logged() -> None:
    """O4: an answer that nobody heard of is drawn anew, so that the question is not lost."""
    cluster = Cluster(4)
    cluster.answers[2] = None
    CrashPoint(cluster, 2, 1, effects.RunInference)
    request_id = cluster.ask(2)
    cluster.run()
    cluster.watch = lambda _replica, _effect: None
    cluster.answers[2] = "Paris"
    cluster.restart(2)
    cluster.settle()
    assert cluster.nodes[2].inferences == 2
    assert [request_id in node.replies for node in cluster.nodes] == [True] * 4


def test_a_seal_that_came_before_its_request_is_remembered() -> None:
    """S7: the asker's link is slow: R3 logs the first seal, then the request, then the second seal,
    and restarts. It knows both seals, in order, and accuses nobody."""
    request = forge.request(1)
    request_id = digest.request_id(request)
    commitments = [forge.commitment(forge.reveal(request_id, i)) for i in range(4)]
    first = forge.seal(tuple(commitments[:3]))
    second = forge.seal((commitments[3],), (first,))
    before = Solo(3)
    before.hear(first)
    before.hear(forge.sign(request))
    before.step(AnswerReady(request_id, 0, answer("Paris"), bytes([3]) * 32))
    before.hear(second)
    assert len(before.said(AnswerReveal)) == 1
    after = Solo(3, records=before.log)
    for seal in (first, second):
        after.hear(seal)
        assert after.got(effects.Report) == []
        assert after.refusals() == []


def crowd_out(solo: Solo) -> None:
    """R0 shows so many commitments to questions that did not arrive, its own and another's, that
    there is no room for the rounds that it opened before."""
    for number in range(256):
        made_up = digest.request_id(forge.request(2, number))
        for replica in (0, 1):
            solo.hear(forge.commitment(forge.reveal(made_up, replica)), source=0)
    assert "too-many-rounds" in [e.reason for e in solo.all if isinstance(e, effects.Refused)]


def test_a_seal_that_was_logged_twice_counts_once() -> None:
    """S7: the round was given up for want of room and opened again by the same seal. After a
    restart the chain has that seal once, and the next one fits."""
    request = forge.request(1)
    request_id = digest.request_id(request)
    commitments = [forge.commitment(forge.reveal(request_id, i)) for i in range(4)]
    first = forge.seal(tuple(commitments[:3]))
    second = forge.seal((commitments[3],), (first,))
    before = Solo(3)
    before.hear(first)
    crowd_out(before)
    before.hear(first)
    before.hear(forge.sign(request))
    after = Solo(3, records=before.log)
    after.hear(first)
    assert after.last == []
    after.hear(second)
    assert after.got(effects.Report) == []
    assert after.refusals() == []


def test_a_chain_that_was_begun_anew_is_whole_after_a_restart() -> None:
    """S7: R0 seals twice under one number. The round of its first seal was given up for want of
    room, so that the other one and its successor were taken. After a restart these are the chain:
    a view-change with the first seal and the successor of the other would count for nobody."""
    request_id = digest.request_id(forge.request(1))
    commitments = [forge.commitment(forge.reveal(request_id, i)) for i in range(4)]
    given_up = forge.seal((*commitments[:2], commitments[3]))
    first = forge.seal(tuple(commitments[:3]))
    second = forge.seal((commitments[3],), (first,))
    before = Solo(3)
    before.hear(given_up)
    crowd_out(before)
    before.hear(first)
    before.hear(second)
    after = Solo(3, records=before.log)
    for replica in (0, 2):
        after.hear(forge.view_change(replica))
    (vote,) = after.said(ViewChange)
    assert [chain.seals for chain in vote.chains] == [(first, second)]
    assert view_change_fault(vote, forge.rules(4)) is None


def test_evidence_survives_a_restart() -> None:
    """S7: what was prepared before the crash convicts an equivocating primary after it."""
    cluster = Cluster(4)
    cluster.ask(0)
    cluster.drop = lambda _s, _t, message: (
        isinstance(message, Signed) and isinstance(message.message, Commit | Prepare)
    )
    cluster.run()
    (proposal,) = [m for m in cluster.nodes[0].sent if isinstance(m, Proposal)]
    cluster.crash(1)
    cluster.restart(1)
    cluster.run()
    other = forge.proposal((), 1)
    cluster.hear(1, 0, other)
    assert cluster.nodes[1].evidence == [Equivocation(proposal.pre_prepare, other.pre_prepare)]


def test_a_log_that_ends_in_a_decision_repeats_the_reply() -> None:
    """S7: decided, logged, and crashed before the answer was given out or applied."""
    cluster = Cluster(4)
    request_id = cluster.ask(1)
    CrashPoint(cluster, 1, 6, Persist)
    cluster.settle(3)
    node = cluster.nodes[1]
    assert isinstance(node.log[-1], Decided)
    assert (node.ledger, node.replies) == ({}, {})
    cluster.restart(1)
    cluster.run()
    assert request_id in cluster.nodes[1].replies
    assert sorted(cluster.nodes[1].ledger) == [1]


def test_the_ledger_is_not_repeated() -> None:
    """S7: what the ledger holds is not applied or answered a second time after a restart."""
    cluster = Cluster(4)
    cluster.ask(1)
    cluster.settle()
    node = cluster.nodes[1]
    again = Solo(1, records=node.log, tip=node.tip)
    assert not [e for e in again.all if isinstance(e, effects.Apply | effects.Reply | Persist)]
    assert again.replica.applied == 1


def test_a_restarted_primary_goes_on_with_the_next_number() -> None:
    """S4: with as many slots open as it may, but one, it gives the next question the next number,
    and proposes neither a number nor a request again."""
    cluster = Cluster(4)
    cluster.drop = lambda _s, _t, message: isinstance(message, Proposal)
    numbers = list(range(1, PROPOSALS_OPEN_MAX + 1))
    for asker in range(PROPOSALS_OPEN_MAX - 1):
        cluster.ask(asker)
    cluster.settle(2)
    cluster.crash(0)
    cluster.restart(0)
    cluster.ask(2)
    cluster.settle(2)
    proposals = {m for m in cluster.nodes[0].sent if isinstance(m, Proposal)}
    assert sorted(m.pre_prepare.message.sequence_number for m in proposals) == numbers
    asked = [item.request.message.replica for m in proposals for item in m.batch]
    assert sorted(asked) == [*range(PROPOSALS_OPEN_MAX - 1), 2]
    assert contradictions(cluster.nodes[0].sent) == []
    cluster.drop = lambda _s, _t, _m: False
    cluster.reconnect()
    cluster.settle()
    assert [sorted(node.ledger) for node in cluster.nodes] == [numbers] * 4


def test_all_replicas_restart_at_once() -> None:
    """DESIGN 5: a power failure of the whole network in the middle of a round loses nothing."""
    for steps in range(1, 60, 3):
        cluster = Cluster(4)
        request_id = cluster.ask(1)
        accepted = 0
        for _ in range(steps):
            if not cluster.queue:
                break
            target, event = cluster.queue.popleft()
            node = cluster.nodes[target]
            for effect in node.replica.step(event):
                cluster.perform(target, node, effect)
        accepted = any(isinstance(record, RequestAccepted) for record in cluster.nodes[1].log)
        for i in range(4):
            cluster.crash(i)
        for i in range(4):
            cluster.restart(i)
        cluster.settle()
        for node in cluster.nodes:
            assert contradictions(node.sent) == []
            assert node.evidence == []
            if accepted:
                assert len(node.ledger) == 1, steps
        assert not accepted or request_id in cluster.nodes[1].replies
