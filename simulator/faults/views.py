"""View changes and new views that break the rules."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pbft import digest
from pbft.effects import Broadcast, Effect, Send
from pbft.events import Event, Received
from pbft.messages import NewView, PreparedCertificate, PrePrepare, Signed, ViewChange
from pbft.opening import name
from pbft.types import View
from simulator.faults.base import Fault, inner_of


class Usurp(Fault):
    """Opens views that are not its own, or without a quorum: with no view-changes, with one
    several times, or with old ones."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"every": 20}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._count = 0
        self._votes: list[Signed[ViewChange]] = []

    def besides(self, event: Event) -> list[Effect]:
        if isinstance(event, Received) and isinstance(inner_of(event.message), ViewChange):
            self._votes = [*self._votes[-8:], event.message]  # type: ignore[list-item]
        self._count += 1
        if self._count % self._options["every"] or self.me is None:
            return []
        members = self.state.membership
        view = View(self.view + self._draw.choice([1, 1, 2, members.n]))
        pools: list[tuple[Signed[ViewChange], ...]] = [
            (),
            tuple(self._votes[-members.quorum :]),
            tuple(self._votes[-1:] * members.quorum),
        ]
        votes = self._draw.choice(pools)
        if votes and self._draw.random() < 0.5:
            view = votes[0].message.view
        network, epoch = self._configuration.network, members.epoch
        names = tuple(name(vote) for vote in votes)
        return [Broadcast(self._resigned(NewView(network, epoch, view, names, (), self.me)))]


class BadPlan(Fault):
    """As the primary of a new view it opens the view with other pre-prepares than follow: none
    (`how` = "none"), nothing in each place ("null"), or one more ("more"). Or it names another
    view-change than its own: one that nobody has ("unknown"), or one by which the first slot held
    nothing ("worthless"), and proposes what would follow."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"how": "null"}
    WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "how": ("none", "null", "more", "unknown", "worthless")
    }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._own: ViewChange | None = None

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        said = inner_of(effect.message)
        if isinstance(said, ViewChange) and said.replica == self.me:
            self._own = said
        if not isinstance(said, NewView) or said.replica != self.me:
            return [effect]
        made = [signed.message for signed in said.pre_prepares]
        named = said.view_changes
        besides: list[Effect] = []
        match self._options["how"]:
            case "none":
                made = []
            case "null":
                made = [replace(message, digest=digest.NULL_BATCH) for message in made]
            case "unknown":
                named = (*named[:-1], replace(named[-1], digest=digest.NULL_BATCH))
            case "worthless" if made and self._own is not None:
                made[0] = replace(made[0], digest=digest.NULL_BATCH)
                vote = self._without(self._own, made[0])
                named = tuple(name(vote) if one.replica == self.me else one for one in named)
                besides = [replace(effect, message=vote)]
            case "more" if made:
                last = made[-1]
                made.append(replace(last, sequence_number=last.sequence_number + 1))  # type: ignore[arg-type]
        pre_prepares = tuple(self._resigned(message) for message in made)
        other = self._resigned(replace(said, view_changes=named, pre_prepares=pre_prepares))
        return [replace(effect, message=other), *besides]

    def _without(self, own: ViewChange, slot: PrePrepare) -> Signed[ViewChange]:
        """Its view-change, with a certificate that a slot held nothing in the view before."""
        proposed = replace(slot, view=View(own.view - 1))
        worthless = PreparedCertificate(self._resigned(proposed), ())
        return self._resigned(replace(own, prepared=(worthless,)))


class BadViewChange(Fault):
    """Its view-changes hold a certificate that proves nothing (`how` = "certificate"), none
    ("empty"), another checkpoint ("stable"), or another view ("view"); or the next primary hears a
    right one that nobody else hears ("apart")."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"how": "certificate"}
    WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "how": ("certificate", "empty", "stable", "view", "apart")
    }

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        said = inner_of(effect.message)
        if not isinstance(said, ViewChange) or said.replica != self.me:
            return [effect]
        if self._options["how"] == "apart":
            primary = self.state.membership.primary(said.view)
            return [Send(primary, effect.message)] if isinstance(effect, Broadcast) else []
        other = self._changed(said)
        if other is None:
            return [effect]
        return [replace(effect, message=self._resigned(other))]

    def _changed(self, said: ViewChange) -> ViewChange | None:
        match self._options["how"]:
            case "certificate" if said.prepared:
                first = said.prepared[0]
                cut = replace(first, prepares=first.prepares[:1])
                return replace(said, prepared=(cut, *said.prepared[1:]))
            case "empty":
                return replace(said, prepared=(), chains=())
            case "stable":
                return replace(said, stable=said.stable + 64)  # type: ignore[arg-type]
            case "view":
                return replace(said, view=View(said.view + 3))
        return None


class Restless(Fault):
    """Asks for one new view after the other, and never takes part in any."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"every": 10}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._count = 0
        self._asked = 0

    def besides(self, event: Event) -> list[Effect]:  # noqa: ARG002  # whatever happens
        self._count += 1
        if self._count % self._options["every"] or self.me is None:
            return []
        members = self.state.membership
        self._asked = max(self._asked, self.view) + 1
        vote = ViewChange(
            network=self._configuration.network,
            epoch=members.epoch,
            view=View(self._asked),
            stable=members.start,
            proof=(),
            prepared=(),
            chains=(),
            replica=self.me,
        )
        return [Broadcast(self._resigned(vote))]
