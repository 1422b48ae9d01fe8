"""Proof of misbehaviour, checked by anyone who knows the member's key.

An honest replica signs one commitment for each epoch, request and attempt, and reveals the answer
that it was made for; one seal for each number of a view's chain; one pre-prepare, prepare and
commit for each slot of a view. It logs each before it sends it, so that a crash changes nothing. As
a primary it proposes items that pass every check, with similarities that it measured.

Measurements differ a little between machines. What two honest machines measure lies within the
policy's tolerance; a claim is false only if it is further off than twice the tolerance, so that no
honest primary can be accused by a machine that measures at the far end of it.
"""

from pbft import digest
from pbft.item import Rules, WrongItem, check_item, opens
from pbft.messages import (
    AnswerCommitment,
    Commit,
    CommitmentMismatch,
    Equivocation,
    Evidence,
    FalseItem,
    Prepare,
    PrePrepare,
    Seal,
    Signed,
    SignedMessage,
)
from pbft.types import ReplicaId

Conflicting = AnswerCommitment | Seal | PrePrepare | Prepare | Commit


def accused(evidence: Evidence) -> ReplicaId:
    match evidence:
        case Equivocation(first, _):
            return first.message.replica
        case CommitmentMismatch(commitment, _):
            return commitment.message.replica
        case FalseItem(pre_prepare):
            return pre_prepare.message.replica


def signatures_of(evidence: Evidence) -> tuple[Signed[SignedMessage], ...]:
    """What the accused has signed."""
    match evidence:
        case Equivocation(first, second):
            return first, second
        case CommitmentMismatch(commitment, reveal):
            return commitment, reveal
        case FalseItem(pre_prepare):
            return (pre_prepare,)


def kind_of(evidence: Evidence) -> str:
    """One of few constant words."""
    match evidence:
        case Equivocation():
            return "equivocation"
        case CommitmentMismatch():
            return "commitment-mismatch"
        case FalseItem():
            return "false-item"


def evidence_fault(evidence: Evidence, rules: Rules) -> str | None:
    """Why the evidence proves nothing, in one constant word; None if it does.

    A `FalseItem` with no fault in itself is left to measurement: see `needs_measuring`.
    """
    match evidence:
        case Equivocation(first, second):
            if type(first.message) is not type(second.message) or first.message == second.message:
                return "evidence"
            if _place(first.message) != _place(second.message):
                return "evidence"
            genuine = rules.is_genuine(first) and rules.is_genuine(second)
        case CommitmentMismatch(commitment, reveal):
            made, opened = commitment.message, reveal.message
            if _place_of_answer(made) != _place_of_answer(opened) or opens(opened, made):
                return "evidence"
            genuine = rules.is_genuine(commitment) and rules.is_genuine(reveal)
        case FalseItem(pre_prepare, entry_digests, index, item):
            proposed = pre_prepare.message
            if (
                index >= len(entry_digests)
                or digest.item_digest(item) != entry_digests[index]
                or digest.batch_digest(entry_digests) != proposed.digest
                # What is right depends on members and policy.
                or proposed.epoch != rules.membership.epoch
                or proposed.replica != rules.membership.primary(proposed.view)
            ):
                return "evidence"
            genuine = rules.is_genuine(pre_prepare)
    return None if genuine else "evidence"


def needs_measuring(evidence: Evidence, rules: Rules) -> bool:
    """Whether only the similarities can tell if the item is false."""
    if not isinstance(evidence, FalseItem):
        return False
    try:
        check_item(evidence.item, rules)
    except WrongItem:
        return False
    return True


def _place(message: Conflicting) -> tuple[object, ...]:
    """Where the protocol lets a replica say one thing."""
    common = (message.network, message.epoch, message.replica)
    match message:
        case AnswerCommitment():
            return (*common, message.request_id, message.attempt)
        case Seal():
            return (*common, message.request_id, message.attempt, message.view, message.number)
        case PrePrepare() | Prepare() | Commit():
            return (*common, message.view, message.sequence_number)


def _place_of_answer(message: object) -> tuple[object, ...]:
    return tuple(
        getattr(message, name) for name in ("network", "epoch", "replica", "request_id", "attempt")
    )
