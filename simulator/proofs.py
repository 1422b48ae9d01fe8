"""An independent check of what a quorum signed, written from docs/protocol.md.

It shares no code with `pbft.codec`, `pbft.digest` and `pbft.certificate`: if one of them and the
specification part ways, this notices. Only CBOR itself, SHA-256 and the signature scheme are
common.
"""

from collections.abc import Callable
from dataclasses import fields
from enum import StrEnum
from hashlib import blake2b, sha256
from typing import Any

import cbor2

from pbft import membership, messages

COMMIT_CODE = 7
REQUEST_CODE = 1

Check = Callable[[bytes, bytes, bytes], bool]
"""(public key, signing bytes, signature): whether it is right."""

_CONFLICTING = (
    messages.AnswerCommitment,
    messages.Seal,
    messages.PrePrepare,
    messages.Prepare,
    messages.Commit,
)
_CHANGES = (
    membership.Join,
    membership.Leave,
    membership.ReplaceKey,
    membership.SetPolicy,
    membership.Renew,
)
_EVIDENCE = (messages.Equivocation, messages.CommitmentMismatch, messages.FalseItem)
_ALTERNATIVES: dict[tuple[type, str], tuple[type, ...]] = {
    (messages.EndorsedChange, "change"): _CHANGES,
    (messages.Accusation, "evidence"): _EVIDENCE,
}
_NAMES: dict[type, tuple[str, ...]] = {}


def plain(value: Any) -> Any:
    """A record as the array of its fields in order; one of several kinds with its number first."""
    kind = type(value)
    if kind is bytes or kind is int or kind is str or value is None:
        return value
    if kind is tuple:
        return [plain(element) for element in value]
    if isinstance(value, StrEnum):
        return value.value
    if kind is messages.Equivocation:
        return [_conflicting(value.first), _conflicting(value.second)]
    names = _NAMES.get(kind)
    if names is None:
        names = _NAMES[kind] = tuple(field.name for field in fields(kind))
    found = []
    for name in names:
        part = getattr(value, name)
        kinds = _ALTERNATIVES.get((kind, name))
        found.append(plain(part) if kinds is None else [kinds.index(type(part)), plain(part)])
    return found


def _conflicting(signed: Any) -> Any:
    message = signed.message
    return [[_CONFLICTING.index(type(message)), plain(message)], signed.signature]


def hashed(domain: bytes, body: bytes) -> bytes:
    return sha256(len(domain).to_bytes(1, "big") + domain + body).digest()


def batch_digest(batch: messages.Batch) -> bytes:
    domains = {
        messages.Item: b"qnode/1 item",
        messages.EndorsedChange: b"qnode/1 change",
        messages.Accusation: b"qnode/1 accusation",
    }
    entries = [hashed(domains[type(entry)], cbor2.dumps(plain(entry))) for entry in batch]
    return hashed(b"qnode/1 batch", b"".join(entries))


def request_id(request: messages.Request) -> bytes:
    return hashed(b"qnode/1 request", cbor2.dumps((REQUEST_CODE, plain(request))))


def check_simulated(public_key: bytes, data: bytes, signature: bytes) -> bool:
    """For `simulator.signer`."""
    return blake2b(data, key=public_key).digest() == signature


def commits_fault(
    slot: messages.DecidedSlot,
    number: int,
    batch: bytes,
    keys: dict[int, bytes],
    check: Check,
    checked: dict[bytes, object],
) -> str | None:
    """Why the slot's signatures prove nothing, in a few words; None if they are a quorum's.

    `batch` is the digest of the batch, `keys` the members' public keys. `checked` remembers
    signatures that were right, with the message they are under.
    """
    n = len(keys)
    f = (n - 1) // 3
    quorum = (n + f) // 2 + 1
    signers = set()
    first = slot.commits[0].message if slot.commits else None
    for commit in slot.commits:
        message = commit.message
        if message.digest != batch:
            return "a commit is for another batch"
        if message.sequence_number != number or message.view != first.view:  # type: ignore[union-attr]
            return "a commit is for another slot or view"
        key = keys.get(message.replica)
        if key is None:
            return f"nobody is member {message.replica}"
        if checked.get(commit.signature) is not message:
            data = cbor2.dumps((COMMIT_CODE, plain(message)))
            if not check(key, data, commit.signature):
                return f"the signature of R{message.replica} is wrong"
            checked[commit.signature] = message
        signers.add(message.replica)
    if len(signers) < quorum:
        return f"{len(signers)} of {n} members signed; {quorum} are needed"
    return None
