"""New-views whose view-changes are not all here yet.

A new-view names its view-changes by digest (Castro and Liskov 2002, §3.2.4). Most have come to
everybody already; what is missing is asked for: first of whoever showed the new-view, then of the
other members in turn. A correct primary names only what it holds, and whoever enters the view keeps
what it names, so there is always somebody to ask.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pbft import digest
from pbft.context import Context
from pbft.effects import ArmTimer, Send
from pbft.events import ViewChangesDue
from pbft.messages import NamedViewChange, NewView, Signed, ViewChange, ViewChangesWanted
from pbft.types import Digest, ReplicaId, View

RETRY_MS: Final = 500

RETRIES_MAX: Final = 8
"""Then a new-view for which this replica did not ask is forgotten: a liar may name what nobody has.
A true one is shown again by the members of that view, when they hear this replica's height."""


def name(view_change: Signed[ViewChange]) -> NamedViewChange:
    """What a new-view says of a view-change."""
    message = view_change.message
    return NamedViewChange(message.replica, digest.view_change_digest(message))


@dataclass(slots=True)
class Opening:
    """A new-view with those of its view-changes that are here."""

    new_view: Signed[NewView]
    source: ReplicaId
    """Who showed it."""

    found: dict[NamedViewChange, Signed[ViewChange]] = field(default_factory=dict)
    retries: int = 0

    @property
    def view(self) -> View:
        return self.new_view.message.view

    @property
    def missing(self) -> tuple[Digest, ...]:
        named = self.new_view.message.view_changes
        return tuple(one.digest for one in named if one not in self.found)

    def wants(self, view_change: Signed[ViewChange]) -> bool:
        return (
            view_change.message.view == self.view
            and name(view_change) in self.new_view.message.view_changes
            and name(view_change) not in self.found
        )

    def take(self, view_change: Signed[ViewChange]) -> None:
        self.found[name(view_change)] = view_change

    def votes(self) -> tuple[Signed[ViewChange], ...]:
        """All its view-changes, in the order in which it names them."""
        return tuple(self.found[one] for one in self.new_view.message.view_changes)


class Openings:
    """At most one for each replica, that for the highest view which it leads: a new-view that
    names what nobody has keeps no other one out."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: dict[ReplicaId, Opening] = {}
        self._armed = False

    def begin(
        self, source: ReplicaId, new_view: Signed[NewView], held: Iterable[Signed[ViewChange]]
    ) -> Opening | None:
        """The opening by this new-view, if all its view-changes are among the valid ones `held`;
        else it waits for what is missing."""
        opening = Opening(new_view, source)
        for vote in held:
            if opening.wants(vote):
                opening.take(vote)
        if not opening.missing:
            return opening
        primary = new_view.message.replica
        waiting = self._current().get(primary)
        if waiting is not None and (
            waiting.view > opening.view or waiting.new_view.message == new_view.message
        ):
            # Showing it again must neither draw the same view-changes from everybody nor put off
            # the time when another one is asked.
            return None
        self._waiting[primary] = opening
        self._context.emit(Send(source, ViewChangesWanted(opening.missing)))
        if not self._armed:
            self._arm()
        return None

    def _current(self) -> dict[ReplicaId, Opening]:
        """Nothing up to the view that was entered or asked for last is opened any more."""
        for primary, opening in list(self._waiting.items()):
            if self._context.is_over(opening.view):
                del self._waiting[primary]
        return self._waiting

    def _awaiting(self, view_change: Signed[ViewChange]) -> Opening | None:
        # A view has one primary, which has one opening.
        primary = self._context.members.primary(view_change.message.view)
        opening = self._current().get(primary)
        return opening if opening is not None and opening.wants(view_change) else None

    def wants(self, view_change: Signed[ViewChange]) -> bool:
        """Whether an opening waits for it."""
        return self._awaiting(view_change) is not None

    def add(self, view_change: Signed[ViewChange]) -> Opening | None:
        """The opening that was waiting for nothing but this valid view-change."""
        opening = self._awaiting(view_change)
        if opening is None:
            return None
        opening.take(view_change)
        if opening.missing:
            return None
        del self._waiting[opening.new_view.message.replica]
        return opening

    def on_due(self) -> None:
        """Asks the next member for what is still missing."""
        self._armed = False
        for primary, opening in list(self._current().items()):
            opening.retries += 1
            if opening.retries > RETRIES_MAX and opening.view > self._context.view:
                del self._waiting[primary]
            elif (asked := self._next(opening)) is not None:
                self._context.emit(Send(asked, ViewChangesWanted(opening.missing)))
        if self._waiting:
            self._arm()

    def _next(self, opening: Opening) -> ReplicaId | None:
        """Whose turn it is: who showed the new-view, then by number, of those that are there."""
        away = {*self._context.away, self._context.me}
        others = [r for r in self._context.members.replicas if r not in {*away, opening.source}]
        turns = others if opening.source in away else [opening.source, *others]
        return turns[opening.retries % len(turns)] if turns else None

    def _arm(self) -> None:
        self._armed = True
        self._context.emit(ArmTimer(ViewChangesDue(), RETRY_MS))

    def clear(self) -> None:
        """An epoch began."""
        self._waiting = {}
