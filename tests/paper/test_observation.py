"""DESIGN 3, steps 1 to 4: request, commitment, seal, reveal (the paper's §4.6, worked out)."""

from typing import Any

import pytest

from pbft import digest, effects
from pbft.effects import (
    ArmTimer,
    Broadcast,
    CancelTimer,
    Persist,
    Refused,
    Rejected,
    Report,
    RunInference,
)
from pbft.events import (
    AnswerDeadline,
    AnswerReady,
    CatchUp,
    HeldReveals,
    PeerDown,
    PeerUp,
    RevealGrace,
    SealGrace,
    Submitted,
    TimerFired,
)
from pbft.item import sealed_commitments
from pbft.messages import (
    AnswerCommitment,
    AnswerReveal,
    Commit,
    DecidedSlot,
    Equivocation,
    Finish,
    Height,
    Item,
    Proposal,
    Request,
    Seal,
    Signed,
    ViewChange,
)
from pbft.new_view import view_change_fault
from pbft.outcome import Status
from pbft.policy import Policy
from pbft.records import AnswerDrawn, RequestAccepted, Sealed
from pbft.types import ReplicaId, View
from tests.support import forge
from tests.support.cluster import Cluster, answer
from tests.support.solo import Solo

SALT = bytes(range(32))
ASKED = forge.request(0)
ID = digest.request_id(ASKED)
TEXT = answer("Paris")


def of_kind(kind: type) -> Any:
    """A filter for messages whose body has this type."""
    return lambda message: isinstance(message, Signed) and isinstance(message.message, kind)


def place(found: list[effects.Effect], kind: type, body: type) -> int:
    """Where the one `Persist` or `Broadcast` of a record or message of this type stands."""
    (index,) = [
        i
        for i, effect in enumerate(found)
        if isinstance(effect, kind)
        and isinstance(
            effect.record if isinstance(effect, Persist) else effect.message.message,  # type: ignore[attr-defined]
            body,
        )
    ]
    return index


def asked(me: int = 1, n: int = 4, **policy: Any) -> Solo:
    """Replica `me` has heard the request of replica 0 (or was asked itself)."""
    solo = Solo(me, n, policy=Policy(**policy))
    if me == 0:
        solo.step(Submitted(ASKED))
    else:
        solo.hear(forge.sign(ASKED))
    return solo


def committed(me: int = 1, n: int = 4, **policy: Any) -> Solo:
    """It has drawn and committed to an answer too."""
    solo = asked(me, n, **policy)
    solo.step(AnswerReady(ID, 0, TEXT, SALT))
    return solo


def opening(replica: int) -> AnswerReveal:
    return forge.reveal(ID, replica, salt=SALT)


def others(*replicas: int) -> list[Signed[AnswerCommitment]]:
    return [forge.commitment(opening(replica)) for replica in replicas]


def seal_of(*replicas: int, earlier: tuple[Signed[Seal], ...] = (), **changes: Any) -> Signed[Seal]:
    return forge.seal(tuple(others(*replicas)), earlier, **changes)


# --- 3.1 request -------------------------------------------------------------------------------


def test_a_request_is_on_disk_before_anyone_hears_of_it() -> None:
    """3.1: Persist stands before Broadcast, and the model is asked once, with the policy's heat."""
    solo = Solo(0, policy=Policy(temperature_milli=123))
    found = solo.step(Submitted(ASKED))
    assert place(found, Persist, RequestAccepted) < place(found, Broadcast, Request)
    assert solo.got(RunInference) == [RunInference(ID, 0, ASKED, temperature_milli=123)]
    assert solo.got(ArmTimer) == [ArmTimer(AnswerDeadline(ID, 0), ASKED.timeout_ms)]


def test_a_request_is_worked_on_once() -> None:
    """3.1: the same request again, from whomever, changes nothing."""
    solo = asked()
    assert solo.hear(forge.sign(ASKED)) == []
    assert solo.hear(forge.sign(ASKED), source=3) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": ""},
        {"prompt": " \n\t"},
        {"prompt": "x" * 101},
        {"max_tokens": 0},
        {"max_tokens": 1_025},
        {"timeout_ms": 99},
        {"timeout_ms": 30_001},
    ],
    ids=str,
)
def test_a_request_that_breaks_the_policy_is_not_taken(changes: dict[str, Any]) -> None:
    """3.1: neither from a user, who gets a sentence, nor from a peer, who is counted."""
    wrong = forge.request(0, **changes)
    policy = Policy(prompt_bytes_max=100)
    mine = Solo(0, policy=policy)
    mine.step(Submitted(wrong))
    (rejected,) = mine.last
    assert isinstance(rejected, Rejected)
    assert rejected.reason.endswith(".")
    peer = Solo(1, policy=policy)
    assert peer.hear(forge.sign(wrong)) == [Refused(ReplicaId(0), "request")]


