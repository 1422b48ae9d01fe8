"""DESIGN 4: without confidence the models are asked again, by decision of the ledger, up to the
policy's limit; the best attempt is the network's answer."""

from dataclasses import replace

import pytest

from pbft import digest, effects
from pbft.effects import RunInference
from pbft.events import AnswerReady
from pbft.execution import Tip
from pbft.item import is_final, merit, with_outcome
from pbft.membership import SetPolicy
from pbft.messages import (
    AnswerCommitment,
    Checkpoint,
    Commit,
    DecidedSlot,
    Item,
    Prepare,
    Proposal,
    Seal,
    Signed,
    items,
)
from pbft.outcome import Status
from pbft.policy import Policy
from pbft.records import AnswerDrawn, Decided, RequestAccepted, StableCheckpoint
from pbft.types import ATTEMPTS_MAX, ReplicaId, RequestId
from tests.support import forge
from tests.support.cluster import Cluster, answer
from tests.support.intervals import checkpoint_every
from tests.support.solo import Solo
from tests.support.statements import contradictions

DISSENT: list[str | None] = ["Paris", "Lyon", "Nice", "Metz"]


def asked_of(cluster: Cluster, request_id: RequestId, node: int = 0) -> list[int]:
    """Attempts at the request, in the order of the ledger."""
    return [
        item.attempt
        for number in sorted(cluster.nodes[node].ledger)
        for _, item in items(cluster.nodes[node].ledger[number].batch)
        if digest.request_id(item.request.message) == request_id
    ]


def check(cluster: Cluster) -> None:
    """Nobody contradicts itself, is accused, or is suspected; no model is asked twice for one
    attempt; ledgers and states are equal."""
    for node in cluster.nodes:
        assert contradictions(node.sent) == []
        assert node.evidence == []
        drawn = [r for r in node.log if isinstance(r, AnswerDrawn)]
        assert len({(r.request_id, r.attempt) for r in drawn}) == len(drawn)
        assert node.state == cluster.nodes[0].state


class Temperatures:
    """How each model was asked."""

    def __init__(self, cluster: Cluster) -> None:
        self.seen: list[tuple[int, int, int]] = []
        cluster.watch = self

    def __call__(self, replica: ReplicaId, effect: effects.Effect) -> None:
        if isinstance(effect, RunInference):
            self.seen.append((replica, effect.attempt, effect.temperature_milli))


# --- when, and how often -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "policy", "status"),
    [
        (DISSENT, Policy(), Status.NO_AGREEMENT),
        (["Paris"] * 4, Policy(confidence_threshold_bp=10_000), Status.AGREED_LOW_CONFIDENCE),
    ],
    ids=["no agreement", "low confidence"],
)
def test_without_confidence_every_model_is_asked_once_more(
    answers: list[str | None], policy: Policy, status: Status
) -> None:
    """One further attempt on every replica, at half the temperature; then the result is final."""
    cluster = Cluster(4, answers, policy)
    asked = Temperatures(cluster)
    request_id = cluster.ask(1)
    cluster.settle()
    assert sorted(asked.seen) == [
        (i, attempt, temperature) for i in range(4) for attempt, temperature in [(0, 300), (1, 150)]
    ]
    assert asked_of(cluster, request_id) == [0, 1]
    for node in cluster.nodes:
        replies = node.attempts[request_id]
        assert [reply.final for reply in replies] == [False, True]
        found = [reply.slot.batch[reply.index] for reply in replies]
        assert [item.outcome.status for item in found] == [status] * 2  # type: ignore[union-attr]
        assert node.state is not None
        assert node.state.open_requests == ()
    check(cluster)


def test_an_agreement_with_confidence_is_final() -> None:
    """Nobody is asked again."""
    cluster = Cluster(4)
    asked = Temperatures(cluster)
    request_id = cluster.ask(1)
    cluster.settle()
    assert len(asked.seen) == 4
    assert [reply.final for reply in cluster.nodes[1].attempts[request_id]] == [True]


def test_models_that_all_keep_silent_are_not_asked_again() -> None:
    """Four abstentions end it at once: there is nothing to agree on."""
    cluster = Cluster(4, [None] * 4, Policy(attempts_max=3))
    request_id = cluster.ask(1)
    cluster.settle()
    assert asked_of(cluster, request_id) == [0]
    assert [reply.final for reply in cluster.nodes[1].attempts[request_id]] == [True]
    check(cluster)


