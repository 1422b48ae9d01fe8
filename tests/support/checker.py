"""A second verifier of certificates, written from docs/protocol.md against the first.

It shares no code with the program: what both accept or refuse alike is not one author's slip. It
knows a network's facts (`check`), and is naive where the program is clever: cliques are found by
trying all sets, so that it is for small networks only. It knows questions for text, not those for
labels, numbers and schemas, whose rules `tests/unit/pbft/test_typed_outcome.py` checks.
"""

import hashlib
import json
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Any

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

U64 = 2**64 - 1


class Wrong(Exception):
    """The certificate proves nothing."""


def demand(condition: bool, why: str) -> None:
    if not condition:
        raise Wrong(why)


# --- the form of every field -------------------------------------------------------------------
# A schema is a function from a JSON value to what is encoded in CBOR.


def number(value: Any) -> Any:
    demand(type(value) is int and 0 <= value <= U64, "no unsigned 64-bit integer")
    return value


def data(length: int) -> Any:
    def check_data(value: Any) -> bytes:
        demand(type(value) is str and len(value) == 2 * length, "no hexadecimal of that length")
        demand(all(c in "0123456789abcdef" for c in value), "no lower case hexadecimal")
        return bytes.fromhex(value)

    return check_data


def text(longest: int) -> Any:
    def check_text(value: Any) -> str:
        demand(type(value) is str, "no text")
        try:
            demand(len(value.encode()) <= longest, "text too long")
        except UnicodeEncodeError:
            raise Wrong("no Unicode") from None
        return value  # type: ignore[no-any-return]

    return check_text


def one_of(*words: str) -> Any:
    def check_word(value: Any) -> str:
        demand(type(value) is str and value in words, "unknown word")
        return value  # type: ignore[no-any-return]

    return check_word


def listed(schema: Any, longest: int) -> Any:
    def check_list(value: Any) -> list[Any]:
        demand(type(value) is list and len(value) <= longest, "no list of that length")
        return [schema(element) for element in value]

    return check_list


def optional(schema: Any) -> Any:
    return lambda value: None if value is None else schema(value)


def record(**fields: Any) -> Any:
    def check_record(value: Any) -> list[Any]:
        demand(type(value) is dict and list(value) == list(fields), "other fields")
        return [schema(value[name]) for name, schema in fields.items()]

    return check_record


def signed(schema: Any) -> Any:
    return record(message=schema, signature=data(64))


HASH = data(32)
REQUEST = record(
    network=HASH, replica=number, number=number, kind=one_of("text"), prompt=text(16_384),
    language=text(16), max_tokens=number, timeout_ms=number, fields=listed(number, 0),
)  # fmt: skip
COMMITMENT = record(
    network=HASH, epoch=number, request_id=HASH, attempt=number, commitment=HASH, replica=number
)
SEAL = record(
    network=HASH, epoch=number, request_id=HASH, attempt=number, view=number, number=number,
    previous=HASH, commitments=listed(signed(COMMITMENT), 128), replica=number,
)  # fmt: skip
ANSWER = record(
    text=text(16_384), finish=one_of("stop", "length", "abstained"), model=text(128),
    output_tokens=number, elapsed_ms=number, note=text(128), values=listed(number, 0),
)  # fmt: skip
REVEAL = record(
    network=HASH, epoch=number, request_id=HASH, attempt=number, answer=ANSWER, salt=HASH,
    replica=number,
)  # fmt: skip
OUTCOME = record(
    status=one_of("agreed", "agreed_low_confidence", "no_agreement"),
    representative=optional(number), clusters=listed(listed(number, 128), 128),
    agreement_rate_bp=number, confidence_bp=number, distinct_models=number,
    fields=listed(number, 0),
)  # fmt: skip
PAIRS = 128 * 127 // 2
ITEM = record(
    request=signed(REQUEST), attempt=number, seals=listed(signed(SEAL), 16),
    reveals=listed(signed(REVEAL), 128), weights=listed(number, 128),
    similarities_bp=listed(number, PAIRS),
    contradictions=listed(record(first=number, second=number, reason=text(256)), PAIRS),
    outcome=OUTCOME,
)  # fmt: skip
CHECKPOINT = record(network=HASH, epoch=number, sequence_number=number, state=HASH, replica=number)
MEMBERSHIP = record(
    epoch=number, start=number,
    members=listed(record(replica=number, name=text(128), public_key=HASH,
                          addresses=listed(text(256), 16)), 128),
    next_replica=number,
)  # fmt: skip
RANGES = {
    "similarity_threshold_bp": (1, 10_000),
    "similarity_tolerance_bp": (0, 10_000),
    "vote_numerator": (1, 1_000),
    "vote_denominator": (1, 1_000),
    "confidence_threshold_bp": (0, 10_000),
    "number_tolerance_bp": (0, 10_000),
    "seal_grace_ms": (0, 60_000),
    "reveal_grace_ms": (0, 60_000),
    "view_timeout_ms": (100, 60_000),
    "rotation_slots": (64, 2**32),
    "inference_timeout_ms": (100, 600_000),
    "prompt_bytes_max": (1, 16_384),
    "answer_bytes_max": (1, 16_384),
    "tokens_max": (1, 32_768),
    "requests_in_flight_max": (1, 4_096),
    "temperature_milli": (0, 2_000),
    "attempts_max": (1, 8),
}
_POLICY = record(**dict.fromkeys(RANGES, number))


