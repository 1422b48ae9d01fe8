"""Castro and Liskov 1999, §4.2: pre-prepare, prepare, commit; and what a backup refuses."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pbft import digest, effects
from pbft.codec import encode
from pbft.events import AnswersCompared, Received
from pbft.evidence import accused
from pbft.item import check_item, with_outcome
from pbft.messages import (
    BatchContent,
    BatchWanted,
    Commit,
    Equivocation,
    Item,
    Prepare,
    Proposal,
    Signed,
)
from pbft.outcome import Contradiction
from pbft.policy import Policy
from pbft.proposing import PROPOSALS_OPEN_MAX
from pbft.records import Prepared, ProposalAccepted
from pbft.types import BATCH_ITEMS_MAX, MESSAGE_BYTES_MAX, ReplicaId, View
from tests.support import forge
from tests.support.cluster import Cluster, Node, answer
from tests.support.scenes import before_the_proposal, only_item
from tests.support.solo import Solo

POLICY = Policy()
NOBODY = bytes(64)


def prepares_sent(node: Node, number: int = 1) -> list[Prepare]:
    """For the slot in question; evidence that a test brings about goes into others."""
    return [
        m.message
        for m in node.sent
        if isinstance(m, Signed)
        and isinstance(m.message, Prepare)
        and m.message.sequence_number == number
    ]


def redone(item: Item, **changes: Any) -> Item:
    """The item with changes, and with the outcome that follows from it then."""
    return with_outcome(replace(item, **changes), 4, POLICY)


def spoil(values: tuple[Any, ...], place: int, **changes: Any) -> tuple[Any, ...]:
    return (*values[:place], replace(values[place], **changes), *values[place + 1 :])


def reseal(item: Item, **changes: Any) -> Item:
    return replace(item, seals=(forge.resign(item.seals[0], **changes),))


def sealed(item: Item) -> tuple[Signed[Any], ...]:
    return item.seals[0].message.commitments


def foreign_commitment(item: Item) -> Signed[Any]:
    return forge.resign(sealed(item)[0], request_id=digest.DIGEST_ZERO)


BAD_ITEMS: list[tuple[str, str, Callable[[Item], Item]]] = [
    (
        "confidence",
        "outcome",
        lambda i: replace(i, outcome=replace(i.outcome, confidence_bp=9_601)),
    ),
    (
        "winner",
        "outcome",
        lambda i: replace(i, outcome=replace(i.outcome, clusters=((0, 1), (2, 3)))),
    ),
    (
        "representative",
        "outcome",
        lambda i: replace(i, outcome=replace(i.outcome, representative=ReplicaId(3))),
    ),
    ("heavier", "weights", lambda i: redone(i, weights=(10_001, 10_000, 10_000, 10_000))),
    ("weight missing", "weights", lambda i: replace(i, weights=i.weights[:3])),
    ("weight added", "weights", lambda i: replace(i, weights=(*i.weights, 10_000))),
    ("unsealed", "reveal-unsealed", lambda i: reseal(i, commitments=sealed(i)[:3])),
    (
        "altered",
        "reveal-mismatch",
        lambda i: replace(
            i, reveals=(*i.reveals[:3], forge.resign(i.reveals[3], answer=answer("Paris, now")))
        ),
    ),
    (
        "other salt",
        "reveal-mismatch",
        lambda i: replace(i, reveals=(*i.reveals[:3], forge.resign(i.reveals[3], salt=bytes(32)))),
    ),
    (
        "reveal unsigned",
        "signature",
        lambda i: replace(i, reveals=spoil(i.reveals, 2, signature=NOBODY)),
    ),
    (
        "request unsigned",
        "signature",
        lambda i: replace(i, request=replace(i.request, signature=NOBODY)),
    ),
    ("seal unsigned", "signature", lambda i: replace(i, seals=spoil(i.seals, 0, signature=NOBODY))),
    (
        "commitment unsigned",
        "signature",
        lambda i: reseal(i, commitments=spoil(sealed(i), 1, signature=NOBODY)),
    ),
    (
        "a copier's reveal",
        "reveal-order",
        lambda i: replace(i, reveals=(*i.reveals[:3], i.reveals[1])),
    ),
    (
        "few answers",
        "reveal-few",
        lambda i: redone(i, reveals=i.reveals[:2], weights=i.weights[:2], similarities_bp=(9_600,)),
    ),
    ("unsorted", "reveal-order", lambda i: replace(i, reveals=i.reveals[::-1])),
    ("small matrix", "matrix", lambda i: replace(i, similarities_bp=i.similarities_bp[1:])),
    ("large matrix", "matrix", lambda i: replace(i, similarities_bp=(*i.similarities_bp, 0))),
    ("above one", "matrix", lambda i: redone(i, similarities_bp=(10_001, *i.similarities_bp[1:]))),
    ("pair of none", "matrix", lambda i: replace(i, contradictions=(Contradiction(1, 4, "x"),))),
    ("pair reversed", "matrix", lambda i: replace(i, contradictions=(Contradiction(2, 1, "x"),))),
    (
        "pair with itself",
        "matrix",
        lambda i: replace(i, contradictions=(Contradiction(1, 1, "x"),)),
    ),
    ("pair twice", "matrix", lambda i: replace(i, contradictions=(Contradiction(0, 1, "x"),) * 2)),
    (
        "invented flag",
        "contradictions",
        lambda i: redone(i, contradictions=(Contradiction(0, 1, "x"),)),
    ),
    (
        "above tolerance",
        "similarity",
        lambda i: redone(i, similarities_bp=(9_600 + 201, *i.similarities_bp[1:])),
    ),
    (
        "below tolerance",
        "similarity",
        lambda i: redone(i, similarities_bp=(*i.similarities_bp[:5], 9_600 - 201)),
    ),
    ("no seal", "seal-small", lambda i: replace(i, seals=())),
    ("small seal", "seal-small", lambda i: reseal(i, commitments=sealed(i)[:2])),
    ("seal number", "seal-chain", lambda i: reseal(i, number=1)),
    ("seal chain", "seal-chain", lambda i: reseal(i, previous=forge.D1)),
    ("seal by a backup", "seal-not-primary", lambda i: reseal(i, replica=ReplicaId(2))),
    ("seal of another", "seal-foreign", lambda i: reseal(i, request_id=digest.DIGEST_ZERO)),
    ("unsorted seal", "seal-order", lambda i: reseal(i, commitments=sealed(i)[::-1])),
    ("doubled seal", "seal-order", lambda i: reseal(i, commitments=(sealed(i)[0], *sealed(i)))),
    (
        "sealed commitment of another request",
        "seal-foreign",
        lambda i: reseal(i, commitments=(foreign_commitment(i), *sealed(i)[1:])),
    ),
    ("item of another attempt", "seal-foreign", lambda i: replace(i, attempt=1)),
]


@pytest.mark.parametrize(
    ("reason", "spoilt"), [row[1:] for row in BAD_ITEMS], ids=[row[0] for row in BAD_ITEMS]
)
def test_a_backup_refuses_a_wrong_item(reason: str, spoilt: Callable[[Item], Item]) -> None:
    """§4.2, DESIGN 3.6: a proposal that breaks one rule gets that rule's name and no prepare."""
    cluster, honest = before_the_proposal()
    cluster.hear(1, 0, forge.proposal((spoilt(only_item(honest)),)))
    assert cluster.nodes[1].refused == [reason]
    assert prepares_sent(cluster.nodes[1]) == []


