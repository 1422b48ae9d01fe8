"""Castro and Liskov 1999, §4.4, §4.5.2; docs/protocol.md §8: a primary that fails is replaced."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pbft import digest, effects
from pbft.codec import encode
from pbft.digest import NULL_BATCH
from pbft.effects import ArmTimer, Broadcast, Persist, Reply, Send
from pbft.events import (
    AnswerReady,
    AnswersCompared,
    BatchesDue,
    CatchUp,
    HeldReveals,
    NewViewDue,
    PeerDown,
    PeerUp,
    PrimaryDue,
    RevealGrace,
    TimerFired,
)
from pbft.messages import (
    AnswerCommitment,
    AnswerReveal,
    BatchContent,
    BatchWanted,
    Commit,
    DecidedSlot,
    Height,
    NamedViewChange,
    NewView,
    Prepare,
    Proposal,
    Request,
    Seal,
    SealChain,
    Signed,
    ViewChange,
)
from pbft.new_view import plan, view_change_fault
from pbft.opening import name
from pbft.policy import Policy
from pbft.records import ViewEntered, ViewLeft
from pbft.types import Epoch, ReplicaId, View
from tests.support import forge
from tests.support.cluster import Cluster, answer
from tests.support.forge import new_view, resign, view_change
from tests.support.scenes import before_the_proposal, only_item
from tests.support.solo import Solo
from tests.support.statements import contradictions

NOBODY = bytes(64)
ASKED = forge.request(3)
ID = digest.request_id(ASKED)


def body(message: object) -> object:
    return message.message if isinstance(message, Signed) else message


def from_primary(kind: type) -> Callable[[ReplicaId, ReplicaId, object], bool]:
    """Loses what R0 sends of this kind."""
    return lambda source, _target, message: source == 0 and isinstance(body(message), kind)


def batch_of(number: int = 1) -> tuple[Any, ...]:
    asked = forge.request(3, number)
    openings = tuple(forge.reveal(digest.request_id(asked), i) for i in range(4))
    return (forge.item(asked, openings, (9_600,) * 6),)


def joined(me: int, view: int = 1) -> Solo:
    """`me` has left view 0 because two others asked for a later one."""
    solo = Solo(me)
    for replica in (0, 3):
        solo.hear(view_change(replica, view))
    assert (solo.replica.view, solo.replica._context.active) == (view, False)
    return solo


def entered(me: int, votes: list[Signed[ViewChange]] | None = None) -> Solo:
    """`me`, not its primary, is in view 1."""
    solo = joined(me)
    solo.enter(votes or [view_change(i) for i in (0, 1, 3)])
    assert solo.replica._context.active
    return solo


def armed(solo: Solo) -> dict[Any, int]:
    """Timers of the last step."""
    return {effect.timer: effect.delay_ms for effect in solo.got(ArmTimer)}


# --- suspicion ---------------------------------------------------------------------------------


def test_with_a_correct_primary_no_view_changes() -> None:
    """§4.4: hours of questions, timers and quiet leave everybody in view 0."""
    cluster = Cluster(4)
    for _ in range(5):
        cluster.ask(1)
        cluster.settle()
    assert [node.replica.view for node in cluster.nodes] == [0] * 4
    assert not [m for node in cluster.nodes for m in node.sent if isinstance(body(m), ViewChange)]


@pytest.mark.parametrize("kind", [Seal, Proposal, object], ids=["seal", "proposal", "all"])
def test_a_primary_that_stalls_is_replaced(kind: type) -> None:
    """§4.5.2, C2: it hides the seal, the proposal or everything; the others replace it once, and
    the question is decided in view 1."""
    cluster = Cluster(4)
    cluster.drop = from_primary(kind)
    request_id = cluster.ask(1)
    cluster.settle()
    assert [request_id in node.replies for node in cluster.nodes[1:]] == [True] * 3
    assert [node.replica.view for node in cluster.nodes[1:]] == [1] * 3
    assert [node.evidence for node in cluster.nodes] == [[]] * 4


@pytest.mark.parametrize("kind", [AnswerReveal, AnswerCommitment, Commit])
def test_a_primary_is_not_replaced_for_what_is_its_own(kind: type) -> None:
    """§8: its own answer and its own commit are not needed for a quorum."""
    cluster = Cluster(4)
    cluster.drop = from_primary(kind)
    request_id = cluster.ask(1)
    cluster.settle()
    assert [request_id in node.replies for node in cluster.nodes] == [True] * 4
    assert [node.replica.view for node in cluster.nodes] == [0] * 4


@pytest.mark.parametrize(("n", "down"), [(4, 1), (7, 2), (10, 3)])
def test_f_dead_primaries_in_a_row_are_passed_over(n: int, down: int) -> None:
    """V13, §4.4: a request pending across several view changes stays watched, and is decided in the
    first view whose primary lives."""
    cluster = Cluster(n)
    for i in range(down):
        cluster.crash(i)
    request_id = cluster.ask(n - 1)
    cluster.settle(600)
    assert [request_id in node.replies for node in cluster.nodes[down:]] == [True] * (n - down)
    assert [node.replica.view for node in cluster.nodes[down:]] == [down] * (n - down)


def test_a_primary_without_connection_is_given_up_quickly() -> None:
    """§4: with a primary that is away the wait is 0.3 s, and the first suspicion is the last."""
    solo = Solo(1)
    solo.hear(forge.sign(ASKED))
    for replica in (2, 3):
        solo.hear(forge.commitment(forge.reveal(ID, replica)))
    solo.step(AnswerReady(ID, 0, answer("Paris"), bytes(32)))
    assert armed(solo)[PrimaryDue(ID, 0)] == 3_500
    solo.step(PeerDown(ReplicaId(0)))
    assert armed(solo)[PrimaryDue(ID, 0)] == 300
    solo.step(TimerFired(PrimaryDue(ID, 0)))
    assert [vote.view for vote in solo.said(ViewChange)] == [1]


def test_the_primary_is_helped_before_it_is_suspected() -> None:
    """§4, C1: it gets what it may lack and as much time again; only then it is suspected. The
    commitments come before the request, which it may take because of them only."""
    solo = Solo(1)
    solo.hear(forge.sign(ASKED))
    given = [forge.commitment(forge.reveal(ID, replica)) for replica in (2, 3)]
    for message in given:
        solo.hear(message)
    solo.step(AnswerReady(ID, 0, answer("Paris"), bytes(32)))
    solo.step(TimerFired(PrimaryDue(ID, 0)))
    sent = [effect.message for effect in solo.got(Send) if effect.replica == 0]
    assert sent[-1] == forge.sign(ASKED)
    assert set(given) < set(sent)
    assert armed(solo) == {PrimaryDue(ID, 0): 2_000}
    assert solo.said(ViewChange) == []
    solo.step(TimerFired(PrimaryDue(ID, 0)))
    assert [vote.view for vote in solo.said(ViewChange)] == [1]


def test_the_time_that_models_take_is_nobodys_fault() -> None:
    """§4: before there are q commitments, or q reveals, no clock runs against the primary."""
    solo = Solo(1)
    solo.hear(forge.sign(ASKED))
    solo.step(AnswerReady(ID, 0, answer("Paris"), bytes(32)))
    solo.hear(forge.commitment(forge.reveal(ID, 2)))
    assert not [e for e in solo.all if isinstance(e, ArmTimer) and isinstance(e.timer, PrimaryDue)]


def test_a_request_that_comes_after_its_decision_causes_no_suspicion() -> None:
    """V14: nor does a repeated proposal, commitment or seal of a decided slot."""
    cluster = Cluster(4)
    cluster.ask(1)
    cluster.settle()
    for message in [m for node in cluster.nodes for m in node.sent]:
        if isinstance(message, Proposal) or isinstance(
            body(message), Request | AnswerCommitment | Seal | AnswerReveal | Prepare | Commit
        ):
            for target in (2, 3):
                cluster.hear(target, 1, message)
    assert [list(node.timers) for node in cluster.nodes[2:]] == [[CatchUp()]] * 2
    cluster.settle(60)
    assert [node.replica.view for node in cluster.nodes] == [0] * 4


def test_an_answer_that_the_primary_owes_must_be_in_its_proposal() -> None:
    """§4: two graces after the seal a backup refuses a proposal without an answer that it passed
    on to the primary; before, it does not."""
    for graces, reason in [(1, []), (2, ["left-out"])]:
        solo = Solo(1)
        solo.hear(forge.sign(ASKED))
        openings = [forge.reveal(ID, replica) for replica in range(4)]
        solo.step(AnswerReady(ID, 0, openings[1].answer, openings[1].salt))
        seal = forge.seal(tuple(forge.commitment(opening) for opening in openings))
        solo.hear(seal)
        for replica in (0, 2, 3):
            solo.hear(forge.sign(openings[replica]))
        for _ in range(graces):
            solo.step(TimerFired(HeldReveals(ID, 0)))
        without = forge.item(ASKED, tuple(openings[:3]), (9_600,) * 3, seals=(seal,))
        solo.hear(forge.proposal((without,)))
        assert solo.refusals() == reason


def test_a_primary_that_leaves_out_an_answer_is_replaced() -> None:
    """§4: R0 never includes R3's answer; the proposal gets no prepares, and R1 decides with it."""
    cluster = Cluster(4)
    cluster.drop = lambda source, target, message: (
        (target == 0 and isinstance(body(message), AnswerReveal) and body(message).replica == 3)  # type: ignore[attr-defined]
        or (source == 0 and isinstance(message, Proposal) and cluster.now_ms < 2_000)
    )
    request_id = cluster.ask(1)
    cluster.settle(3)
    cluster.reconnect()
    cluster.settle()
    (slot,) = cluster.nodes[1].ledger.values()
    assert [r.message.replica for r in slot.batch[0].reveals] == [0, 1, 2, 3]
    assert request_id in cluster.nodes[3].replies
    assert cluster.nodes[1].replica.view == 1
    assert "left-out" in cluster.nodes[1].refused