def policy_schema(value: Any) -> list[Any]:
    plain: list[Any] = _POLICY(value)
    for name, (low, high) in RANGES.items():
        demand(low <= value[name] <= high, "a policy out of range")
    demand(value["rotation_slots"] % 64 == 0, "a policy out of range")
    numerator, denominator = value["vote_numerator"], value["vote_denominator"]
    demand(numerator <= denominator < 2 * numerator, "a policy out of range")
    return plain


EPOCH = record(
    membership=MEMBERSHIP, policy=policy_schema, rest=HASH,
    checkpoints=listed(signed(CHECKPOINT), 128),
)  # fmt: skip
CERTIFICATE = record(
    format=one_of("qnode certificate 2"), network=HASH, epoch=number, view=number,
    sequence_number=number, index=number, entry_digests=listed(HASH, 64),
    commits=listed(record(replica=number, signature=data(64)), 128), item=ITEM,
    epochs=listed(EPOCH, 4_096),
)  # fmt: skip


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
    demand(bool(asked["prompt"].strip()), "an empty question")
    demand(len(asked["prompt"].encode()) <= policy["prompt_bytes_max"], "a question too long")
    demand(1 <= asked["max_tokens"] <= policy["tokens_max"], "too many tokens")
    demand(100 <= asked["timeout_ms"] <= policy["inference_timeout_ms"], "too much time")
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
        silent = said["finish"] == "abstained"
        demand(silent == (not said["text"].strip()), "an answer without words")
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
        if reveal["answer"]["finish"] == "abstained":
            silent_weight += weight
        else:
            said = digest("answer", cbor2.dumps(ANSWER(reveal["answer"])))
            votes.append((reveal["replica"], weight, said, reveal["answer"]["model"]))
    positive = [weight for weight in item["weights"] if weight > 0]
    silent_weight += (sealed - len(item["reveals"])) * (min(positive) if positive else 0)
    if not votes:
        return {"status": "no_agreement", "representative": None, "clusters": [],
                "agreement_rate_bp": 0, "confidence_bp": 0, "distinct_models": 0,
                "fields": []}  # fmt: skip
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
            -sum(votes[i][1] for i in group),
            -len(group),
            -sum(similar[pair] for pair in combinations(group, 2)),
            sorted(votes[i][2] for i in group),
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
    weight_best = sum(votes[i][1] for i in best)
    weight_all = sum(vote[1] for vote in votes)
    share = weight_best * 10_000 // max(weight_all + silent_weight, 1)
    confidence = cohesion * (10_000**2 - (10_000 - share) ** 2) // 10_000**2
    agreed = (
        len(best) >= epoch.f + 1
        and weight_best > 0
        and policy["vote_denominator"] * weight_best >= policy["vote_numerator"] * weight_all
    )
    status = "no_agreement"
    if agreed:
        confident = confidence >= policy["confidence_threshold_bp"]
        status = "agreed" if confident else "agreed_low_confidence"

    def distance(i: int) -> Any:
        near = sum(votes[j][1] * similar[min(i, j), max(i, j)] for j in best if j != i)
        against = sum(votes[b if i == a else a][1] for a, b in refuted if i in (a, b))
        return (against, -near, votes[i][2], i)

    return {
        "status": status,
        "representative": votes[min(best, key=distance)][0] if agreed else None,
        "clusters": [[votes[i][0] for i in cluster] for cluster in clusters],
        "agreement_rate_bp": weight_best * 10_000 // max(weight_all, 1),
        "confidence_bp": confidence,
        "distinct_models": len({votes[i][3] for i in best}),
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
    again = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    demand(again == document_text, "not in canonical form")
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
    check_matrix(item, len(voting))
    expected = outcome_of(item, len(sealed), epoch)
    demand(item["outcome"] == expected, "another outcome")
    return expected