@pytest.mark.parametrize("prompt", ["\ud800", "why \udfff?"])
def test_a_question_that_is_no_unicode_is_rejected_with_a_sentence(prompt: str) -> None:
    """3.1: nothing that a user sends raises; a lone surrogate gets the usual refusal."""
    solo = Solo(0)
    (rejected,) = solo.step(Submitted(forge.request(0, prompt=prompt)))
    assert isinstance(rejected, Rejected)


@pytest.mark.parametrize("changes", [{"language": "x" * 17}, {"language": "\ud800"}], ids=str)
def test_a_request_that_no_peer_could_read_is_rejected(changes: dict[str, Any]) -> None:
    """3.1: what exceeds the wire's bounds is refused before it is signed, logged or sent."""
    solo = Solo(0)
    (rejected,) = solo.step(Submitted(forge.request(0, **changes)))
    assert isinstance(rejected, Rejected)


def test_a_request_in_anothers_name_is_refused() -> None:
    """3.1: the asker's signature is required, and nobody tells a replica what it asked itself."""
    solo = Solo(1)
    solo.hear(forge.sign_as(3, ASKED), source=3)
    assert solo.last == [Refused(ReplicaId(3), "signature")]
    solo.hear(forge.sign(forge.request(1)), source=3)
    assert solo.last == [Refused(ReplicaId(3), "signature")]


def test_the_limit_of_questions_in_flight() -> None:
    """3.1: beyond the policy's limit a question is rejected; when one is decided, there is room."""
    cluster = Cluster(4, policy=Policy(requests_in_flight_max=2))
    for _ in range(3):
        cluster.ask(0)
    cluster.ask(1)
    cluster.settle()
    assert len(cluster.nodes[0].rejected) == 1
    assert cluster.nodes[1].rejected == []
    assert len(cluster.nodes[2].replies) == 3
    cluster.ask(0)
    cluster.settle()
    assert len(cluster.nodes[2].replies) == 4


def test_a_faulty_asker_gets_bounded_room() -> None:
    """3.1: an asker that does not keep the limit is refused, and takes no room from others."""
    solo = Solo(1, policy=Policy(requests_in_flight_max=2))
    for number in range(10):
        solo.hear(forge.sign(forge.request(3, number)))
    assert solo.refusals() == ["request"]
    assert len(list(solo.replica._observation._rounds)) <= 4
    solo.hear(forge.sign(forge.request(2, 1)))
    assert solo.refusals() == []


def test_an_asker_cannot_set_the_others_against_the_primary() -> None:
    """3.1: R3 fills its room at the primary with questions that nobody else hears, and asks R1 and
    R2 another one, on which a quorum commits. They send it to the primary, who takes it because of
    their commitments; so that nobody leaves the view."""
    cluster = Cluster(4, policy=Policy(requests_in_flight_max=1))
    cluster.crash(3)
    for number in (1, 2):
        cluster.hear(0, 3, forge.sign(forge.request(3, number)))
    question = forge.request(3, 3)
    request_id = digest.request_id(question)
    for target in (1, 2):
        cluster.hear(target, 3, forge.sign(question))
        cluster.hear(target, 3, forge.commitment(forge.reveal(request_id, 3)))
    cluster.hear(0, 3, forge.sign(question))
    assert cluster.nodes[0].refused == ["request"]
    cluster.settle()
    assert [node.replica.view for node in cluster.nodes[:3]] == [0] * 3
    assert [request_id in node.replies for node in cluster.nodes[:3]] == [True] * 3


def test_an_asker_within_its_limit_is_answered_by_those_behind() -> None:
    """3.1: the asker sees its question decided and asks the next one; a replica that has not seen
    the decision yet must not drop it, since nobody would send it again."""
    cluster = Cluster(4, policy=Policy(requests_in_flight_max=1))
    cluster.ask(1)
    late: list[Any] = []

    def hold(source: ReplicaId, target: ReplicaId, message: object) -> bool:
        held = target != 1 and of_kind(Commit)(message)
        if held:
            late.append((source, target, message))
        return held

    cluster.drop = hold
    cluster.run()
    assert len(cluster.nodes[1].replies) == 1
    second = cluster.ask(1)
    cluster.run()
    cluster.drop = lambda _source, _target, _message: False
    for source, target, message in late:
        cluster.deliver(source, target, message)
    cluster.settle()
    assert [second in node.replies for node in cluster.nodes] == [True] * 4


