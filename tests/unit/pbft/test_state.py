"""The replicated state: a pure function of the ledger."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings

from pbft import digest
from pbft.codec import decode_value, encode_value
from pbft.membership import Join, Leave, Membership, Renew, ReplaceKey, SetPolicy
from pbft.messages import (
    Accusation,
    DecidedSlot,
    EndorsedChange,
    Entry,
    Equivocation,
    Item,
)
from pbft.policy import Policy
from pbft.reputation import WEIGHT_INITIAL, Standing
from pbft.state import (
    OPEN_REQUESTS_MAX,
    RENEWAL_SLOTS_MIN,
    OpenRequest,
    State,
    after,
    first_state,
    is_possible,
)
from pbft.types import Epoch, ReplicaId, RequestId, SequenceNumber
from tests.support import forge
from tests.support.cluster import answer
from tests.support.intervals import checkpoint_every
from tests.support.keyring import membership, public_key
from tests.support.strategies import values

SALT = bytes(range(32))
START = first_state(membership(4), Policy())


def slot(number: int, *batch: Entry) -> DecidedSlot:
    """`after` looks at the contents; who proved them is looked at before."""
    of = forge.batch_digest(batch)
    return DecidedSlot(batch, tuple(forge.commit(i, of, number) for i in (0, 1, 2)))


def run(state: State, *batches: tuple[Entry, ...]) -> State:
    for batch in batches:
        state = after(state, slot(state.applied + 1, *batch))
    return state


def to_checkpoint(state: State, interval: int = 4) -> State:
    while state.applied % interval or not state.applied:
        state = run(state, ())
    return state


def endorsed(change: Any, epoch: int = 0) -> EndorsedChange:
    return EndorsedChange(Epoch(epoch), change, ())


def item(number: int = 1, words: tuple[str, ...] = ("a",) * 4, attempt: int = 0) -> Item:
    asked = forge.request(0, number)
    request_id = digest.request_id(asked)
    openings = tuple(forge.reveal(request_id, i, answer(text)) for i, text in enumerate(words))
    pairs = [(a, b) for i, a in enumerate(words) for b in words[i + 1 :]]
    made = forge.item(asked, openings, tuple(9_600 if a == b else 3_000 for a, b in pairs))
    return replace(made, attempt=attempt)


def accusation(replica: int) -> Accusation:
    evidence = Equivocation(forge.prepare(replica, forge.D1), forge.prepare(replica, forge.D2))
    return Accusation(evidence)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints every four slots."""
    checkpoint_every(4, monkeypatch)


LEAVE = endorsed(Leave(ReplicaId(3)))
JOIN = endorsed(Join("eve", public_key(9), ()))


# --- changes -----------------------------------------------------------------------------------


def test_a_change_waits_for_the_checkpoint() -> None:
    """Within the interval nothing changes but that it is pending."""
    state = run(START, (LEAVE,), (), ())
    assert (state.applied, state.pending, state.membership.n) == (3, LEAVE.change, 4)
    state = run(state, ())
    assert (state.pending, state.membership.n, state.membership.epoch) == (None, 3, 1)
    assert state.membership.start == 4
    assert [standing.replica for standing in state.standings] == [0, 1, 2]


def test_a_change_in_the_last_slot_takes_effect_with_it() -> None:
    """The checkpoint itself may hold the change."""
    assert run(START, (), (), (), (JOIN,)).membership.replicas == (0, 1, 2, 3, 4)


def test_the_first_of_two_changes_counts() -> None:
    """One change ends one epoch; what was overtaken has no effect, in one batch or in two."""
    for batches in ([(LEAVE, JOIN)], [(LEAVE,), (JOIN,)]):
        state = to_checkpoint(run(START, *batches))
        assert state.membership.replicas == (0, 1, 2)
        assert state.membership.epoch == 1


def test_a_change_for_another_epoch_has_no_effect() -> None:
    """An endorsement is of one epoch."""
    for epoch in (1, 2, 2**63):
        assert run(START, (endorsed(LEAVE.change, epoch),)).pending is None
    later = to_checkpoint(run(START, (LEAVE,)))
    assert run(later, (JOIN,)).pending is None
    assert run(later, (endorsed(JOIN.change, 1),)).pending == JOIN.change


def test_a_change_that_makes_no_sense_has_no_effect() -> None:
    """Nobody leaves who is not there."""
    assert run(START, (endorsed(Leave(ReplicaId(7))),)).pending is None


def test_who_joins_begins_with_the_first_weight() -> None:
    """A new member is neither trusted more nor less than a founder was."""
    state = to_checkpoint(run(START, (JOIN,)))
    assert state.standing(ReplicaId(4)) == Standing(ReplicaId(4))
    assert state.weight(ReplicaId(4)) == WEIGHT_INITIAL