def test_the_items_above_are_right_until_spoilt() -> None:
    """The honest item, signed the same way, is prepared: the refusals have no other cause."""
    cluster, honest = before_the_proposal()
    cluster.hear(1, 0, forge.proposal(honest.batch))
    assert cluster.nodes[1].refused == []
    assert len(prepares_sent(cluster.nodes[1])) == 1


@pytest.mark.parametrize("difference_bp", [-200, 200])
def test_the_tolerance_itself_is_within_the_tolerance(difference_bp: int) -> None:
    """DESIGN 3.6: off by exactly the tolerance is accepted; by one more is not (above)."""
    cluster, honest = before_the_proposal()
    item = only_item(honest)
    off = redone(item, similarities_bp=(9_600 + difference_bp, *item.similarities_bp[1:]))
    cluster.hear(1, 0, forge.proposal((off,)))
    assert cluster.nodes[1].refused == []
    assert len(prepares_sent(cluster.nodes[1])) == 1


@pytest.mark.parametrize(
    "claimed", [(), (Contradiction(0, 1, "units"),), (Contradiction(0, 2, "numbers"),)], ids=str
)
def test_a_contradiction_that_a_backup_found_must_be_in_the_proposal(
    claimed: tuple[Contradiction, ...],
) -> None:
    """DESIGN 3.6: flags follow from rules, so that leaving one out or renaming it is refused."""
    flags = (Contradiction(0, 1, "numbers"),)
    cluster, honest = before_the_proposal(compare=lambda _answers: ((9_600,) * 6, flags))
    item = only_item(honest)
    assert item.contradictions == flags
    cluster.hear(1, 0, forge.proposal((redone(item, contradictions=claimed),)))
    assert cluster.nodes[1].refused == ["contradictions"]
    assert prepares_sent(cluster.nodes[1]) == []


