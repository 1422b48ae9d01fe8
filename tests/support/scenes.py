"""Situations that many tests start from."""

from pbft.messages import Item, Proposal
from pbft.policy import Policy
from pbft.types import ReplicaId
from tests.support.cluster import Cluster, Compare, same_first_word


def before_the_proposal(
    n: int = 4,
    answers: list[str | None] | None = None,
    policy: Policy | None = None,
    compare: Compare = same_first_word,
) -> tuple[Cluster, Proposal]:
    """A question is answered, sealed and revealed; the primary's proposal reached nobody."""
    caught: list[Proposal] = []

    def drop(_source: ReplicaId, _target: ReplicaId, message: object) -> bool:
        if isinstance(message, Proposal):
            caught.append(message)
        return isinstance(message, Proposal)

    cluster = Cluster(n, answers, policy, compare)
    cluster.drop = drop
    cluster.ask(node=0)
    cluster.run()
    cluster.drop = lambda _source, _target, _message: False
    return cluster, caught[0]


def only_item(proposal: Proposal) -> Item:
    (item,) = proposal.batch
    return item