def test_a_request_older_than_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """3.1: what could be a replay of a forgotten request is refused, from users and from peers."""
    monkeypatch.setattr("pbft.history.REMEMBERED_MAX", 3)
    cluster = Cluster(4)
    cluster._requests = 10
    for _ in range(5):
        cluster.ask(0)
        cluster.settle(3)
    old = forge.request(0, 9)
    cluster.put(0, Submitted(old))
    cluster.run()
    assert len(cluster.nodes[0].rejected) == 1
    cluster.hear(1, 3, forge.sign(old))
    assert cluster.nodes[1].refused == ["request"]
    # The replay of a decided request that is still remembered is not even counted.
    (slot,) = [slot for slot in cluster.nodes[1].ledger.values() if slot.sequence_number == 5]
    cluster.hear(2, 3, slot.batch[0].request)
    assert cluster.nodes[2].refused == []
    assert cluster.nodes[2].inferences == 5


# --- 3.2 commitment ----------------------------------------------------------------------------


def test_an_answer_is_on_disk_before_its_commitment_leaves() -> None:
    """3.2: Persist(AnswerDrawn) stands before Broadcast(AnswerCommitment)."""
    solo = asked()
    found = solo.step(AnswerReady(ID, 0, TEXT, SALT))
    assert place(found, Persist, AnswerDrawn) < place(found, Broadcast, AnswerCommitment)
    assert CancelTimer(AnswerDeadline(ID, 0)) in found


def test_a_commitment_shows_nothing_of_the_answer() -> None:
    """3.2: with another salt the same answer has another commitment; the text is not in it."""
    first, second = committed(), asked()
    second.step(AnswerReady(ID, 0, TEXT, bytes(32)))
    hidden = [solo.said(AnswerCommitment)[0].commitment for solo in (first, second)]
    assert hidden[0] != hidden[1]
    assert first.said(AnswerReveal) == []


def test_a_commitment_is_bound_to_its_replica_and_request() -> None:
    """O2: the same answer and salt of another replica, request, attempt or network differ."""
    same = {"network": bytes(32), "request_id": ID, "attempt": 0, "replica": 1, "salt": SALT}
    variants = [
        same,
        same | {"replica": 2},
        same | {"request_id": digest.DIGEST_ZERO},
        same | {"attempt": 1},
        same | {"network": bytes([1]) * 32},
    ]
    made = {digest.commitment(answer=TEXT, **variant) for variant in variants}  # type: ignore[arg-type]
    assert len(made) == len(variants)


def test_a_second_answer_of_the_own_model_is_ignored() -> None:
    """3.2: one answer per attempt, whatever the driver delivers afterwards."""
    solo = committed()
    assert solo.step(AnswerReady(ID, 0, answer("Lyon"), bytes(32))) == []
    assert solo.step(TimerFired(AnswerDeadline(ID, 0))) == []


def test_a_model_out_of_time_abstains() -> None:
    """3.2: at the deadline the replica commits to a signed abstention, and stays with it."""
    solo = asked()
    solo.step(TimerFired(AnswerDeadline(ID, 0)))
    (drawn,) = [record for record in solo.log if isinstance(record, AnswerDrawn)]
    assert drawn.answer.finish is Finish.ABSTAINED
    assert (drawn.answer.text, drawn.answer.note) == ("", "out of time")
    assert len(solo.said(AnswerCommitment)) == 1
    assert solo.step(AnswerReady(ID, 0, TEXT, SALT)) == []


def test_a_late_answer_to_a_closed_round_is_not_committed_to() -> None:
    """3.2: an asker sent two questions under one number, and the other one is decided. The round
    of this one is closed after we abstained in it; if a peer's late commitment opens it anew, the
    model's own answer, late too, must not become a second answer."""
    solo = asked()
    solo.step(TimerFired(AnswerDeadline(ID, 0)))
    other = forge.request(0, prompt="Which other city?")
    openings = tuple(forge.reveal(digest.request_id(other), replica) for replica in range(4))
    batch = (forge.item(other, openings, (10_000,) * 6),)
    commits = tuple(forge.commit(replica, forge.batch_digest(batch)) for replica in (0, 2, 3))
    solo.hear(DecidedSlot(batch, commits), source=2)
    solo.hear(forge.commitment(opening(2)))
    assert solo.replica.applied == 1
    assert solo.step(AnswerReady(ID, 0, TEXT, SALT)) == []
    assert len([record for record in solo.log if isinstance(record, AnswerDrawn)]) == 1


@pytest.mark.parametrize(("size", "finish"), [(100, Finish.STOP), (101, Finish.ABSTAINED)])
def test_an_answer_beyond_the_policy_becomes_an_abstention(size: int, finish: Finish) -> None:
    """3.2: peers would refuse it, so that the replica says so at once."""
    solo = asked(answer_bytes_max=100)
    solo.step(AnswerReady(ID, 0, answer("x" * size), SALT))
    (drawn,) = [record for record in solo.log if isinstance(record, AnswerDrawn)]
    assert drawn.answer.finish is finish