# --- leaving a view and joining ----------------------------------------------------------------


def test_a_view_change_is_on_disk_before_it_leaves() -> None:
    """§8: Persist(ViewLeft) stands before the broadcast, and holds the same message."""
    solo = joined(2)
    kinds = [e for e in solo.last if isinstance(e, Persist | Broadcast)]
    assert isinstance(kinds[0], Persist)
    assert isinstance(kinds[1], Broadcast)
    assert kinds[0].record == ViewLeft(kinds[1].message)  # type: ignore[arg-type]


def test_f_view_changes_move_nobody_and_one_more_does() -> None:
    """V9, §4.5.2: of four replicas, one asks in vain, two make a third join."""
    solo = Solo(2)
    assert solo.hear(view_change(0)) == []
    assert solo.replica.view == 0
    solo.hear(view_change(3))
    assert solo.replica.view == 1
    assert [vote.view for vote in solo.said(ViewChange)] == [1]


def test_a_replica_that_left_alone_does_not_stop_the_others() -> None:
    """V11, §8: R3 is dead, and R1 alone has left view 0, for no good reason: it commits, is sealed
    and takes no seal. R0 and R2 must come to leave the view as well."""
    cluster = Cluster(4)
    cluster.run()
    cluster.crash(3)
    cluster.nodes[1].replica._view_changes.suspect()
    cluster.put(1, PeerDown(ReplicaId(3)))
    request_id = cluster.ask(2)
    cluster.settle(600)
    assert [request_id in cluster.nodes[i].replies for i in range(3)] == [True] * 3


def test_of_seven_replicas_three_are_needed_to_make_one_join() -> None:
    """V9, §4.5.2: f + 1, not a constant."""
    solo = Solo(2, 7)
    for replica in (0, 3):
        assert solo.hear(view_change(replica)) == []
    solo.hear(view_change(6))
    assert solo.replica.view == 1


def test_nobody_follows_one_node_however_often_it_asks() -> None:
    """V8: R3 cannot hear anyone and asks for view after view."""
    solo = Solo(2)
    for view in range(1, 30):
        solo.hear(view_change(3, view))
    assert (solo.replica.view, solo.said(ViewChange)) == (0, [])
    assert len(solo.replica._view_changes._votes) == 1


def test_the_lowest_view_that_others_want_is_joined() -> None:
    """§4.5.2: of views 7 and 3 it is 3, as one of the two replicas may be lying."""
    solo = Solo(2)
    solo.hear(view_change(0, 7))
    solo.hear(view_change(3, 3))
    assert [vote.view for vote in solo.said(ViewChange)] == [3]


def test_a_replica_that_left_votes_no_more() -> None:
    """§4.4: it accepts no seals, proposals or votes of the view that it left; commitments and
    reveals go on."""
    batch = batch_of()
    solo = joined(2)
    for message in (
        forge.proposal(batch),
        forge.prepare(3, forge.batch_digest(batch)),
        forge.commit(3, forge.batch_digest(batch)),
        batch[0].seals[0],
    ):
        solo.hear(message)
        assert solo.refusals() == ["view"]
    assert solo.said(Prepare) == []
    solo.hear(forge.sign(ASKED))
    solo.step(AnswerReady(ID, 0, answer("Paris"), bytes(32)))
    assert len(solo.said(AnswerCommitment)) == 1


