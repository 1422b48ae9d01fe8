"""New-views name their view-changes (Castro and Liskov 2002, §3.2.4); what is missing is asked
for. docs/protocol.md, §8."""

from dataclasses import replace

import pytest

from pbft import codec, digest
from pbft.effects import ArmTimer, Broadcast, Persist, Send
from pbft.events import CatchUp, PeerDown, PeerUp, TimerFired, ViewChangesDue
from pbft.messages import (
    NewView,
    Prepare,
    PreparedCertificate,
    Signed,
    ViewChange,
    ViewChangesWanted,
)
from pbft.new_view import view_change_fault
from pbft.opening import RETRIES_MAX, name
from pbft.records import ViewChangeNamed, ViewEntered
from pbft.types import (
    MEMBERS_MAX,
    MESSAGE_BYTES_MAX,
    U64_MAX,
    WINDOW,
    Epoch,
    ReplicaId,
    View,
    quorum_size,
)
from tests.support import forge
from tests.support.forge import new_view, view_change
from tests.support.solo import Solo

VOTES = [view_change(0), view_change(1), view_change(3, prepared=(forge.prepared(forge.D1),))]
SHOWN = new_view(VOTES)


def digests(*votes: Signed[ViewChange]) -> tuple[bytes, ...]:
    return tuple(name(vote).digest for vote in votes)


def is_in_view(solo: Solo, view: int) -> bool:
    return solo.replica.view == view and solo.replica.active


def test_what_a_new_view_names_and_is_not_here_is_asked_for() -> None:
    """Of whoever showed it; the view is entered with the last of them, and not before."""
    solo = Solo(2)
    solo.hear(VOTES[0])
    solo.hear(SHOWN, source=1)
    assert solo.last == [
        Send(ReplicaId(1), ViewChangesWanted(digests(VOTES[1], VOTES[2]))),
        ArmTimer(ViewChangesDue(), 500),
    ]
    solo.hear(VOTES[2], source=1)
    assert not is_in_view(solo, 1)
    solo.hear(VOTES[1], source=1)
    assert is_in_view(solo, 1)
    assert [p.digest for p in solo.said(Prepare)] == [forge.D1]


def test_with_all_of_them_here_nothing_is_asked_for() -> None:
    """The usual case: view-changes are broadcast, and the new-view follows."""
    solo = Solo(2)
    for vote in VOTES:
        solo.hear(vote)
    solo.hear(SHOWN)
    assert is_in_view(solo, 1)
    assert not any(isinstance(effect.message, ViewChangesWanted) for effect in solo.got(Send))


def test_who_said_another_thing_to_the_primary_holds_nobody_up() -> None:
    """R3 told the primary and R2 two different view-changes, both valid. The one that the new-view
    names counts, and is taken although one of R3 is here."""
    solo = Solo(2)
    solo.hear(view_change(3))
    for vote in VOTES[:2]:
        solo.hear(vote)
    solo.hear(SHOWN)
    assert solo.got(Send) == [Send(ReplicaId(1), ViewChangesWanted(digests(VOTES[2])))]
    solo.hear(VOTES[2], source=1)
    assert is_in_view(solo, 1)
    assert [p.digest for p in solo.said(Prepare)] == [forge.D1]


def asked(solo: Solo) -> list[int]:
    """Whom it asked for view-changes in its last step."""
    return [e.replica for e in solo.got(Send) if isinstance(e.message, ViewChangesWanted)]


def test_others_are_asked_in_turn_when_who_showed_it_does_not_answer() -> None:
    """Every half second one of those that are there, for what is missing then; a new-view that was
    not asked for and cannot be completed is forgotten in the end."""
    solo = Solo(2)
    solo.hear(SHOWN)
    turns = []
    for _ in range(RETRIES_MAX):
        solo.step(TimerFired(ViewChangesDue()))
        turns += asked(solo)
        assert solo.last[-1] == ArmTimer(ViewChangesDue(), 500)
    assert turns == [0, 3, 1, 0, 3, 1, 0, 3]
    assert solo.step(TimerFired(ViewChangesDue())) == []
    assert solo.step(TimerFired(ViewChangesDue())) == []
    solo.hear(SHOWN)
    assert asked(solo) == [1]
    assert ArmTimer(ViewChangesDue(), 500) in solo.last