@pytest.mark.parametrize("limit", [1, 2, 3, ATTEMPTS_MAX])
def test_the_policy_limits_the_attempts(limit: int) -> None:
    """Each at half the temperature of the one before; after the last one the result is final."""
    cluster = Cluster(4, DISSENT, Policy(attempts_max=limit))
    asked = Temperatures(cluster)
    request_id = cluster.ask(1)
    cluster.settle()
    assert asked_of(cluster, request_id) == list(range(limit))
    mine = [temperature for replica, _, temperature in asked.seen if replica == 2]
    assert mine == [300 >> attempt for attempt in range(limit)]
    assert request_id in cluster.nodes[3].replies
    check(cluster)


def test_the_second_attempt_may_succeed() -> None:
    """New dice: all agree the second time, and that is the answer of greatest merit."""
    cluster = Cluster(4, DISSENT)

    def watch(_i: ReplicaId, effect: effects.Effect) -> None:
        if isinstance(effect, effects.Reply) and not effect.final:
            cluster.answers = ["Paris"] * 4

    cluster.watch = watch
    request_id = cluster.ask(1)
    cluster.settle()
    found = [r.slot.batch[r.index] for r in cluster.nodes[2].attempts[request_id]]
    assert [item.outcome.status for item in found] == [  # type: ignore[union-attr]
        Status.NO_AGREEMENT,
        Status.AGREED,
    ]
    assert max(found, key=merit) is found[1]  # type: ignore[arg-type]
    check(cluster)


def test_the_best_attempt_is_the_answer() -> None:
    """The better status, then the greater confidence, then the later one."""

    def item(status: Status, confidence_bp: int, attempt: int) -> Item:
        request_id = digest.request_id(forge.request(0))
        openings = tuple(forge.reveal(request_id, i) for i in range(4))
        made = forge.item(forge.request(0), openings, (9_600,) * 6)
        outcome = replace(made.outcome, status=status, confidence_bp=confidence_bp)
        return replace(made, attempt=attempt, outcome=outcome)

    ranked = [
        item(Status.NO_AGREEMENT, 9_000, 0),
        item(Status.NO_AGREEMENT, 9_000, 1),
        item(Status.AGREED_LOW_CONFIDENCE, 1_000, 0),
        item(Status.AGREED_LOW_CONFIDENCE, 7_000, 0),
        item(Status.AGREED_LOW_CONFIDENCE, 7_000, 1),
        item(Status.AGREED, 7_500, 2),
    ]
    assert sorted([ranked[i] for i in (3, 0, 5, 1, 4, 2)], key=merit) == ranked
    assert [is_final(made, Policy()) for made in ranked] == [False, True, False, False, True, True]


# --- what is refused ---------------------------------------------------------------------------


def signed_item(attempt: int, words: tuple[str, ...] = ("a", "b", "c", "d")) -> Item:
    """A right item of that attempt, every signature of it."""
    asked = forge.request(1)
    request_id = digest.request_id(asked)
    openings = tuple(
        replace(forge.reveal(request_id, i, answer(word)), attempt=attempt)
        for i, word in enumerate(words)
    )
    pairs = [(a, b) for i, a in enumerate(words) for b in words[i + 1 :]]
    similar = tuple(9_600 if a == b else 3_000 for a, b in pairs)
    made = replace(forge.item(asked, openings, similar), attempt=attempt)
    return with_outcome(made, 4, Policy())


def decided(item: Item, number: int) -> DecidedSlot:
    of = forge.batch_digest((item,))
    return DecidedSlot((item,), tuple(forge.commit(i, of, number) for i in (0, 2, 3)))


@pytest.mark.parametrize("attempt", [1, 2, ATTEMPTS_MAX - 1])
def test_an_attempt_before_its_turn_is_refused(attempt: int) -> None:
    """Nobody decided that there should be another one, or one was skipped."""
    solo = Solo(1)
    solo.hear(forge.proposal((signed_item(attempt),)))
    assert solo.refusals() == ["attempt"]
    assert solo.got(effects.Report) == [], "others may know of a decision that we have not seen"
    assert solo.said(Prepare) == []


@pytest.mark.parametrize("attempt", [ATTEMPTS_MAX, 2**32, 2**64 - 1])
def test_an_attempt_that_no_policy_allows_convicts_its_primary(attempt: int) -> None:
    """No ledger can ever have asked for it."""
    solo = Solo(1)
    solo.hear(forge.proposal((signed_item(attempt),)))
    assert solo.refusals() == ["attempt"]
    assert len(solo.got(effects.Report)) == 1
    assert solo.said(Prepare) == []


