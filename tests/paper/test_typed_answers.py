"""Design, step 1 and §4: a label, a number or a small schema is agreed by its values alone."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from daemon.keyring import Ed25519Verifier
from pbft import certificate as certificates
from pbft import digest, effects
from pbft.events import AnswerReady, Received, RevealGrace, Submitted, TimerFired
from pbft.item import check_item, with_outcome
from pbft.messages import Answer, AnswerCommitment, AnswerReveal, Finish, Item, Prepare, Proposal
from pbft.outcome import Contradiction, Reason, Status
from pbft.policy import Policy
from pbft.types import ReplicaId
from tests.support import forge
from tests.support.cluster import Cluster, answer
from tests.support.founding import decide, founded
from tests.support.scenes import only_item
from tests.support.solo import Solo
from tests.support.typed import ASK_LABEL, ASK_NUMBER, ASK_SCHEMA, valued


def decided(said: list[str | None], asked: dict[str, Any], **options: Any) -> Item:
    """The one item that four replicas decide, the same in every ledger."""
    cluster = Cluster(4, said, **options)
    cluster.draw = valued
    cluster.ask(node=1, **asked)
    cluster.settle()
    batches = {node.ledger[1].batch for node in cluster.nodes}
    assert len(batches) == 1
    (item,) = batches.pop()
    return item


def never(_answers: tuple[str, ...]) -> Any:
    raise AssertionError("typed answers are not compared")


def test_a_label_is_decided_without_comparing_words() -> None:
    """Replicas agree on a label by its value: no similarity is measured, none is in the item."""
    item = decided(["up", "up", "down", "up"], ASK_LABEL, compare=never)
    assert (item.similarities_bp, item.contradictions) == ((), ())
    assert item.outcome.status is Status.AGREED
    assert item.outcome.fields[0].value == "up"
    assert item.outcome.clusters == ((0, 1, 3), (2,))


def test_a_number_is_decided_by_its_median() -> None:
    """The agreed number is the median, and who is far from it is on record with the reason."""
    item = decided(["100", "101", "7", "100.5"], ASK_NUMBER, compare=never)
    (field,) = item.outcome.fields
    assert field.value == "100"
    assert [(e.replica, e.reason) for e in field.excluded] == [(2, Reason.OUTLIER)]
    assert item.outcome.status is Status.AGREED


def test_a_schema_is_decided_field_by_field() -> None:
    """One disputed field leaves the others decided; the whole is without agreement."""
    item = decided(["up 1 Paris", "up 2 Paris", "up 3 Paris", "up 4 Paris"], ASK_SCHEMA)
    assert [field.status for field in item.outcome.fields] == [
        Status.AGREED,
        Status.NO_AGREEMENT,
        Status.AGREED,
    ]
    assert item.outcome.status is Status.NO_AGREEMENT
    assert item.outcome.representative is None


def test_a_certificate_of_typed_answers_verifies() -> None:
    """It says what was asked for and what was agreed, and convinces with the genesis file alone."""
    genesis = founded(4)
    slot = decide(genesis, ["up 5 Paris"] * 4, draw=valued, **ASK_SCHEMA)
    text = certificates.to_text(certificates.certify(slot, 0))
    certificate = certificates.from_text(text)
    certificates.verify(certificate, genesis.rules(Ed25519Verifier()))
    assert [field.value for field in certificate.item.outcome.fields] == ["up", "5", "Paris"]


# --- the own model -----------------------------------------------------------------------------


def solo_answers(said: Answer, asked: dict[str, Any]) -> Answer:
    """What a replica writes to its log when its model says this."""
    solo = Solo(1)
    request = forge.request(replica=1, **asked)
    solo.step(Submitted(request))
    solo.step(AnswerReady(digest.request_id(request), 0, said, bytes(32)))
    (record,) = [e.record for e in solo.got(effects.Persist)]
    drawn: Answer = record.answer  # type: ignore[union-attr]
    return drawn


def test_the_own_models_values_are_checked() -> None:
    """A driver that hands in values which do not fit makes its replica abstain, with a note, and
    not be refused by everybody."""
    assert solo_answers(valued("up"), ASK_LABEL).finish is Finish.STOP
    wrong = solo_answers(valued("sideways"), ASK_LABEL)
    assert (wrong.finish, wrong.note, wrong.values) == (
        Finish.ABSTAINED,
        "not a value of answer",
        (),
    )
    assert solo_answers(answer("up"), ASK_LABEL).note == "wrong number of values"
    assert solo_answers(valued("up"), {}).finish is Finish.ABSTAINED


def test_questions_with_wrong_fields_are_rejected() -> None:
    """A user hears what is wrong, and a peer's such request is refused."""
    asked = {**ASK_LABEL, "fields": ()}
    solo = Solo(1)
    solo.step(Submitted(forge.request(replica=1, **asked)))
    (rejected,) = solo.got(effects.Rejected)
    assert "one field" in rejected.reason
    solo.hear(forge.sign(forge.request(replica=2, **asked)))
    assert solo.refusals() == ["request"]


