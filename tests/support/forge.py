"""Anything signed in any member's name: what an attacker holding that key could send."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

from pbft import digest
from pbft.item import Rules, commitment_of, with_outcome
from pbft.membership import Membership
from pbft.messages import (
    Answer,
    AnswerCommitment,
    AnswerReveal,
    Batch,
    Checkpoint,
    Commit,
    Height,
    Item,
    Kind,
    NewView,
    Prepare,
    PreparedCertificate,
    PrePrepare,
    Proposal,
    Request,
    Seal,
    Signed,
    SignedMessage,
    ViewChange,
)
from pbft.new_view import plan
from pbft.opening import name
from pbft.policy import Policy
from pbft.types import Digest, Epoch, ReplicaId, RequestId, SequenceNumber, View
from tests.support.cluster import NETWORK, answer
from tests.support.keyring import keyring, membership

M = TypeVar("M", bound=SignedMessage)

D1 = Digest(b"\x01" * 32)
D2 = Digest(b"\x02" * 32)


def sign(message: M) -> Signed[M]:
    """With the key of whom the message names as its sender."""
    return Signed(message, keyring(message.replica).sign(message))


def sign_as(replica: int, message: M) -> Signed[M]:
    """With another's key."""
    return Signed(message, keyring(replica).sign(message))


def resign(signed: Signed[Any], **changes: Any) -> Signed[Any]:
    """The same message with some fields changed, signed again by its sender."""
    return sign(replace(signed.message, **changes))


def rules(n: int, policy: Policy | None = None, members: Membership | None = None) -> Rules:
    return Rules(NETWORK, members or membership(n), policy or Policy(), keyring(0))


def request(replica: int = 0, number: int = 1, **changes: Any) -> Request:
    made = Request(
        network=NETWORK,
        replica=ReplicaId(replica),
        number=number,
        kind=Kind.TEXT,
        prompt="Capital of France?",
        language="",
        max_tokens=64,
        timeout_ms=10_000,
    )
    return replace(made, **changes)


def reveal(
    request_id: RequestId, replica: int, said: Answer | None = None, salt: bytes | None = None
) -> AnswerReveal:
    return AnswerReveal(
        network=NETWORK,
        epoch=Epoch(0),
        request_id=request_id,
        attempt=0,
        answer=said or answer("Paris"),
        salt=bytes([replica]) * 32 if salt is None else salt,
        replica=ReplicaId(replica),
    )


def commitment(opening: AnswerReveal) -> Signed[AnswerCommitment]:
    """The commitment that `opening` opens."""
    return sign(
        AnswerCommitment(
            network=opening.network,
            epoch=opening.epoch,
            request_id=opening.request_id,
            attempt=opening.attempt,
            commitment=commitment_of(opening),
            replica=opening.replica,
        )
    )


def seal(
    commitments: tuple[Signed[AnswerCommitment], ...],
    earlier: tuple[Signed[Seal], ...] = (),
    **changes: Any,
) -> Signed[Seal]:
    first = commitments[0].message
    made = Seal(
        network=NETWORK,
        epoch=Epoch(0),
        request_id=first.request_id,
        attempt=first.attempt,
        view=View(0),
        number=len(earlier),
        previous=digest.seal_digest(earlier[-1].message) if earlier else digest.DIGEST_ZERO,
        commitments=commitments,
        replica=ReplicaId(0),
    )
    return sign(replace(made, **changes))


def item(
    asked: Request,
    openings: tuple[AnswerReveal, ...],
    similarities_bp: tuple[int, ...],
    seals: tuple[Signed[Seal], ...] | None = None,
    policy: Policy | None = None,
    members: int = 4,
) -> Item:
    """What an honest primary would make of these answers."""
    sealed = seals or (seal(tuple(commitment(opening) for opening in openings)),)
    bare = Item(
        request=sign(asked),
        attempt=0,
        seals=sealed,
        reveals=tuple(sign(opening) for opening in openings),
        weights=(10_000,) * len(openings),
        similarities_bp=similarities_bp,
        contradictions=(),
        outcome=None,  # type: ignore[arg-type]  # filled in by the next line
    )
    return with_outcome(bare, members, policy or Policy())


def proposal(batch: Batch, number: int = 1, **changes: Any) -> Proposal:
    return Proposal(pre_prepare(batch_digest(batch), number, **changes), batch)


def pre_prepare(of: Digest, number: int = 1, **changes: Any) -> Signed[PrePrepare]:
    """By R0 in view 0, unless the changes say otherwise."""
    return sign(replace(vote(PrePrepare, 0, of, number), **changes))


def batch_digest(batch: Batch) -> Digest:
    return digest.digest_of(batch)


V = TypeVar("V", PrePrepare, Prepare, Commit)


def vote(kind: type[V], replica: int, of: Digest, number: int = 1) -> V:
    return kind(
        network=NETWORK,
        epoch=Epoch(0),
        view=View(0),
        sequence_number=SequenceNumber(number),
        digest=of,
        replica=ReplicaId(replica),
    )


def prepare(replica: int, of: Digest, number: int = 1, view: int = 0) -> Signed[Prepare]:
    return sign(replace(vote(Prepare, replica, of, number), view=View(view)))


def commit(replica: int, of: Digest, number: int = 1, view: int = 0) -> Signed[Commit]:
    return sign(replace(vote(Commit, replica, of, number), view=View(view)))


def height(replica: int, applied: int, view: int = 0) -> Signed[Height]:
    return sign(Height(NETWORK, Epoch(0), SequenceNumber(applied), View(view), ReplicaId(replica)))


# --- checkpoints and views ---------------------------------------------------------------------


def checkpoint(replica: int, number: int = 64, state: Digest = D1) -> Signed[Checkpoint]:
    return sign(Checkpoint(NETWORK, Epoch(0), SequenceNumber(number), state, ReplicaId(replica)))


def checkpoint_proof(number: int = 64, state: Digest = D1) -> tuple[Signed[Checkpoint], ...]:
    return tuple(checkpoint(replica, number, state) for replica in (0, 1, 2))


def prepared(of: Digest, number: int = 1, view: int = 0) -> PreparedCertificate:
    """Of four replicas: the primary's pre-prepare and the prepares of two backups."""
    primary = ReplicaId(view % 4)
    backups = sorted({0, 1, 2, 3} - {primary})[:2]
    return PreparedCertificate(
        pre_prepare(of, number, view=View(view), replica=primary),
        tuple(prepare(replica, of, number, view) for replica in backups),
    )


def view_change(replica: int, view: int = 1, **changes: Any) -> Signed[ViewChange]:
    """Of a replica that has prepared and sealed nothing."""
    made = ViewChange(
        network=NETWORK,
        epoch=Epoch(0),
        view=View(view),
        stable=SequenceNumber(0),
        proof=(),
        prepared=(),
        chains=(),
        replica=ReplicaId(replica),
    )
    return sign(replace(made, **changes))


def new_view(votes: Iterable[Signed[ViewChange]], **changes: Any) -> Signed[NewView]:
    """What an honest primary of the votes' view makes of them (four replicas)."""
    view_changes = tuple(votes)
    view = view_changes[0].message.view
    primary = ReplicaId(view % 4)
    digests = plan(view_changes).digests
    made = NewView(
        network=NETWORK,
        epoch=Epoch(0),
        view=view,
        view_changes=tuple(name(vote) for vote in view_changes),
        pre_prepares=tuple(
            pre_prepare(digests[number], number, view=view, replica=primary)
            for number in sorted(digests)
        ),
        replica=primary,
    )
    return sign(replace(made, **changes))