def test_an_attempt_comes_after_the_one_before_in_the_ledger() -> None:
    """Slot 2 holds attempt 0 and is decided before slot 1. A primary that puts attempt 1, or
    attempt 0 once more, into slot 1 is refused: attempts count in the order of the ledger."""
    for attempt in (0, 1):
        solo = Solo(1)
        solo.hear(decided(signed_item(0), 2), source=2)
        solo.hear(forge.proposal((signed_item(attempt),), 1))
        assert solo.refusals() == ["request-twice"]
        assert solo.said(Prepare) == []


@pytest.mark.parametrize("attempt", [0, 2])
def test_only_the_next_attempt_is_accepted(attempt: int) -> None:
    """After attempt 0 is applied: not 0 again, nor 2; 1 it is."""
    solo = Solo(1)
    solo.hear(decided(signed_item(0), 1), source=2)
    solo.hear(forge.proposal((signed_item(attempt),), 2))
    assert solo.refusals() == ["attempt"]
    solo = Solo(1)
    solo.hear(decided(signed_item(0), 1), source=2)
    solo.hear(forge.proposal((signed_item(1),), 2))
    assert solo.refusals() == []


@pytest.mark.parametrize("attempt", [2, 7, 2**64 - 1])
def test_messages_of_an_attempt_to_come_are_bounded(attempt: int) -> None:
    """V15: a commitment for an attempt that the policy does not allow opens no round."""
    solo = Solo(1)
    opening = replace(forge.reveal(digest.request_id(forge.request(0)), 3), attempt=attempt)
    solo.hear(forge.commitment(opening))
    assert solo.refusals() == ["attempt"]
    assert list(solo.replica._observation._rounds) == []


# --- out of order ------------------------------------------------------------------------------


def test_what_peers_said_of_the_next_attempt_is_kept() -> None:
    """They have applied the slot and answered again before this replica learns of it: their
    commitments to attempt 1 count as soon as attempt 0 is decided here."""
    solo = Solo(1)
    request_id = digest.request_id(forge.request(1))
    for replica in (0, 2, 3):
        opening = replace(forge.reveal(request_id, replica), attempt=1)
        solo.hear(forge.commitment(opening))
        assert solo.refusals() == []
    solo.hear(decided(signed_item(0), 1), source=2)
    (round_,) = solo.replica._observation._rounds
    assert (round_.attempt, sorted(round_.commitments)) == (1, [0, 2, 3])
    assert solo.got(RunInference)[0].attempt == 1


def test_a_second_attempt_waits_for_the_gap() -> None:
    """Slot 2 is decided before slot 1: the reply to attempt 0 goes out at once, attempt 1 begins
    when the ledger has it."""
    solo = Solo(1)
    solo.hear(decided(signed_item(0), 2), source=2)
    assert [reply.final for reply in solo.got(effects.Reply)] == [False]
    assert solo.got(RunInference) == []
    null = forge.batch_digest(())
    solo.hear(DecidedSlot((), tuple(forge.commit(i, null, 1) for i in (0, 2, 3))), source=2)
    assert [run.attempt for run in solo.got(RunInference)] == [1]


def test_a_question_that_comes_again_in_a_gap_is_not_asked_again() -> None:
    """O4: attempt 0 was answered and is decided in slot 2, while slot 1 is missing. The asker
    repeats its question: the model is not asked for attempt 0 once more, and attempt 1 begins with
    slot 1."""
    solo = Solo(1)
    question = forge.sign(forge.request(0))
    request_id = digest.request_id(question.message)
    solo.hear(question)
    solo.step(AnswerReady(request_id, 0, answer("Paris"), bytes(32)))
    openings = tuple(forge.reveal(request_id, i, answer(word)) for i, word in enumerate("abcd"))
    open_item = forge.item(question.message, openings, (3_000,) * 6)
    solo.hear(decided(open_item, 2), source=2)
    solo.hear(question)
    solo.hear(forge.commitment(openings[3]))
    assert solo.refusals() == ["attempt"]
    assert list(solo.replica._observation._rounds) == []
    null = forge.batch_digest(())
    solo.hear(DecidedSlot((), tuple(forge.commit(i, null, 1) for i in (0, 2, 3))), source=2)
    asked = [effect.attempt for effect in solo.all if isinstance(effect, RunInference)]
    assert asked == [0, 1]


def test_a_ledger_with_both_attempts_asks_nobody() -> None:
    """A replica that was away learns of attempt 0 and 1 from the ledger: the round of attempt 1 is
    closed again, and its late answer is dropped."""
    solo = Solo(1)
    solo.hear(decided(signed_item(0), 1), source=2)
    solo.hear(decided(signed_item(1), 2), source=2)
    assert list(solo.replica._observation._rounds) == []
    request_id = digest.request_id(forge.request(1))
    solo.step(AnswerReady(request_id, 1, answer("late"), bytes(32)))
    assert solo.last == []
    assert [r for r in solo.log if isinstance(r, AnswerDrawn)] == []