# --- a peer's reveal ---------------------------------------------------------------------------


class Sealed:
    """Replica 1, with a sealed label question; `reveals[i]` is what replica i committed to."""

    def __init__(self, said: list[Answer], asked: dict[str, Any] = ASK_LABEL) -> None:
        self.request = forge.request(**asked)
        request_id = digest.request_id(self.request)
        self.openings = [forge.reveal(request_id, i, what) for i, what in enumerate(said)]
        self.commitments = tuple(forge.commitment(opening) for opening in self.openings)
        self.seal = forge.seal(self.commitments)
        self.solo = Solo(1)

    def hear_request(self) -> None:
        self.solo.hear(forge.sign(self.request))

    def hear_seal(self) -> None:
        self.solo.hear(self.seal)

    def hear_reveal(self, i: int) -> list[str]:
        """The reasons for which it was refused."""
        self.solo.hear(forge.sign(self.openings[i]))
        return self.solo.refusals()


WRONG_VALUES = [valued("sideways"), valued("Up"), valued("up up"), valued("-"), answer("up")]


@pytest.mark.parametrize("wrong", WRONG_VALUES, ids=lambda said: said.text)
def test_wrong_values_are_refused_in_a_reveal(wrong: Answer) -> None:
    """A peer whose values are no answer to the question is refused like one who says too much."""
    scene = Sealed([valued("up"), valued("up"), wrong, valued("up")])
    scene.hear_request()
    scene.hear_seal()
    assert scene.hear_reveal(0) == []
    assert scene.hear_reveal(2) == ["answer"]


def test_values_to_a_text_question_are_refused() -> None:
    """Where no field was asked for there are no values."""
    scene = Sealed([answer("up"), answer("up"), valued("up"), answer("up")], {})
    scene.hear_request()
    scene.hear_seal()
    assert scene.hear_reveal(2) == ["answer"]


def test_wrong_values_that_overtake_their_request_do_not_count() -> None:
    """A reveal may come before the request that it could be checked against. The primary must not
    put it into an item then, as every backup would refuse the item."""
    request = forge.request(replica=1, **ASK_LABEL)
    request_id = digest.request_id(request)
    wrong = forge.reveal(request_id, 3, valued("sideways"))
    right = [forge.reveal(request_id, i, valued("up")) for i in (1, 2)]
    primary = Solo(0)
    for opening in (*right, wrong):
        primary.hear(forge.commitment(opening))
    primary.hear(forge.sign(wrong))
    assert primary.refusals() == []  # it may be right, for all this replica knows
    primary.hear(forge.sign(request))
    primary.step(AnswerReady(request_id, 0, valued("up"), bytes(32)))
    assert primary.said(AnswerCommitment)
    for opening in right:
        primary.hear(forge.sign(opening))
    assert primary.said(AnswerReveal)
    primary.step(TimerFired(RevealGrace(request_id, 0)))
    (proposal,) = [
        e.message
        for e in primary.all
        if isinstance(e, effects.Broadcast) and isinstance(e.message, Proposal)
    ]
    assert [r.message.replica for r in only_item(proposal).reveals] == [0, 1, 2]
    check_item(only_item(proposal), forge.rules(4))