def test_a_policy_takes_effect_at_the_checkpoint() -> None:
    """The members stay, and the epoch is another."""
    wanted = Policy(similarity_threshold_bp=9_700)
    state = run(START, (endorsed(SetPolicy(wanted)),))
    assert state.policy == START.policy
    state = to_checkpoint(state)
    assert (state.policy, state.membership.epoch) == (wanted, 1)


def test_a_replaced_key_starts_without_a_record() -> None:
    """What was proven was proven against the old key, and so was what was earned."""
    state = to_checkpoint(run(START, (item(),), (accusation(2),)))
    assert state.weight(ReplicaId(2)) == 0
    swap = endorsed(ReplaceKey(ReplicaId(2), public_key(9)))
    state = to_checkpoint(run(state, (swap,)))
    assert state.standing(ReplicaId(2)) == Standing(ReplicaId(2))
    assert state.membership.public_key(ReplicaId(2)) == public_key(9)


# --- renewal -----------------------------------------------------------------------------------


def test_a_renewal_is_noted_with_its_salt() -> None:
    """So that who forgot knows that this epoch began through its own wish, and for which loss."""
    state = to_checkpoint(run(START, (item(),), (endorsed(Renew(ReplicaId(1), SALT)),)))
    standing = state.standing(ReplicaId(1))
    assert standing is not None
    assert (standing.renewed, standing.renewal) == (4, SALT)
    assert standing.weight > WEIGHT_INITIAL, "reputation outlives the memory"


def test_a_member_is_renewed_once_in_so_many_slots() -> None:
    """A replica that claims to forget all the time can't keep the network busy with epochs."""
    state = to_checkpoint(run(START, (endorsed(Renew(ReplicaId(1), SALT)),)))
    again = endorsed(Renew(ReplicaId(1), bytes(32)), 1)
    for applied, possible in [
        (4, False),
        (4 + RENEWAL_SLOTS_MIN - 1, False),
        (4 + RENEWAL_SLOTS_MIN, True),
    ]:
        at = replace(state, applied=SequenceNumber(applied))
        assert is_possible(at, again) is possible
        assert is_possible(at, endorsed(Renew(ReplicaId(2), SALT), 1))
    assert run(state, (again,)).pending is None


# --- reputation and evidence -------------------------------------------------------------------


def test_weights_hold_still_between_checkpoints() -> None:
    """A proposal names the weights of its interval, however far a replica has applied it: neither
    points nor a proof move a weight before the checkpoint."""
    state = START
    for number in (1, 2, 3):
        state = run(state, (item(number, ("a", "a", "a", "b")), accusation(1)))
        assert [standing.weight for standing in state.standings] == [WEIGHT_INITIAL] * 4
    state = run(state, ())
    assert [standing.weight for standing in state.standings] == [10_075, 0, 10_075, 9_850]
    assert [(s.earned, s.lost) for s in state.standings] == [(0, 0)] * 4


def test_a_proof_counts_once_and_for_good() -> None:
    """The first slot that holds it is noted; later points give no weight back."""
    state = to_checkpoint(run(START, (accusation(1),), (accusation(1),)))
    standing = state.standing(ReplicaId(1))
    assert standing is not None
    assert (standing.convicted, standing.weight) == (1, 0)
    assert not state.may_be_accused(ReplicaId(1))
    assert state.may_be_accused(ReplicaId(0))
    assert not state.may_be_accused(ReplicaId(9))
    for number in range(1, 9):
        state = run(state, (item(number),))
    assert state.weight(ReplicaId(1)) == 0


def test_what_is_proven_against_a_stranger_has_no_effect() -> None:
    """A member that has left since, or never was one."""
    assert run(START, (accusation(9),)).standings == START.standings


# --- attempts ----------------------------------------------------------------------------------

DISSENT = ("a", "b", "c", "d")


def test_a_request_without_agreement_stays_open() -> None:
    """Until the policy's last attempt, or one that succeeds."""
    request_id = digest.request_id(forge.request(0, 1))
    state = run(START, (item(1, DISSENT),))
    assert state.open_requests == (OpenRequest(request_id, 1),)
    assert state.attempts(request_id) == 1
    assert state.attempts(RequestId(bytes(32))) == 0
    assert run(state, (item(1, DISSENT, attempt=1),)).open_requests == ()
    assert run(state, (item(1, attempt=1),)).open_requests == ()
    assert run(START, (item(1),)).open_requests == ()


def test_open_requests_are_bounded() -> None:
    """The oldest are forgotten, in the order in which they were opened."""
    many = tuple(OpenRequest(RequestId(i.to_bytes(32, "big")), 1) for i in range(OPEN_REQUESTS_MAX))
    state = run(replace(START, open_requests=many), (item(1, DISSENT),))
    assert len(state.open_requests) == OPEN_REQUESTS_MAX
    assert state.open_requests[:-1] == many[1:]


