"""Two verifiers that share no code give the same verdict on every certificate.

The first is the program's (`pbft.certificate`), the second `tests/support/checker.py`. Certificates
are made from seeds (`tests/support/certificates.py`): `CERTIFICATES=20000 python -m pytest
tests/property/test_checker.py` tries more of them.
"""

import ast
import copy
import json
import os
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.keyring import Ed25519Verifier
from pbft.certificate import certify, from_text, to_text, verify
from pbft.errors import InvalidCertificate
from pbft.membership import Leave
from pbft.messages import items
from pbft.types import ReplicaId
from tests.support import certificates, checker
from tests.support.certificates import Made, make
from tests.support.cluster import NETWORK, Cluster

CERTIFICATES = int(os.environ.get("CERTIFICATES", "120"))
"""How many of each sort."""

VERIFIER = Ed25519Verifier()


def program_accepts(text: str, made: Made) -> bool:
    try:
        verify(from_text(text), made.genesis(VERIFIER))
    except InvalidCertificate:
        return False
    return True


def checker_accepts(text: str, made: Made) -> bool:
    try:
        outcome = checker.check(text, made.facts)
    except checker.Wrong:
        return False
    assert outcome == json.loads(text)["item"]["outcome"]
    return True


def verdict(text: str, made: Made, where: str) -> bool:
    """Of both; they must not differ."""
    program, other = program_accepts(text, made), checker_accepts(text, made)
    assert program == other, f"{where}: the program says {program}, the checker {other}"
    return program


