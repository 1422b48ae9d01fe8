"""A second verifier of certificates, written from docs/protocol.md against the first.

It shares no code with the program: what both accept or refuse alike is not one author's slip. It
knows a network's facts (`check`), and is naive where the program is clever: cliques are found by
trying all sets, so that it is for small networks only. The form of the text stands in
`checker_form.py`, the rules for labels, numbers and schemas in `checker_typed.py`.
"""

import hashlib
import json
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Any

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.support.checker_form import (
    ANSWER,
    CERTIFICATE,
    CHECKPOINT,
    COMMITMENT,
    ITEM,
    MEMBERSHIP,
    REQUEST,
    REVEAL,
    SEAL,
    Wrong,
    demand,
    policy_schema,
    written,
)
from tests.support.checker_typed import (
    Vote,
    check_fields,
    check_values,
    confidence,
    is_blank,
    total,
    typed_outcome,
)

# --- digests and signatures --------------------------------------------------------------------

CODES = {"request": 1, "commitment": 2, "seal": 3, "reveal": 4, "commit": 7, "checkpoint": 9}
SCHEMAS = {
    "request": REQUEST,
    "commitment": COMMITMENT,
    "seal": SEAL,
    "reveal": REVEAL,
    "checkpoint": CHECKPOINT,
}


def digest(domain: str, body: bytes) -> bytes:
    name = b"qnode/1 " + domain.encode()
    return hashlib.sha256(bytes([len(name)]) + name + body).digest()


def body_of(kind: str, message: Any) -> bytes:
    """What is signed: the number of the kind, and the fields in order."""
    return cbor2.dumps((CODES[kind], SCHEMAS[kind](message)))


@lru_cache(maxsize=100_000)
def is_signature(public_key: bytes, payload: bytes, signature: bytes) -> bool:
    context = b"consensus"
    enclosed = b"qnode/1" + bytes([len(context)]) + context + payload
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, enclosed)
    except (InvalidSignature, ValueError):
        return False
    return True


class Epoch:
    """Whose signatures count, and by which policy."""

    def __init__(
        self, network: str, number_: int, start: int, keys: dict[int, str], policy: dict[str, int]
    ) -> None:
        self.network = network
        self.number = number_
        self.start = start
        self.keys = keys
        self.policy = policy
        self.order = sorted(keys)
        n = len(keys)
        self.n = n
        self.f = (n - 1) // 3
        self.quorum = (n + self.f) // 2 + 1

    def demand_signed(self, kind: str, signed_: Any) -> None:
        message = signed_["message"]
        demand(message["network"] == self.network, "of another network")
        self.demand_bytes(message["replica"], body_of(kind, message), signed_["signature"])

    def demand_bytes(self, replica: int, payload: bytes, signature: str) -> None:
        demand(replica in self.keys, "by a stranger")
        key = bytes.fromhex(self.keys[replica])
        demand(is_signature(key, payload, bytes.fromhex(signature)), "a wrong signature")


def increasing(values: list[Any]) -> bool:
    return all(a < b for a, b in pairwise(values))


# --- the parts ---------------------------------------------------------------------------------


def next_epoch(old: Epoch, proof: Any) -> Epoch:
    """The epoch that a quorum of the old one vouches for."""
    new = proof["membership"]
    demand(new["epoch"] == old.number + 1, "an epoch is missing")
    demand(new["start"] > old.start, "an epoch begins before the one before")
    demand(len(new["members"]) > 0, "an epoch without members")
    configuration = digest(
        "configuration", cbor2.dumps((MEMBERSHIP(new), policy_schema(proof["policy"])))
    )
    state = digest("state", configuration + bytes.fromhex(proof["rest"])).hex()
    signers = [c["message"]["replica"] for c in proof["checkpoints"]]
    demand(increasing(signers) and len(signers) >= old.quorum, "too few vouch for an epoch")
    for checkpoint in proof["checkpoints"]:
        message = checkpoint["message"]
        demand(message["epoch"] == old.number, "a checkpoint of another epoch")
        demand(message["sequence_number"] == new["start"], "a checkpoint of another slot")
        demand(message["state"] == state, "a checkpoint of another state")
        old.demand_signed("checkpoint", checkpoint)
    keys = {member["replica"]: member["public_key"] for member in new["members"]}
    return Epoch(old.network, new["epoch"], new["start"], keys, proof["policy"])


def check_request(signed_: Any, epoch: Epoch) -> str:
    epoch.demand_signed("request", signed_)
    asked, policy = signed_["message"], epoch.policy
    demand(asked["language"].isascii(), "a language that is none")
    demand(not is_blank(asked["prompt"]), "an empty question")
    demand(len(asked["prompt"].encode()) <= policy["prompt_bytes_max"], "a question too long")
    demand(1 <= asked["max_tokens"] <= policy["tokens_max"], "too many tokens")
    demand(100 <= asked["timeout_ms"] <= policy["inference_timeout_ms"], "too much time")
    check_fields(asked)
    return digest("request", body_of("request", asked)).hex()


