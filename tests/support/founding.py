"""Networks on paper: member records and genesis files whose keys are `tests.support.keyring`'s."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from daemon.genesis import Genesis, combine
from daemon.identity import MemberRecord
from pbft import certificate as certificates
from pbft.messages import DecidedSlot
from pbft.policy import Policy
from tests.support import cluster as clusters
from tests.support.cluster import Cluster, Compare, Draw, same_first_word
from tests.support.keyring import private_key, public_key

ADDRESS = "/ip4/127.0.0.1/tcp/4001"


def member(number: int, name: str | None = None) -> MemberRecord:
    """Holds `private_key(number)`; named so that the order of names is that of the numbers."""
    return MemberRecord(name or f"node-{number:03}", public_key(number), (ADDRESS,))


def member_text(number: int, name: str | None = None) -> str:
    """The signed record, as `qnode init` writes it."""
    return member(number, name).to_text(private_key(number))


def founded(n: int = 4, policy: Policy | None = None) -> Genesis:
    """Replica i of the network holds `private_key(i)`."""
    return combine("test", [member(number) for number in range(n)], policy or Policy())


@contextmanager
def cluster_of(
    genesis: Genesis,
    answers: list[str | None] | None = None,
    compare: Compare = same_first_word,
) -> Iterator[Cluster]:
    """A cluster in the genesis' network, so that its certificates verify against the file."""
    with patch.object(clusters, "NETWORK", genesis.network):
        yield Cluster(genesis.membership.n, answers, genesis.policy, compare)


def decide(
    genesis: Genesis,
    answers: list[str | None] | None = None,
    compare: Compare = same_first_word,
    prompt: str = "Capital of France?",
    *,
    draw: Draw | None = None,
    **asked: Any,
) -> DecidedSlot:
    """One decided slot with one question, answered as given. `asked` are the request's further
    fields."""
    with cluster_of(genesis, answers, compare) as cluster:
        cluster.draw = draw or cluster.draw
        cluster.ask(node=0, prompt=prompt, **asked)
        cluster.settle()
    return cluster.nodes[0].ledger[1]


def certificate_text(genesis: Genesis, answers: list[str | None] | None = None) -> str:
    return certificates.to_text(certificates.certify(decide(genesis, answers), 0))


def write_genesis(folder: Path, genesis: Genesis) -> Path:
    path = folder / "genesis.json"
    path.write_text(genesis.to_text(), encoding="utf-8")
    return path
