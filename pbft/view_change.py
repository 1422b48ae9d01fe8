"""View changes (Castro and Liskov 1999, §4.4): replacing a primary that does not lead.

Upon suspecting the primary of view v, a replica stops taking part in v, logs and broadcasts a
view-change for v + 1 with its stable checkpoint, what it has prepared above, and the seals it
knows. Upon holding view-changes of f + 1 others for higher views, it joins the lowest of these
without waiting for its own timer. The primary of the new view, holding q valid view-changes,
broadcasts a new-view that names them, with the pre-prepares that follow. Upon holding the
view-changes that it names (`opening`), a backup computes these itself, and enters the view only if
they are the same.

A replica repeats its view-change until the view is entered, and goes on to the next view if a
quorum wants this one and it does not come about. The time it waits doubles with every such view
and goes back with every decision. Whoever is in a view shows the new-view to peers that are behind.

Deviations from the paper:
- The view-change carries the seals of undecided requests: their answers may have been revealed,
  and a fresh list of commitments would let copies in.
- Prepared slots of the new view are prepared again without judging: a quorum judged them.
- One valid view-change is kept for each replica, the one for the highest view. An invalid one is
  refused whole and hides nobody else's.
- A primary hands over after a number of slots (`policy.rotation_slots`), by the same messages.
- The time to wait for a new-view starts with the own view-change, not with the quorum's; when it
  is over without a quorum, the view-change is repeated and no further view asked for.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from pbft.checkpoint import Checkpoints
from pbft.codec import encode_value
from pbft.context import Context
from pbft.early import Early
from pbft.effects import ArmTimer, CancelTimer, Persist, Send
from pbft.events import NewViewDue
from pbft.log import MessageLog
from pbft.messages import (
    NamedViewChange,
    NewView,
    PrePrepare,
    Signed,
    ViewChange,
    ViewChangesWanted,
)
from pbft.new_view import Plan, plan, view_change_fault
from pbft.normal_case import NormalCase
from pbft.observation import Observation
from pbft.opening import Opening, Openings, name
from pbft.records import ViewChangeNamed, ViewEntered, ViewLeft
from pbft.types import MESSAGE_BYTES_MAX, Digest, Epoch, ReplicaId, View
from pbft.watch import AWAY_TIMEOUT_MS

TIMEOUT_DOUBLINGS_MAX = 5

ENVELOPE_BYTES: Final = 128
"""What a frame holds beside the fields of a view-change: its type, the signature, lengths."""


ANSWER_BYTES_MAX: Final = 2 * MESSAGE_BYTES_MAX
"""Of the view-changes that a peer is sent at once: no connection keeps more than a few frames until
it has sent them."""


class ViewChanges:
    """The current view and the votes for higher ones."""

    def __init__(
        self,
        context: Context,
        log: MessageLog,
        checkpoints: Checkpoints,
        observation: Observation,
        normal_case: NormalCase,
        early: Early,
    ) -> None:
        self._context = context
        self._log = log
        self._checkpoints = checkpoints
        self._observation = observation
        self._normal_case = normal_case
        self._early = early
        self._votes: dict[ReplicaId, Signed[ViewChange]] = {}
        self._new_view: Signed[NewView] | None = None
        """Of the current view."""
        self._named: dict[NamedViewChange, Signed[ViewChange]] = {}
        """What it names, for peers that enter the view after us."""
        self._openings = Openings(context)
        self._shown: set[ReplicaId] = set()
        """Who was shown the new-view since the last look."""
        self._sent: dict[ReplicaId, set[Digest]] = {}
        """View-changes that a peer was sent since then."""
        self._failures = 0

    # --- leaving a view ------------------------------------------------------------------------

    def suspect(self) -> None:
        """The primary of the current view could have moved and has not."""
        if self._context.active and self._context.takes_part:
            self._start(View(self._context.view + 1))

    def rotate(self) -> None:
        """The primary has led for long enough; its successor must be there to take over."""
        context = self._context
        if context.active and context.takes_part and self._successor not in context.away:
            self._start(View(self._context.view + 1))

    @property
    def _successor(self) -> ReplicaId:
        return self._context.members.primary(View(self._context.view + 1))

    def _start(self, view: View) -> None:
        self._leave(view)
        context = self._context
        bare = ViewChange(
            network=context.network,
            epoch=context.epoch,
            view=view,
            stable=self._log.low_watermark,
            proof=self._checkpoints.proof,
            prepared=tuple(s.certificate for s in self._log if s.certificate is not None),
            chains=(),
            replica=context.me,
        )
        room = MESSAGE_BYTES_MAX - ENVELOPE_BYTES - len(encode_value(bare))
        vote = context.sign(replace(bare, chains=self._observation.seals.chains(room)))
        context.emit(Persist(ViewLeft(vote)))
        context.broadcast(vote)
        self._votes[context.me] = vote
        self._await_new_view()
        self._open_if_primary()

    def _leave(self, view: View) -> None:
        self._context.leave_for(view)
        self._observation.leave_view()
        self._normal_case.leave_view()

    def _await_new_view(self) -> None:
        self._context.emit(ArmTimer(self._due(), self._patience_ms()))

    def _due(self) -> NewViewDue:
        return NewViewDue(self._context.epoch, self._context.view)

    def _patience_ms(self) -> int:
        if self._context.primary in self._context.away:
            return AWAY_TIMEOUT_MS
        return self.timeout_ms

    @property
    def timeout_ms(self) -> int:
        return int(self._context.policy.view_timeout_ms) << self._failures

    def _fail(self) -> None:
        self._failures = min(self._failures + 1, TIMEOUT_DOUBLINGS_MAX)

    def on_new_view_due(self, timer: NewViewDue) -> None:
        if timer != self._due():
            return
        if self._context.active:
            last = self._context.taken_over
            if any(s.decided is None and s.sequence_number <= last for s in self._log):
                self._fail()
                self.suspect()
            return
        wanted = sum(1 for vote in self._votes.values() if vote.message.view >= self._context.view)
        if wanted >= self._context.quorum:
            self._fail()
            self._start(View(self._context.view + 1))
        else:
            self._context.broadcast(self._votes[self._context.me])
            self._await_new_view()

    # --- votes of others -----------------------------------------------------------------------

    def on_view_change(self, source: ReplicaId, signed: Signed[ViewChange]) -> None:
        message = signed.message
        if message.epoch != self._context.epoch:
            self._context.refuse(source, "epoch")
            return
        wanted = self._openings.wants(signed)
        if not wanted and not self._counts(message):
            if self._context.is_over(message.view) and message.replica == source:
                self._show_view(source)
            return
        if not self._context.is_genuine(signed):
            self._context.refuse(source, "signature")
            return
        if fault := view_change_fault(message, self._context.rules):
            self._context.refuse(source, fault)
            return
        if wanted and (opening := self._openings.add(signed)):
            self._open(opening)
        if self._counts(message):
            self._votes[message.replica] = signed
            self._join()
            self._open_if_primary()

    def _counts(self, message: ViewChange) -> bool:
        """Whether it is the newest of its replica, for a view that may still be entered."""
        held = self._votes.get(message.replica)
        is_newest = held is None or held.message.view < message.view
        return is_newest and not self._context.is_over(message.view)

    def _show_view(self, replica: ReplicaId) -> None:
        """Who is behind, or seems to be, sees the new-view; once until the next look."""
        if self._new_view is not None and replica not in self._shown:
            self._shown.add(replica)
            self._context.emit(Send(replica, self._new_view))

    def _join(self) -> None:
        """At f + 1 (§4.5.2): one of them is correct, so the view change is not a liar's idea."""
        higher = [
            v.message.view for v in self._votes.values() if v.message.view > self._context.view
        ]
        if len(higher) > self._context.members.f:
            self._start(min(higher))

    # --- opening a view ------------------------------------------------------------------------

    def _open_if_primary(self) -> None:
        context = self._context
        if self._context.active or context.primary != context.me:
            return
        votes = [
            self._votes[r]
            for r in sorted(self._votes)
            if self._votes[r].message.view == self._context.view
        ]
        if len(votes) < context.quorum:
            return
        new_view = context.sign(
            NewView(
                network=context.network,
                epoch=context.epoch,
                view=self._context.view,
                view_changes=tuple(name(vote) for vote in votes),
                pre_prepares=tuple(
                    context.sign(pre_prepare)
                    for pre_prepare in self._pre_prepares(self._context.view, plan(votes))
                ),
                replica=context.me,
            )
        )
        self._enter(new_view, votes)

    def _pre_prepares(self, view: View, planned: Plan) -> list[PrePrepare]:
        """O of the paper."""
        context = self._context
        return [
            PrePrepare(
                network=context.network,
                epoch=context.epoch,
                view=view,
                sequence_number=number,
                digest=planned.digests[number],
                replica=context.members.primary(view),
            )
            for number in sorted(planned.digests)
        ]

    def on_new_view(self, source: ReplicaId, signed: Signed[NewView]) -> None:
        message = signed.message
        if message.epoch != self._context.epoch:
            self._context.refuse(source, "epoch")
            return
        if self._context.is_over(message.view):
            return
        if fault := self._new_view_fault(signed):
            self._context.refuse(source, fault)
        elif opening := self._openings.begin(source, signed, self._votes.values()):
            self._open(opening)

    def _new_view_fault(self, signed: Signed[NewView]) -> str | None:
        """What can be seen without the view-changes."""
        message = signed.message
        rules = self._context.rules
        if message.view == 0 or message.replica != rules.membership.primary(message.view):
            return "not-primary"
        if not rules.is_genuine(signed):
            return "signature"
        replicas = [named.replica for named in message.view_changes]
        if replicas != sorted(set(replicas)) or len(replicas) < rules.membership.quorum:
            return "new-view-quorum"
        if any(rules.membership.public_key(replica) is None for replica in replicas):
            return "new-view-quorum"
        if not all(rules.is_genuine(p) for p in message.pre_prepares):
            return "signature"
        return None

    def _open(self, opening: Opening) -> None:
        """All view-changes that a new-view names are here, and valid."""
        message = opening.new_view.message
        votes = opening.votes()
        expected = self._pre_prepares(message.view, plan(votes))
        if [p.message for p in message.pre_prepares] != expected:
            self._context.refuse(opening.source, "new-view-plan")
        else:
            self._enter(opening.new_view, votes)

    def _enter(self, signed: Signed[NewView], votes: Sequence[Signed[ViewChange]]) -> None:
        self._context.emit(
            *(Persist(ViewChangeNamed(vote)) for vote in votes),
            Persist(ViewEntered(signed)),
            CancelTimer(NewViewDue(self._context.epoch, self._context.view)),
        )
        if signed.message.replica == self._context.me:
            self._context.broadcast(signed)
        self._install(signed, votes)
        if self._context.taken_over > self._log.low_watermark:
            self._context.emit(ArmTimer(self._due(), 2 * self.timeout_ms))
        self._early.release()

    def _install(self, signed: Signed[NewView], votes: Sequence[Signed[ViewChange]]) -> None:
        message = signed.message
        planned = plan(votes)
        self._leave(message.view)
        self._context.enter(message.view)
        self._new_view = signed
        self._named = {name(vote): vote for vote in votes}
        self._votes = {r: v for r, v in self._votes.items() if v.message.view > message.view}
        self._shown.clear()
        if planned.stable > self._log.low_watermark:
            self._checkpoints.restore(planned.proof)
        self._context.taken_over = max(planned.digests, default=planned.stable)
        self._context.view_timeout_ms = self.timeout_ms
        self._normal_case.enter_view(message.pre_prepares)
        self._observation.enter_view(planned.chains, self._normal_case.attempts_taken_over())

    # --- view-changes that peers lack ----------------------------------------------------------

    def on_view_changes_wanted(self, source: ReplicaId, wanted: ViewChangesWanted) -> None:
        """Each is sent to a peer once until the next look; what does not fit into one answer, when
        the peer asks again."""
        sent = self._sent.setdefault(source, set())
        room = ANSWER_BYTES_MAX
        for vote in (*self._named.values(), *self._votes.values()):
            digest = name(vote).digest
            if digest in wanted.digests and digest not in sent:
                room -= len(encode_value(vote.message))
                if room < 0:
                    break
                sent.add(digest)
                self._context.emit(Send(source, vote))

    def on_look(self) -> None:
        """From time to time: what was sent before may be lost by now."""
        self._shown.clear()
        self._sent.clear()

    def on_view_changes_due(self) -> None:
        self._openings.on_due()

    # --- peers, progress, recovery -------------------------------------------------------------

    def on_decided(self) -> None:
        """Progress: patience goes back."""
        self._failures = max(0, self._failures - 1)
        self._context.view_timeout_ms = self.timeout_ms

    def on_peer_down(self, replica: ReplicaId) -> None:
        if not self._context.active and self._context.primary == replica:
            self._await_new_view()

    def on_peer_up(self, replica: ReplicaId) -> None:
        own = self._votes.get(self._context.me)
        self._shown.discard(replica)
        self._sent.pop(replica, None)
        if not self._context.active and own is not None:
            self._context.emit(Send(replica, own))

    def on_peer_view(self, replica: ReplicaId, epoch: Epoch, view: View) -> None:
        """A peer said which view it is in: help it along if it is behind."""
        if epoch == self._context.epoch and view < self._context.view and self._context.active:
            self._show_view(replica)

    def begin_epoch(self) -> None:
        """Every epoch begins in view 0, with nothing taken over."""
        context = self._context
        context.emit(CancelTimer(self._due()))
        self._votes.clear()
        self._openings.clear()
        self._new_view = None
        self._named = {}
        self._failures = 0
        context.enter(View(0))
        context.taken_over = context.members.start
        context.view_timeout_ms = self.timeout_ms

    def restore_left(self, vote: Signed[ViewChange]) -> None:
        self._leave(vote.message.view)
        self._votes[self._context.me] = vote

    def restore_named(self, vote: Signed[ViewChange]) -> None:
        self._named[name(vote)] = vote

    def restore_entered(self, new_view: Signed[NewView]) -> None:
        self._install(new_view, [self._named[named] for named in new_view.message.view_changes])

    def resume(self) -> None:
        if not self._context.takes_part:
            return
        if not self._context.active:
            self._context.broadcast(self._votes[self._context.me])
            self._await_new_view()
        elif self._context.taken_over > self._log.low_watermark:
            self._context.emit(ArmTimer(self._due(), 2 * self.timeout_ms))

    def live_records(self) -> tuple[list[ViewChangeNamed | ViewEntered], list[ViewLeft]]:
        """The view that was entered last, and the one asked for since."""
        entered: list[ViewChangeNamed | ViewEntered] = []
        if self._new_view is not None:
            entered += [ViewChangeNamed(vote) for vote in self._named.values()]
            entered.append(ViewEntered(self._new_view))
        left = [] if self._context.active else [ViewLeft(self._votes[self._context.me])]
        return entered, left