BAD_PRE_PREPARES: list[tuple[str, dict[str, Any]]] = [
    ("network", {"network": bytes(32)}),
    ("watermarks", {"sequence_number": 257}),
    ("watermarks", {"sequence_number": 2**64 - 1}),
    ("digest", {"digest": forge.D1}),
    ("not-primary", {"replica": ReplicaId(2)}),
]


@pytest.mark.parametrize(("reason", "changes"), BAD_PRE_PREPARES, ids=str)
def test_a_backup_refuses_a_wrong_pre_prepare(reason: str, changes: dict[str, Any]) -> None:
    """§4.2: right signer, right digest, between the watermarks, else refused."""
    cluster, honest = before_the_proposal()
    cluster.hear(1, 0, forge.proposal(honest.batch, **changes))
    assert cluster.nodes[1].refused == [reason]
    assert prepares_sent(cluster.nodes[1]) == []


@pytest.mark.parametrize("view", [1, 4, 2**64 - 1])
def test_a_pre_prepare_of_a_later_view_is_not_prepared_in_this_one(view: int) -> None:
    """§4.2: it waits for its view (§8) and leaves the slot free for this view's pre-prepare."""
    cluster, honest = before_the_proposal()
    cluster.hear(1, 0, forge.proposal(honest.batch, view=View(view)))
    assert cluster.nodes[1].refused == []
    assert prepares_sent(cluster.nodes[1]) == []
    cluster.hear(1, 0, honest)
    assert [prepare.view for prepare in prepares_sent(cluster.nodes[1])] == [0]


def test_a_pre_prepare_signed_by_another_is_refused() -> None:
    """§4.2: only the primary's own signature opens a slot."""
    cluster, honest = before_the_proposal()
    forged = Proposal(forge.sign_as(3, honest.pre_prepare.message), honest.batch)
    cluster.hear(1, 3, forged)
    assert cluster.nodes[1].refused == ["signature"]
    assert prepares_sent(cluster.nodes[1]) == []


def test_a_wrong_batch_beside_a_right_pre_prepare_does_not_block_the_slot() -> None:
    """§4.2: whoever relays the primary's signature with another batch achieves nothing."""
    cluster, honest = before_the_proposal()
    cluster.hear(1, 3, Proposal(honest.pre_prepare, ()))
    assert cluster.nodes[1].refused == ["digest"]
    cluster.hear(1, 0, honest)
    assert len(prepares_sent(cluster.nodes[1])) == 1


def test_an_empty_batch_is_refused() -> None:
    """A slot without items would give out sequence numbers for nothing."""
    cluster, _ = before_the_proposal()
    cluster.hear(1, 0, forge.proposal(()))
    assert cluster.nodes[1].refused == ["batch-empty"]
    assert prepares_sent(cluster.nodes[1]) == []


def test_a_request_twice_in_one_batch_is_refused() -> None:
    """§4.2: each request is executed once."""
    cluster, honest = before_the_proposal()
    cluster.hear(1, 0, forge.proposal(honest.batch * 2))
    assert cluster.nodes[1].refused == ["request-twice"]


def test_a_request_in_two_slots_is_refused() -> None:
    """§4.2: a second sequence number for the same request is refused while the first is open."""
    cluster, honest = before_the_proposal()
    cluster.hear(1, 0, honest)
    cluster.hear(1, 0, forge.proposal(honest.batch, number=2))
    assert cluster.nodes[1].refused == ["request-twice"]
    assert len(prepares_sent(cluster.nodes[1])) == 1
    assert prepares_sent(cluster.nodes[1], number=2) == []


