"""The replicated state: what follows from the ledger, the same on every replica.

`after(state, slot)` is the whole of it: a pure function, applied to every decided slot in order.
Members, policy and weights change at checkpoints only, so that they hold still for all slots of
the interval between two. An entry that was overtaken by an earlier one has no effect.
"""

from dataclasses import dataclass, replace
from typing import Annotated

from pbft import digest
from pbft.codec import encode_value
from pbft.evidence import accused
from pbft.item import Rules, is_final
from pbft.keyring import Verifier
from pbft.membership import (
    Change,
    Join,
    Membership,
    Renew,
    ReplaceKey,
    SetPolicy,
    change_fault,
    changed,
)
from pbft.messages import Accusation, DecidedSlot, EndorsedChange, Item
from pbft.policy import Policy
from pbft.reputation import Standing, points
from pbft.schema import AtMost
from pbft.types import (
    BATCH_ITEMS_MAX,
    CHECKPOINT_INTERVAL,
    MEMBERS_MAX,
    Digest,
    ReplicaId,
    RequestId,
    SequenceNumber,
)

OPEN_REQUESTS_MAX = 8_192
FINISHED_MAX = CHECKPOINT_INTERVAL * BATCH_ITEMS_MAX
RENEWAL_SLOTS_MIN = 1_024
"""Slots between two new epochs for the sake of one member's memory."""


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """A request that was decided without agreement, and is to be asked again."""

    request_id: RequestId
    attempts: int
    """How many are decided."""