def test_what_stands_in_two_slots_counts_once() -> None:
    """A new view takes over what was prepared in different views: a request that was decided for
    good, or an attempt that was counted, moves no weight and opens nothing when it comes again."""
    once, dissent = run(START, (item(1),)), run(START, (item(1, DISSENT),))
    for again in (item(1), item(1, DISSENT), item(1, attempt=1)):
        twice = run(once, (again,))
        assert (twice.standings, twice.open_requests) == (once.standings, ())
    twice = run(dissent, (item(1, DISSENT),))
    assert (twice.standings, twice.open_requests) == (dissent.standings, dissent.open_requests)
    assert run(dissent, (item(1),)).open_requests == ()
    assert run(dissent, (item(1),)).standings == dissent.standings
    request_id = digest.request_id(forge.request(0, 1))
    assert once.finished == (request_id,)
    assert to_checkpoint(once).finished == ()


# --- pure --------------------------------------------------------------------------------------


def test_the_state_follows_from_the_ledger_alone() -> None:
    """The same slots give the same state, however they were proven and wherever one starts again
    from a state that was kept."""
    batches: list[tuple[Entry, ...]] = [
        (item(1, DISSENT),), (accusation(2), item(2)), (LEAVE,), (), (item(3),),
    ]  # fmt: skip
    whole = run(START, *batches)
    state = START
    for number, batch in enumerate(batches, 1):
        of = forge.batch_digest(batch)
        others = DecidedSlot(batch, tuple(forge.commit(i, of, number, view=7) for i in (1, 2, 3)))
        state = after(decode_value(encode_value(state), State), others)
    assert state == whole
    assert state.digest == whole.digest
    assert whole.membership.replicas == (0, 1, 2)


def test_the_order_of_slots_is_bound() -> None:
    """The same entries in another order are another ledger."""
    one, other = (item(1),), (item(2),)
    assert run(START, one, other).chain != run(START, other, one).chain


OTHERS: dict[str, Any] = {
    "applied": SequenceNumber(1),
    "chain": forge.D1,
    "membership": replace(START.membership, next_replica=ReplicaId(5)),
    "policy": Policy(attempts_max=3),
    "standings": START.standings[1:],
    "pending": Leave(ReplicaId(1)),
    "open_requests": (OpenRequest(RequestId(bytes(32)), 1),),
    "finished": (RequestId(bytes(32)),),
}


def test_the_digest_binds_every_field() -> None:
    """Any field with another value is another digest: of the state, of a standing, of a membership,
    of an open request."""
    assert OTHERS.keys() == {field.name for field in fields(State)}
    digests = {START.digest}
    for name, value in OTHERS.items():
        digests.add(replace(START, **{name: value}).digest)
    assert len(digests) == 1 + len(OTHERS)
    opened = replace(START, open_requests=OTHERS["open_requests"])
    for field in fields(OpenRequest):
        held = opened.open_requests[0]
        value = RequestId(b"\x01" * 32) if field.name == "request_id" else 2
        digests.add(replace(opened, open_requests=(replace(held, **{field.name: value}),)).digest)
    for field in fields(Standing):
        value: Any = b"\x01" * 32 if field.name == "renewal" else 77
        changed = replace(START.standings[1], **{field.name: value})
        standings = (START.standings[0], changed, *START.standings[2:])
        digests.add(replace(START, standings=standings).digest)
    for field in fields(Membership):
        value = START.membership.members[:-1] if field.name == "members" else 7
        members = replace(START.membership, **{field.name: value})
        digests.add(replace(START, membership=members).digest)
    total = 1 + len(OTHERS) + len(fields(OpenRequest)) + len(fields(Standing))
    assert len(digests) == total + len(fields(Membership))


@settings(max_examples=60)
@given(values(State), values(State))
def test_different_states_have_different_digests(one: State, other: State) -> None:
    """And a state survives being kept on disk."""
    assert (one == other) == (one.digest == other.digest)
    assert decode_value(encode_value(one), State) == one


def test_only_configuration_and_rest_make_the_digest() -> None:
    """An epoch's certificate shows members and policy, and hides the rest behind its digest."""
    state = run(START, (item(1),))
    configuration = digest.configuration_digest(state.membership, state.policy)
    assert digest.state_digest(configuration, state.rest_digest) == state.digest
    assert replace(state, policy=Policy(attempts_max=5)).rest_digest == state.rest_digest


def test_commits_and_prepares_are_no_part_of_it() -> None:
    """Who signed a slot may differ from ledger to ledger."""
    batch = (item(1),)
    of = forge.batch_digest(batch)
    one = DecidedSlot(batch, tuple(forge.commit(i, of) for i in (0, 1, 2)))
    other = DecidedSlot(batch, tuple(forge.commit(i, of) for i in (1, 2, 3)))
    assert after(START, one) == after(START, other)