def test_a_view_never_goes_backwards() -> None:
    """V3: in view 5, a recorded quorum for view 2 and its new-view change nothing."""
    solo = joined(2, 5)
    solo.enter([view_change(i, 5) for i in (0, 1, 3)])
    assert (solo.replica.view, solo.replica._context.active) == (5, True)
    for replica in (0, 1, 3):
        solo.hear(view_change(replica, 2))
    solo.enter([view_change(i, 2) for i in (0, 1, 3)])
    assert (solo.replica.view, solo.replica._context.active) == (5, True)
    assert [vote.view for vote in solo.said(ViewChange)] == [5]


def test_the_time_to_wait_doubles_and_goes_back() -> None:
    """§4.5.2: 2, 4, 8 … 64 seconds, not more; each decision halves it."""
    solo = joined(2)
    assert armed(solo)[NewViewDue(Epoch(0), View(1))] == 2_000
    waits = []
    for view in range(2, 9):
        solo.step(TimerFired(NewViewDue(Epoch(0), View(view - 1))))
        waits.append(armed(solo)[NewViewDue(Epoch(0), View(view))])
        # A quorum wants this view or a later one, but only two of them this one.
        solo.hear(view_change(0, view + view % 2))
        solo.hear(view_change(3, view + 1 - view % 2))
    assert waits == [4_000, 8_000, 16_000, 32_000, 64_000, 64_000, 64_000]
    # View 9 comes about, with R1 as its primary, and slots are decided in it.
    solo.enter([view_change(i, 9) for i in (0, 1, 3)])
    assert solo.replica._context.view_timeout_ms == 64_000
    for number in range(1, 9):
        batch = batch_of(number)
        of = forge.batch_digest(batch)
        solo.hear(forge.proposal(batch, number, view=View(9), replica=ReplicaId(1)))
        for replica in (0, 1, 3):
            solo.hear(forge.commit(replica, of, number, 9))
    assert solo.replica.applied == 8
    assert solo.replica._context.view_timeout_ms == 2_000


def test_without_a_quorum_a_view_change_is_repeated() -> None:
    """§8: a replica that hears nobody repeats itself and climbs no views alone."""
    solo = Solo(2)
    solo.hear(view_change(0))
    solo.replica._view_changes.suspect()
    solo.step(TimerFired(CatchUp()))
    (mine,) = solo.said(ViewChange)
    for _ in range(5):
        solo.step(TimerFired(NewViewDue(Epoch(0), View(1))))
        assert [e.message.message for e in solo.got(Broadcast)] == [mine]  # type: ignore[union-attr]
        assert armed(solo) == {NewViewDue(Epoch(0), View(1)): 2_000}
    assert solo.replica.view == 1


def test_a_timer_of_a_view_that_is_past_does_nothing() -> None:
    """§8: only the clock of the current view counts."""
    solo = joined(2, 3)
    for view in (1, 2, 4):
        assert solo.step(TimerFired(NewViewDue(Epoch(0), View(view)))) == []


def test_view_changes_are_sent_again_when_the_partition_heals() -> None:
    """V7: only R0 is linked to the others and stalls; all ask for view 1 in vain, until the links
    are up."""
    cluster = Cluster(4)
    apart = True

    def drop(source: ReplicaId, target: ReplicaId, message: object) -> bool:
        silent = source == 0 and isinstance(body(message), Seal | Proposal)
        return silent or (
            apart and 0 not in (source, target) and isinstance(body(message), ViewChange | NewView)
        )

    cluster.drop = drop
    request_id = cluster.ask(1)
    cluster.settle(30)
    assert [node.replica._context.active for node in cluster.nodes] == [False] * 4
    apart = False
    cluster.reconnect()
    cluster.settle()
    assert [request_id in node.replies for node in cluster.nodes] == [True] * 4


def test_who_is_behind_is_shown_the_new_view() -> None:
    """§7, §8: upon a height or a view-change of an earlier view, the new-view is sent; once until
    the next look."""
    solo = entered(2)
    shown = new_view([view_change(i) for i in (0, 1, 3)])
    assert solo.hear(forge.height(3, 0, view=0)) == [Send(ReplicaId(3), shown)]
    assert solo.hear(view_change(3, 1)) == []
    solo.step(TimerFired(CatchUp()))
    assert solo.hear(view_change(3, 1)) == [Send(ReplicaId(3), shown)]
    assert solo.hear(forge.height(3, 0, view=0)) == []
    solo.step(PeerUp(ReplicaId(3)))
    assert solo.hear(forge.height(3, 0, view=0)) == [Send(ReplicaId(3), shown)]
    assert solo.hear(forge.height(3, 0, view=1)) == []


def test_a_new_view_that_was_lost_is_learned_from_heights() -> None:
    """§7, §8: R3 heard nothing of the change to view 1; it is told when it can be heard again."""
    cluster = Cluster(4)
    cluster.drop = lambda source, target, message: (
        from_primary(Proposal)(source, target, message)
        or (
            target == 3
            and isinstance(body(message), ViewChange | NewView)
            and cluster.now_ms < 8_000
        )
    )
    cluster.ask(1)
    cluster.settle()
    assert [node.replica.view for node in cluster.nodes] == [1] * 4
    assert cluster.nodes[3].replica._context.active


# --- what a view-change must hold --------------------------------------------------------------


def chain(view: int = 0, of: Request = ASKED) -> SealChain:
    openings = [forge.reveal(digest.request_id(of), replica) for replica in (0, 1, 2)]
    commitments = tuple(forge.commitment(opening) for opening in openings)
    return SealChain((forge.seal(commitments, view=View(view), replica=ReplicaId(view % 4)),))


def with_prepares(*prepares: Signed[Prepare], **changes: Any) -> Any:
    return replace(forge.prepared(forge.D1), prepares=prepares, **changes)


