"""What makes an item right: checks that need only the item, the member list and the policy.

Used twice: by a backup that judges a proposal, and by whoever verifies a certificate offline. The
similarities are taken as claimed here; whether they are true is for embedders to say
(`normal_case.judge`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pbft import digest
from pbft.codec import decode_value, encode_value
from pbft.errors import Malformed
from pbft.fields import fields_fault, values_fault
from pbft.keyring import Verifier
from pbft.membership import Membership
from pbft.messages import (
    Answer,
    AnswerCommitment,
    AnswerReveal,
    Finish,
    Item,
    Request,
    Seal,
    Signed,
    SignedMessage,
)
from pbft.outcome import Outcome, Status, Vote, decide, pair_count
from pbft.policy import Policy
from pbft.remembered import once
from pbft.typed_outcome import decide_fields
from pbft.types import ATTEMPTS_MAX, FULL_BP, ReplicaId, RequestId

Sealed = Mapping[ReplicaId, Signed[AnswerCommitment]]


class WrongItem(Exception):
    """The item breaks a rule. `reason` is one of few constant words, `str()` a sentence."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Rules:
    """What an item is checked against."""

    network: bytes
    membership: Membership
    policy: Policy
    verifier: Verifier

    def is_genuine(self, signed: Signed[SignedMessage]) -> bool:
        message = signed.message
        public_key = self.membership.public_key(message.replica)
        return (
            message.network == self.network
            and public_key is not None
            and self.verifier.verify(public_key, message, signed.signature)
        )


def request_fault(request: Request, policy: Policy) -> str | None:
    """Why nobody should work on this request, in one sentence; None if it is fine."""
    try:
        size = len(request.prompt.encode())
    except UnicodeEncodeError:
        return "The question is not valid Unicode."
    if not request.language.isascii() or len(request.language) > 16:
        return "The language is not a BCP 47 tag of at most 16 characters."
    if not request.prompt.strip():
        return "The question is empty."
    if size > policy.prompt_bytes_max:
        return f"The question has {size} bytes; this network takes {policy.prompt_bytes_max}."
    if not 1 <= request.max_tokens <= policy.tokens_max:
        return f"max_tokens must be from 1 to {policy.tokens_max}."
    if not 100 <= request.timeout_ms <= policy.inference_timeout_ms:
        return f"The time to answer must be from 100 to {policy.inference_timeout_ms} ms."
    return fields_fault(request)


def is_sendable(answer: Answer) -> bool:
    """Whether others could read it: what comes from a model need not be valid Unicode."""
    try:
        return decode_value(encode_value(answer), Answer) == answer
    except (UnicodeEncodeError, Malformed):
        return False


def answer_fault(answer: Answer, policy: Policy, request: Request | None) -> str | None:
    """Why an answer must not count, in a few words; None if it may. While the request is not
    known, its fields are not either, and the values stay unchecked."""
    if len(answer.text.encode()) > policy.answer_bytes_max:
        return "answer too long"
    if is_abstention(answer) != (not answer.text.strip()):
        return "answer without words"
    return values_fault(request, answer) if request else None


def opens(reveal: AnswerReveal, commitment: AnswerCommitment) -> bool:
    """Whether the reveal is the one that was committed to."""
    return (
        reveal.replica == commitment.replica
        and reveal.epoch == commitment.epoch
        and reveal.request_id == commitment.request_id
        and reveal.attempt == commitment.attempt
        and commitment_of(reveal) == commitment.commitment
    )


@once("_digest")
def commitment_of(reveal: AnswerReveal) -> bytes:
    return digest.commitment(
        network=reveal.network,
        request_id=reveal.request_id,
        attempt=reveal.attempt,
        replica=reveal.replica,
        salt=reveal.salt,
        answer=reveal.answer,
    )


def is_abstention(answer: Answer) -> bool:
    return answer.finish is Finish.ABSTAINED


def sealed_commitments(seals: Iterable[Signed[Seal]]) -> dict[ReplicaId, Signed[AnswerCommitment]]:
    """Whose answers count, over all seals of an attempt."""
    return {
        commitment.message.replica: commitment
        for seal in seals
        for commitment in seal.message.commitments
    }


def check_seal(
    seal: Signed[Seal],
    earlier: tuple[Signed[Seal], ...],
    request_id: RequestId,
    attempt: int,
    rules: Rules,
) -> None:
    """Raises `WrongItem` unless `seal` extends the chain `earlier`."""
    message = seal.message
    epoch = rules.membership.epoch
    if (message.epoch, message.request_id, message.attempt) != (epoch, request_id, attempt):
        raise WrongItem("seal-foreign", "A seal belongs to another request or epoch.")
    if message.replica != rules.membership.primary(message.view):
        raise WrongItem("seal-not-primary", "A seal is not by the primary of its view.")
    if earlier and message.view < earlier[-1].message.view:
        raise WrongItem("seal-chain", "A seal is of an earlier view than the one before it.")
    previous = digest.seal_digest(earlier[-1].message) if earlier else digest.DIGEST_ZERO
    if message.number != len(earlier) or message.previous != previous:
        raise WrongItem("seal-chain", "The seals do not form a chain.")
    replicas = [commitment.message.replica for commitment in message.commitments]
    least = 1 if earlier else rules.membership.quorum
    if len(replicas) < least:
        raise WrongItem("seal-small", "A seal names too few commitments.")
    known = sealed_commitments(earlier)
    if replicas != sorted(set(replicas)) or any(replica in known for replica in replicas):
        raise WrongItem("seal-order", "A seal names a replica twice or out of order.")
    for commitment in message.commitments:
        inner = commitment.message
        if (inner.epoch, inner.request_id, inner.attempt) != (epoch, request_id, attempt):
            raise WrongItem("seal-foreign", "A sealed commitment belongs to another request.")
        if not rules.is_genuine(commitment):
            raise WrongItem("signature", "The signature of a sealed commitment is wrong.")
    if not rules.is_genuine(seal):
        raise WrongItem("signature", "The signature of a seal is wrong.")


