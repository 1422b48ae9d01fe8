"""The genesis file: who the members are and which rules they agreed on.

Its digest is the network's id, which every signed message names. Addresses are in the file so that
nodes find each other, but not in the digest: where a member is reached may change, who it is not.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from daemon.errors import UsageError
from daemon.files import read_json
from daemon.identity import (
    MemberRecord,
    check_addresses,
    check_name,
    check_public_key,
)
from inference.catalog import DEFAULT_EMBEDDER
from p2p.addresses import parse_dialable
from pbft.item import Rules
from pbft.keyring import Verifier
from pbft.membership import Member, Membership
from pbft.policy import Policy
from pbft.types import MEMBERS_MAX, ReplicaId

FORMAT = "qnode genesis 1"


@dataclass(frozen=True, slots=True)
class Genesis:
    """Members are in order of name, so that everyone who combines the same records gets the same
    file; a replica's id is its place in that order."""

    network_name: str
    embedder: str
    """Model that measures similarity, the same on all members so that they measure the same."""
    policy: Policy
    members: tuple[MemberRecord, ...]
    entailment: str = ""
    """Model that judges entailment besides, the same on all members too; empty for none."""

    @property
    def network(self) -> bytes:
        """The network's id, 32 bytes."""
        document = self._document()
        for member in document["members"]:
            del member["addresses"]
        canonical = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return sha256(b"qnode/1 network" + canonical.encode()).digest()

    @property
    def membership(self) -> Membership:
        return Membership.first(
            tuple(
                Member(ReplicaId(number), member.name, member.public_key, member.addresses)
                for number, member in enumerate(self.members)
            )
        )

    def rules(self, verifier: Verifier) -> Rules:
        return Rules(self.network, self.membership, self.policy, verifier)

    def to_text(self) -> str:
        return json.dumps(self._document(), ensure_ascii=False, indent=1) + "\n"

    def _document(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "network": self.network_name,
            "embedder": self.embedder,
            **({"entailment": self.entailment} if self.entailment else {}),
            "policy": asdict(self.policy),
            "members": [
                {
                    "name": member.name,
                    "public_key": member.public_key.hex(),
                    "addresses": list(member.addresses),
                }
                for member in self.members
            ],
        }


def combine(
    network_name: str,
    records: Iterable[MemberRecord],
    policy: Policy,
    embedder: str = DEFAULT_EMBEDDER,
    entailment: str = "",
) -> Genesis:
    """A genesis from the members' records; `UsageError` for anything that could not work."""
    members = tuple(sorted(records, key=lambda member: member.name))
    if not members:
        raise UsageError("A network needs at least one member; name the members' record files.")
    if len(members) > MEMBERS_MAX:
        raise UsageError(f"{len(members)} members are more than the {MEMBERS_MAX} supported.")
    names = [member.name for member in members]
    if twice := _first_repeated(names):
        raise UsageError(f"Two members are called {twice}; one of them must choose another name.")
    keys = [member.public_key.hex() for member in members]
    if twice := _first_repeated(keys):
        both = " and ".join(m.name for m in members if m.public_key.hex() == twice)
        raise UsageError(f"{both} have the same key; each node needs its own `qnode init`.")
    if not 1 <= len(embedder) <= 256 or not embedder.isprintable():
        raise UsageError("embedder must be the name of a model, on one line.")
    if entailment and (len(entailment) > 256 or not entailment.isprintable()):
        raise UsageError("entailment must be the name of a model, on one line.")
    for member in members:
        _check_peer_ids(member)
    return Genesis(check_name(network_name), embedder, policy, members, entailment)


def _check_peer_ids(member: MemberRecord) -> None:
    named = [parse_dialable(address).peer_id for address in member.addresses]
    if any(named):
        from p2p.host import peer_id  # loads libp2p, which takes a second

        if set(named) - {"", peer_id(member.public_key)}:
            raise UsageError(f"An address of {member.name} ends in another node's peer id.")


def _first_repeated(values: list[str]) -> str | None:
    return next((value for value in values if values.count(value) > 1), None)


def read_genesis(path: Path) -> Genesis:
    document = read_json(path, "genesis file")
    expected = {"format", "network", "embedder", "policy", "members"}
    if document.get("format") != FORMAT or set(document) - {"entailment"} != expected:
        raise UsageError(f"{path} is not a genesis file; make one with `qnode genesis`.")
    try:
        if not isinstance(document["members"], list):
            raise UsageError("members must be a list.")
        records = [_read_member(member) for member in document["members"]]
        embedder = document["embedder"]
        if not isinstance(embedder, str):
            raise UsageError("embedder must be the name of a model.")
        entailment = document.get("entailment", "")
        if not isinstance(entailment, str) or ("entailment" in document and not entailment):
            raise UsageError("entailment must be the name of a model, or not be there.")
        policy = parse_policy(document["policy"])
        genesis = combine(document["network"], records, policy, embedder, entailment)
        if [m.name for m in genesis.members] != [m.name for m in records]:
            raise UsageError("the members are not in order of name.")
    except UsageError as error:
        raise UsageError(f"In {path}: {error}") from None
    return genesis


def _read_member(document: Any) -> MemberRecord:
    if not isinstance(document, dict) or set(document) != {"name", "public_key", "addresses"}:
        raise UsageError("each member needs exactly name, public_key and addresses.")
    return MemberRecord(
        check_name(document["name"]),
        check_public_key(document["public_key"]),
        check_addresses(document["addresses"]),
    )


def parse_policy(document: Any) -> Policy:
    """A policy from its fields; those not given keep their defaults."""
    if not isinstance(document, dict):
        raise UsageError("policy must be an object.")
    known = {field.name for field in fields(Policy)}
    if unknown := sorted(set(document) - known):
        raise UsageError(
            f"policy.{unknown[0]} is unknown; the fields are {', '.join(sorted(known))}."
        )
    try:
        return Policy(**document)
    except ValueError as error:
        raise UsageError(str(error)) from None