P2, P3 = forge.prepare(2, forge.D1), forge.prepare(3, forge.D1)
BAD_VIEW_CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("view 0", "view-change-shape", {"view": View(0)}),
    ("stable between checkpoints", "view-change-shape", {"stable": 63}),
    ("another epoch", "epoch", {"epoch": 1}),
    ("stable without proof", "view-change-proof", {"stable": 64}),
    ("proof of nothing", "view-change-proof", {"proof": forge.checkpoint_proof()}),
    (
        "small proof",
        "view-change-proof",
        {"stable": 64, "proof": forge.checkpoint_proof()[:2]},
    ),
    (
        "one twice in the proof",
        "view-change-proof",
        {"stable": 64, "proof": (*forge.checkpoint_proof()[:2], forge.checkpoint(1))},
    ),
    (
        "proof of two states",
        "view-change-proof",
        {"stable": 64, "proof": (*forge.checkpoint_proof()[:2], forge.checkpoint(2, 64, forge.D2))},
    ),
    (
        "proof of another number",
        "view-change-proof",
        {"stable": 64, "proof": forge.checkpoint_proof(128)},
    ),
    (
        "unsigned proof",
        "view-change-proof",
        {
            "stable": 64,
            "proof": (
                *forge.checkpoint_proof()[:2],
                replace(forge.checkpoint(2), signature=NOBODY),
            ),
        },
    ),
    ("slot twice", "view-change-shape", {"prepared": (forge.prepared(forge.D1),) * 2}),
    (
        "slots out of order",
        "view-change-shape",
        {"prepared": (forge.prepared(forge.D1, 2), forge.prepared(forge.D1, 1))},
    ),
    ("slot 0", "view-change-shape", {"prepared": (forge.prepared(forge.D1, 0),)}),
    ("slot above the window", "view-change-shape", {"prepared": (forge.prepared(forge.D1, 257),)}),
    (
        "slot below its stable checkpoint",
        "view-change-shape",
        {
            "stable": 64,
            "proof": forge.checkpoint_proof(),
            "prepared": (forge.prepared(forge.D1, 64),),
        },
    ),
    (
        "certificate of the view asked for",
        "view-change-prepared",
        {"prepared": (forge.prepared(forge.D1, 1, 1),)},
    ),
    ("too few prepares", "view-change-prepared", {"prepared": (with_prepares(P2),)}),
    ("one prepare twice", "view-change-prepared", {"prepared": (with_prepares(P2, P2),)}),
    (
        "the primary's prepare",
        "view-change-prepared",
        {"prepared": (with_prepares(forge.prepare(0, forge.D1), P2),)},
    ),
    (
        "prepares for another digest",
        "view-change-prepared",
        {"prepared": (with_prepares(P2, forge.prepare(3, forge.D2)),)},
    ),
    (
        "prepares for another slot",
        "view-change-prepared",
        {"prepared": (with_prepares(P2, forge.prepare(3, forge.D1, 2)),)},
    ),
    (
        "an unsigned prepare",
        "view-change-prepared",
        {"prepared": (with_prepares(P2, replace(P3, signature=NOBODY)),)},
    ),
    (
        "a backup's pre-prepare",
        "view-change-prepared",
        {
            "prepared": (
                with_prepares(
                    P2, P3, pre_prepare=forge.pre_prepare(forge.D1, replica=ReplicaId(1))
                ),
            )
        },
    ),
    ("an empty chain", "view-change-seals", {"chains": (SealChain(()),)}),
    ("a seal of the view asked for", "view-change-seals", {"chains": (chain(1),)}),
    ("a chain twice", "view-change-seals", {"chains": (chain(), chain())}),
    (
        "a seal by a backup",
        "seal-not-primary",
        {"chains": (SealChain((resign(chain().seals[0], replica=ReplicaId(2)),)),)},
    ),
    (
        "an unsigned seal",
        "signature",
        {"chains": (SealChain((replace(chain().seals[0], signature=NOBODY),)),)},
    ),
]


@pytest.mark.parametrize(
    ("reason", "changes"),
    [row[1:] for row in BAD_VIEW_CHANGES],
    ids=[row[0] for row in BAD_VIEW_CHANGES],
)
def test_a_view_change_counts_whole_or_not_at_all(reason: str, changes: dict[str, Any]) -> None:
    """§4.4, V4: one wrong part makes it wrong, and it makes nobody join."""
    bad = view_change(3, **changes)
    assert view_change_fault(bad.message, forge.rules(4)) == reason
    solo = Solo(2)
    solo.hear(view_change(0))
    if bad.message.view > 0:
        solo.hear(bad)
        assert solo.refusals() == [reason]
    assert solo.replica.view == 0


def test_the_view_changes_above_are_right_until_spoilt() -> None:
    """§4.4: with a proof, certificates and chains as they should be, a view-change counts."""
    right = view_change(
        3,
        2,
        stable=64,
        proof=forge.checkpoint_proof(),
        prepared=(forge.prepared(forge.D1, 65), forge.prepared(forge.D2, 320, 1)),
        chains=(chain(),),
    )
    assert view_change_fault(right.message, forge.rules(4)) is None


@pytest.mark.parametrize(
    "forged",
    [
        forge.sign_as(3, view_change(1).message),
        replace(view_change(1), signature=NOBODY),
        resign(view_change(1), network=bytes(32)),
        forge.sign_as(3, replace(view_change(1).message, replica=ReplicaId(4))),
    ],
    ids=["another's key", "unsigned", "another network", "nobody"],
)
def test_a_view_change_in_anothers_name_does_not_count(forged: Signed[ViewChange]) -> None:
    """P4: only the signer's own view-change makes anybody join."""
    solo = Solo(2)
    solo.hear(view_change(3))
    solo.hear(forged, source=3)
    assert solo.refusals() == ["signature"]
    assert solo.replica.view == 0


def test_a_view_change_tells_what_was_prepared_and_sealed() -> None:
    """§4.4: P holds the newest certificate of each slot, chains the seals of what is undecided."""
    batch = batch_of()
    of = forge.batch_digest(batch)
    solo = Solo(1)
    solo.hear(forge.proposal(batch))
    for replica in (2, 3):
        solo.hear(forge.prepare(replica, of))
    for replica in (0, 3):
        solo.hear(view_change(replica))
    (vote,) = solo.said(ViewChange)
    assert [
        (c.pre_prepare.message.sequence_number, c.pre_prepare.message.digest) for c in vote.prepared
    ] == [(1, of)]
    assert [c.seals for c in vote.chains] == [batch[0].seals]
    assert view_change_fault(vote, forge.rules(4)) is None


# --- what follows from view-changes ------------------------------------------------------------


def test_the_plan_has_the_newest_certificate_of_every_slot_and_null_between() -> None:
    """§4.4, V12: view 2's digest wins over view 0's, slots that nobody prepared are null, and
    nothing comes after the last."""
    votes = [
        view_change(0, 3, prepared=(forge.prepared(forge.D1, 1), forge.prepared(forge.D1, 3))),
        view_change(1, 3, prepared=(forge.prepared(forge.D2, 3, 2),)),
        view_change(2, 3),
    ]
    assert plan(votes).digests == {1: forge.D1, 2: NULL_BATCH, 3: forge.D2}
    assert plan(votes[::-1]).digests == plan(votes).digests


def test_the_plan_starts_from_the_greatest_stable_checkpoint() -> None:
    """V5, S1: view-changes with different checkpoints; what is below the greatest is done."""
    proof = forge.checkpoint_proof()
    votes = [
        view_change(0, prepared=(forge.prepared(forge.D1, 63), forge.prepared(forge.D1, 66))),
        view_change(2, stable=64, proof=proof),
        view_change(3),
    ]
    planned = plan(votes)
    assert (planned.stable, planned.proof) == (64, proof)
    assert planned.digests == {65: NULL_BATCH, 66: forge.D1}