def check_item(item: Item, rules: Rules) -> RequestId:
    """Raises `WrongItem` unless everything in the item follows from the signed answers in it."""
    request = item.request.message
    if not rules.is_genuine(item.request):
        raise WrongItem("signature", "The signature of the request is wrong.")
    if fault := request_fault(request, rules.policy):
        raise WrongItem("request", fault)
    if item.attempt >= ATTEMPTS_MAX:
        # The policy counts when an attempt is begun, and may have changed since.
        raise WrongItem("attempt", "The request was put to the models too often.")
    request_id = digest.request_id(request)
    if not item.seals:
        raise WrongItem("seal-small", "The item has no seal.")
    for number, seal in enumerate(item.seals):
        check_seal(seal, item.seals[:number], request_id, item.attempt, rules)
    _check_reveals(item, request_id, rules)
    _check_matrix(item)
    if item.outcome != outcome_of(item, rules.membership.n, rules.policy):
        raise WrongItem("outcome", "The outcome does not follow from the answers.")
    return request_id


def _check_reveals(item: Item, request_id: RequestId, rules: Rules) -> None:
    replicas = [reveal.message.replica for reveal in item.reveals]
    if replicas != sorted(set(replicas)):
        raise WrongItem("reveal-order", "A replica's answer is listed twice or out of order.")
    if len(replicas) < rules.membership.quorum:
        raise WrongItem("reveal-few", "Fewer than a quorum of answers.")
    if len(item.weights) != len(replicas):
        raise WrongItem("weights", "The weights do not match the answers.")
    sealed = sealed_commitments(item.seals)
    for reveal in item.reveals:
        message = reveal.message
        commitment = sealed.get(message.replica)
        if message.request_id != request_id or commitment is None:
            raise WrongItem("reveal-unsealed", "An answer was not sealed.")
        if not opens(message, commitment.message):
            raise WrongItem("reveal-mismatch", "An answer is not the one that was committed to.")
        if answer_fault(message.answer, rules.policy, item.request.message):
            raise WrongItem("answer", "An answer breaks the rules for answers.")
        if not rules.is_genuine(reveal):
            raise WrongItem("signature", "The signature of an answer is wrong.")


def _check_matrix(item: Item) -> None:
    # Values are equal or they are not: where there are fields nothing is measured.
    n = 0 if item.request.message.fields else len(voters(item.reveals))
    if len(item.similarities_bp) != pair_count(n):
        raise WrongItem("matrix", "The similarity matrix has the wrong size.")
    if any(value > FULL_BP for value in item.similarities_bp):
        raise WrongItem("matrix", "A similarity is above 10000 basis points.")
    pairs = [(c.first, c.second) for c in item.contradictions]
    if pairs != sorted(set(pairs)) or any(not a < b < n for a, b in pairs):
        raise WrongItem("matrix", "A contradiction is listed twice, out of order or of no pair.")


def voters(reveals: Iterable[Signed[AnswerReveal]]) -> list[AnswerReveal]:
    """The reveals over which the matrix ranges."""
    return [reveal.message for reveal in reveals if not is_abstention(reveal.message.answer)]


def outcome_of(item: Item, members: int, policy: Policy) -> Outcome:
    """What follows from the item's answers: from their values where the request has fields, else
    from the claimed matrix.

    A sealed replica that did not reveal counts like one that abstained, with the least weight in
    the item: silence must not raise the confidence.
    """
    votes = []
    values = []
    weight_abstained = 0
    for reveal, weight in zip(item.reveals, item.weights, strict=True):
        answer = reveal.message.answer
        if is_abstention(answer):
            weight_abstained += weight
        else:
            votes.append(
                Vote(reveal.message.replica, weight, digest.answer_digest(answer), answer.model)
            )
            values.append(answer.values)
    silent = len(sealed_commitments(item.seals)) - len(item.reveals)
    # A proven liar has no weight; others' silence counts all the same.
    weight_abstained += silent * min((w for w in item.weights if w), default=0)
    if fields := item.request.message.fields:
        return decide_fields(
            fields,
            votes,
            values,
            members=members,
            weight_abstained=weight_abstained,
            policy=policy,
        )
    return decide(
        votes,
        item.similarities_bp,
        item.contradictions,
        members=members,
        weight_abstained=weight_abstained,
        policy=policy,
    )


def with_outcome(item: Item, members: int, policy: Policy) -> Item:
    """The same item with the outcome that follows from it."""
    return replace(item, outcome=outcome_of(item, members, policy))


# --- attempts ----------------------------------------------------------------------------------


def is_final(item: Item, policy: Policy) -> bool:
    """Whether the request is done with: agreed on with confidence, asked as often as the policy
    allows, or asked of models that all keep silent."""
    return (
        item.outcome.status is Status.AGREED
        or item.attempt + 1 >= policy.attempts_max
        or not item.outcome.clusters
    )


_MERIT = {Status.NO_AGREEMENT: 0, Status.AGREED_LOW_CONFIDENCE: 1, Status.AGREED: 2}


def merit(item: Item) -> tuple[int, int, int]:
    """Of several attempts at a request the one of greatest merit is the network's answer: the best
    status, then the greatest confidence, then the latest."""
    return _MERIT[item.outcome.status], item.outcome.confidence_bp, item.attempt