def test_an_answer_that_is_no_unicode_does_not_stop_the_replica() -> None:
    """3.2: a model's output cannot make the core raise; what can't be encoded is an abstention."""
    solo = asked()
    solo.step(AnswerReady(ID, 0, answer("Par\ud800s"), SALT))
    (drawn,) = [record for record in solo.log if isinstance(record, AnswerDrawn)]
    assert drawn.answer.finish is Finish.ABSTAINED


def test_abstentions_let_the_round_go_on() -> None:
    """3.2: two of four models never answer; the round ends, with lower confidence and no vote."""
    cluster = Cluster(4, ["Paris", "Paris", None, None])
    request_id = cluster.ask(0)
    cluster.settle()
    outcome = outcome_at(cluster, 0, request_id)
    assert outcome.clusters == ((0, 1),)
    assert outcome.agreement_rate_bp == 10_000
    assert outcome.confidence_bp == 7_200
    assert outcome.status is Status.AGREED_LOW_CONFIDENCE


def test_a_round_in_which_nobody_answers_ends_too() -> None:
    """3.2: four abstentions are decided as no agreement."""
    cluster = Cluster(4, [None] * 4)
    request_id = cluster.ask(0)
    cluster.settle()
    assert outcome_at(cluster, 3, request_id).status is Status.NO_AGREEMENT


def outcome_at(cluster: Cluster, node: int, request_id: Any) -> Any:
    return item_at(cluster, node, request_id).outcome


def item_at(cluster: Cluster, node: int, request_id: Any) -> Item:
    reply = cluster.nodes[node].replies[request_id]
    return reply.slot.batch[reply.index]


def test_two_commitments_are_evidence() -> None:
    """3.2: a replica that commits to two answers is proven faulty, with both signatures."""
    solo = asked()
    first = forge.commitment(opening(3))
    second = forge.commitment(forge.reveal(ID, 3, answer("Lyon"), SALT))
    solo.hear(first)
    solo.hear(first)
    assert solo.got(Report) == []
    solo.hear(second)
    assert solo.got(Report) == [Report(Equivocation(first, second))]


def test_a_second_commitment_in_the_seal_is_evidence() -> None:
    """3.3, P8: R3 told the primary one thing and R1 another; the seal brings it to light."""
    solo = committed()
    shown = forge.commitment(forge.reveal(ID, 3, answer("Lyon"), SALT))
    solo.hear(shown)
    solo.hear(seal_of(0, 2, 3))
    (report,) = solo.got(Report)
    assert report.evidence == Equivocation(shown, forge.commitment(opening(3)))


def test_a_forged_commitment_is_no_evidence() -> None:
    """3.2: only the replica's own signature can convict it."""
    solo = asked()
    solo.hear(forge.commitment(opening(2)))
    lie = forge.commitment(forge.reveal(ID, 2, answer("Lyon"), SALT)).message
    solo.hear(forge.sign_as(3, lie), source=3)
    assert solo.last == [Refused(ReplicaId(3), "signature")]


def test_messages_of_another_network_are_refused() -> None:
    """A message with a good signature for another network is not genuine here."""
    solo = asked()
    solo.hear(forge.resign(forge.commitment(opening(3)), network=bytes(32)))
    assert solo.refusals() == ["signature"]


# --- 3.3 seal ----------------------------------------------------------------------------------


def test_the_primary_seals_at_n() -> None:
    """3.3: with all commitments in, at once, in order of replica, and on disk first."""
    solo = committed(0)
    for message in others(3, 2):
        solo.hear(message)
        assert solo.said(Seal) == []
    found = solo.hear(others(1)[0])
    assert place(found, Persist, Sealed) < place(found, Broadcast, Seal)
    (seal,) = solo.said(Seal)
    assert [commitment.message.replica for commitment in seal.commitments] == [0, 1, 2, 3]
    assert (seal.number, seal.previous, seal.view) == (0, digest.DIGEST_ZERO, 0)
    assert ArmTimer(RevealGrace(ID, 0), Policy().reveal_grace_ms) in found


def test_the_primary_seals_at_q_after_the_grace() -> None:
    """3.3: the quorum's commitment starts the grace, and its end the seal; not the first two."""
    solo = committed(0)
    grace = ArmTimer(SealGrace(ID, 0), Policy().seal_grace_ms)
    solo.hear(others(1)[0])
    assert grace not in solo.last
    solo.hear(others(2)[0])
    assert grace in solo.last
    assert solo.said(Seal) == []
    solo.step(TimerFired(SealGrace(ID, 0)))
    (seal,) = solo.said(Seal)
    assert len(seal.commitments) == 3