def test_the_plan_keeps_the_longest_chain_of_the_latest_view() -> None:
    """§8: of two chains for one request, the later view's; in one view, the longer."""
    first = chain().seals[0]
    late = forge.seal((forge.commitment(forge.reveal(ID, 3)),), (first,))
    later = forge.seal(
        (forge.commitment(forge.reveal(ID, 3)),), (first,), view=View(1), replica=ReplicaId(1)
    )
    short, long, newest = (SealChain(s) for s in ((first,), (first, late), (first, later)))
    votes = [view_change(0, 2, chains=(short,)), view_change(1, 2, chains=(long,))]
    assert plan(votes).chains == {(ID, 0): long.seals}
    votes.append(view_change(2, 2, chains=(newest,)))
    assert plan(votes).chains == {(ID, 0): newest.seals}


# --- opening a view ----------------------------------------------------------------------------


def test_the_new_primary_opens_the_view_with_q_view_changes() -> None:
    """§4.4: with its own and two more, not before; only the primary of that view does."""
    solo = Solo(1)
    solo.hear(view_change(2))
    assert solo.said(NewView) == []
    solo.hear(view_change(3, prepared=(forge.prepared(forge.D1, 2),)))
    (opened,) = solo.said(NewView)
    assert [named.replica for named in opened.view_changes] == [1, 2, 3]
    assert [p.message.digest for p in opened.pre_prepares] == [NULL_BATCH, forge.D1]
    assert solo.replica._context.active
    backup = joined(2)
    backup.hear(view_change(1))
    assert backup.said(NewView) == []


def test_a_new_view_is_on_disk_before_it_leaves() -> None:
    """§8: else a primary that crashes in between opens the same view twice, differently."""
    solo = Solo(1)
    for replica in (2, 3):
        solo.hear(view_change(replica))
    kinds = [
        type(body(e.record if isinstance(e, Persist) else e.message))
        for e in solo.last
        if isinstance(e, Persist | Broadcast)
    ]
    assert kinds.index(ViewEntered) < kinds.index(NewView)


def test_an_invalid_certificate_hides_nobodys_valid_one() -> None:
    """V4: R3's view-change with a forged certificate is refused whole; R2's certificate counts."""
    solo = Solo(1)
    solo.hear(view_change(3, prepared=(with_prepares(P2, replace(P3, signature=NOBODY)),)))
    assert solo.refusals() == ["view-change-prepared"]
    solo.hear(view_change(2, prepared=(forge.prepared(forge.D1),)))
    solo.hear(view_change(0))
    (opened,) = solo.said(NewView)
    assert [p.message.digest for p in opened.pre_prepares] == [forge.D1]


VOTES = [view_change(0), view_change(1), view_change(3, prepared=(forge.prepared(forge.D1, 2),))]
RIGHT = new_view(VOTES)
NULL_1, GIVEN_2 = RIGHT.message.pre_prepares


def in_view_1(of: Any, number: int, **changes: Any) -> Signed[Any]:
    return forge.pre_prepare(of, number, **({"view": View(1), "replica": ReplicaId(1)} | changes))


def of_votes(*votes: Signed[ViewChange]) -> Signed[NewView]:
    return resign(RIGHT, view_changes=tuple(name(vote) for vote in votes))


def of_slots(*pre_prepares: Signed[Any]) -> Signed[NewView]:
    return resign(RIGHT, pre_prepares=pre_prepares)


BAD_NEW_VIEWS: list[tuple[str, str, Signed[NewView]]] = [
    ("no view-changes", "new-view-quorum", of_votes()),
    ("too few", "new-view-quorum", of_votes(VOTES[0], VOTES[2])),
    ("one twice", "new-view-quorum", of_votes(VOTES[0], VOTES[2], VOTES[2])),
    ("out of order", "new-view-quorum", of_votes(VOTES[1], VOTES[0], VOTES[2])),
    (
        "one of nobody",
        "new-view-quorum",
        resign(
            RIGHT,
            view_changes=(
                *RIGHT.message.view_changes,
                NamedViewChange(ReplicaId(4), digest.DIGEST_ZERO),
            ),
        ),
    ),
    ("by another", "not-primary", resign(RIGHT, replica=ReplicaId(3))),
    ("signed by another", "signature", forge.sign_as(3, RIGHT.message)),
    ("another network", "signature", resign(RIGHT, network=bytes(32))),
    ("another epoch", "epoch", resign(RIGHT, epoch=1)),
    ("null over a certificate", "new-view-plan", of_slots(NULL_1, in_view_1(NULL_BATCH, 2))),
    ("another null", "new-view-plan", of_slots(in_view_1(digest.DIGEST_ZERO, 1), GIVEN_2)),
    ("another digest", "new-view-plan", of_slots(NULL_1, in_view_1(forge.D2, 2))),
    ("one missing", "new-view-plan", of_slots(NULL_1)),
    ("none", "new-view-plan", of_slots()),
    ("one more", "new-view-plan", of_slots(NULL_1, GIVEN_2, in_view_1(forge.D2, 3))),
    ("swapped", "new-view-plan", of_slots(GIVEN_2, NULL_1)),
    (
        "a pre-prepare of another view",
        "new-view-plan",
        of_slots(NULL_1, in_view_1(forge.D1, 2, view=View(5))),
    ),
    (
        "an unsigned pre-prepare",
        "signature",
        of_slots(NULL_1, replace(GIVEN_2, signature=NOBODY)),
    ),
]


@pytest.mark.parametrize(
    ("reason", "bad"), [row[1:] for row in BAD_NEW_VIEWS], ids=[row[0] for row in BAD_NEW_VIEWS]
)
def test_a_wrong_new_view_is_not_entered(reason: str, bad: Signed[NewView]) -> None:
    """V2, V6, §4.4: a backup computes everything again; what it refuses leaves no trace, and the
    right one is entered after it."""
    solo = joined(2)
    reasons = hear_all(solo, bad, VOTES)
    assert reasons == [reason]
    assert (solo.replica.view, solo.replica._context.active) == (1, False)
    assert not any(isinstance(record, ViewEntered) for record in solo.log)
    assert hear_all(solo, RIGHT, VOTES) == []
    assert solo.replica._context.active
    assert [(p.view, p.sequence_number, p.digest) for p in solo.said(Prepare)] == [
        (1, 1, NULL_BATCH),
        (1, 2, forge.D1),
    ]


def hear_all(solo: Solo, shown: Signed[NewView], votes: Sequence[Signed[ViewChange]]) -> list[str]:
    """R1 shows a new-view, and answers with these view-changes. Why anything was refused."""
    reasons = []
    for message in (shown, *votes):
        solo.hear(message, source=1)
        reasons += solo.refusals()
    return reasons