# --- judging -----------------------------------------------------------------------------------


def honest_item(asked: dict[str, Any], said: list[str]) -> Item:
    request = forge.request(**asked)
    request_id = digest.request_id(request)
    openings = tuple(forge.reveal(request_id, i, valued(text)) for i, text in enumerate(said))
    return forge.item(request, openings, ())


def with_field(item: Item, **changes: Any) -> Item:
    (field,) = item.outcome.fields
    return replace(item, outcome=replace(item.outcome, fields=(replace(field, **changes),)))


def redone(item: Item, **changes: Any) -> Item:
    return with_outcome(replace(item, **changes), 4, Policy())


def with_answer(item: Item, said: Answer) -> Item:
    """Replica 3 committed to and revealed something else; all is signed and in order."""
    request = item.request.message
    openings = tuple(reveal.message for reveal in item.reveals[:3])
    wrong = forge.reveal(digest.request_id(request), 3, said)
    return replace(
        forge.item(request, openings, ()),
        seals=(forge.seal(tuple(forge.commitment(o) for o in (*openings, wrong))),),
        reveals=(*item.reveals[:3], forge.sign(wrong)),
        weights=item.weights,
        outcome=item.outcome,
    )


NUMBER = ["100", "101", "100", "7"]
BAD_ITEMS: list[tuple[str, str, Callable[[Item], Item]]] = [
    ("another value", "outcome", lambda i: with_field(i, value="101")),
    ("another quartile", "outcome", lambda i: with_field(i, upper_quartile="101")),
    ("nobody excluded", "outcome", lambda i: with_field(i, excluded=())),
    ("another rate", "outcome", lambda i: with_field(i, agreement_rate_bp=10_000)),
    ("surer", "outcome", lambda i: with_field(i, confidence_bp=10_000)),
    ("no fields", "outcome", lambda i: replace(i, outcome=replace(i.outcome, fields=()))),
    (
        "another voice",
        "outcome",
        lambda i: replace(i, outcome=replace(i.outcome, representative=ReplicaId(1))),
    ),
    (
        "the outlier inside",
        "outcome",
        lambda i: replace(i, outcome=replace(i.outcome, clusters=((0, 1, 2, 3),))),
    ),
    ("a matrix", "matrix", lambda i: redone(i, similarities_bp=(9_600,) * 6)),
    ("a flag", "matrix", lambda i: redone(i, contradictions=(Contradiction(0, 1, "x"),))),
    ("a wrong value", "answer", lambda i: with_answer(i, valued("five"))),
    ("another spelling", "answer", lambda i: with_answer(i, valued("7.0"))),
    ("no value", "answer", lambda i: with_answer(i, answer("7"))),
]


def hear_proposal(item: Item) -> Solo:
    solo = Solo(2)
    solo.step(Received(ReplicaId(0), forge.proposal((item,))))
    return solo


def test_a_right_typed_item_is_prepared_without_measuring() -> None:
    """A backup recomputes the outcome and prepares at once."""
    solo = hear_proposal(honest_item(ASK_NUMBER, NUMBER))
    assert solo.refusals() == []
    assert solo.got(effects.CompareAnswers) == []
    assert len(solo.said(Prepare)) == 1


@pytest.mark.parametrize(
    ("reason", "spoil"), [case[1:] for case in BAD_ITEMS], ids=[case[0] for case in BAD_ITEMS]
)
def test_a_wrong_typed_item_is_refused(reason: str, spoil: Callable[[Item], Item]) -> None:
    """A backup refuses whatever does not follow from the signed values."""
    solo = hear_proposal(spoil(honest_item(ASK_NUMBER, NUMBER)))
    assert solo.refusals() == [reason]
    assert solo.said(Prepare) == []
