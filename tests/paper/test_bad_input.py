"""§2: up to f replicas may send anything. Whatever a peer sends, a replica refuses with a counted
reason or ignores it, in bounded memory, accuses nobody but who signed it, and raises nothing."""

import random
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import cache
from typing import Any

import pytest

from pbft import effects
from pbft.codec import decode, encode
from pbft.early import BYTES_MAX, MESSAGES_MAX
from pbft.effects import Refused, Report
from pbft.errors import Malformed
from pbft.events import Received
from pbft.evidence import accused, evidence_fault
from pbft.membership import SetPolicy
from pbft.messages import (
    Accusation,
    BatchContent,
    BatchWanted,
    DecidedSlot,
    Endorsement,
    EpochCertificate,
    LedgerWanted,
    Proposal,
    Signed,
    ViewChangesWanted,
)
from pbft.motions import CHANGES_MAX
from pbft.policy import Policy
from pbft.round import ROUNDS_AHEAD_MAX
from pbft.types import U64_MAX, WINDOW, Epoch, ReplicaId, SequenceNumber
from tests.support import forge
from tests.support.cluster import Cluster
from tests.support.intervals import checkpoint_every
from tests.support.keyring import keyring
from tests.support.solo import Solo

MUTANTS = 60
"""Of each message, drawn from all that there are."""
LIAR = 3


def kind_of(message: Any) -> str:
    return type(message.message if isinstance(message, Signed) else message).__name__


@cache
def run() -> tuple[dict[str, list[Any]], list[Any]]:
    """Real messages by type, and the ledger that they led to: two attempts at each question, a
    checkpoint, a view change, a change of policy, an accusation."""
    with pytest.MonkeyPatch.context() as patch:
        checkpoint_every(2, patch)
        cluster = Cluster(4, ["Paris", "Lyon", "Nice", "Metz"], Policy(rotation_slots=4))
        cluster.ask(1)
        cluster.settle(20)
        cluster.hear(2, 3, forge.commit(3, forge.D1, 4))
        cluster.hear(2, 3, forge.commit(3, forge.D2, 4))
        cluster.settle(20)
        cluster.crash(0)
        cluster.ask(2)
        cluster.settle(20)
        cluster.endorse(SetPolicy(Policy(attempts_max=1, rotation_slots=4)), 1, 2, 3)
        cluster.settle(20)
        cluster.restart(0)
        cluster.ask(3)
        cluster.settle(30)
    found: dict[str, list[Any]] = {}
    for node in cluster.nodes:
        for message in node.sent:
            known = found.setdefault(kind_of(message), [])
            if message not in known and len(known) < 4:
                known.append(message)
    ledger = cluster.nodes[1].ledger
    found["DecidedSlot"] = list(ledger.values())[:3]
    found["EpochCertificate"] = list(cluster.nodes[1].epochs)
    found["BatchWanted"] = [BatchWanted(forge.D1)]
    found["BatchContent"] = [BatchContent(ledger[1].batch)]
    found["ViewChangesWanted"] = [ViewChangesWanted((forge.D1, forge.D2))]
    found["LedgerWanted"] = [LedgerWanted(SequenceNumber(1), Epoch(0))]
    return found, list(ledger.values())


KINDS = [
    "Accusation", "AnswerCommitment", "AnswerReveal", "BatchContent", "BatchWanted", "Checkpoint",
    "Commit", "DecidedSlot", "Endorsement", "EpochCertificate", "Height", "LedgerWanted",
    "NewView", "Prepare", "Proposal", "Request", "Seal", "ViewChange",
    "ViewChangesWanted",
]  # fmt: skip
SIGNED = [
    "AnswerCommitment", "AnswerReveal", "Checkpoint", "Commit", "Endorsement", "Height", "NewView",
    "Prepare", "Request", "Seal", "ViewChange",
]  # fmt: skip


def test_there_is_a_sample_of_everything() -> None:
    """A new type of message needs a line above."""
    assert sorted(run()[0]) == KINDS
    kinds = {type(m) for samples in run()[0].values() for m in samples}
    assert kinds == {
        Signed, Accusation, BatchContent, BatchWanted, DecidedSlot, EpochCertificate, LedgerWanted,
        Proposal, ViewChangesWanted,
    }  # fmt: skip


# --- every field, wrong in every way ----------------------------------------------------------


