"""SHA-256 over canonical encodings, each use with its own domain."""

import hashlib
from dataclasses import dataclass

from pbft.codec import encode_value, signing_bytes
from pbft.encoding import array
from pbft.membership import Membership
from pbft.messages import Answer, Batch, EndorsedChange, Entry, Item, Request, Seal, ViewChange
from pbft.policy import Policy
from pbft.remembered import once
from pbft.schema import Hash
from pbft.types import Digest, ReplicaId, RequestId

DIGEST_ZERO = Digest(bytes(32))


@once("_digest")
def request_id(request: Request) -> RequestId:
    """Binds the contents: another question, or another asker, has another id."""
    return RequestId(_hash(b"qnode/1 request", signing_bytes(request)))


@dataclass(frozen=True, slots=True)
class _Opening:
    """What a commitment is the digest of."""

    network: Hash
    request_id: RequestId
    attempt: int
    replica: ReplicaId
    salt: Hash
    answer: Answer


def commitment(
    *,
    network: bytes,
    request_id: RequestId,
    attempt: int,
    replica: ReplicaId,
    salt: bytes,
    answer: Answer,
) -> Digest:
    """Hides the answer (32 random bytes of salt) and binds it to one replica and one attempt, so
    that a copied commitment opens for nobody else."""
    opening = _Opening(network, request_id, attempt, replica, salt, answer)
    return Digest(_hash(b"qnode/1 answer commitment", encode_value(opening)))


@once("_digest")
def answer_digest(answer: Answer) -> Digest:
    return Digest(_hash(b"qnode/1 answer", encode_value(answer)))


@once("_digest")
def seal_digest(seal: Seal) -> Digest:
    return Digest(_hash(b"qnode/1 seal", signing_bytes(seal)))


@once("_digest")
def view_change_digest(view_change: ViewChange) -> Digest:
    return Digest(_hash(b"qnode/1 view change", signing_bytes(view_change)))


@once("_digest")
def item_digest(item: Item) -> Digest:
    return Digest(_hash(b"qnode/1 item", encode_value(item)))


def entry_digest(entry: Entry) -> Digest:
    if isinstance(entry, Item):
        return item_digest(entry)
    domain = b"qnode/1 change" if isinstance(entry, EndorsedChange) else b"qnode/1 accusation"
    return Digest(_hash(domain, encode_value(entry)))


def batch_digest(entry_digests: tuple[Digest, ...]) -> Digest:
    """From the entries' digests, so that a certificate for one item carries the others' digests,
    not their contents."""
    return Digest(_hash(b"qnode/1 batch", b"".join(entry_digests)))


def digest_of(batch: Batch) -> Digest:
    return batch_digest(tuple(entry_digest(entry) for entry in batch))


def chain_digest(previous: Digest, batch: Digest) -> Digest:
    """The ledger up to a batch: a chain over all batches, from zeros."""
    return Digest(_hash(b"qnode/1 ledger", previous + batch))


def configuration_digest(membership: Membership, policy: Policy) -> Digest:
    body = array(encode_value(membership), encode_value(policy))
    return Digest(_hash(b"qnode/1 configuration", body))


def state_digest(configuration: Digest, rest: bytes) -> Digest:
    """The state in two parts, so that members and policy can be proven without the rest."""
    return Digest(_hash(b"qnode/1 state", configuration + rest))


def plain_digest(domain: bytes, body: bytes) -> Digest:
    return Digest(_hash(b"qnode/1 " + domain, body))


def _hash(domain: bytes, body: bytes) -> bytes:
    return hashlib.sha256(len(domain).to_bytes(1, "big") + domain + body).digest()


NULL_BATCH = batch_digest(())
"""Of the null request (§4.4): a slot of a new view about which nothing was prepared."""