# --- crashes -----------------------------------------------------------------------------------

STRIDE = 12
"""Effects between two crashes that are tried; 1 tries them all."""


def survives(replica: int, count: int, lives: int) -> bool:
    """`lives` crashes, each after so many effects, in a round of two attempts."""
    cluster = Cluster(4, DISSENT)
    left = count

    def watch(me: ReplicaId, _effect: effects.Effect) -> None:
        nonlocal left
        if me == replica and left > 0:
            left -= 1
            if left == 0:
                cluster.crash(replica)

    cluster.watch = watch
    first = cluster.ask((replica + 1) % 4)
    cluster.settle(4)
    if left > 0:
        return False
    for _ in range(1, lives):
        cluster.answers[replica] = f"other{count}"
        left = count % 9 + 1
        cluster.restart(replica)
        cluster.settle(4)
        if cluster.nodes[replica].up:
            break
    left = 0
    cluster.answers[replica] = "Toulouse"
    if not cluster.nodes[replica].up:
        cluster.restart(replica)
    last = cluster.ask(replica)
    cluster.settle()
    where = f"R{replica} crashed after effect {count}"
    try:
        check(cluster)
    except AssertionError as failure:
        failure.add_note(where)
        raise
    assert asked_of(cluster, last) == [0, 1], where
    assert asked_of(cluster, first) == [0, 1], where
    return True


@pytest.mark.parametrize("lives", [1, 3])
@pytest.mark.parametrize("replica", [0, 2], ids=["primary", "backup"])
def test_a_crash_between_attempts_is_survived(replica: int, lives: int) -> None:
    """O4: after any effect, and again after few effects of the next life: no model is asked twice
    for an attempt whose answer was on disk, and both attempts are decided once."""
    count = 1 + lives
    while survives(replica, count, lives):
        count += STRIDE
    assert count > 4 * STRIDE


def test_an_attempt_that_recovery_began_is_on_disk() -> None:
    """O4: R2 logs the decision of attempt 0 and crashes. In its next life it draws an answer to
    attempt 1, commits to it, and crashes again: in the third life it still knows that answer."""
    cluster = Cluster(4, DISSENT)

    def watch(i: ReplicaId, effect: effects.Effect) -> None:
        if i == 2 and isinstance(effect, effects.Persist) and isinstance(effect.record, Decided):
            cluster.crash(2)

    cluster.watch = watch
    request_id = cluster.ask(0)
    cluster.settle(1)
    assert isinstance(cluster.nodes[2].log[-1], Decided)
    cluster.watch = lambda _i, _e: None
    cluster.drop = lambda _s, target, message: (
        isinstance(message, Signed) and isinstance(message.message, Commit)
    )
    cluster.restart(2)
    cluster.run()
    drawn = [r for r in cluster.nodes[2].log if isinstance(r, AnswerDrawn)]
    assert [r.attempt for r in drawn] == [0, 1]
    accepted = [r.attempt for r in cluster.nodes[2].log if isinstance(r, RequestAccepted)]
    assert accepted == [0, 1]
    cluster.crash(2)
    cluster.answers[2] = "Toulouse"
    cluster.drop = lambda _s, _t, _m: False
    cluster.restart(2)
    cluster.settle()
    assert asked_of(cluster, request_id) == [0, 1]
    check(cluster)


def test_a_compacted_log_keeps_the_answer_above_a_gap() -> None:
    """O4: attempt 0 is decided, attempt 1 answered, then the log is compacted; after a restart,
    also with a ledger that lacks the slot, the answer to attempt 1 is still the same."""
    with pytest.MonkeyPatch.context() as patch:
        checkpoint_every(2, patch)
        solo = Solo(1)
        null = forge.batch_digest(())
        for number in (1, 2):
            commits = tuple(forge.commit(i, null, number) for i in (0, 2, 3))
            solo.hear(DecidedSlot((), commits), source=2)
        solo.hear(decided(signed_item(0), 3), source=2)
        request_id = digest.request_id(forge.request(1))
        solo.step(AnswerReady(request_id, 1, answer("Paris"), bytes(32)))
        state = solo.replica.state
        for replica in (0, 2):
            mine = solo.said(Checkpoint)[0]
            solo.hear(forge.checkpoint(replica, 2, mine.state))
        assert isinstance(solo.log[0], StableCheckpoint)
        for tip_state in (state, None):
            again = Solo(1, records=solo.log, tip=Tip(tip_state))
            rounds = [(r.attempt, r.drawn) for r in again.replica._observation._rounds]
            assert [attempt for attempt, _ in rounds] == [1]
            assert rounds[0][1] is not None
            assert rounds[0][1].answer.text == "Paris"
            assert [e for e in again.all if isinstance(e, RunInference)] == []