STRANGE: list[tuple[str, list[str], Signed[ViewChange]]] = [
    ("for another view", [], view_change(3, 5)),
    ("unsigned", ["signature"], replace(VOTES[2], signature=NOBODY)),
    (
        "invalid",
        ["view-change-prepared"],
        view_change(3, prepared=(with_prepares(P2),)),
    ),
    ("of another epoch", ["epoch"], view_change(3, epoch=Epoch(1))),
]


@pytest.mark.parametrize(
    ("reasons", "strange"), [row[1:] for row in STRANGE], ids=[row[0] for row in STRANGE]
)
def test_a_new_view_counts_only_with_right_view_changes(
    reasons: list[str], strange: Signed[ViewChange]
) -> None:
    """V4, §4.4: a new-view is no better than what it names, however it comes here."""
    solo = joined(2)
    votes = [*VOTES[:2], strange]
    assert hear_all(solo, of_votes(*votes), votes) == reasons
    assert not solo.replica._context.active
    assert not any(isinstance(record, ViewEntered) for record in solo.log)
    assert hear_all(solo, RIGHT, VOTES) == []
    assert solo.replica._context.active


def test_view_0_is_never_opened() -> None:
    """V2: there is no new-view of view 0, whoever signs it."""
    solo = Solo(2)
    solo.hear(resign(RIGHT, view=View(0), replica=ReplicaId(0)))
    assert solo.got(Persist) == []


def test_a_new_view_may_be_entered_without_having_asked_for_it() -> None:
    """§4.4: q others did, which is proof enough."""
    solo = Solo(2)
    solo.enter(VOTES)
    assert (solo.replica.view, solo.replica._context.active) == (1, True)


def test_a_new_view_that_comes_again_changes_nothing() -> None:
    """S3: it is entered once."""
    solo = joined(2)
    solo.enter(VOTES)
    assert solo.hear(RIGHT) == []
    assert hear_all(solo, RIGHT, VOTES) == []
    assert solo.got(Persist) == []


# --- safety across views -----------------------------------------------------------------------


def test_what_was_decided_stays_decided() -> None:
    """V1: R1 to R3 are prepared, only R1 decides, R0 dies, and the decision reaches nobody: view 1
    decides the same batch for the slot, and R1 has nothing to take back."""
    cluster = Cluster(4)
    cluster.drop = lambda _source, target, message: (
        (
            target != 1 and isinstance(body(message), Commit) and body(message).view == 0  # type: ignore[attr-defined]
        )
        or isinstance(body(message), DecidedSlot | Height)
    )
    request_id = cluster.ask(2)
    cluster.run()
    assert [sorted(node.ledger) for node in cluster.nodes] == [[], [1], [], []]
    first = forge.batch_digest(cluster.nodes[1].ledger[1].batch)
    cluster.crash(0)
    cluster.settle()
    for node in cluster.nodes[2:]:
        commits = node.ledger[1].commits
        assert {(c.message.view, c.message.digest) for c in commits} == {(1, first)}
        assert request_id in node.replies
    assert len(cluster.nodes[1].replies) == 1


def test_a_replica_votes_again_for_what_it_has_decided() -> None:
    """V1, §4.4: whoever decided in view 0 sends prepare and commit in view 1 for those who did
    not, and neither replies nor applies twice."""
    batch = batch_of()
    of = forge.batch_digest(batch)
    solo = Solo(2)
    slot = DecidedSlot(batch, tuple(forge.commit(i, of) for i in (0, 1, 3)))
    solo.hear(slot, source=3)
    solo.enter([view_change(i, prepared=(forge.prepared(of),)) for i in (0, 1, 3)])
    solo.hear(forge.prepare(3, of, 1, 1))
    assert [(p.view, p.digest) for p in solo.said(Prepare)] == [(1, of)]
    assert [(c.view, c.digest) for c in solo.said(Commit)] == [(1, of)]
    for replica in (0, 1, 3):
        solo.hear(forge.commit(replica, of, 1, 1))
    assert len([e for e in solo.all if isinstance(e, Reply)]) == 1


def test_votes_of_different_views_are_not_added_up() -> None:
    """§4.4: a commit of view 0 does not complete the quorum of view 1."""
    batch = batch_of()
    of = forge.batch_digest(batch)
    solo = Solo(2)
    solo.hear(forge.proposal(batch))
    for replica in (0, 3):
        solo.hear(forge.commit(replica, of))
    solo.enter([view_change(i, prepared=(forge.prepared(of),)) for i in (0, 1, 3)])
    solo.hear(forge.commit(1, of, 1, 1))
    assert not [e for e in solo.all if isinstance(e, Reply)]


@pytest.mark.parametrize("seq", [1, 2])
def test_an_equivocating_primary_is_overcome(seq: int) -> None:
    """P6, P7: R0 shows one batch to R1 and R2 under one number and another batch, or the same under
    another number, to R3; honest ledgers agree, and the request is decided once."""
    cluster, honest = before_the_proposal()
    item = only_item(honest)
    other = batch_of(9) if seq == 1 else (item,)
    cluster.crash(0)
    for target in (1, 2):
        cluster.hear(target, 0, forge.proposal((item,), 3 - seq))
    cluster.hear(3, 0, forge.proposal(other, seq))
    cluster.settle()
    ledgers = [
        [forge.batch_digest(node.ledger[i].batch) for i in sorted(node.ledger)]
        for node in cluster.nodes[1:]
    ]
    assert ledgers[0] == ledgers[1] == ledgers[2]
    decided = [
        digest.request_id(i.request.message)
        for slot in cluster.nodes[1].ledger.values()
        for i in slot.batch
    ]
    assert decided.count(digest.request_id(item.request.message)) == 1


def test_null_slots_are_applied_and_answer_nobody() -> None:
    """S4: a slot that nobody prepared is filled with the null batch, so that the next is applied,
    also after a restart."""
    cluster, honest = before_the_proposal()
    cluster.crash(0)
    for target in (1, 2, 3):
        cluster.hear(target, 0, forge.proposal(honest.batch, 2))
    cluster.ask(1)
    cluster.settle()
    for i in (1, 2, 3):
        node = cluster.nodes[i]
        assert [len(node.ledger[number].batch) for number in sorted(node.ledger)] == [0, 1, 1]
        assert len(node.replies) == 2
    cluster.crash(2)
    cluster.restart(2)
    cluster.ask(1)
    cluster.settle()
    assert sorted(cluster.nodes[2].ledger) == [1, 2, 3, 4]


# --- going on in the new view ------------------------------------------------------------------