@dataclass(frozen=True, slots=True)
class State:
    """After the slot `applied`."""

    applied: SequenceNumber
    chain: Digest
    """Over all batches so far."""
    membership: Membership
    policy: Policy
    standings: Annotated[tuple[Standing, ...], AtMost(MEMBERS_MAX)]
    """Of all members, in increasing order of replica."""
    pending: Change | None
    """Takes effect at the next checkpoint."""
    open_requests: Annotated[tuple[OpenRequest, ...], AtMost(OPEN_REQUESTS_MAX)]
    """In the order of their first attempts."""
    finished: Annotated[tuple[RequestId, ...], AtMost(FINISHED_MAX)]
    """Requests decided for good since the last checkpoint, in the order of their decisions. A new
    view takes over what was prepared in different views, so a request may stand in two slots of an
    interval (§4.4): what comes later has no effect."""

    @property
    def digest(self) -> Digest:
        configuration = digest.configuration_digest(self.membership, self.policy)
        return digest.state_digest(configuration, self.rest_digest)

    @property
    def rest_digest(self) -> Digest:
        """Of everything but the members and the policy."""
        body = (
            self.applied,
            self.chain,
            self.standings,
            self.pending,
            self.open_requests,
            self.finished,
        )
        return digest.plain_digest(b"rest", b"".join(map(_encode, body, _REST)))

    @property
    def interval_end(self) -> SequenceNumber:
        """The next checkpoint. No slot beyond it is proposed or accepted before this one is
        reached, because members, policy and weights may be others there."""
        return SequenceNumber((self.applied // CHECKPOINT_INTERVAL + 1) * CHECKPOINT_INTERVAL)

    def rules(self, network: bytes, verifier: Verifier) -> Rules:
        return Rules(network, self.membership, self.policy, verifier)

    def weight(self, replica: ReplicaId) -> int:
        standing = self.standing(replica)
        return standing.weight if standing else 0

    def may_be_accused(self, replica: ReplicaId) -> bool:
        """Whether it is a member, and nothing is proven against it yet."""
        standing = self.standing(replica)
        return standing is not None and not standing.convicted

    def attempts(self, request_id: RequestId) -> int:
        """How many attempts at an open request are in the ledger."""
        return next((r.attempts for r in self.open_requests if r.request_id == request_id), 0)

    def standing(self, replica: ReplicaId) -> Standing | None:
        return next((s for s in self.standings if s.replica == replica), None)


_REST = (
    SequenceNumber,
    Digest,
    tuple[Standing, ...],
    Change | None,
    tuple[OpenRequest, ...],
    tuple[RequestId, ...],
)


def _encode(value: object, annotation: object) -> bytes:
    return encode_value(value, annotation)


def first_state(membership: Membership, policy: Policy) -> State:
    """Before the first slot."""
    return State(
        applied=SequenceNumber(0),
        chain=digest.DIGEST_ZERO,
        membership=membership,
        policy=policy,
        standings=tuple(Standing(replica) for replica in membership.replicas),
        pending=None,
        open_requests=(),
        finished=(),
    )


def after(state: State, slot: DecidedSlot) -> State:
    """The state after one more slot, which must be the next."""
    standings = {standing.replica: standing for standing in state.standings}
    open_requests = {request.request_id: request for request in state.open_requests}
    finished = dict.fromkeys(state.finished)
    pending = state.pending
    for entry in slot.batch:
        match entry:
            case Item():
                request_id = digest.request_id(entry.request.message)
                if request_id in finished:
                    continue
                if entry.attempt >= _attempts(open_requests, request_id):
                    _count_points(standings, entry)
                    open_requests[request_id] = OpenRequest(request_id, entry.attempt + 1)
                if is_final(entry, state.policy):
                    open_requests.pop(request_id, None)
                    finished[request_id] = None
            case EndorsedChange(change=change) if pending is None and is_possible(state, entry):
                pending = change
            case Accusation(evidence):
                replica = accused(evidence)
                if replica in standings and not standings[replica].convicted:
                    standings[replica] = replace(standings[replica], convicted=slot.sequence_number)
    next_state = State(
        applied=slot.sequence_number,
        chain=digest.chain_digest(state.chain, digest.digest_of(slot.batch)),
        membership=state.membership,
        policy=state.policy,
        standings=tuple(standings[replica] for replica in sorted(standings)),
        pending=pending,
        open_requests=tuple(open_requests.values())[-OPEN_REQUESTS_MAX:],
        finished=tuple(finished),
    )
    return next_state if slot.sequence_number % CHECKPOINT_INTERVAL else _at_checkpoint(next_state)


def is_possible(state: State, entry: EndorsedChange) -> bool:
    """Whether the change can end the current epoch."""
    change = entry.change
    if entry.epoch != state.membership.epoch:
        return False
    if isinstance(change, Renew):
        standing = state.standing(change.replica)
        last = standing.renewed if standing else 0
        if last and state.applied < last + RENEWAL_SLOTS_MIN:
            return False
    return change_fault(change, state.membership, state.policy) is None


def _count_points(standings: dict[ReplicaId, Standing], item: Item) -> None:
    for replica, (earned, lost) in points(item).items():
        standing = standings.get(replica)
        if standing is not None:
            standings[replica] = replace(
                standing, earned=standing.earned + earned, lost=standing.lost + lost
            )


def _attempts(requests: dict[RequestId, OpenRequest], request_id: RequestId) -> int:
    known = requests.get(request_id)
    return known.attempts if known is not None else 0


def _at_checkpoint(state: State) -> State:
    standings = {s.replica: s.settled() for s in state.standings}
    membership, policy, change = state.membership, state.policy, state.pending
    if change is not None:
        membership = changed(change, membership, state.applied)
    match change:
        case Join():
            newest = membership.members[-1].replica
            standings[newest] = Standing(newest)
        case ReplaceKey(replica, _):
            # What was proven was proven against the old key.
            standings[replica] = Standing(replica)
        case Renew(replica, salt):
            standings[replica] = replace(standings[replica], renewed=state.applied, renewal=salt)
        case SetPolicy(wanted):
            policy = wanted
    return replace(
        state,
        membership=membership,
        policy=policy,
        standings=tuple(
            standings[replica] for replica in sorted(standings) if membership.member(replica)
        ),
        pending=None,
        finished=(),
    )
