"""The portable certificate: proof, checkable offline by anyone, that a quorum agreed on an answer.

A certificate holds one item of a decided batch (the question, everybody's signed answers, the
similarities, the outcome), the digests of the batch's other entries, and the quorum's signatures
over the commit. Whose signatures count, and which policy, is in the genesis file, or follows from
it by the chain of epoch certificates that every certificate carries. Checking needs no network.

On disk it is JSON for people, in exactly one form: the text is produced again from what was read
and must be the same, so that not one byte can be changed unnoticed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from pbft import digest
from pbft.document import from_json, to_json
from pbft.epochs import certificate_fault
from pbft.errors import InvalidCertificate, InvariantViolation, Malformed
from pbft.item import Rules, WrongItem, check_item
from pbft.messages import Commit, DecidedSlot, EpochCertificate, Item, Signatory, Signed
from pbft.schema import AtMost, Hash
from pbft.types import (
    BATCH_ITEMS_MAX,
    EPOCHS_MAX,
    MEMBERS_MAX,
    MESSAGE_BYTES_MAX,
    Digest,
    Epoch,
    RequestId,
    SequenceNumber,
    View,
)

FORMAT = "qnode certificate 2"

TEXT_BYTES_MAX = 4 * MESSAGE_BYTES_MAX
"""JSON writes a byte as two digits and every field with its name."""


@dataclass(frozen=True, slots=True)
class Certificate:
    network: Hash
    epoch: Epoch
    view: View
    sequence_number: SequenceNumber
    index: int
    """Which of `entry_digests` is this item's."""
    entry_digests: Annotated[tuple[Digest, ...], AtMost(BATCH_ITEMS_MAX)]
    commits: Annotated[tuple[Signatory, ...], AtMost(MEMBERS_MAX)]
    """Signatures over the `Commit` that the fields above spell out."""
    item: Item
    epochs: Annotated[tuple[EpochCertificate, ...], AtMost(EPOCHS_MAX)]
    """From epoch 1 to this one's, each signed by the members of the one before."""

    @property
    def request_id(self) -> RequestId:
        return digest.request_id(self.item.request.message)


def certify(slot: DecidedSlot, index: int, epochs: Sequence[EpochCertificate] = ()) -> Certificate:
    """The certificate of one item of a decided slot. `epochs` lead up to the slot's epoch."""
    commit = slot.commits[0].message
    item = slot.batch[index]
    if not isinstance(item, Item):
        raise InvariantViolation("only answers have certificates")
    return Certificate(
        network=commit.network,
        epoch=commit.epoch,
        view=commit.view,
        sequence_number=commit.sequence_number,
        index=index,
        entry_digests=tuple(digest.entry_digest(entry) for entry in slot.batch),
        commits=tuple(Signatory(c.message.replica, c.signature) for c in slot.commits),
        item=item,
        epochs=tuple(epochs[: commit.epoch]),
    )


def verify(certificate: Certificate, genesis: Rules) -> Rules:
    """The rules of its epoch; raises `InvalidCertificate` unless it proves its outcome.

    `genesis` are the rules of epoch 0.
    """
    if certificate.network != genesis.network:
        raise InvalidCertificate("It belongs to another network than this genesis file.")
    rules = rules_after(genesis, certificate.epochs)
    if certificate.epoch != rules.membership.epoch:
        raise InvalidCertificate(
            f"It is of epoch {certificate.epoch}, and proves the members of epoch "
            f"{rules.membership.epoch}."
        )
    if certificate.sequence_number <= rules.membership.start:
        raise InvalidCertificate("Its slot is from before its epoch.")
    if certificate.index >= len(certificate.entry_digests):
        raise InvalidCertificate("Its index points outside the batch.")
    if digest.item_digest(certificate.item) != certificate.entry_digests[certificate.index]:
        raise InvalidCertificate("The item was changed: its digest is not the certified one.")
    commits = [
        Signed(
            Commit(
                network=certificate.network,
                epoch=certificate.epoch,
                view=certificate.view,
                sequence_number=certificate.sequence_number,
                digest=digest.batch_digest(certificate.entry_digests),
                replica=commit.replica,
            ),
            commit.signature,
        )
        for commit in certificate.commits
    ]
    _check_quorum(commits, rules)
    try:
        check_item(certificate.item, rules)
    except WrongItem as wrong:
        raise InvalidCertificate(str(wrong)) from None
    return rules


def rules_after(genesis: Rules, epochs: Sequence[EpochCertificate]) -> Rules:
    """Whose signatures count after a chain of epochs; raises `InvalidCertificate` at the first
    that is not proven."""
    rules = genesis
    for certificate in epochs:
        if fault := certificate_fault(certificate, rules):
            raise InvalidCertificate(fault)
        rules = replace(rules, membership=certificate.membership, policy=certificate.policy)
    return rules


def check_commits(slot: DecidedSlot, rules: Rules) -> None:
    """Raises `InvalidCertificate` unless the slot's commits are a quorum's, for its batch."""
    if not slot.commits:
        raise InvalidCertificate("The slot has no commits.")
    first = slot.commits[0].message
    expected = digest.digest_of(slot.batch)
    for commit in slot.commits:
        message = commit.message
        if (message.epoch, message.view, message.sequence_number, message.digest) != (
            rules.membership.epoch,
            first.view,
            first.sequence_number,
            expected,
        ):
            raise InvalidCertificate("The commits are not all for this batch.")
    _check_quorum(list(slot.commits), rules)


def _check_quorum(commits: list[Signed[Commit]], rules: Rules) -> None:
    replicas = [commit.message.replica for commit in commits]
    if replicas != sorted(set(replicas)):
        raise InvalidCertificate("A signer is listed twice or out of order.")
    if len(replicas) < rules.membership.quorum:
        raise InvalidCertificate(
            f"It has {len(replicas)} signatures; {rules.membership.quorum} of "
            f"{rules.membership.n} members are needed."
        )
    for commit in commits:
        if not rules.is_genuine(commit):
            raise InvalidCertificate(f"The signature of replica {commit.message.replica} is wrong.")


# --- the file ----------------------------------------------------------------------------------


def to_text(certificate: Certificate) -> str:
    """The certificate's one and only JSON form."""
    return json.dumps(
        {"format": FORMAT, **to_json(certificate)}, ensure_ascii=False, indent=1
    ) + "\n"  # fmt: skip


def from_text(text: str) -> Certificate:
    """Inverse of `to_text`; `InvalidCertificate` says what is wrong with the text."""
    if len(text) > TEXT_BYTES_MAX:
        raise InvalidCertificate("It is too large to be a certificate.")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidCertificate("It is not valid JSON.") from None
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise InvalidCertificate(f'It does not say "format": "{FORMAT}".')
    try:
        certificate = from_json(document, Certificate)
        canonical = to_text(certificate) == text
    except Malformed as error:
        raise InvalidCertificate(f"A field is missing or wrong: {error}.") from None
    if not canonical:
        raise InvalidCertificate("It is not in canonical form: its text was edited.")
    return certificate
