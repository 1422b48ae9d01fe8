"""What a set of view-changes determines (Castro and Liskov 1999, §4.4): pure functions.

The new primary and every backup compute the same plan from the same view-changes, so that the
primary of a new view has nothing to choose.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pbft import digest
from pbft.checkpoint import proves
from pbft.item import Rules, WrongItem, check_seal
from pbft.messages import (
    Checkpoint,
    PreparedCertificate,
    PrePrepare,
    SealChain,
    Signed,
    ViewChange,
)
from pbft.round import Chain, RoundKey
from pbft.types import (
    CHECKPOINT_INTERVAL,
    WINDOW,
    Digest,
    SequenceNumber,
    View,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the new view starts from."""

    stable: SequenceNumber
    """min-s of the paper: the greatest stable checkpoint among the view-changes."""

    proof: tuple[Signed[Checkpoint], ...]
    digests: dict[SequenceNumber, Digest]
    """For every number above, up to the greatest prepared one: the batch to propose again, or the
    null batch."""

    chains: dict[RoundKey, Chain]
    """The seals that new seals must extend, so that late answers stay late."""


def plan(view_changes: Iterable[Signed[ViewChange]]) -> Plan:
    """The plan that follows from valid view-changes."""
    votes = [signed.message for signed in view_changes]
    base = max(votes, key=lambda vote: vote.stable)
    prepared: dict[SequenceNumber, PrePrepare] = {}
    chains: dict[RoundKey, Chain] = {}
    for vote in votes:
        for certificate in vote.prepared:
            message = certificate.pre_prepare.message
            held = prepared.get(message.sequence_number)
            if held is None or _newer(message) > _newer(held):
                prepared[message.sequence_number] = message
        for chain in vote.chains:
            first = chain.seals[0].message
            key = (first.request_id, first.attempt)
            if key not in chains or _longer(chain.seals) > _longer(chains[key]):
                chains[key] = chain.seals
    above = range(base.stable + 1, max(prepared, default=base.stable) + 1)
    return Plan(
        stable=base.stable,
        proof=base.proof,
        digests={
            SequenceNumber(number): prepared[SequenceNumber(number)].digest
            if number in prepared
            else digest.NULL_BATCH
            for number in above
        },
        chains=chains,
    )


def _newer(message: PrePrepare) -> tuple[View, Digest]:
    # Two digests prepared in one view would need two quorums without a common correct replica.
    return message.view, message.digest


def _longer(chain: Chain) -> tuple[View, int, Digest]:
    return chain[-1].message.view, len(chain), digest.seal_digest(chain[-1].message)


def view_change_fault(message: ViewChange, rules: Rules) -> str | None:
    """Why a view-change, whose signature is right, must not count; None if it may."""
    if (
        message.view == 0
        or message.stable % CHECKPOINT_INTERVAL
        or message.stable < rules.membership.start
    ):
        return "view-change-shape"
    if message.epoch != rules.membership.epoch:
        return "epoch"
    if not proves(message.proof, message.stable, rules):
        return "view-change-proof"
    numbers = [c.pre_prepare.message.sequence_number for c in message.prepared]
    if numbers != sorted(set(numbers)) or any(
        not message.stable < number <= message.stable + WINDOW for number in numbers
    ):
        return "view-change-shape"
    if any(not _is_prepared(certificate, message.view, rules) for certificate in message.prepared):
        return "view-change-prepared"
    return _chains_fault(message.chains, message.view, rules)


def _is_prepared(certificate: PreparedCertificate, before: View, rules: Rules) -> bool:
    """Whether a quorum stands behind the digest, in an earlier view."""
    proposed = certificate.pre_prepare.message
    primary = rules.membership.primary(proposed.view)
    replicas = [prepare.message.replica for prepare in certificate.prepares]
    return (
        proposed.view < before
        and proposed.replica == primary
        and proposed.epoch == rules.membership.epoch
        and rules.is_genuine(certificate.pre_prepare)
        and replicas == sorted(set(replicas))
        and primary not in replicas
        and len(replicas) >= rules.membership.quorum - 1
        and all(
            (p.message.epoch, p.message.view, p.message.sequence_number, p.message.digest)
            == (proposed.epoch, proposed.view, proposed.sequence_number, proposed.digest)
            and rules.is_genuine(p)
            for p in certificate.prepares
        )
    )


def _chains_fault(chains: Sequence[SealChain], before: View, rules: Rules) -> str | None:
    keys = []
    for chain in chains:
        if not chain.seals or any(seal.message.view >= before for seal in chain.seals):
            return "view-change-seals"
        first = chain.seals[0].message
        keys.append((first.request_id, first.attempt))
        try:
            for number, seal in enumerate(chain.seals):
                check_seal(seal, chain.seals[:number], first.request_id, first.attempt, rules)
        except WrongItem as wrong:
            return wrong.reason
    return None if keys == sorted(set(keys)) else "view-change-seals"
