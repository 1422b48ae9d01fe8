"""Watching the primary: it must move when it could, and must not choose whose answers count.

Upon holding all that the primary needs for its next step, a backup waits as long as the primary's
own grace and the view's timeout. Then it sends the primary once what it may lack, because an asker
may have left it out; then it suspects it. The time that models take is nobody's fault.

A grace after a seal, a backup passes the answers that it holds on to the primary. A grace later the
primary owes them: a proposal without one of them is refused.
"""

from collections.abc import Callable

from pbft.context import Context
from pbft.effects import ArmTimer, CancelTimer, Send
from pbft.events import HeldReveals, PrimaryDue
from pbft.messages import Item
from pbft.round import Due, Round, Rounds
from pbft.types import RequestId

AWAY_TIMEOUT_MS = 300
"""Patience with a primary to which there is no connection."""

HELD_MS_MIN = 100
"""Answers are held at least so long before they are passed on, and again before they are owed. The
policy's grace may be nothing at all, and a backup that holds no answer yet would look again at
once, for ever; and no primary can include what has had no time to reach it."""


class Watch:
    """One clock for each round."""

    def __init__(self, context: Context, rounds: Rounds, on_suspect: Callable[[], None]) -> None:
        self._context = context
        self._rounds = rounds
        self._on_suspect = on_suspect

    def look(self, round_: Round) -> None:
        """(Re)starts the clock whenever the primary could do something new."""
        due = self._what_is_due(round_)
        if due is round_.due or self._context.recovering:
            return
        round_.due = due
        round_.helped = False
        timer = PrimaryDue(*round_.key)
        if due is None:
            self._context.emit(CancelTimer(timer))
        else:
            self._context.emit(ArmTimer(timer, self._patience_ms(due)))

    def _what_is_due(self, round_: Round) -> Due | None:
        quorum = self._context.quorum
        if not self._context.active or round_.request is None:
            return None
        if round_.proposed:
            return Due.DECISION
        if not round_.seals:
            return Due.SEAL if len(round_.commitments) >= quorum else None
        if len(round_.revealed()) >= quorum:
            return Due.PROPOSAL
        return Due.ANSWERS

    def _patience_ms(self, due: Due) -> int:
        """The primary's own graces, and then as long as the view's timeout."""
        if self._context.primary in self._context.away:
            return AWAY_TIMEOUT_MS
        policy = self._context.policy
        graces_ms = {
            Due.SEAL: policy.seal_grace_ms,
            Due.ANSWERS: policy.reveal_grace_ms,
            Due.PROPOSAL: policy.reveal_grace_ms,
            # Others measure too, perhaps on slower machines.
            Due.DECISION: self._context.view_timeout_ms,
        }
        return graces_ms[due] + self._context.view_timeout_ms

    def on_primary_due(self, timer: PrimaryDue) -> None:
        round_ = self._rounds.get(timer.request_id, timer.attempt)
        if round_ is None or round_.due is None or not self._context.active or self._context.leads:
            return
        if round_.helped or self._context.primary in self._context.away:
            self._on_suspect()
            return
        round_.helped = True
        self._help_primary(round_)
        self._context.emit(ArmTimer(timer, self._context.view_timeout_ms))

    def _help_primary(self, round_: Round) -> None:
        """What is due may be missing there: an asker may have left the primary out."""
        # Commitments come first: a quorum of them opens the door to a request that is above its
        # asker's allowance there.
        for replica in sorted(round_.commitments):
            self._context.emit(Send(self._context.primary, round_.commitments[replica]))
        if round_.request is not None:
            self._context.emit(Send(self._context.primary, round_.request))
        self._pass_on_reveals(round_)

    def _pass_on_reveals(self, round_: Round) -> None:
        for reveal in round_.revealed():
            if reveal.message.replica != self._context.me:
                self._context.emit(Send(self._context.primary, reveal))

    def hold_reveals(self, round_: Round) -> None:
        """A seal came: from now on answers are held."""
        if not self._context.leads:
            self._context.emit(ArmTimer(HeldReveals(*round_.key), self._held_ms()))

    def _held_ms(self) -> int:
        return max(self._context.policy.reveal_grace_ms, HELD_MS_MIN)

    def on_held_reveals(self, timer: HeldReveals) -> None:
        """First the answers held for a grace are passed on; a grace later they are owed."""
        round_ = self._rounds.get(timer.request_id, timer.attempt)
        if round_ is None or self._context.leads:
            return
        round_.owed = round_.held
        if not round_.owed:
            round_.held = frozenset(reveal.message.replica for reveal in round_.revealed())
            if not round_.proposed:
                self._pass_on_reveals(round_)
            self._context.emit(ArmTimer(timer, self._held_ms()))

    def leaves_out(self, request_id: RequestId, item: Item) -> bool:
        """Whether an item lacks a sealed answer that its primary owes us."""
        round_ = self._rounds.get(request_id, item.attempt)
        included = {reveal.message.replica for reveal in item.reveals}
        return round_ is not None and not round_.owed <= included
