"""Two verifiers that share no code give the same verdict on every certificate.

The first is the program's (`pbft.certificate`), the second `tests/support/checker.py`. Certificates
are made from seeds (`tests/support/certificates.py`): `CERTIFICATES=5000 python -m pytest
tests/property/test_checker.py` tries more of them.
"""

import ast
import copy
import json
import os
import random
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from daemon.keyring import Ed25519Verifier
from pbft.certificate import certify, from_text, to_text, verify
from pbft.codec import signing_bytes
from pbft.errors import InvalidCertificate
from pbft.folding import fold
from pbft.membership import Leave
from pbft.messages import Kind, SignedMessage, items
from pbft.outcome import Reason, Status
from pbft.types import ReplicaId
from tests.support import certificates, checker, checker_form, checker_typed
from tests.support.certificates import Made, make
from tests.support.cluster import NETWORK, Cluster

CERTIFICATES = int(os.environ.get("CERTIFICATES", "400"))
"""How many right ones; each is damaged in several ways."""

TWISTS = 5
"""Rules broken in turn, of each certificate."""

DAMAGES = 4
"""Places changed in turn, in the text of each certificate."""


class Verifier(Ed25519Verifier):
    """Remembers wrong signatures too, and more than a node does: the same ones come again in every
    test."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[bytes, bytes, bytes], bool] = {}

    def verify(self, public_key: bytes, message: SignedMessage, signature: bytes) -> bool:
        asked = public_key, signing_bytes(message), signature
        if asked not in self._seen:
            self._seen[asked] = super().verify(public_key, message, signature)
        return self._seen[asked]


VERIFIER = Verifier()


@lru_cache(maxsize=1_000)
def right(seed: int) -> tuple[Made, str]:
    """A certificate with nothing wrong, and its text."""
    made = make(seed)
    return made, to_text(made.certificate)


def program_accepts(text: str, made: Made) -> bool:
    try:
        verify(from_text(text), made.genesis(VERIFIER))
    except InvalidCertificate:
        return False
    return True


def checker_accepts(text: str, made: Made) -> bool:
    try:
        outcome = checker.check(text, made.facts)
    except checker_form.Wrong:
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
    imported = set()
    for module in (checker, checker_form, checker_typed):
        for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                name = node.module or ""
                imported.add(name if name.startswith("tests") else name.split(".")[0])
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"__import__", "eval", "exec"}
    assert imported == {
        "cbor2", "cryptography", "dataclasses", "fractions", "functools", "hashlib", "itertools",
        "json", "re", "tests.support.checker_form", "tests.support.checker_typed", "typing",
        "unicodedata",
    }  # fmt: skip


def test_right_certificates_convince_both() -> None:
    """Of 1 to 7 members and 0 to 2 changes of them, for questions of every kind, with dissent,
    contradictions, abstentions, silence, late seals, further attempts, outliers, empty values and
    proven liars: every one is accepted by both."""
    seen: Counter[str] = Counter()
    for seed in range(CERTIFICATES):
        made, text = right(seed)
        assert verdict(text, made, f"seed {seed}"), f"seed {seed}"
        item = made.certificate.item
        kind = item.request.message.kind
        sealed = sum(len(seal.message.commitments) for seal in item.seals)
        seen[f"n {made.membership.n}"] += 1
        seen[f"epoch {made.certificate.epoch}"] += 1
        seen[f"{kind} {item.outcome.status}"] += 1
        seen["second attempt"] += item.attempt > 0
        seen["late seal"] += len(item.seals) > 1
        seen["silent"] += sealed > len(item.reveals)
        seen["abstained"] += any(r.message.answer.finish == "abstained" for r in item.reveals)
        seen["contradiction"] += bool(item.contradictions)
        seen[f"dissent on {kind}"] += len(item.outcome.clusters) > 1
        seen["no weight"] += 0 in item.weights
        decided = item.outcome.fields
        seen["some fields agreed"] += len({field.status for field in decided}) > 1
        seen["quartiles apart"] += any(f.lower_quartile != f.upper_quartile for f in decided)
        seen["several spellings"] += any(
            fold(one) == fold(other) and one != other
            for answers in zip(*(r.message.answer.values for r in item.reveals), strict=False)
            for one, other in combinations(answers, 2)
        )
        for reason in {excluded.reason for field in decided for excluded in field.excluded}:
            seen[reason] += 1
    assert min(seen.values()) >= 5, seen
    assert {f"n {n}" for n in range(1, 8)} | {f"epoch {epoch}" for epoch in range(3)} <= seen.keys()
    assert {f"{kind} {status}" for kind in Kind for status in Status} <= seen.keys()
    assert set(Reason) <= seen.keys()


def test_a_single_twist_is_judged_alike() -> None:
    """One thing is wrong, and everything is signed over it by whoever must sign: no signature gives
    it away, only the rules do. Both refuse, or both see no harm in it."""
    refused: Counter[str] = Counter()
    harmless: Counter[str] = Counter()
    for seed in range(CERTIFICATES):
        draw = random.Random(f"steps {seed}")  # noqa: S311
        steps = right(seed)[0].steps
        names = sorted(set(steps))  # rules that are checked once weigh as much as all others
        for name in draw.sample(names, TWISTS):
            at = draw.choice([place for place, step in enumerate(steps) if step == name])
            made = make(seed, at)
            if not made.twisted:
                continue
            if verdict(to_text(made.certificate), made, f"seed {seed}, step {at}: {name}"):
                harmless[name] += 1
            else:
                refused[name] += 1
    assert len(refused) >= 80, refused
    assert harmless.keys() <= refused.keys(), harmless
    assert sum(refused.values()) > 20 * sum(harmless.values()), (refused, harmless)
    assert sum(refused.values()) > 0.9 * TWISTS * CERTIFICATES, refused


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
    well formed: both refuse."""
    for seed in range(CERTIFICATES):
        draw = random.Random(f"damage {seed}")  # noqa: S311
        made, text = right(seed)
        paths = leaves(json.loads(text))
        for path in draw.sample(paths, DAMAGES):
            document = json.loads(text)
            parent = document
            for step in path[:-1]:
                parent = parent[step]
            before = parent[path[-1]]
            while parent[path[-1]] == before:
                parent[path[-1]] = another(before, draw)
            damaged = write(document)
            if verdict(damaged, made, f"seed {seed}: {path}"):
                # More than a quorum may have signed.
                assert path[-1] in {"commits", "checkpoints"}, (seed, path)