def mutants(value: Any) -> Iterator[Any]:  # noqa: C901  # one case for each kind of value
    """The value with one part changed; what is signed is signed again by whom it names."""
    if isinstance(value, Signed):
        yield replace(value, signature=bytes(64))
        for inner in mutants(value.message):
            # Nobody has the key of the replica that is tested.
            known = inner.replica < 10 and inner.replica != 1
            yield Signed(inner, keyring(inner.replica if known else LIAR).sign(inner))
    elif is_dataclass(value):
        for field in fields(value):
            for inner in mutants(getattr(value, field.name)):
                try:
                    yield replace(value, **{field.name: inner})  # type: ignore[type-var]
                except ValueError:  # a policy out of range cannot even be made
                    continue
    elif isinstance(value, Enum):
        yield from (other for other in type(value) if other is not value)
    elif isinstance(value, int):
        near = {0, value + 1, max(value - 1, 0), 2**63, U64_MAX}
        yield from sorted(near - {value})
    elif isinstance(value, bytes):
        yield bytes(len(value))
        yield bytes([value[0] ^ 1]) + value[1:]
    elif isinstance(value, str):
        yield from ("", value + "x", "\u00e9" * 4, "x" * 16_384)
    elif isinstance(value, tuple):
        yield ()
        if value:
            yield (*value, value[0])
            yield value[::-1]
            yield value[1:]
            yield value[:1] * 128
            for place in range(min(len(value), 3)):
                for inner in mutants(value[place]):
                    yield (*value[:place], inner, *value[place + 1 :])


def some(values: Iterator[Any], count: int, seed: str) -> list[Any]:
    drawn = list(values)
    random.Random(seed).shuffle(drawn)  # noqa: S311
    return drawn[:count]


def fresh() -> Solo:
    return Solo(1)


def busy() -> Solo:
    """In the middle of a round: what is open can be contradicted."""
    solo = Solo(1)
    for kind in ("Request", "AnswerCommitment", "Seal", "AnswerReveal", "Proposal", "Prepare"):
        for message in run()[0][kind]:
            inner = message.pre_prepare if isinstance(message, Proposal) else message
            if inner.message.replica != 1:
                solo.hear(message)
    return solo


def grown() -> Solo:
    """In epoch 1, with a ledger."""
    solo = Solo(1)
    for slot in run()[1]:
        solo.hear(slot, source=2)
    return solo


def check_bounds(solo: Solo) -> None:
    replica = solo.replica
    rounds = list(replica._observation._rounds)
    assert len([r for r in rounds if r.request is None]) <= 3 * ROUNDS_AHEAD_MAX
    slots = list(replica._normal_case._log)
    assert len(slots) <= WINDOW
    for slot in slots:
        assert slot.prepares.keys() | slot.commits.keys() <= {0, 1, 2, 3}
        assert len(slot.contents) <= 4
    for round_ in rounds:
        assert round_.commitments.keys() | round_.reveals.keys() <= {0, 1, 2, 3}
    assert replica._view_changes._votes.keys() <= {0, 1, 2, 3}
    for votes in replica._checkpoints._votes.values():
        assert votes.keys() <= {0, 1, 2, 3}
    assert len(replica._checkpoints._votes) <= WINDOW // 2
    assert all(size <= BYTES_MAX for size in replica._early._sizes.values())
    assert all(len(own) <= CHANGES_MAX for own in replica._motions._endorsements.values())
    assert replica._motions._evidence.keys() <= {0, 2, 3}
    assert len(replica._motions._unmeasured) <= 4