def test_an_item_that_no_policy_allows_is_refused() -> None:
    """A request that an honest replica would not work on is not decided either."""
    asked = forge.request(0, prompt=" ")
    ready = tuple(forge.reveal(digest.request_id(asked), i) for i in range(4))
    solo = Solo(1)
    solo.hear(forge.proposal((forge.item(asked, ready, (10_000,) * 6),)))
    assert solo.refusals() == ["request"]


def test_a_further_attempt_is_refused() -> None:
    """There is one attempt so far: an item of attempt 1 is right in itself and refused."""
    asked = forge.request(0)
    ready = tuple(replace(forge.reveal(digest.request_id(asked), i), attempt=1) for i in range(4))
    item = replace(forge.item(asked, ready, (10_000,) * 6), attempt=1)
    check_item(item, forge.rules(4))
    solo = Solo(1)
    solo.hear(forge.proposal((item,)))
    assert solo.refusals() == ["attempt"]


def test_a_proposal_under_another_seal_is_refused() -> None:
    """DESIGN 3.3: the answers that count are those of the seal that everybody has."""
    cluster, honest = before_the_proposal()
    item = only_item(honest)
    other = forge.seal(sealed(item)[:3])
    changed = redone(
        item,
        seals=(other,),
        reveals=item.reveals[:3],
        weights=item.weights[:3],
        similarities_bp=(9_600,) * 3,
    )
    check_item(changed, forge.rules(4))
    cluster.hear(1, 0, forge.proposal((changed,)))
    assert cluster.nodes[1].refused == ["seal-conflict"]
    assert cluster.nodes[1].evidence == [Equivocation(item.seals[0], other)]
    assert prepares_sent(cluster.nodes[1]) == []


def test_two_pre_prepares_for_one_slot_are_evidence() -> None:
    """§4.2: a backup accepts one digest per slot and view; the second, different one convicts."""
    cluster, honest = before_the_proposal()
    cluster.hear(1, 0, honest)
    other = forge.proposal((redone(only_item(honest), similarities_bp=(9_599,) * 6),))
    cluster.hear(1, 0, other)
    assert cluster.nodes[1].evidence == [Equivocation(honest.pre_prepare, other.pre_prepare)]
    assert len(prepares_sent(cluster.nodes[1])) == 1


@pytest.mark.parametrize("vote", [forge.prepare, forge.commit], ids=["prepare", "commit"])
def test_two_votes_for_one_slot_are_evidence(vote: Callable[..., Signed[Any]]) -> None:
    """§4.2: two different votes of one replica for one slot convict it, with both signatures."""
    solo = Solo(1)
    first, second = vote(3, forge.D1), vote(3, forge.D2)
    solo.hear(first)
    assert solo.got(effects.Report) == []
    solo.hear(second)
    assert solo.got(effects.Report) == [effects.Report(Equivocation(first, second))]
    assert accused(solo.got(effects.Report)[0].evidence) == 3


@pytest.mark.parametrize("vote", [forge.prepare, forge.commit], ids=["prepare", "commit"])
def test_a_vote_that_came_too_late_to_count_convicts_all_the_same(
    vote: Callable[..., Signed[Any]],
) -> None:
    """§4.2: a vote for what is settled is not even verified; a different one by the same replica
    still yields evidence of both, and a forged one nothing."""
    cluster = Cluster(4)
    kinds = (Prepare, Commit)
    cluster.drop = lambda source, target, message: (
        (source, target) == (3, 1)
        and isinstance(message, Signed)
        and isinstance(message.message, kinds)
    )
    cluster.ask(node=0)
    cluster.run()
    decided = cluster.nodes[1].ledger[1].commits[0].message
    assert decided.view == cluster.nodes[1].replica.view == 0
    cluster.drop = lambda _source, _target, _message: False
    late, other = vote(3, decided.digest), vote(3, forge.D2)
    cluster.hear(1, 3, late)
    assert cluster.nodes[1].evidence == []
    cluster.hear(1, 3, replace(other, signature=NOBODY))
    assert cluster.nodes[1].refused[-1] == "signature"
    cluster.hear(1, 2, replace(vote(0, forge.D1), signature=NOBODY))
    assert cluster.nodes[1].evidence == []
    cluster.hear(1, 3, other)
    assert Equivocation(late, other) in cluster.nodes[1].evidence