def test_the_primary_seals_although_most_commitments_came_before_the_request() -> None:
    """3.3: n = 10, one replica is down, the asker's link is slow: eight commitments are there when
    the request arrives, more than q = 7, and the round goes on all the same."""
    solo = Solo(0, 10)
    request = forge.request(1)
    request_id = digest.request_id(request)
    for replica in range(1, 9):
        solo.hear(forge.commitment(forge.reveal(request_id, replica)))
    solo.hear(forge.sign(request))
    solo.step(AnswerReady(request_id, 0, TEXT, SALT))
    armed = [effect.timer for effect in solo.all if isinstance(effect, ArmTimer)]
    assert SealGrace(request_id, 0) in armed


def test_nobody_waits_for_a_replica_that_is_away() -> None:
    """3.3: a quorum is in and the rest has no connection: the seal needs no grace."""
    solo = committed(0)
    for message in others(1, 2):
        solo.hear(message)
    assert solo.said(Seal) == []
    solo.step(PeerDown(ReplicaId(3)))
    assert [len(seal.commitments) for seal in solo.said(Seal)] == [3]
    assert CancelTimer(SealGrace(ID, 0)) in solo.last


def test_a_replica_that_is_back_is_waited_for() -> None:
    """3.3: absence ends with the next connection."""
    solo = Solo(0)
    solo.step(PeerDown(ReplicaId(3)))
    solo.step(PeerUp(ReplicaId(3)))
    solo.step(Submitted(ASKED))
    solo.step(AnswerReady(ID, 0, TEXT, SALT))
    for message in others(1, 2):
        solo.hear(message)
    assert solo.said(Seal) == []


def test_absence_is_no_vote() -> None:
    """3.3: with fewer commitments than a quorum nothing is sealed, whoever is away."""
    solo = committed(0)
    solo.hear(others(1)[0])
    solo.step(PeerDown(ReplicaId(2)))
    solo.step(PeerDown(ReplicaId(3)))
    assert solo.said(Seal) == []
    assert solo.got(ArmTimer) == []


def test_a_backup_seals_nothing() -> None:
    """3.3: only the primary seals, however many commitments a backup holds."""
    solo = committed(1)
    for message in others(0, 2, 3):
        solo.hear(message)
    assert solo.said(Seal) == []
    assert SealGrace not in {
        type(effect.timer) for effect in solo.all if isinstance(effect, ArmTimer)
    }


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("seal-not-primary", {"replica": ReplicaId(2)}),
        ("seal-chain", {"number": 1}),
        ("seal-chain", {"previous": forge.D1}),
        ("signature", {"network": bytes(32)}),
    ],
    ids=str,
)
def test_a_wrong_seal_is_refused_and_nothing_revealed(reason: str, changes: dict[str, Any]) -> None:
    """3.3: only the primary's chain of seals makes a replica reveal."""
    solo = committed()
    mine = solo.said(AnswerCommitment)[0]
    solo.hear(forge.seal((others(0)[0], forge.sign(mine), others(2)[0]), **changes), source=2)
    assert solo.refusals() == [reason]
    assert solo.said(AnswerReveal) == []
    assert solo.got(Persist) == []


def test_a_seal_of_a_later_view_reveals_nothing_in_this_one() -> None:
    """3.3: it waits for its view (§8), whoever signed it."""
    solo = committed()
    assert solo.hear(seal_of(0, 1, 2, view=View(2), replica=ReplicaId(2))) == []
    solo.hear(seal_of(0, 1, 2))
    assert len(solo.said(AnswerReveal)) == 1


@pytest.mark.parametrize("replicas", [(0, 1), (1, 0, 2), (0, 1, 1), (0, 1, 2, 2)], ids=str)
def test_a_seal_lists_a_quorum_each_once_in_order(replicas: tuple[int, ...]) -> None:
    """3.3: too few, out of order or twice is refused."""
    solo = committed()
    solo.hear(seal_of(*replicas))
    assert solo.refusals() in (["seal-small"], ["seal-order"])
    assert solo.said(AnswerReveal) == []


def test_a_seal_signed_by_another_is_refused() -> None:
    """3.3: a backup cannot seal in the primary's name."""
    solo = committed()
    solo.hear(forge.sign_as(3, seal_of(0, 1, 2).message), source=3)
    assert solo.last == [Refused(ReplicaId(3), "signature")]


def test_two_seals_of_one_number_are_evidence() -> None:
    """3.4: a primary that seals twice under one number is proven faulty; the first seal stands."""
    solo = committed()
    first, second = seal_of(0, 1, 2), seal_of(0, 1, 3)
    solo.hear(first)
    solo.hear(first)
    assert solo.got(Report) == []
    solo.hear(second)
    assert solo.got(Report) == [Report(Equivocation(first, second))]
    solo.hear(forge.sign_as(3, second.message), source=3)
    assert solo.last == [Refused(ReplicaId(3), "signature")]


# --- 3.4 reveal --------------------------------------------------------------------------------