def check_seals(item: Any, request_id: str, epoch: Epoch) -> dict[int, Any]:
    """Who was sealed, with what commitment."""
    about = (epoch.number, request_id, item["attempt"])
    demand(len(item["seals"]) > 0, "no seal")
    sealed: dict[int, Any] = {}
    previous, view = bytes(32).hex(), 0
    for position, signed_ in enumerate(item["seals"]):
        seal = signed_["message"]
        demand((seal["epoch"], seal["request_id"], seal["attempt"]) == about, "a foreign seal")
        demand(seal["replica"] == epoch.order[seal["view"] % epoch.n], "not by the primary")
        demand(seal["view"] >= view, "a seal of an earlier view")
        demand(seal["number"] == position and seal["previous"] == previous, "no chain of seals")
        replicas = [c["message"]["replica"] for c in seal["commitments"]]
        demand(len(replicas) >= (1 if position else epoch.quorum), "a small seal")
        demand(increasing(replicas) and not sealed.keys() & set(replicas), "sealed twice")
        for commitment in seal["commitments"]:
            inner = commitment["message"]
            named = (inner["epoch"], inner["request_id"], inner["attempt"])
            demand(named == about, "a foreign commitment")
            epoch.demand_signed("commitment", commitment)
            sealed[inner["replica"]] = inner
        epoch.demand_signed("seal", signed_)
        previous, view = digest("seal", body_of("seal", seal)).hex(), seal["view"]
    return sealed


def check_reveals(item: Any, request_id: str, sealed: dict[int, Any], epoch: Epoch) -> None:
    replicas = [reveal["message"]["replica"] for reveal in item["reveals"]]
    demand(increasing(replicas), "an answer twice")
    demand(len(replicas) >= epoch.quorum, "too few answers")
    demand(len(item["weights"]) == len(replicas), "weights of others")
    for signed_ in item["reveals"]:
        reveal = signed_["message"]
        demand(reveal["replica"] in sealed, "an answer that was not sealed")
        promised = sealed[reveal["replica"]]
        demand(reveal["request_id"] == request_id, "an answer to something else")
        demand(reveal["epoch"] == promised["epoch"], "an answer of another epoch")
        demand(reveal["attempt"] == promised["attempt"], "an answer to another attempt")
        body = (
            bytes.fromhex(reveal["network"]), bytes.fromhex(reveal["request_id"]),
            reveal["attempt"], reveal["replica"], bytes.fromhex(reveal["salt"]),
            ANSWER(reveal["answer"]),
        )  # fmt: skip
        opened = digest("answer commitment", cbor2.dumps(body)).hex()
        demand(opened == promised["commitment"], "not the promised answer")
        said = reveal["answer"]
        demand(len(said["text"].encode()) <= epoch.policy["answer_bytes_max"], "a long answer")
        check_values(item["request"]["message"], said)
        epoch.demand_signed("reveal", signed_)


