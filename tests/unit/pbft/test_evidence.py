"""What proves that a replica is faulty, and what only looks like it."""

from dataclasses import replace

import pytest

from pbft import digest
from pbft.evidence import accused, evidence_fault, kind_of, needs_measuring
from pbft.messages import CommitmentMismatch, Equivocation, FalseItem
from tests.support import forge
from tests.support.proofs import (
    ACCUSED,
    COMMITMENTS,
    LIE,
    OPENINGS,
    PROOFS,
    RULES,
    SEAL,
    SPOILT,
    false_item,
    item,
    spoil,
)


@pytest.mark.parametrize("name", PROOFS)
def test_each_kind_of_evidence_proves_itself(name: str) -> None:
    """Two signatures that exclude each other, an answer that was not the promised one, an item that
    is wrong in itself: whoever knows the key sees it, and whom it is against."""
    evidence = PROOFS[name]
    assert evidence_fault(evidence, RULES) is None
    assert accused(evidence) == ACCUSED.get(name, 3)
    assert kind_of(evidence) in {"equivocation", "commitment-mismatch", "false-item"}
    assert not needs_measuring(evidence, RULES)


@pytest.mark.parametrize("how", SPOILT)
@pytest.mark.parametrize("name", PROOFS)
def test_spoilt_evidence_proves_nothing(name: str, how: str) -> None:
    """One of its two halves forged, of another network, epoch or replica."""
    assert evidence_fault(spoil(SPOILT[how], name), RULES) == "evidence"


def test_two_equal_messages_prove_nothing() -> None:
    """Nor do two of different slots, views, requests or numbers: those may differ."""
    one = forge.prepare(3, forge.D1)
    others = [
        one,
        forge.prepare(3, forge.D2, number=2),
        forge.prepare(3, forge.D2, view=1),
        forge.commit(3, forge.D2),
    ]
    for other in others:
        assert evidence_fault(Equivocation(one, other), RULES) == "evidence"
    elsewhere = forge.reveal(digest.request_id(forge.request(2)), 3)
    assert evidence_fault(
        Equivocation(COMMITMENTS[3], forge.commitment(elsewhere)), RULES
    ) == "evidence"  # fmt: skip
    second = forge.seal((COMMITMENTS[3],), (forge.seal(COMMITMENTS[:3]),))
    assert evidence_fault(Equivocation(SEAL, second), RULES) == "evidence"
    assert evidence_fault(
        CommitmentMismatch(COMMITMENTS[3], forge.sign(OPENINGS[3])), RULES
    ) == "evidence"  # fmt: skip


def test_a_false_item_must_be_the_one_that_was_signed() -> None:
    """Of another batch, another place or another view's primary it is no evidence."""
    right = false_item(LIE)
    assert isinstance(right, FalseItem)
    for wrong in [
        replace(right, index=0),
        replace(right, index=2),
        replace(right, index=2**64 - 1),
        replace(right, entry_digests=right.entry_digests[::-1]),
        replace(right, entry_digests=()),
        replace(right, item=item()),
        false_item(LIE, view=1),
    ]:
        assert evidence_fault(wrong, RULES) == "evidence"
