"""Anything signed in any member's name: what an attacker holding that key could send."""

from dataclasses import replace
from typing import Any, TypeVar

from pbft import digest
from pbft.item import Rules, commitment_of
from pbft.membership import Membership
from pbft.messages import (
    Answer,
    AnswerCommitment,
    AnswerReveal,
    Batch,
    Commit,
    Height,
    Item,
    Kind,
    Prepare,
    PrePrepare,
    Proposal,
    Request,
    Seal,
    Signed,
    SignedMessage,
)
from pbft.observation import with_outcome
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
    return Proposal(
        sign(replace(vote(PrePrepare, 0, batch_digest(batch), number), **changes)), batch
    )


def batch_digest(batch: Batch) -> Digest:
    return digest.batch_digest(tuple(digest.item_digest(item) for item in batch))


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


def prepare(replica: int, of: Digest, number: int = 1) -> Signed[Prepare]:
    return sign(vote(Prepare, replica, of, number))


def commit(replica: int, of: Digest, number: int = 1) -> Signed[Commit]:
    return sign(vote(Commit, replica, of, number))


def height(replica: int, applied: int) -> Signed[Height]:
    return sign(Height(NETWORK, SequenceNumber(applied), ReplicaId(replica)))