def test_the_view_that_is_waited_for_is_not_forgotten() -> None:
    """However slowly what it names comes; who is away is not asked."""
    solo = Solo(2)
    for vote in (view_change(3), VOTES[0]):
        solo.hear(vote)
    solo.hear(SHOWN)
    solo.step(PeerDown(ReplicaId(1)))
    turns = []
    for _ in range(4 * RETRIES_MAX):
        solo.step(TimerFired(ViewChangesDue()))
        turns += asked(solo)
    assert turns == [3, 0] * 2 * RETRIES_MAX
    for vote in VOTES[1:]:
        solo.hear(vote, source=0)
    assert is_in_view(solo, 1)


def test_a_new_view_of_a_view_that_was_given_up_is_not_entered() -> None:
    """Its view-changes come when this replica has asked for a later view: what it said there
    must stay true."""
    solo = Solo(2)
    solo.hear(SHOWN)
    for replica in (0, 3):
        solo.hear(view_change(replica, 3))
    for vote in VOTES:
        solo.hear(vote, source=1)
    assert (solo.replica.view, solo.replica.active) == (3, False)
    assert solo.step(TimerFired(ViewChangesDue())) == []


def test_what_is_shown_again_is_not_asked_for_again() -> None:
    """Every member of the view shows it to who comes back: one at a time is asked, and nobody who
    shows it again and again puts that off."""
    solo = Solo(2)
    solo.hear(SHOWN, source=1)
    for source in (0, 3, 1):
        assert solo.hear(SHOWN, source=source) == []


def test_a_new_view_that_nobody_can_complete_keeps_no_other_one_out() -> None:
    """R1 opens views 5 and 9 with what nobody has; view 2, of R2, is entered meanwhile. Nor does
    it keep out an earlier view of R1 itself of which everything is here."""
    for view in (1, 2):
        solo = Solo(3)
        for later in (9, 5):
            solo.hear(new_view([view_change(i, later) for i in (0, 1, 2)]))
        votes = [view_change(i, view) for i in (0, 1, 2)]
        for vote in votes:
            solo.hear(vote)
        solo.enter(votes)
        assert is_in_view(solo, view)
        for replica in (0, 1, 2):
            solo.hear(view_change(replica, 9))
        assert is_in_view(solo, 9)


def test_nothing_is_opened_that_an_epoch_left_behind() -> None:
    """A new epoch begins in view 0, with an empty message log."""
    solo = Solo(2)
    solo.hear(SHOWN)
    solo.replica._view_changes.begin_epoch()
    for vote in VOTES:
        solo.hear(vote)
    assert not is_in_view(solo, 1)


def test_who_is_in_a_view_has_what_it_names() -> None:
    """Each is sent once to who asks, until the next look or that peer's next connection."""
    solo = Solo(2)
    solo.enter(VOTES)
    wanted = ViewChangesWanted((*digests(VOTES[2], VOTES[0]), forge.D2))
    answer = [Send(ReplicaId(3), VOTES[0]), Send(ReplicaId(3), VOTES[2])]
    assert solo.hear(wanted, source=3) == answer
    assert solo.hear(wanted, source=3) == []
    assert solo.hear(wanted, source=0) == [replace(sent, replica=ReplicaId(0)) for sent in answer]
    solo.step(PeerUp(ReplicaId(0)))
    assert solo.hear(wanted, source=3) == []
    solo.step(TimerFired(CatchUp()))
    assert solo.hear(wanted, source=3) == answer
    solo.step(PeerUp(ReplicaId(3)))
    assert solo.hear(wanted, source=3) == answer


def test_who_waits_for_a_view_gives_what_it_has() -> None:
    """The newest view-change of each replica, its own too."""
    solo = Solo(2)
    solo.hear(VOTES[0])
    solo.hear(view_change(3))
    (own,) = [e.message for e in solo.got(Broadcast) if isinstance(e.message, Signed)]
    wanted = ViewChangesWanted(digests(VOTES[0], own, VOTES[1]))
    assert solo.hear(wanted, source=1) == [
        Send(ReplicaId(1), VOTES[0]),
        Send(ReplicaId(1), own),
    ]