def test_votes_of_different_phases_or_slots_are_no_contradiction() -> None:
    """§4.2: a prepare, a commit and votes for other slots go together."""
    solo = Solo(1)
    for vote in (
        forge.prepare(3, forge.D1),
        forge.commit(3, forge.D2),
        forge.prepare(3, forge.D2, 2),
        forge.commit(3, forge.D1, 2),
    ):
        assert solo.hear(vote) == []


# --- counting ----------------------------------------------------------------------------------


class Slot1:
    """Replica 1 holds a right proposal for slot 1; prepares and commits come from the test."""

    def __init__(self, n: int = 4, judged: bool = True) -> None:
        asked = forge.request(0)
        ready = tuple(forge.reveal(digest.request_id(asked), i) for i in range(n))
        pairs = n * (n - 1) // 2
        self.item = forge.item(asked, ready, (9_600,) * pairs, members=n)
        self.proposal = forge.proposal((self.item,))
        self.digest = self.proposal.pre_prepare.message.digest
        self.solo = Solo(1, n)
        self.solo.hear(self.proposal)
        (comparison,) = self.solo.got(effects.CompareAnswers)
        self.compared = measured(comparison, (9_600,) * pairs)
        if judged:
            self.solo.step(self.compared)

    def commits_sent(self) -> int:
        return len(self.solo.said(Commit))

    def decided(self) -> bool:
        return any(isinstance(effect, effects.Reply) for effect in self.solo.all)


def measured(
    comparison: effects.CompareAnswers, similarities_bp: tuple[int, ...]
) -> AnswersCompared:
    return AnswersCompared(
        comparison.request_id, comparison.attempt, comparison.answers, similarities_bp, ()
    )


def test_prepared_needs_the_proposal_and_q_minus_one_prepares() -> None:
    """§4.2 prepared(m, v, n, i): for n = 4 the own prepare and one more; only then a commit."""
    slot = Slot1()
    assert len(slot.solo.said(Prepare)) == 1
    assert slot.commits_sent() == 0
    slot.solo.hear(forge.prepare(2, slot.digest))
    assert slot.commits_sent() == 1


def test_decided_needs_q_commits() -> None:
    """§4.2 committed-local: the slot is decided with the third of four commits, not before."""
    slot = Slot1()
    slot.solo.hear(forge.prepare(2, slot.digest))
    slot.solo.hear(forge.commit(2, slot.digest))
    assert not slot.decided()
    slot.solo.hear(forge.commit(3, slot.digest))
    assert slot.decided()
    (reply,) = slot.solo.got(effects.Reply)
    assert [commit.message.replica for commit in reply.slot.commits] == [1, 2, 3]


def test_the_same_vote_again_does_not_count() -> None:
    """P1: a prepare or commit sent three times is one vote."""
    slot = Slot1(n=7)
    for _ in range(5):
        slot.solo.hear(forge.prepare(2, slot.digest))
    assert slot.commits_sent() == 0
    for replica in (3, 4):
        slot.solo.hear(forge.prepare(replica, slot.digest))
    assert slot.commits_sent() == 1
    for _ in range(5):
        slot.solo.hear(forge.commit(2, slot.digest))
    assert not slot.decided()
    for replica in (3, 4, 5):
        assert not slot.decided()
        slot.solo.hear(forge.commit(replica, slot.digest))
    assert slot.decided()


def test_votes_for_different_digests_are_not_added_up() -> None:
    """P2: votes for another digest do not help the one that was proposed."""
    slot = Slot1()
    slot.solo.hear(forge.prepare(2, forge.D2))
    slot.solo.hear(forge.prepare(3, forge.D2))
    assert slot.commits_sent() == 0
    slot.solo.hear(forge.commit(0, slot.digest))
    slot.solo.hear(forge.commit(2, slot.digest))
    slot.solo.hear(forge.commit(3, forge.D2))
    assert not slot.decided()


def test_a_prepare_does_not_pass_for_a_commit() -> None:
    """P3: a recorded prepare's signature under a commit of the same slot is refused."""
    slot = Slot1()
    for replica in (0, 2, 3):
        recorded = forge.prepare(replica, slot.digest)
        body = forge.vote(Commit, replica, slot.digest)
        slot.solo.hear(Signed(body, recorded.signature))
        assert slot.solo.refusals() == ["signature"]
    assert not slot.decided()