def test_the_checker_shares_nothing_with_the_program() -> None:
    """It imports nothing of ours: a fault of the program can't hide in it."""
    tree = ast.parse(Path(checker.__file__).read_text(encoding="utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"__import__", "eval", "exec"}
    assert imported == {
        "json", "hashlib", "cbor2", "cryptography", "functools", "itertools", "typing"
    }  # fmt: skip


def test_right_certificates_convince_both() -> None:
    """Of 1 to 7 members and 0 to 2 changes of them, with dissent, contradictions, abstentions,
    silence, late seals, further attempts and proven liars: every one is accepted by both."""
    seen: Counter[str] = Counter()
    for seed in range(CERTIFICATES):
        made = make(seed)
        assert verdict(to_text(made.certificate), made, f"seed {seed}"), f"seed {seed}"
        item = made.certificate.item
        sealed = sum(len(seal.message.commitments) for seal in item.seals)
        seen[f"n {made.membership.n}"] += 1
        seen[f"epoch {made.certificate.epoch}"] += 1
        seen[str(item.outcome.status)] += 1
        seen["second attempt"] += item.attempt > 0
        seen["late seal"] += len(item.seals) > 1
        seen["silent"] += sealed > len(item.reveals)
        seen["abstained"] += any(r.message.answer.finish == "abstained" for r in item.reveals)
        seen["contradiction"] += bool(item.contradictions)
        seen["dissent"] += len(item.outcome.clusters) > 1
        seen["no weight"] += 0 in item.weights
    assert min(seen.values()) >= 5, seen
    assert {f"n {n}" for n in range(1, 8)} <= seen.keys()
    assert {"epoch 0", "epoch 1", "epoch 2", "agreed", "agreed_low_confidence",
            "no_agreement"} <= seen.keys()  # fmt: skip


def test_a_single_twist_is_judged_alike() -> None:
    """One thing is wrong, and everything is signed over it by whoever must sign: no signature gives
    it away, only the rules do. Both refuse, or both see no harm in it."""
    refused: Counter[str] = Counter()
    harmless: Counter[str] = Counter()
    for seed in range(2 * CERTIFICATES):
        steps = make(seed).steps
        made = make(seed, random.Random(seed).randrange(steps))  # noqa: S311
        if verdict(to_text(made.certificate), made, f"seed {seed}: {made.twisted}"):
            harmless[made.twisted] += 1
        else:
            refused[made.twisted] += 1
    assert len(refused) >= 40, refused
    assert sum(refused.values()) > 3 * sum(harmless.values()), (refused, harmless)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to everything in a document."""
    found = [path] if path else []
    pairs: Any = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    for name, inner in pairs:
        found += leaves(inner, (*path, name))
    return found


def another(value: Any, draw: random.Random) -> Any:  # a case for each kind
    """A value like it, or not at all."""
    if draw.random() < 0.1:
        return draw.choice([None, True, 1.5, "x", [], {}, -1, 2**64, "00" * 32, "\ud800"])
    match value:
        case bool() | None:
            return 0
        case int():
            return draw.choice([0, 1, value + 1, max(value - 1, 0), 2**64 - 1, value + 64])
        case str() if value and len(value) % 2 == 0 and all(c in "0123456789abcdef" for c in value):
            place = draw.randrange(len(value))
            flipped = f"{int(value[place], 16) ^ draw.randint(1, 15):x}"
            return draw.choice(
                [value[:place] + flipped + value[place + 1 :], value.upper() + "", value[2:]]
            )
        case str():
            return draw.choice(["", value + "x", "stop", "abstained", "agreed", " "])
        case list():
            shuffled = draw.sample(value, len(value))
            return draw.choice([value[1:], value[:-1], [*value, *value[:1]], shuffled])
        case dict():
            pairs = list(value.items())
            return draw.choice([dict(pairs[1:]), dict(pairs[::-1]), value | {"more": 1}])
    return value


def write(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def test_any_damaged_field_is_judged_alike() -> None:
    """Any one field or list of the text changed, dropped, repeated or put in another order, however
    well formed: both refuse, unless nothing was changed after all."""
    for seed in range(4 * CERTIFICATES):
        draw = random.Random(f"damage {seed}")  # noqa: S311
        made = make(seed % CERTIFICATES)
        right = to_text(made.certificate)
        document = json.loads(right)
        path = draw.choice(leaves(document))
        parent = document
        for step in path[:-1]:
            parent = parent[step]
        parent[path[-1]] = another(parent[path[-1]], draw)
        text = write(document)
        if verdict(text, made, f"seed {seed}: {path}"):
            # More than a quorum may have signed.
            assert text == right or path[-1] in {"commits", "checkpoints"}, (seed, path)


def test_any_edited_text_is_judged_alike() -> None:
    """A character replaced, added or left out anywhere."""
    for seed in range(CERTIFICATES):
        draw = random.Random(f"edit {seed}")  # noqa: S311
        made = make(seed)
        right = to_text(made.certificate)
        place = draw.randrange(len(right))
        character = draw.choice(' \n,0"a{}é\\')
        text = draw.choice(
            [
                right[:place] + character + right[place + 1 :],
                right[:place] + character + right[place:],
                right[:place] + right[place + 1 :],
            ]
        )
        assert verdict(text, made, f"seed {seed}") == (text == right)


def test_swapped_signatures_convince_nobody() -> None:
    """Any two different signatures exchanged."""
    for seed in range(CERTIFICATES):
        draw = random.Random(f"swap {seed}")  # noqa: S311
        made = make(seed)
        document = json.loads(to_text(made.certificate))
        paths = [path for path in leaves(document) if path[-1] == "signature"]
        if len(paths) < 2:
            continue
        holders = []
        for path in draw.sample(paths, 2):
            holder = document
            for step in path[:-1]:
                holder = holder[step]
            holders.append(holder)
        one, other = holders
        one["signature"], other["signature"] = other["signature"], one["signature"]
        assert verdict(write(document), made, f"seed {seed}") == (
            one["signature"] == other["signature"]
        )


def test_the_wrong_genesis_file_convinces_nobody() -> None:
    """A right certificate under another list of members or another policy is judged alike, and
    refused under another network."""
    for seed in range(CERTIFICATES):
        made, other = make(seed), make(seed + 1)
        text = to_text(made.certificate)
        mixed = Made(made.certificate, other.membership, made.policy, "", 0)
        verdict(text, mixed, f"seed {seed}")
        looser = Made(made.certificate, made.membership, other.policy, "", 0)
        verdict(text, looser, f"seed {seed}")
        with pytest.raises(checker.Wrong):
            checker.check(text, made.facts | {"network": "00" * 32})
        with pytest.raises(InvalidCertificate):
            verify(from_text(text), replace(made.genesis(VERIFIER), network=bytes(32)))


def test_what_a_real_network_decides_convinces_the_checker() -> None:
    """Replicas with Ed25519 keys answer, before and after a change of members; the checker is told
    the first members' keys and the policy, and nothing else."""
    cluster = Cluster(4, ["Paris", "Paris", "Lyon", None])
    texts = real_certificates(cluster)
    made = Made(make(0).certificate, cluster.members, cluster.policy, "", 0)
    facts = made.facts | {"network": NETWORK.hex()}
    for text in texts:
        checker.check(text, facts)
        document = copy.deepcopy(json.loads(text))
        document["item"]["outcome"]["confidence_bp"] += 1
        with pytest.raises(checker.Wrong):
            checker.check(write(document), facts)


def real_certificates(cluster: Cluster) -> list[str]:
    cluster.ask(0)
    cluster.settle()
    cluster.endorse(Leave(ReplicaId(3)), 0, 1, 2)
    cluster.settle(60)
    cluster.ask(1)
    cluster.settle()
    node = cluster.nodes[0]
    assert len(node.epochs) == 1
    found = [
        to_text(certify(slot, index, node.epochs))
        for slot in node.ledger.values()
        for index, _ in items(slot.batch)
    ]
    assert len(found) == 2
    return found


def test_a_seed_makes_the_same_certificate_every_time() -> None:
    """What was judged differently can be looked at again."""
    assert make(7) == make(7)
    assert certificates.make(7, 3).twisted == certificates.make(7, 3).twisted != ""
