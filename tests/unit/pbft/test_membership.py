"""Who the members are, and how one change follows another."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbft.membership import (
    Change,
    Join,
    Leave,
    Membership,
    Renew,
    ReplaceKey,
    SetPolicy,
    change_fault,
    changed,
    endorsements_needed,
)
from pbft.policy import Policy
from pbft.types import EPOCHS_MAX, MEMBERS_MAX, Epoch, ReplicaId, SequenceNumber, View
from tests.support.keyring import members_with, membership, public_key, quick_membership

SALT = bytes(32)
FOUR = membership(4)


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def join(number: int, name: str | None = None) -> Join:
    return Join(name or f"joiner{number}", key(number), ())


# --- what makes no sense -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            Join("node2", public_key(9), ()),
            "A member is called 'node2' already; choose another name.",
        ),
        (Join("", public_key(9), ()), "The new member needs a name."),
        (Join("new", public_key(2), ()), "A member has that key already."),
        (Leave(ReplicaId(4)), "Nobody is member 4."),
        (Leave(ReplicaId(2**64 - 1)), f"Nobody is member {2**64 - 1}."),
        (ReplaceKey(ReplicaId(4), public_key(9)), "Nobody is member 4."),
        (ReplaceKey(ReplicaId(0), public_key(2)), "A member has that key already."),
        (ReplaceKey(ReplicaId(2), public_key(2)), "A member has that key already."),
        (Renew(ReplicaId(4), SALT), "Nobody is member 4."),
        (SetPolicy(Policy()), "That is the policy already."),
    ],
    ids=str,
)
def test_a_senseless_change_is_told_why(change: Change, sentence: str) -> None:
    """One sentence says what is wrong with the change."""
    assert change_fault(change, FOUR, Policy()) == sentence


def test_the_last_member_cannot_leave() -> None:
    """Somebody must be there to let others in."""
    assert change_fault(Leave(ReplicaId(0)), membership(1), Policy()) == (
        "The last member cannot leave."
    )


def test_there_is_room_for_so_many_members_and_epochs() -> None:
    """The bounds of what a certificate can carry are bounds of what may be decided."""
    full = quick_membership(MEMBERS_MAX)
    assert change_fault(join(500), full, Policy()) == (
        f"There are {MEMBERS_MAX} members; more than {MEMBERS_MAX} cannot be."
    )
    assert change_fault(join(500), quick_membership(MEMBERS_MAX - 1), Policy()) is None
    last = Membership(Epoch(EPOCHS_MAX - 1), SequenceNumber(64), FOUR.members, ReplicaId(4))
    assert change_fault(Leave(ReplicaId(1)), last, Policy()) == (
        f"There have been {EPOCHS_MAX} epochs; begin a new network."
    )
    before = Membership(Epoch(EPOCHS_MAX - 2), SequenceNumber(64), FOUR.members, ReplicaId(4))
    assert change_fault(Leave(ReplicaId(1)), before, Policy()) is None


@pytest.mark.parametrize(
    "change",
    [
        join(9),
        Leave(ReplicaId(0)),
        ReplaceKey(ReplicaId(3), key(9)),
        SetPolicy(Policy(attempts_max=1)),
        Renew(ReplicaId(1), SALT),
    ],
    ids=str,
)
def test_a_sensible_change_begins_the_next_epoch(change: Change) -> None:
    """It has no fault, and the next epoch starts where it is said to."""
    assert change_fault(change, FOUR, Policy()) is None
    after = changed(change, FOUR, SequenceNumber(128))
    assert (after.epoch, after.start) == (1, 128)


# --- what follows ------------------------------------------------------------------------------


def test_who_joins_comes_last_with_the_next_number() -> None:
    """The fifth member is number 4, called and reached as it said."""
    after = changed(Join("eve", key(9), ("/ip4/127.0.0.1/tcp/1",)), FOUR, SequenceNumber(64))
    assert after.replicas == (0, 1, 2, 3, 4)
    newest = after.members[-1]
    assert (newest.name, newest.public_key) == ("eve", key(9))
    assert newest.addresses == ("/ip4/127.0.0.1/tcp/1",)
    assert after.next_replica == 5


def test_who_leaves_takes_its_number_along() -> None:
    """The others keep theirs, and the number belongs to nobody for ever."""
    after = changed(Leave(ReplicaId(1)), FOUR, SequenceNumber(64))
    assert after.replicas == (0, 2, 3)
    assert after.member(ReplicaId(1)) is None
    assert after.public_key(ReplicaId(1)) is None
    assert [after.public_key(ReplicaId(i)) for i in (0, 2, 3)] == [public_key(i) for i in (0, 2, 3)]
    assert changed(join(9), after, SequenceNumber(128)).replicas == (0, 2, 3, 4)


def test_the_primary_goes_round_among_those_who_are_there() -> None:
    """p = v mod n counts along the list, whatever the numbers are (§4.1)."""
    three = changed(Leave(ReplicaId(1)), FOUR, SequenceNumber(64))
    assert [three.primary(View(view)) for view in range(6)] == [0, 2, 3, 0, 2, 3]


def test_a_replaced_key_keeps_number_and_name() -> None:
    """Only the key is another one."""
    after = changed(ReplaceKey(ReplicaId(2), key(9)), FOUR, SequenceNumber(64))
    assert after.replicas == FOUR.replicas
    assert after.members[2].name == "node2"
    assert after.replica_of(key(9)) == 2
    assert after.replica_of(public_key(2)) is None


def test_policy_and_renewal_leave_the_members_alone() -> None:
    """Only the number of the epoch is another one."""
    for change in (SetPolicy(Policy(attempts_max=1)), Renew(ReplicaId(0), SALT)):
        after = changed(change, FOUR, SequenceNumber(64))
        assert (after.members, after.next_replica) == (FOUR.members, 4)


def test_renewal_needs_nobody_else() -> None:
    """Any other change takes a quorum."""
    assert endorsements_needed(Renew(ReplicaId(0), SALT), FOUR) == 1
    assert endorsements_needed(Leave(ReplicaId(0)), FOUR) == 3
    assert endorsements_needed(join(9), quick_membership(7)) == 5


def changes() -> st.SearchStrategy[Change]:
    small = st.integers(0, 12).map(ReplicaId)
    return st.one_of(
        st.builds(lambda i: join(100 + i), st.integers(0, 40)),
        st.builds(Leave, small),
        st.builds(lambda r, i: ReplaceKey(r, key(200 + i)), small, st.integers(0, 40)),
        st.builds(lambda n: SetPolicy(Policy(attempts_max=n)), st.integers(1, 4)),
        st.builds(lambda r: Renew(r, SALT), small),
    )


@settings(max_examples=150)
@given(st.integers(1, 5), st.lists(changes(), max_size=40))
def test_no_number_is_ever_given_twice(n: int, wanted: list[Change]) -> None:
    """Through any history, a number belongs to one member for good; names and keys differ, and
    numbers increase along the list."""
    members: Any = quick_membership(n)
    policy = Policy()
    names: dict[int, str] = {m.replica: m.name for m in members.members}
    for number, change in enumerate(wanted, 1):
        if change_fault(change, members, policy):
            continue
        before = members
        members = changed(change, members, SequenceNumber(64 * number))
        if isinstance(change, SetPolicy):
            policy = change.policy
        assert members.epoch == before.epoch + 1
        assert list(members.replicas) == sorted(set(members.replicas))
        assert max(members.replicas) < members.next_replica
        assert members.next_replica >= before.next_replica
        for member in members.members:
            assert names.setdefault(member.replica, member.name) == member.name
        assert len({m.public_key for m in members.members}) == members.n
        assert len({m.name for m in members.members}) == members.n
        gone = set(names) - set(members.replicas)
        assert all(members.member(ReplicaId(replica)) is None for replica in gone)
        for member in members.members:
            assert members.member(member.replica) is member
            assert members.replica_of(member.public_key) == member.replica


def test_a_member_is_found_whatever_numbers_are_missing() -> None:
    """The shortcut for an unbroken list gives the same as the search."""
    members = members_with([key(i) for i in range(6)])
    for gone in (0, 2, 5):
        left = changed(Leave(ReplicaId(gone)), members, SequenceNumber(64))
        for i in range(8):
            found = left.member(ReplicaId(i))
            assert (found is not None) == (i < 6 and i != gone)
            assert found is None or found.public_key == key(i)