def test_any_edited_text_is_judged_alike() -> None:
    """A character replaced, added or left out anywhere."""
    for seed in range(CERTIFICATES):
        draw = random.Random(f"edit {seed}")  # noqa: S311
        made, whole = right(seed)
        place = draw.randrange(len(whole))
        character = draw.choice(' \n,0"a{}é\\')
        text = draw.choice(
            [
                whole[:place] + character + whole[place + 1 :],
                whole[:place] + character + whole[place:],
                whole[:place] + whole[place + 1 :],
            ]
        )
        assert verdict(text, made, f"seed {seed}") == (text == whole)


def test_swapped_signatures_convince_nobody() -> None:
    """Any two different signatures exchanged."""
    for seed in range(CERTIFICATES):
        draw = random.Random(f"swap {seed}")  # noqa: S311
        made, text = right(seed)
        document = json.loads(text)
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
        made, text = right(seed)
        other, _ = right((seed + 1) % CERTIFICATES)
        mixed = Made(made.certificate, other.membership, made.policy, "", ())
        verdict(text, mixed, f"seed {seed}")
        looser = Made(made.certificate, made.membership, other.policy, "", ())
        verdict(text, looser, f"seed {seed}")
        with pytest.raises(checker_form.Wrong):
            checker.check(text, made.facts | {"network": "00" * 32})
        with pytest.raises(InvalidCertificate):
            verify(from_text(text), replace(made.genesis(VERIFIER), network=bytes(32)))


def test_what_a_real_network_decides_convinces_the_checker() -> None:
    """Replicas with Ed25519 keys answer, before and after a change of members; the checker is told
    the first members' keys and the policy, and nothing else."""
    cluster = Cluster(4, ["Paris", "Paris", "Lyon", None])
    texts = real_certificates(cluster)
    made = Made(make(0).certificate, cluster.members, cluster.policy, "", ())
    facts = made.facts | {"network": NETWORK.hex()}
    for text in texts:
        checker.check(text, facts)
        document = copy.deepcopy(json.loads(text))
        document["item"]["outcome"]["confidence_bp"] += 1
        with pytest.raises(checker_form.Wrong):
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