def test_batches_known_by_digest_only_are_asked_for() -> None:
    """§8: everybody is asked, again every half second; the batch proves itself, and only then the
    slot goes on."""
    batch = batch_of()
    of = forge.batch_digest(batch)
    solo = entered(2, [view_change(i, prepared=(forge.prepared(of),)) for i in (0, 1, 3)])
    assert Broadcast(BatchWanted(of)) in solo.last
    assert armed(solo)[BatchesDue()] == 500
    solo.step(TimerFired(BatchesDue()))
    assert solo.last == [Broadcast(BatchWanted(of)), ArmTimer(BatchesDue(), 500)]
    for replica in (0, 1, 3):
        solo.hear(forge.commit(replica, of, 1, 1))
    solo.hear(BatchContent(batch_of(2)), source=3)
    assert solo.refusals() == ["batch-unwanted"]
    solo.hear(BatchContent(batch), source=3)
    assert len(solo.got(Reply)) == 1
    assert solo.step(TimerFired(BatchesDue())) == []


def test_a_batch_is_given_to_who_asks() -> None:
    """§8: from any slot that knows it; of unknown digests nothing is said."""
    batch = batch_of()
    solo = Solo(2)
    solo.hear(forge.proposal(batch))
    wanted = BatchWanted(forge.batch_digest(batch))
    assert solo.hear(wanted, source=3) == [Send(ReplicaId(3), BatchContent(batch))]
    assert solo.hear(BatchWanted(forge.D1), source=3) == []


def test_a_batch_is_given_again_when_it_may_have_been_lost() -> None:
    """V15: the question is small and the answer may be a frame: however often a peer asks, it is
    sent a batch once, and again after the next look, a new connection, or in a new view."""
    batch = batch_of()
    solo = Solo(2)
    solo.hear(forge.proposal(batch))
    wanted = BatchWanted(forge.batch_digest(batch))
    given = [Send(ReplicaId(3), BatchContent(batch))]
    assert solo.hear(wanted, source=3) == given
    assert solo.hear(wanted, source=3) == []
    assert solo.hear(wanted, source=0) == [replace(given[0], replica=ReplicaId(0))]
    solo.step(TimerFired(CatchUp()))
    assert solo.hear(wanted, source=3) == given
    solo.step(PeerUp(ReplicaId(0)))
    assert solo.hear(wanted, source=3) == []
    solo.step(PeerUp(ReplicaId(3)))
    assert solo.hear(wanted, source=3) == given


def test_a_batch_is_given_again_in_a_new_view() -> None:
    """§8: who lacks it there need not wait for the next look."""
    batch = batch_of()
    solo = Solo(2)
    votes = [
        view_change(i, prepared=(forge.prepared(forge.batch_digest(batch)),)) for i in (0, 1, 3)
    ]
    solo.hear(forge.proposal(batch))
    wanted = BatchWanted(forge.batch_digest(batch))
    assert solo.hear(wanted, source=3) == [Send(ReplicaId(3), BatchContent(batch))]
    for replica in (0, 3):
        solo.hear(view_change(replica))
    solo.enter(votes)
    assert solo.hear(wanted, source=3) == [Send(ReplicaId(3), BatchContent(batch))]
    assert solo.hear(wanted, source=3) == []


def test_a_new_primary_that_lacks_the_batch_proposes_nothing_new() -> None:
    """S2: it might give a second number to a request that it cannot see."""
    batch = batch_of()
    of = forge.batch_digest(batch)
    solo = Solo(1)
    request_id = digest.request_id(ASKED)
    solo.hear(forge.sign(ASKED))
    openings = [forge.reveal(request_id, i) for i in range(4)]
    solo.step(AnswerReady(request_id, 0, openings[1].answer, openings[1].salt))
    for replica in (2, 3):
        vote = view_change(
            replica, prepared=(forge.prepared(of),), chains=(SealChain(batch[0].seals),)
        )
        solo.hear(vote)
    for replica in (0, 2, 3):
        solo.hear(forge.sign(openings[replica]))
    (comparison,) = [e for e in solo.all if isinstance(e, effects.CompareAnswers)]
    solo.step(AnswersCompared(request_id, 0, comparison.answers, (9_600,) * 6, ()))
    assert not proposals(solo)
    solo.hear(BatchContent(batch), source=3)
    assert not proposals(solo)


def proposals(solo: Solo) -> list[Proposal]:
    return [
        e.message for e in solo.all if isinstance(e, Broadcast) and isinstance(e.message, Proposal)
    ]


def test_open_requests_are_sent_to_the_new_primary() -> None:
    """§8, V13: it may never have heard of them."""
    solo = joined(2)
    solo.hear(forge.sign(ASKED))
    solo.enter(VOTES)
    assert Send(ReplicaId(1), forge.sign(ASKED)) in solo.last


def test_late_answers_stay_late() -> None:
    """§8: R1 was not in view 0's seal and leads view 1: it must extend that seal, and its answer
    comes in the second one."""
    asked = forge.request(3)
    first = forge.seal(tuple(forge.commitment(forge.reveal(ID, i)) for i in (0, 2, 3)))
    solo = Solo(1)
    solo.hear(forge.sign(asked))
    solo.step(AnswerReady(ID, 0, answer("Paris"), bytes([1]) * 32))
    solo.hear(view_change(2, chains=(SealChain((first,)),)))
    solo.hear(view_change(3))
    assert solo.replica._context.leads
    assert solo.said(Seal) == []
    solo.step(TimerFired(RevealGrace(ID, 0)))
    (seal,) = solo.said(Seal)
    assert (seal.number, seal.view, seal.previous) == (1, 1, digest.seal_digest(first.message))
    assert [c.message.replica for c in seal.commitments] == [1]


def test_seals_that_no_view_change_carries_are_void() -> None:
    """§8: a seal that R0 showed to R2 alone is not continued, and R2 takes view 1's first seal
    without accusing anyone."""
    hidden = chain().seals[0]
    solo = Solo(2)
    solo.hear(forge.sign(ASKED))
    solo.hear(hidden)
    solo.enter([view_change(i) for i in (0, 1, 3)])
    commitments = tuple(forge.commitment(forge.reveal(ID, i)) for i in (0, 1, 3))
    solo.hear(forge.seal(commitments, view=View(1), replica=ReplicaId(1)))
    assert solo.refusals() == []
    assert solo.got(effects.Report) == []


def test_what_was_measured_under_another_seal_does_not_count() -> None:
    """§8: R0 committed to two answers; view 0's seal names one, the new view's the other. The same
    replicas' answers are measured again, as they are other answers."""
    openings = [forge.reveal(ID, i, answer(text)) for i, text in enumerate(["Paris"] * 4)]
    lie = forge.reveal(ID, 0, answer("Lyon"))
    solo = Solo(2)
    solo.hear(forge.sign(ASKED))
    solo.step(AnswerReady(ID, 0, openings[2].answer, openings[2].salt))
    solo.hear(forge.seal(tuple(forge.commitment(o) for o in (lie, *openings[1:]))))
    for opening in (lie, openings[1], openings[3]):
        solo.hear(forge.sign(opening))
    (comparison,) = solo.got(effects.CompareAnswers)
    assert comparison.texts == ("Lyon", "Paris", "Paris", "Paris")
    low = (3_000, 3_000, 3_000, 9_600, 9_600, 9_600)
    solo.step(AnswersCompared(ID, 0, comparison.answers, low, ()))
    sealed = SealChain((forge.seal(tuple(forge.commitment(o) for o in openings)),))
    solo.enter([view_change(i, chains=(sealed,)) for i in (0, 1, 3)])
    solo.hear(forge.sign(openings[0]))
    (comparison,) = solo.got(effects.CompareAnswers)
    assert comparison.texts == ("Paris",) * 4