def check_matrix(item: Any, votes: int) -> None:
    demand(len(item["similarities_bp"]) == votes * (votes - 1) // 2, "a matrix of another size")
    demand(all(value <= 10_000 for value in item["similarities_bp"]), "more than the same")
    pairs = [(c["first"], c["second"]) for c in item["contradictions"]]
    demand(increasing(pairs), "a contradiction twice")
    demand(all(a < b < votes for a, b in pairs), "a contradiction of nobody")


# --- the outcome, by trying everything ---------------------------------------------------------


def outcome_of(item: Any, sealed: int, epoch: Epoch) -> dict[str, Any]:
    policy = epoch.policy
    votes, silent_weight = [], 0
    for signed_, weight in zip(item["reveals"], item["weights"], strict=True):
        reveal = signed_["message"]
        said = reveal["answer"]
        if said["finish"] == "abstained":
            silent_weight += weight
        else:
            known = digest("answer", cbor2.dumps(ANSWER(said)))
            votes.append(Vote(reveal["replica"], weight, known, said["model"], said["values"]))
    positive = [weight for weight in item["weights"] if weight > 0]
    silent_weight += (sealed - len(item["reveals"])) * (min(positive) if positive else 0)
    fields = item["request"]["message"]["fields"]
    if fields:
        return typed_outcome(fields, votes, silent_weight, epoch.f, policy)
    if not votes:
        return {"status": "no_agreement", "representative": None, "clusters": [],
                "agreement_rate_bp": 0, "confidence_bp": 0, "distinct_models": 0,
                "fields": []}  # fmt: skip
    return text_outcome(item, votes, silent_weight, epoch)


def text_outcome(item: Any, votes: list[Vote], silent_weight: int, epoch: Epoch) -> dict[str, Any]:
    policy = epoch.policy
    all_pairs = combinations(range(len(votes)), 2)
    similar = dict(zip(all_pairs, item["similarities_bp"], strict=True))
    refuted = {(c["first"], c["second"]) for c in item["contradictions"]}

    def together(group: tuple[int, ...]) -> bool:
        return all(
            similar[pair] >= policy["similarity_threshold_bp"] and pair not in refuted
            for pair in combinations(group, 2)
        )

    def rank(group: tuple[int, ...]) -> Any:
        return (
            -total([votes[i] for i in group]),
            -len(group),
            -sum(similar[pair] for pair in combinations(group, 2)),
            sorted(votes[i].digest for i in group),
            group,
        )

    rest, clusters = list(range(len(votes))), []
    while rest:
        groups = [
            group
            for size in range(1, len(rest) + 1)
            for group in combinations(rest, size)
            if together(group)
        ]
        clusters.append(min(groups, key=rank))
        rest = [i for i in rest if i not in clusters[-1]]
    best = clusters[0]
    pairs = list(combinations(best, 2))
    cohesion = sum(similar[pair] for pair in pairs) // len(pairs) if pairs else 10_000
    weight_best = total([votes[i] for i in best])
    weight_all = total(votes)
    share = weight_best * 10_000 // max(weight_all + silent_weight, 1)
    sure = confidence(share, cohesion)
    agreed = (
        len(best) >= epoch.f + 1
        and weight_best > 0
        and policy["vote_denominator"] * weight_best >= policy["vote_numerator"] * weight_all
    )
    status = "no_agreement"
    if agreed:
        confident = sure >= policy["confidence_threshold_bp"]
        status = "agreed" if confident else "agreed_low_confidence"

    outside = [j for j in range(len(votes)) if j not in best]
    objectors = [
        j
        for j in outside
        if 2 * sum(votes[i].weight for i in best if together(tuple(sorted((i, j))))) > weight_best
    ]

    def distance(i: int) -> Any:
        near = sum(votes[j].weight * similar[min(i, j), max(i, j)] for j in best if j != i)
        objections = sum(votes[j].weight for j in objectors if (min(i, j), max(i, j)) in refuted)
        return (objections, -near, votes[i].digest, i)

    return {
        "status": status,
        "representative": votes[min(best, key=distance)].replica if agreed else None,
        "clusters": [[votes[i].replica for i in cluster] for cluster in clusters],
        "agreement_rate_bp": weight_best * 10_000 // max(weight_all, 1),
        "confidence_bp": sure,
        "distinct_models": len({votes[i].model for i in best}),
        "fields": [],
    }


# --- the whole ---------------------------------------------------------------------------------


def check(document_text: str, facts: dict[str, Any]) -> dict[str, Any]:
    """The outcome that the certificate proves; raises `Wrong` if it proves nothing.

    `facts` of the genesis file: `network` (hexadecimal), `keys` (hexadecimal, replica i's at
    position i), `policy` (names and numbers).
    """
    demand(len(document_text) <= 16 * 1024 * 1024, "too large")
    try:
        document = json.loads(document_text)
    except (ValueError, RecursionError):
        raise Wrong("no JSON") from None
    CERTIFICATE(document)
    demand(written(document) + "\n" == document_text, "not in canonical form")
    demand(document["network"] == facts["network"], "of another network")
    epoch = Epoch(facts["network"], 0, 0, dict(enumerate(facts["keys"])), facts["policy"])
    for proof in document["epochs"]:
        epoch = next_epoch(epoch, proof)
    demand(document["epoch"] == epoch.number, "of another epoch")
    demand(document["sequence_number"] > epoch.start, "from before its epoch")
    digests, item = document["entry_digests"], document["item"]
    demand(document["index"] < len(digests), "outside of the batch")
    demand(digest("item", cbor2.dumps(ITEM(item))).hex() == digests[document["index"]], "changed")
    batch = digest("batch", b"".join(bytes.fromhex(one) for one in digests))
    signers = [commit["replica"] for commit in document["commits"]]
    demand(increasing(signers) and len(signers) >= epoch.quorum, "no quorum")
    for commit in document["commits"]:
        fields = [
            bytes.fromhex(document["network"]), document["epoch"], document["view"],
            document["sequence_number"], batch, commit["replica"],
        ]  # fmt: skip
        payload = cbor2.dumps((CODES["commit"], fields))
        epoch.demand_bytes(commit["replica"], payload, commit["signature"])
    request_id = check_request(item["request"], epoch)
    demand(item["attempt"] < 8, "too many attempts")
    sealed = check_seals(item, request_id, epoch)
    check_reveals(item, request_id, sealed, epoch)
    voting = [r for r in item["reveals"] if r["message"]["answer"]["finish"] != "abstained"]
    check_matrix(item, 0 if item["request"]["message"]["fields"] else len(voting))
    expected = outcome_of(item, len(sealed), epoch)
    demand(item["outcome"] == expected, "another outcome")
    return expected
