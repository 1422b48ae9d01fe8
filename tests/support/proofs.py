"""Evidence of each kind, and ways to spoil it (four replicas, epoch 0)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pbft import digest
from pbft.messages import (
    CommitmentMismatch,
    Equivocation,
    Evidence,
    FalseItem,
    Item,
    Signed,
)
from pbft.types import ReplicaId
from tests.support import forge
from tests.support.cluster import answer

RULES = forge.rules(4)

ASKED = forge.request(1)
REQUEST_ID = digest.request_id(ASKED)
OPENINGS = tuple(forge.reveal(REQUEST_ID, i) for i in range(4))
COMMITMENTS = tuple(forge.commitment(opening) for opening in OPENINGS)
OTHER = forge.reveal(REQUEST_ID, 3, answer("Lyon"))
SEAL = forge.seal(COMMITMENTS)
TRUE = (9_600,) * 6


def item(similarities: tuple[int, ...] = TRUE) -> Item:
    return forge.item(ASKED, OPENINGS, similarities)


def false_item(wrong: Item, **changes: Any) -> FalseItem:
    """R0 proposed it, second in a batch."""
    batch = (forge.item(ASKED, OPENINGS[:3], TRUE[:3]), wrong)
    proposal = forge.proposal(batch, **changes)
    digests = tuple(digest.entry_digest(entry) for entry in batch)
    return FalseItem(proposal.pre_prepare, digests, 1, wrong)


LIE = replace(item(), outcome=replace(item().outcome, confidence_bp=1))
FAR = item((9_600, 9_600, 9_600, 9_600, 9_600, 8_900))

PROOFS: dict[str, Evidence] = {
    "commitment": Equivocation(COMMITMENTS[3], forge.commitment(OTHER)),
    "seal": Equivocation(SEAL, forge.seal(COMMITMENTS[:3])),
    "pre-prepare": Equivocation(forge.pre_prepare(forge.D1), forge.pre_prepare(forge.D2)),
    "prepare": Equivocation(forge.prepare(3, forge.D1), forge.prepare(3, forge.D2)),
    "commit": Equivocation(forge.commit(3, forge.D1), forge.commit(3, forge.D2)),
    "mismatch": CommitmentMismatch(COMMITMENTS[3], forge.sign(OTHER)),
    "false outcome": false_item(LIE),
}
ACCUSED = {"seal": 0, "pre-prepare": 0, "false outcome": 0}


def spoil(change: Callable[[Any], Any], name: str) -> Evidence:
    evidence = PROOFS[name]
    if isinstance(evidence, Equivocation):
        return replace(evidence, second=change(evidence.second))
    if isinstance(evidence, CommitmentMismatch):
        return replace(evidence, reveal=change(evidence.reveal))
    return replace(evidence, pre_prepare=change(evidence.pre_prepare))


SPOILT: dict[str, Callable[[Signed[Any]], Signed[Any]]] = {
    "forged": lambda signed: forge.sign_as(2, signed.message),
    "another network": lambda signed: forge.resign(signed, network=bytes(32)),
    "another epoch": lambda signed: forge.resign(signed, epoch=7),
    "another replica": lambda signed: forge.resign(signed, replica=ReplicaId(2)),
    "a stranger": lambda signed: forge.sign_as(9, replace(signed.message, replica=ReplicaId(9))),
    "no signature": lambda signed: replace(signed, signature=bytes(64)),
}