def test_compaction_between_attempts_loses_nothing() -> None:
    """A checkpoint becomes stable while many requests are on their second attempt."""
    with pytest.MonkeyPatch.context() as patch:
        checkpoint_every(2, patch)
        cluster = Cluster(4, DISSENT, Policy(rotation_slots=4))
        request_ids = [cluster.ask(i % 4) for i in range(5)]
        cluster.settle(1)
        for i in range(4):
            cluster.crash(i)
            cluster.restart(i)
        cluster.settle()
        for request_id in request_ids:
            assert asked_of(cluster, request_id) == [0, 1]
        check(cluster)


def test_a_view_change_between_attempts_loses_nothing() -> None:
    """Attempt 0 is decided in view 0; its primary dies; attempt 1 is decided in view 1."""
    cluster = Cluster(4, DISSENT)

    def watch(i: ReplicaId, effect: effects.Effect) -> None:
        if i == 0 and isinstance(effect, RunInference) and effect.attempt == 1:
            cluster.crash(0)

    cluster.watch = watch
    request_id = cluster.ask(1)
    cluster.settle()
    assert asked_of(cluster, request_id, node=1) == [0, 1]
    assert [node.replica.view for node in cluster.nodes[1:]] == [1] * 3
    cluster.watch = lambda _i, _e: None
    cluster.restart(0)
    cluster.settle()
    check(cluster)


def test_a_view_that_takes_over_attempt_0_leaves_attempt_1_alone() -> None:
    """R2, primary of view 2, hears of attempt 1 before attempt 0 is decided in its own view: it
    seals and proposes attempt 1 all the same when its time has come."""
    solo = Solo(2)
    item = signed_item(0)
    request_id = digest.request_id(forge.request(1))
    of = forge.batch_digest((item,))
    solo.hear(forge.proposal((item,)))
    for replica in (0, 1, 3):
        solo.hear(forge.commitment(replace(forge.reveal(request_id, replica), attempt=1)))
    prepared = (forge.prepared(of, 1),)
    votes = [forge.view_change(i, 2, prepared=prepared) for i in (0, 1, 3)]
    for vote in votes:
        solo.hear(vote)
    assert solo.replica.view == 2
    (later,) = [r for r in solo.replica._observation._rounds if r.attempt == 1]
    assert not later.handed_on
    for replica in (0, 1, 3):
        solo.hear(forge.prepare(replica, of, 1, 2))
        solo.hear(forge.commit(replica, of, 1, 2))
    assert solo.replica.applied == 1
    solo.step(AnswerReady(request_id, 1, answer("Paris"), bytes(32)))
    assert [seal.attempt for seal in solo.said(Seal)] == [1]


# --- with epochs -------------------------------------------------------------------------------


def test_fewer_attempts_do_not_strand_what_is_open() -> None:
    """The policy allows three, then one: a request that is on its second attempt in the new epoch
    gets its decision there, as the last; nobody is accused of proposing it."""
    with pytest.MonkeyPatch.context() as patch:
        checkpoint_every(4, patch)
        cluster = Cluster(4, DISSENT, Policy(attempts_max=3))
        cluster.drop = lambda _s, _t, message: (
            isinstance(message, Signed)
            and isinstance(message.message, AnswerCommitment)
            and message.message.attempt == 1
            and message.message.epoch == 0
        )
        request_id = cluster.ask(1)
        cluster.settle(3)
        assert asked_of(cluster, request_id) == [0]
        cluster.endorse(SetPolicy(Policy(attempts_max=1)), 0, 1, 2)
        cluster.settle(30)
        cluster.settle()
        assert asked_of(cluster, request_id) == [0, 1]
        assert request_id in cluster.nodes[1].replies
        assert [node.inferences for node in cluster.nodes] == [2] * 4
        check(cluster)


def test_an_old_attempts_proposal_is_worth_nothing_later() -> None:
    """P9: the recorded proposal of attempt 0 is replayed while attempt 1 is open, and after it."""
    cluster = Cluster(4, DISSENT)
    request_id = cluster.ask(1)
    cluster.settle()
    old = [m for m in cluster.nodes[0].sent if isinstance(m, Proposal)]
    for message in old:
        cluster.hear(1, 0, message)
        again = forge.proposal(message.batch, 3)
        cluster.hear(1, 0, again)
    cluster.settle()
    assert asked_of(cluster, request_id) == [0, 1]