@pytest.mark.parametrize("vote", [forge.prepare, forge.commit], ids=["prepare", "commit"])
def test_a_vote_in_anothers_name_does_not_count(vote: Callable[..., Signed[Any]]) -> None:
    """P4: a vote that names replica 2 counts only with replica 2's signature."""
    slot = Slot1()
    for forged in (
        replace(vote(2, slot.digest), signature=NOBODY),
        forge.sign_as(3, vote(2, slot.digest).message),
    ):
        slot.solo.hear(forged, source=3)
        assert slot.solo.refusals() == ["signature"]
    assert slot.commits_sent() == 0
    # Nothing of the forgery stays: the genuine vote is no second vote.
    slot.solo.hear(vote(2, slot.digest))
    assert slot.solo.got(effects.Report) == []


def test_the_primary_has_no_prepare() -> None:
    """P5, §4.2: the pre-prepare stands for the primary's prepare; it is not counted twice."""
    slot = Slot1()
    slot.solo.hear(forge.prepare(0, slot.digest))
    assert slot.solo.refusals() == ["prepare-by-primary"]
    assert slot.commits_sent() == 0


def test_the_primarys_commit_counts() -> None:
    """§4.2: in the commit phase the primary is a replica like the others."""
    slot = Slot1()
    for replica in (0, 2, 3):
        slot.solo.hear(forge.commit(replica, slot.digest))
    assert slot.decided()


def test_a_replica_number_that_is_nobodys_does_not_count() -> None:
    """A vote in the name of a replica outside the member list is refused, whoever signs it."""
    slot = Slot1()
    slot.solo.hear(forge.sign_as(3, forge.vote(Commit, 4, slot.digest)), source=3)
    assert slot.solo.refusals() == ["signature"]


def test_a_quorum_of_prepares_ends_judging() -> None:
    """DESIGN 3.6: with q - 1 prepares seen, the own measurement does not hold up the commit."""
    slot = Slot1(judged=False)
    slot.solo.hear(forge.prepare(2, slot.digest))
    assert slot.commits_sent() == 0
    slot.solo.hear(forge.prepare(3, slot.digest))
    assert slot.commits_sent() == 1
    # And the measurement, when it comes, changes nothing, even if it would have refused.
    slot.solo.step(replace(slot.compared, similarities_bp=(0,) * 6))
    assert slot.solo.last == []


def test_a_replica_follows_a_quorum_although_it_would_have_refused() -> None:
    """DESIGN 3.6: local floats must not hold up what a quorum accepted."""
    slot = Slot1(judged=False)
    slot.solo.step(replace(slot.compared, similarities_bp=(0,) * 6))
    assert slot.solo.refusals() == ["similarity"]
    slot.solo.hear(forge.prepare(2, slot.digest))
    slot.solo.hear(forge.prepare(3, slot.digest))
    slot.solo.hear(forge.commit(2, slot.digest))
    slot.solo.hear(forge.commit(3, slot.digest))
    assert slot.decided()


def wrong(number: int) -> Proposal:
    """For this slot, with weights that are not in force."""
    request = forge.request(3, number)
    openings = tuple(forge.reveal(digest.request_id(request), i) for i in range(4))
    right = forge.item(request, openings, (9_600,) * 6)
    return forge.proposal((redone(right, weights=(10_001, 10_000, 10_000, 10_000)),), number)


def test_refused_batches_take_bounded_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """V15: a liar proposes a window full of the largest batches, all wrong. What is refused is kept
    up to a bound, for the case that a quorum accepts it; a new view begins with all the room."""
    proposals = [wrong(number) for number in range(1, 6)]
    size = max(len(encode(proposal)) for proposal in proposals)
    monkeypatch.setattr("pbft.log.REFUSED_BYTES_MAX", 2 * size)
    solo = Solo(2)
    for proposal in proposals:
        assert solo.hear(proposal)[-1] == effects.Refused(ReplicaId(0), "weights")
    log = solo.replica._normal_case._log
    assert [slot.batch is not None for slot in log] == [True, True, False, False, False]
    for proposal in proposals:
        solo.hear(BatchContent(proposal.batch), source=0)
        assert solo.refusals() == ["batch-unwanted"]
    for replica in (0, 3):
        solo.hear(forge.view_change(replica))
    solo.enter([forge.view_change(i) for i in (0, 1, 3)])
    assert log.room_for_refused == 2 * size