def test_an_answer_fits_into_what_a_connection_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left out is sent when the peer asks again, which it does."""
    longest = max(len(codec.encode_value(vote.message)) for vote in VOTES)
    monkeypatch.setattr("pbft.view_change.ANSWER_BYTES_MAX", longest)
    solo = Solo(2)
    solo.enter(VOTES)
    wanted = ViewChangesWanted(digests(*VOTES))
    answers = [[e.message for e in solo.hear(wanted, source=3)] for _ in range(3)]
    assert answers == [VOTES[:2], VOTES[2:], []]


def test_what_a_new_view_names_is_on_disk_before_the_view_is_entered() -> None:
    """After a crash the view is entered again, and peers that lack something get it."""
    solo = Solo(2)
    solo.enter(VOTES)
    records = [effect.record for effect in solo.got(Persist)]
    kinds = [type(record) for record in records]
    assert kinds[: kinds.index(ViewEntered)] == [ViewChangeNamed] * 3
    again = Solo(2, records=solo.log)
    assert is_in_view(again, 1)
    wanted = ViewChangesWanted(digests(*VOTES))
    assert again.hear(wanted, source=3) == [Send(ReplicaId(3), vote) for vote in VOTES]


def test_a_log_that_ends_between_them_is_read_back() -> None:
    """A crash before `ViewEntered` was written: the view is not entered, and can be."""
    solo = Solo(2)
    solo.enter(VOTES)
    entered = next(i for i, record in enumerate(solo.log) if isinstance(record, ViewEntered))
    again = Solo(2, records=solo.log[:entered])
    assert not is_in_view(again, 1)
    again.enter(VOTES)
    assert is_in_view(again, 1)


GREAT = U64_MAX - 1
"""Takes as many bytes as a number can."""


def greatest_certificate(number: int) -> PreparedCertificate:
    """Of the largest network: as long as one can be."""
    first = forge.pre_prepare(forge.D1, number, view=View(GREAT), replica=ReplicaId(1))
    backups = [forge.prepare(2, forge.D1, number, GREAT).message] * (quorum_size(MEMBERS_MAX) - 1)
    return PreparedCertificate(
        first, tuple(Signed(prepare, first.signature) for prepare in backups)
    )


def test_view_changes_and_new_views_of_the_largest_network_fit_into_a_frame() -> None:
    """128 members, a whole window prepared, as many requests sealed as a view-change may carry."""
    certificates = tuple(greatest_certificate(GREAT - WINDOW + i) for i in range(WINDOW))
    vote = view_change(1, GREAT, stable=GREAT, prepared=certificates)
    assert len(codec.encode(vote)) < MESSAGE_BYTES_MAX
    named = [replace(name(vote), replica=ReplicaId(i)) for i in range(MEMBERS_MAX)]
    opened = forge.sign(
        NewView(
            network=vote.message.network,
            epoch=Epoch(GREAT),
            view=View(GREAT),
            view_changes=tuple(named),
            pre_prepares=tuple(c.pre_prepare for c in certificates),
            replica=ReplicaId(1),
        )
    )
    assert len(codec.encode(opened)) < MESSAGE_BYTES_MAX // 8


def test_a_view_change_carries_as_many_seals_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of 4 KiB instead of 4 MiB: of twenty sealed requests the first ones are carried, and
    the view-change counts."""
    monkeypatch.setattr("pbft.view_change.MESSAGE_BYTES_MAX", 4_096)
    solo = Solo(2)
    for number in range(1, 21):
        asked = forge.request(3, number)
        solo.hear(forge.sign(asked))
        openings = [forge.reveal(digest.request_id(asked), replica) for replica in (0, 1, 3)]
        solo.hear(forge.seal(tuple(forge.commitment(opening) for opening in openings)))
    for replica in (0, 3):
        solo.hear(view_change(replica))
    (vote,) = solo.said(ViewChange)
    assert 4 < len(vote.chains) < 20
    assert len(codec.encode(Signed(vote, bytes(64)))) <= 4_096
    more = replace(vote, chains=(*vote.chains, vote.chains[-1]))
    assert len(codec.encode(Signed(more, bytes(64)))) > 4_096
    assert view_change_fault(vote, forge.rules(4)) is None