def test_the_slots_of_a_new_view_must_be_decided_in_time() -> None:
    """§8: what a new view took over and does not decide within two timeouts ends the view."""
    votes = [view_change(i, prepared=(forge.prepared(forge.D1),)) for i in (0, 1, 3)]
    solo = entered(2, votes)
    assert armed(solo)[NewViewDue(Epoch(0), View(1))] == 4_000
    solo.step(TimerFired(NewViewDue(Epoch(0), View(1))))
    assert [vote.view for vote in solo.said(ViewChange)] == [1, 2]


# --- messages that come early ------------------------------------------------------------------


def test_messages_of_the_next_view_are_not_lost() -> None:
    """V15: R1's proposal and others' votes of view 1 overtake the new-view, and count after it."""
    batch = batch_of()
    of = forge.batch_digest(batch)
    solo = Solo(2)
    solo.hear(forge.proposal(batch, view=View(1), replica=ReplicaId(1)))
    for replica in (0, 1, 3):
        assert solo.hear(forge.commit(replica, of, 1, 1)) == []
    solo.enter([view_change(i) for i in (0, 1, 3)])
    assert len(solo.got(Reply)) == 1


def test_messages_that_wait_for_a_view_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """V15: so many bytes of each peer; its oldest make room, nobody else's."""
    vote = len(encode(forge.prepare(3, forge.D1, 100, 2**64 - 1)))
    monkeypatch.setattr("pbft.early.BYTES_MAX", 10 * vote)
    solo = Solo(2)
    solo.hear(forge.commit(0, forge.D1, 1, 1))
    for number in range(100, 110):
        assert solo.hear(forge.prepare(3, forge.D1, number, 2**64 - 1)) == []
    solo.hear(forge.prepare(3, forge.D1, 110, 2**64 - 1))
    assert solo.refusals() == ["too-early"]
    waiting = solo.replica._early._waiting
    assert [len(waiting[ReplicaId(i)]) for i in (0, 3)] == [1, 10]
    solo.hear(forge.proposal(batch_of(), 1, view=View(4), replica=ReplicaId(0)), source=3)
    assert [len(waiting[ReplicaId(i)]) for i in (0, 3)] == [1, 1], "a large one leaves little room"


def test_view_changes_for_the_greatest_view_are_one_for_each_replica() -> None:
    """V15: views up to 2^64 - 1 take no more memory than one."""
    solo = Solo(2)
    for view in (1, 2**32, 2**64 - 1):
        solo.hear(view_change(3, view))
    assert len(solo.replica._view_changes._votes) == 1
    assert solo.replica.view == 0


# --- rotation ----------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Policy:
    """Checkpoints every two slots, another primary every four."""
    for module in ("checkpoint", "new_view", "policy"):
        monkeypatch.setattr(f"pbft.{module}.CHECKPOINT_INTERVAL", 2)
    return Policy(rotation_slots=4)


def test_the_primary_hands_over_after_a_number_of_slots(small: Policy) -> None:
    """§8: four slots a view; nothing is lost or refused on the way."""
    cluster = Cluster(4, policy=small)
    for i in range(10):
        request_id = cluster.ask(i % 4)
        cluster.settle()
        assert [request_id in node.replies for node in cluster.nodes] == [True] * 4
        assert [node.replica.view for node in cluster.nodes] == [(i + 1) // 4] * 4
    assert [node.evidence for node in cluster.nodes] == [[]] * 4


def test_nobody_hands_over_to_a_primary_that_is_away(small: Policy) -> None:
    """§8: the old primary goes on until its successor is there."""
    cluster = Cluster(4, policy=small)
    cluster.crash(1)
    for i in (0, 2, 3):
        cluster.put(i, PeerDown(ReplicaId(1)))
    for _ in range(6):
        cluster.ask(0)
        cluster.settle()
    assert [cluster.nodes[i].replica.view for i in (0, 2, 3)] == [0] * 3


# --- crashes -----------------------------------------------------------------------------------


def survives_a_crash(replica: int, count: int) -> bool:
    """R0 stalls, and `replica` crashes after its `count`-th effect; False if it has fewer."""
    cluster = Cluster(4)
    cluster.drop = from_primary(Proposal)
    left = count

    def watch(me: ReplicaId, _effect: effects.Effect) -> None:
        nonlocal left
        if me == replica:
            left -= 1
            if left == 0:
                cluster.crash(replica)

    cluster.watch = watch
    cluster.ask(3)
    cluster.settle(10)
    if left > 0:
        return False
    cluster.restart(replica)
    last = cluster.ask(2)
    cluster.settle()
    where = f"R{replica} crashed after effect {count}"
    for node in cluster.nodes:
        assert contradictions(node.sent) == [], where
        assert node.evidence == [], where
        assert last in node.replies, where
        assert len(node.ledger) == len(cluster.nodes[0].ledger), where
    return True


@pytest.mark.parametrize("replica", [1, 2], ids=["new primary", "backup"])
def test_a_crash_at_any_point_of_a_view_change_is_survived(replica: int) -> None:
    """S7: after the restart nothing that was signed in either view is contradicted."""
    count = 1
    while survives_a_crash(replica, count):
        count += 3
    assert count > 30


def test_a_view_that_was_left_is_not_entered_again() -> None:
    """S7: after a restart the replica is where its log says, and repeats its view-change."""
    before = joined(2)
    after = Solo(2, records=before.log)
    assert (after.replica.view, after.replica._context.active) == (1, False)
    assert after.said(ViewChange) == before.said(ViewChange)
    after.hear(forge.proposal(batch_of()))
    assert after.refusals() == ["view"]


def test_a_view_that_was_entered_is_current_after_a_restart() -> None:
    """S7: with its votes and its new-view, which it can show to others."""
    before = entered(2)
    after = Solo(2, records=before.log)
    assert (after.replica.view, after.replica._context.active) == (1, True)
    assert isinstance(body(after.hear(forge.height(3, 0))[0].message), NewView)  # type: ignore[union-attr]
    after.step(PeerUp(ReplicaId(3)))
    assert after.replica.view == 1
