"""View changes and new views that break the rules."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pbft import digest
from pbft.effects import Broadcast, Effect, Send
from pbft.events import Event, Received
from pbft.messages import NewView, Signed, ViewChange
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
        return [Broadcast(self._resigned(NewView(network, epoch, view, votes, (), self.me)))]


class BadPlan(Fault):
    """As the primary of a new view it opens the view with other pre-prepares than follow: none
    (`how` = "none"), nothing in each place ("null"), or one more ("more")."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"how": "null"}
    WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {"how": ("none", "null", "more")}

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        said = inner_of(effect.message)
        if not isinstance(said, NewView) or said.replica != self.me:
            return [effect]
        made = [signed.message for signed in said.pre_prepares]
        match self._options["how"]:
            case "none":
                made = []
            case "null":
                made = [replace(message, digest=digest.NULL_BATCH) for message in made]
            case _ if made:
                last = made[-1]
                made.append(replace(last, sequence_number=last.sequence_number + 1))  # type: ignore[arg-type]
        pre_prepares = tuple(self._resigned(message) for message in made)
        other = self._resigned(replace(said, pre_prepares=pre_prepares))
        return [replace(effect, message=other)]


class BadViewChange(Fault):
    """Its view-changes hold a certificate that proves nothing (`how` = "certificate"), none
    ("empty"), another checkpoint ("stable"), or another view ("view")."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"how": "certificate"}
    WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "how": ("certificate", "empty", "stable", "view")
    }

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        said = inner_of(effect.message)
        if not isinstance(said, ViewChange) or said.replica != self.me:
            return [effect]
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