def test_nobody_reveals_before_the_seal() -> None:
    """3.4: with all commitments in and no seal, the answer stays hidden."""
    solo = committed()
    for message in others(0, 2, 3):
        solo.hear(message)
    assert solo.said(AnswerReveal) == []


def test_a_sealed_replica_reveals_and_the_seal_is_on_disk_first() -> None:
    """3.4: Persist(Sealed) stands before Broadcast(AnswerReveal)."""
    solo = committed()
    found = solo.hear(seal_of(0, 1, 2))
    assert place(found, Persist, Sealed) < place(found, Broadcast, AnswerReveal)
    (reveal,) = solo.said(AnswerReveal)
    assert (reveal.answer, reveal.salt) == (TEXT, SALT)


def test_a_replica_that_is_not_sealed_does_not_reveal() -> None:
    """3.4: its answer could only be copied."""
    solo = committed()
    solo.hear(seal_of(0, 2, 3))
    assert solo.said(AnswerReveal) == []


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("reveal-mismatch", {"answer": answer("Lyon")}),
        ("reveal-mismatch", {"salt": bytes(32)}),
        ("signature", {"network": bytes(32)}),
    ],
    ids=str,
)
def test_a_reveal_must_open_its_commitment(reason: str, changes: dict[str, Any]) -> None:
    """3.4: another answer or salt than the committed one is refused, with whatever signature."""
    solo = committed()
    solo.hear(seal_of(0, 2, 3))
    solo.hear(forge.resign(forge.sign(opening(3)), **changes))
    assert solo.refusals() == [reason]


def test_a_reveal_without_commitment_is_refused() -> None:
    """O2: whoever answers after having read the others' answers is not heard."""
    solo = committed()
    solo.hear(seal_of(0, 1, 2))
    solo.hear(forge.sign(opening(3)))
    assert solo.refusals() == ["reveal-mismatch"]


def test_a_copied_commitment_opens_for_nobody() -> None:
    """O2: R3 commits to R2's hash, waits for R2's reveal, and reveals the same: refused."""
    solo = committed()
    copied = forge.resign(others(2)[0], replica=ReplicaId(3))
    solo.hear(others(2)[0])
    solo.hear(copied)
    solo.hear(forge.seal((others(0)[0], others(2)[0], copied)))
    solo.hear(forge.sign(opening(2)))
    assert solo.refusals() == []
    solo.hear(forge.resign(forge.sign(opening(2)), replica=ReplicaId(3)))
    assert solo.refusals() == ["reveal-mismatch"]


def test_a_reveal_in_anothers_name_is_refused() -> None:
    """3.4: the answer's signature is its replica's."""
    solo = committed()
    solo.hear(seal_of(0, 2, 3))
    solo.hear(forge.sign_as(3, opening(2)), source=3)
    assert solo.last == [Refused(ReplicaId(3), "signature")]


def test_an_answer_beyond_the_policy_is_refused() -> None:
    """3.4: a peer cannot make everybody compare more text than the policy allows."""
    long = forge.reveal(ID, 3, answer("x" * 101), SALT)
    solo = asked(answer_bytes_max=100)
    solo.hear(forge.commitment(long))
    solo.hear(forge.sign(long))
    assert solo.refusals() == ["answer"]