def test_a_refused_batch_that_was_not_kept_is_had_when_others_accept_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """§4.2: machines measure a little differently. Once f + 1 backups prepare what this replica has
    refused, a correct one has it: it is asked for, and the slot goes on."""
    monkeypatch.setattr("pbft.log.REFUSED_BYTES_MAX", 0)
    solo, proposal = Solo(2), wrong(1)
    of = proposal.pre_prepare.message.digest
    solo.hear(proposal)
    solo.hear(forge.prepare(1, of))
    assert solo.last == []
    solo.hear(forge.prepare(3, of))
    assert effects.Broadcast(BatchWanted(of)) in solo.last
    solo.hear(BatchContent(proposal.batch), source=3)
    assert [message.digest for message in solo.said(Commit)] == [of]


def test_votes_may_come_before_the_proposal() -> None:
    """§4.2: messages are counted in whatever order they arrive."""
    slot = Slot1()
    early = Solo(1)
    for replica in (2, 3):
        early.hear(forge.prepare(replica, slot.digest))
        early.hear(forge.commit(replica, slot.digest))
    early.hear(slot.proposal)
    assert len(early.said(Commit)) == 1
    assert len(early.got(effects.Reply)) == 1


def test_commits_prove_a_decision_without_prepares() -> None:
    """Deviation stated in `normal_case`: q commits for the proposal's digest decide it."""
    slot = Slot1(judged=False)
    for replica in (0, 2, 3):
        slot.solo.hear(forge.commit(replica, slot.digest))
    assert slot.decided()


def test_a_certificate_holds_votes_for_its_own_digest_only() -> None:
    """P2: a stray commit for another digest is in no certificate."""
    slot = Slot1()
    slot.solo.hear(forge.commit(3, forge.D2))
    for replica in (0, 2):
        slot.solo.hear(forge.prepare(2, slot.digest))
        slot.solo.hear(forge.commit(replica, slot.digest))
    (reply,) = slot.solo.got(effects.Reply)
    assert {commit.message.digest for commit in reply.slot.commits} == {slot.digest}


# --- nobody waits for a vote that was not sent -------------------------------------------------


def test_a_replica_that_follows_a_quorum_says_that_it_prepared() -> None:
    """§4.2: who skips judging still sends its prepare. Else a faulty backup that shows its own
    prepare to one slow replica only leaves all others one prepare short, for ever."""
    slot = Slot1(judged=False)
    slot.solo.hear(forge.prepare(2, slot.digest))
    slot.solo.hear(forge.prepare(3, slot.digest))
    assert [prepare.digest for prepare in slot.solo.said(Prepare)] == [slot.digest]
    # And the proposal is on disk before the prepare leaves, as always.
    kinds = [
        type(effect.record if isinstance(effect, effects.Persist) else effect.message.message)
        for effect in slot.solo.last
        if isinstance(effect, effects.Persist | effects.Broadcast)
    ]
    assert kinds == [ProposalAccepted, Prepare, Prepared, Commit]


def test_a_prepare_shown_to_one_replica_only_does_not_stop_the_slot() -> None:
    """§4.2, P8: R3 is faulty, sends its prepare to R2 alone and falls silent; R2 is slow to judge.
    R0, R1 and R2 are honest, connected and a quorum: they decide."""
    cluster, honest = before_the_proposal()
    of = honest.pre_prepare.message.digest
    cluster.crash(3)
    slow: list[effects.CompareAnswers] = []
    perform = cluster.perform

    def hold(me: ReplicaId, node: Node, effect: effects.Effect) -> None:
        if me == 2 and isinstance(effect, effects.CompareAnswers):
            slow.append(effect)
        else:
            perform(me, node, effect)

    cluster.perform = hold  # type: ignore[method-assign]
    # R2 has yet to measure: a restart made it forget what it measured before.
    cluster.restart(2)
    cluster.run()
    cluster.hear(2, 0, honest)
    cluster.hear(2, 3, forge.prepare(3, of))
    cluster.hear(1, 0, honest)
    for effect in slow:
        perform(ReplicaId(2), cluster.nodes[2], effect)
    cluster.settle()
    assert [1 in cluster.nodes[i].ledger for i in range(3)] == [True] * 3


