"""New-views whose view-changes are not all here yet.

A new-view names its view-changes by digest (Castro and Liskov 2002, §3.2.4). Most have come to
everybody already; what is missing is asked for, first of whoever showed the new-view and then of
everybody. A correct primary names only what it holds, and whoever enters the view keeps what it
names, so there is always somebody to ask.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pbft import digest
from pbft.context import Context
from pbft.effects import ArmTimer, Send
from pbft.events import ViewChangesDue
from pbft.messages import NamedViewChange, NewView, Signed, ViewChange, ViewChangesWanted
from pbft.types import Digest, ReplicaId

RETRY_MS: Final = 500

RETRIES_MAX: Final = 8
"""Then the new-view is forgotten: a liar may name what nobody has. A true one is shown again by
every member of that view, with its next height."""


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
    def missing(self) -> tuple[Digest, ...]:
        named = self.new_view.message.view_changes
        return tuple(one.digest for one in named if one not in self.found)

    def names(self, view_change: Signed[ViewChange]) -> bool:
        message = self.new_view.message
        return (
            view_change.message.view == message.view and name(view_change) in message.view_changes
        )

    def votes(self) -> tuple[Signed[ViewChange], ...]:
        """All its view-changes, in the order in which it names them."""
        return tuple(self.found[one] for one in self.new_view.message.view_changes)


class Openings:
    """At most one for each replica, that for the highest view which it leads: a new-view that
    names what nobody has keeps no other one out."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: dict[ReplicaId, Opening] = {}

    def begin(
        self, source: ReplicaId, new_view: Signed[NewView], held: Iterable[Signed[ViewChange]]
    ) -> Opening | None:
        """The opening by this new-view, if all its view-changes are among the valid ones `held`;
        else it waits for what is missing."""
        waiting = self._waiting.get(new_view.message.replica)
        if waiting is not None and waiting.new_view.message.view > new_view.message.view:
            return None
        opening = Opening(new_view, source)
        if waiting is not None and waiting.new_view.message == new_view.message:
            opening.found, opening.retries = waiting.found, waiting.retries
        opening.found |= {name(vote): vote for vote in held if opening.names(vote)}
        if not opening.missing:
            return opening
        self._waiting[new_view.message.replica] = opening
        self._context.emit(
            Send(source, ViewChangesWanted(opening.missing)), ArmTimer(ViewChangesDue(), RETRY_MS)
        )
        return None

    def wants(self, view_change: Signed[ViewChange]) -> bool:
        """Whether an opening waits for it."""
        return any(
            opening.names(view_change) and name(view_change) not in opening.found
            for opening in self._waiting.values()
        )

    def add(self, view_change: Signed[ViewChange]) -> list[Opening]:
        """Those that were waiting for nothing but this valid view-change, lowest view first."""
        for opening in self._waiting.values():
            if opening.names(view_change):
                opening.found[name(view_change)] = view_change
        complete = [o for o in self._waiting.values() if not o.missing]
        for opening in complete:
            del self._waiting[opening.new_view.message.replica]
        return sorted(complete, key=lambda opening: opening.new_view.message.view)

    def on_due(self) -> None:
        """Asks everybody for what is still missing."""
        for replica, opening in list(self._waiting.items()):
            opening.retries += 1
            if opening.retries > RETRIES_MAX:
                del self._waiting[replica]
            else:
                self._context.broadcast(ViewChangesWanted(opening.missing))
        if self._waiting:
            self._context.emit(ArmTimer(ViewChangesDue(), RETRY_MS))

    def forget_entered(self) -> None:
        """A view was entered: nothing up to it is opened any more."""
        self._waiting = {
            replica: opening
            for replica, opening in self._waiting.items()
            if opening.new_view.message.view > self._context.view
        }

    def clear(self) -> None:
        self._waiting = {}