def test_silent_sealed_replicas_are_replaced_by_a_second_seal() -> None:
    """3.4: R2 and R3 are sealed and silent, R1's commitment comes late: the second seal names R1
    alone and names the first; the item carries both, and the late answer is in the later one."""
    cluster = Cluster(7)
    cluster.drop = lambda source, _target, message: (
        (source in (5, 6) and of_kind(AnswerReveal)(message))
        or (source == 4 and of_kind(AnswerCommitment)(message))
        or (source == 3)
    )
    request_id = cluster.ask(0)
    cluster.run()
    cluster.fire_all(SealGrace)
    cluster.run()
    first, *none = [m for m in cluster.nodes[0].sent if of_kind(Seal)(m)]
    assert none == []
    assert sorted(sealed_commitments([first])) == [0, 1, 2, 5, 6]  # type: ignore[list-item]
    # R4's commitment arrives, and later the grace ends without R5 and R6.
    cluster.drop = lambda source, _target, message: (
        source == 3 or (source in (5, 6) and of_kind(AnswerReveal)(message))
    )
    commitment = next(m for m in cluster.nodes[4].sent if of_kind(AnswerCommitment)(m))
    cluster.hear(0, 4, commitment)
    assert len([m for m in cluster.nodes[0].sent if of_kind(Seal)(m)]) == 1
    cluster.fire_all(RevealGrace)
    cluster.run()
    _, second = [m for m in cluster.nodes[0].sent if of_kind(Seal)(m)]
    assert sorted(sealed_commitments([second])) == [4]  # type: ignore[list-item]
    assert second.message.number == 1  # type: ignore[union-attr]
    assert second.message.previous == digest.seal_digest(first.message)  # type: ignore[union-attr, arg-type]
    # Four answers are too few; R3 wakes up late and makes it five.
    assert cluster.nodes[0].replies == {}
    cluster.drop = lambda source, _target, message: (
        source in (5, 6) and of_kind(AnswerReveal)(message)
    )
    cluster.reconnect()
    cluster.settle()
    item = item_at(cluster, 2, request_id)
    assert [reveal.message.replica for reveal in item.reveals] == [0, 1, 2, 3, 4]
    assert [sorted(sealed_commitments([seal])) for seal in item.seals] == [
        [0, 1, 2, 5, 6],
        [4],
        [3],
    ]
    # Two silent replicas count like abstentions: 5 of 7 of the weight.
    assert item.outcome.agreement_rate_bp == 10_000
    assert (
        item.outcome.confidence_bp
        == 9_600 * (10**8 - (10_000 - 50_000 * 10_000 // 70_000) ** 2) // 10**8
    )


def test_a_late_commitment_after_the_grace_is_sealed_at_once() -> None:
    """3.4: the grace is over and too few revealed: the next commitment brings the next seal."""
    solo = committed(0)
    for message in others(1, 2):
        solo.hear(message)
    solo.step(TimerFired(SealGrace(ID, 0)))
    solo.step(TimerFired(RevealGrace(ID, 0)))
    assert len(solo.said(Seal)) == 1
    solo.hear(others(3)[0])
    assert [seal.number for seal in solo.said(Seal)] == [0, 1]


def test_the_grace_of_a_second_seal_starts_anew() -> None:
    """3.4: late replicas get as long to reveal as the first ones."""
    solo = committed(0)
    for message in others(1, 2):
        solo.hear(message)
    solo.step(TimerFired(SealGrace(ID, 0)))
    solo.hear(forge.sign(opening(1)))
    solo.step(TimerFired(RevealGrace(ID, 0)))
    solo.hear(others(3)[0])
    assert ArmTimer(RevealGrace(ID, 0), Policy().reveal_grace_ms) in solo.last
    solo.hear(forge.sign(opening(2)))
    assert solo.got(effects.CompareAnswers) == []
    solo.hear(forge.sign(opening(3)))
    assert [c.texts for c in solo.got(effects.CompareAnswers)] == [("Paris",) * 4]


def test_the_primary_waits_for_all_sealed_answers_until_the_grace_ends() -> None:
    """3.4: a quorum of reveals is enough only when the others had their time."""
    solo = committed(0)
    for message in others(1, 2, 3):
        solo.hear(message)
    for replica in (1, 2):
        solo.hear(forge.sign(opening(replica)))
        assert solo.got(effects.CompareAnswers) == []
    solo.step(TimerFired(RevealGrace(ID, 0)))
    (comparison,) = solo.got(effects.CompareAnswers)
    assert comparison.texts == ("Paris",) * 3


def test_what_is_compared_is_what_was_sealed() -> None:
    """3.4: R3 reveals an answer it committed to but that is not the sealed one: not an answer."""
    solo = committed(0)
    other = forge.reveal(ID, 3, answer("Lyon"), SALT)
    for message in (*others(1, 2), forge.commitment(other)):
        solo.hear(message)
    solo.hear(forge.sign(opening(3)))
    assert solo.refusals() == ["reveal-mismatch"]


def test_evidence_has_no_times() -> None:
    """O3: everybody who holds the same two messages builds the same evidence."""
    first, second = (
        forge.commitment(opening(3)),
        forge.commitment(forge.reveal(ID, 3, salt=bytes(32))),
    )
    found = []
    for me in (1, 2):
        solo = asked(me)
        solo.hear(first)
        solo.hear(second)
        found += solo.got(Report)
    assert found[0] == found[1]


def test_answers_are_held_for_a_while_whatever_the_grace() -> None:
    """3.4: with no grace at all, a backup that holds no answer yet does not look again at once, for
    ever; and the primary owes nothing that had no time to reach it."""
    solo = asked(reveal_grace_ms=0)
    solo.hear(seal_of(0, 2, 3))
    timer = HeldReveals(ID, 0)
    assert ArmTimer(timer, 100) in solo.last
    assert solo.step(TimerFired(timer)) == [ArmTimer(timer, 100)]
    solo.hear(forge.sign(opening(2)))
    round_ = solo.replica._observation._rounds.get(ID, 0)
    assert round_ is not None
    solo.step(TimerFired(timer))
    assert (solo.got(ArmTimer), round_.owed) == ([ArmTimer(timer, 100)], frozenset())
    solo.step(TimerFired(timer))
    assert (solo.got(ArmTimer), round_.owed) == ([], {2})


# --- bounds ------------------------------------------------------------------------------------


def test_too_many_seals_for_a_view_change_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """V15: R3 chose its questions so that they stand before R2's, and has as many sealed as a
    view-change holds. R2's seals are in it all the same, and it is in order."""
    monkeypatch.setattr("pbft.seals.CHAINS_MAX", 3)
    theirs = [forge.request(3, number) for number in range(1, 5)]
    last = max(digest.request_id(request) for request in theirs)
    numbers = range(1, 10_000)
    ours = next(r for r in (forge.request(2, n) for n in numbers) if digest.request_id(r) > last)
    solo = Solo(1)
    for request in [*theirs, ours]:
        openings = [forge.reveal(digest.request_id(request), i) for i in (0, 2, 3)]
        solo.hear(forge.sign(request))
        solo.hear(forge.seal(tuple(forge.commitment(opening) for opening in openings)))
    for replica in (0, 3):
        solo.hear(forge.view_change(replica))
    (vote,) = solo.said(ViewChange)
    sealed = [chain.seals[0].message.request_id for chain in vote.chains]
    assert len(sealed) == 3
    assert digest.request_id(ours) in sealed
    assert view_change_fault(vote, forge.rules(4)) is None


def test_rounds_of_unknown_requests_are_bounded_per_peer() -> None:
    """V15: a peer that makes up request ids displaces its own oldest rounds, nobody else's."""
    solo = Solo(1)
    solo.hear(forge.commitment(forge.reveal(ID, 2)))
    for number in range(300):
        made_up = digest.request_id(forge.request(3, number))
        solo.hear(forge.commitment(forge.reveal(made_up, 3)))
    rounds = solo.replica._observation._rounds
    assert len(list(rounds)) == 257
    assert rounds.get(ID, 0) is not None
    assert solo.refusals() == ["too-many-rounds"]


@pytest.mark.parametrize("attempt", [Policy().attempts_max, 2**64 - 1])
def test_an_attempt_that_does_not_exist_opens_nothing(attempt: int) -> None:
    """V15: there are no more attempts than the policy allows."""
    solo = asked()
    solo.hear(forge.resign(forge.commitment(opening(3)), attempt=attempt))
    assert solo.refusals() == ["attempt"]
    assert len(list(solo.replica._observation._rounds)) == 1


@pytest.mark.parametrize("vote", [forge.prepare, forge.commit], ids=["prepare", "commit"])
@pytest.mark.parametrize("number", [257, 2**32, 2**64 - 1])
def test_votes_beyond_the_window_leave_nothing(vote: Any, number: int) -> None:
    """V15: signed votes for slots up to 2^64 - 1 are refused and take no memory."""
    solo = Solo(1)
    solo.hear(vote(3, forge.D1, number))
    assert solo.refusals() == ["watermarks"]
    assert list(solo.replica._normal_case._log) == []


@pytest.mark.parametrize("view", [1, 4, 2**64 - 1])
def test_votes_of_later_views_open_no_slot(view: int) -> None:
    """V15: they wait for their view (§8), in bounded room of their own."""
    solo = Solo(1)
    assert solo.hear(forge.resign(forge.prepare(3, forge.D1), view=view)) == []
    assert list(solo.replica._normal_case._log) == []


def test_a_decided_request_leaves_no_round_and_no_timer() -> None:
    """V15: when the answer is out, memory and timers of its round are given back; the slot stays
    until the next checkpoint, for those who may need it in a new view."""
    cluster = Cluster(4)
    cluster.ask(0)
    cluster.settle()
    for node in cluster.nodes:
        assert list(node.replica._observation._rounds) == []
        assert [s.sequence_number for s in node.replica._normal_case._log] == [1]
        assert list(node.timers) == [CatchUp()]


def test_messages_of_a_decided_round_open_no_new_one() -> None:
    """P9: a recorded commitment, seal or reveal of a decided request is ignored, unpunished."""
    cluster = Cluster(4)
    cluster.ask(0)
    cluster.settle()
    recorded = [
        m
        for node in cluster.nodes
        for m in node.sent
        if not isinstance(m, Proposal) and not of_kind(Height)(m)
    ]
    before = cluster.nodes[2].stages.copy()
    for message in recorded:
        if message.message.replica != 2:  # type: ignore[union-attr]
            cluster.hear(2, 3, message)
    assert list(cluster.nodes[2].replica._observation._rounds) == []
    assert cluster.nodes[2].stages == before
    assert cluster.nodes[2].refused == []


def test_a_started_replica_without_a_log_has_nothing_to_do() -> None:
    """The first event of a first life starts the clock for heights, and nothing else."""
    assert Solo(1).last == [ArmTimer(CatchUp(), 5_000)]