def test_a_replica_that_decides_from_others_commits_sends_none() -> None:
    """§4.2: a commit says that its sender is prepared, and it holds no prepared certificate. It
    sends its commit as soon as it does."""
    slot = Slot1(judged=False)
    for replica in (0, 2, 3):
        slot.solo.hear(forge.commit(replica, slot.digest))
    assert slot.decided()
    assert slot.commits_sent() == 0
    for replica in (2, 3):
        slot.solo.hear(forge.prepare(replica, slot.digest))
    assert slot.commits_sent() == 1


def test_a_commit_shown_to_one_replica_only_does_not_stop_the_others() -> None:
    """§7, P8: R3 is faulty and shows its commit to R1 alone, which decides; R0 and R2 are one
    commit short for ever, and learn the decision by the next height, in the same view."""
    cluster, honest = before_the_proposal()
    of = honest.pre_prepare.message.digest
    cluster.crash(3)
    cluster.drop = lambda source, _target, message: (
        source == 1 and isinstance(message, Signed) and isinstance(message.message, Commit)
    )
    for target in (1, 2):
        cluster.hear(target, 0, honest)
    cluster.hear(1, 3, forge.commit(3, of))
    assert [sorted(cluster.nodes[i].ledger) for i in range(3)] == [[], [1], []]
    cluster.settle(5)
    assert [sorted(cluster.nodes[i].ledger) for i in range(3)] == [[1]] * 3
    assert [cluster.nodes[i].replica.view for i in range(3)] == [0] * 3


# --- batches -----------------------------------------------------------------------------------


def drops_prepares(_source: ReplicaId, _target: ReplicaId, message: object) -> bool:
    return isinstance(message, Signed) and isinstance(message.message, Prepare)


def test_many_finished_items_share_a_batch() -> None:
    """§4: beyond a few open slots items wait and travel together, and all are decided."""
    cluster = Cluster(4)
    cluster.drop = drops_prepares
    ids = [cluster.ask(0, f"Question {i}?") for i in range(40)]
    cluster.run()
    proposals = [m for m in cluster.nodes[0].sent if isinstance(m, Proposal)]
    assert [len(proposal.batch) for proposal in proposals] == [1] * PROPOSALS_OPEN_MAX
    cluster.drop = lambda _source, _target, _message: False
    cluster.reconnect()
    cluster.settle()
    batches = [len(slot.batch) for slot in cluster.nodes[0].ledger.values()]
    assert sum(batches) == 40
    assert max(batches) > 1
    assert set(ids) == set(cluster.nodes[3].replies)


def test_a_batch_never_exceeds_what_a_peer_will_read() -> None:
    """The primary closes a batch before its frame is too long: backups refuse such a frame unread,
    and the slot would never be decided."""
    long = "Paris " + "x" * (16 * 1024 - 6)
    policy = Policy(prompt_bytes_max=16 * 1024)
    cluster = Cluster(
        4, [long] * 4, policy, compare=lambda a: ((9_600,) * (len(a) * (len(a) - 1) // 2), ())
    )
    cluster.drop = lambda s, t, m: drops_prepares(s, t, m) or isinstance(m, Proposal)
    for i in range(PROPOSALS_OPEN_MAX + BATCH_ITEMS_MAX):
        cluster.ask(0, f"{i}? " + "y" * 10_000)
    cluster.run()
    # The open slots are decided elsewhere, at once: what waited goes out in one batch.
    primary = cluster.nodes[0]
    opened = [m for m in primary.sent if isinstance(m, Proposal)]
    assert len(opened) == PROPOSALS_OPEN_MAX
    for proposal in opened:
        of = proposal.pre_prepare.message
        for replica in (1, 2, 3):
            primary_effects = primary.replica.step(
                Received(ReplicaId(replica), forge.commit(replica, of.digest, of.sequence_number))
            )
            for effect in primary_effects:
                if isinstance(effect, effects.Broadcast) and isinstance(effect.message, Proposal):
                    assert len(encode(effect.message)) <= MESSAGE_BYTES_MAX