@pytest.mark.parametrize("target", [fresh, busy, grown], ids=lambda target: target.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_no_field_of_no_message_does_harm(kind: str, target: Callable[[], Solo]) -> None:
    """V15: each field stale, far in the future, off by one, empty, doubled, in another order or of
    another message, signed by whom it names: nothing is raised, what is found accuses nobody but a
    signer of contradictions, and memory stays within its bounds."""
    with pytest.MonkeyPatch.context() as patch:
        checkpoint_every(2, patch)
        solo = target()
        for number, sample in enumerate(run()[0][kind]):
            for mutant in some(mutants(sample), MUTANTS, f"{kind} {number}"):
                try:
                    message = decode(encode(mutant))
                except (Malformed, OverflowError, UnicodeEncodeError):
                    continue  # the driver counts it; the core never sees it
                found = solo.step(Received(ReplicaId(LIAR), message))
                for effect in found:
                    if isinstance(effect, Report):
                        rules = solo.replica._context.rules
                        assert accused(effect.evidence) != 1
                        assert evidence_fault(effect.evidence, rules) is None
        check_bounds(solo)


# --- certainly wrong ---------------------------------------------------------------------------


def certainly_wrong(signed: Signed[Any]) -> dict[str, Signed[Any]]:
    message = signed.message
    stranger = replace(message, replica=ReplicaId(9))
    nobody = replace(message, replica=ReplicaId(U64_MAX))
    return {
        "foreign network": forge.sign(replace(message, network=bytes(32))),
        "no signature": replace(signed, signature=bytes(64)),
        "another's key": forge.sign_as((message.replica + 1) % 4, message),
        "a stranger": forge.sign_as(9, stranger),
        "nobody": forge.sign_as(LIAR, nobody),
    }


@pytest.mark.parametrize("kind", SIGNED)
def test_what_is_certainly_wrong_changes_nothing(kind: str) -> None:
    """P4: of another network, unsigned, under another's key, by a stranger or by nobody: nothing
    comes of it but a counted refusal, or silence where the message would not matter anyway; what
    the log would hold is the same before and after."""
    with pytest.MonkeyPatch.context() as patch:
        checkpoint_every(2, patch)
        for sample in run()[0][kind]:
            for name, wrong in certainly_wrong(sample).items():
                solo = Solo(1)
                before = solo.replica._live_records()
                solo.hear(wrong, source=LIAR)
                assert {type(effect) for effect in solo.last} <= {Refused}, (kind, name)
                assert solo.replica._live_records() == before
                for slot in solo.replica._normal_case._log:
                    assert slot.prepares == slot.commits == {}
                for round_ in solo.replica._observation._rounds:
                    assert round_.commitments == round_.reveals == {}
                    assert round_.seals == ()
                assert solo.replica._view_changes._votes == {}
                assert solo.replica.changes == ()


@pytest.mark.parametrize("kind", [k for k in SIGNED if k != "Request"])
@pytest.mark.parametrize("epoch", [1, 7, 2**63, U64_MAX])
def test_another_epoch_counts_for_nothing(kind: str, epoch: int) -> None:
    """Of an epoch to come: it waits within the bound of its peer, or is refused; it is never taken
    for this one."""
    with pytest.MonkeyPatch.context() as patch:
        checkpoint_every(2, patch)
        for sample in run()[0][kind]:
            solo = Solo(1)
            before = solo.replica._live_records()
            solo.hear(forge.resign(sample, epoch=epoch), source=LIAR)
            sent = [e for e in solo.last if not isinstance(e, Refused)]
            # A height of an epoch to come makes the replica ask for the ledger.
            assert all(isinstance(e, effects.Send) and kind == "Height" for e in sent)
            assert solo.replica._live_records() == before
            assert len(solo.replica._early._waiting.get(ReplicaId(LIAR), ())) <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_message_twice_is_the_same_once(kind: str) -> None:
    """P1, P9: heard again at once, a message changes nothing more and accuses nobody."""
    with pytest.MonkeyPatch.context() as patch:
        checkpoint_every(2, patch)
        for sample in run()[0][kind]:
            solo = Solo(1)
            solo.hear(sample, source=2)
            records = solo.replica._live_records()
            for _ in range(3):
                solo.hear(sample, source=2)
                allowed = (Refused, effects.Send, effects.SendLedger, effects.ArmTimer)
                assert all(isinstance(effect, allowed) for effect in solo.last), solo.last
            assert solo.replica._live_records() == records


def test_a_flood_from_the_future_is_bounded() -> None:
    """V15: proposals, votes, commitments and endorsements of epochs and views to come: a peer fills
    its own room and nobody else's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pbft.early.BYTES_MAX", 20_000)
        solo = Solo(1)
        for number in range(400):
            solo.hear(forge.resign(forge.prepare(LIAR, forge.D1, 1), view=number + 1))
            solo.hear(forge.resign(forge.commit(LIAR, forge.D1, 1), epoch=U64_MAX - number))
        waiting = solo.replica._early._waiting[ReplicaId(LIAR)]
        assert len(waiting) < MESSAGES_MAX
        assert sum(size for size, _ in waiting) <= 20_000
        assert set(solo.refusals()) == {"too-early"}
        honest = forge.resign(forge.prepare(2, forge.D1, 1), view=1)
        solo.hear(honest)
        assert solo.last == []
        assert len(solo.replica._early._waiting[ReplicaId(2)]) == 1


def test_a_flood_of_small_messages_from_the_future_is_bounded() -> None:
    """V15: all that waits is read in one step, so that its number is bounded too, not only its
    bytes: the newest stay."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pbft.early.MESSAGES_MAX", 50)
        solo = Solo(1)
        for number in range(60):
            solo.hear(forge.resign(forge.prepare(LIAR, forge.D1, 1), view=number + 1))
        waiting = solo.replica._early._waiting[ReplicaId(LIAR)]
        assert [kept.message.view for _, kept in waiting] == list(range(11, 61))  # type: ignore[union-attr]
        assert solo.refusals() == ["too-early"]


def test_a_flood_of_wishes_is_bounded() -> None:
    """V15: a member that endorses everything holds eight places, and a quorum of them is none."""
    solo = Solo(1)
    for number in range(100):
        wanted = SetPolicy(Policy(tokens_max=number + 1))
        endorsement = Endorsement(forge.NETWORK, Epoch(0), wanted, ReplicaId(LIAR))
        solo.hear(forge.sign(endorsement))
    assert len(solo.replica.changes) == CHANGES_MAX
    assert solo.got(effects.Broadcast) == []
