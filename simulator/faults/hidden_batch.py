"""A prepared certificate that is shown when nobody may have its batch any more."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pbft.effects import Broadcast, Effect, Send
from pbft.events import Event, Received
from pbft.messages import (
    BatchContent,
    Commit,
    Prepare,
    PreparedCertificate,
    Proposal,
    Seal,
    ViewChange,
)
from pbft.types import ReplicaId, View
from simulator.faults.base import Fault, inner_of


class HiddenBatch(Fault):
    """As primary of view 0 it proposes only to `to`, keeps what gets prepared to itself, and shows
    the certificate in a view-change for every view after the next, before anybody else asks for
    one. With `helps` = 1 it votes only for node `leader`, which does the former, and when it leads
    itself it does nothing."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"helps": 0, "to": [1, 2], "leader": 0}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._certificates: tuple[PreparedCertificate, ...] = ()
        self._shown = View(1)

    def heard(self, event: Event) -> Event | None:
        if self._helps and isinstance(event, Received):
            # It must not be prepared: its own view-change would show the certificate.
            return None if isinstance(inner_of(event.message), Prepare) else event
        return event

    @property
    def _helps(self) -> bool:
        return bool(self._options["helps"])

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        message, said = effect.message, inner_of(effect.message)
        match said:
            case BatchContent() | Commit():
                return []
            case Seal() if self.view:
                return []
            case Prepare():
                return self._to_some(effect, [self._options["leader"]] if self._helps else [])
            case ViewChange() if not self._helps:
                self._certificates = said.prepared or self._certificates
                hidden = self._resigned(replace(said, prepared=()))
                return [replace(effect, message=hidden)] if said.view == 1 else []
        if isinstance(message, Proposal):
            return self._to_some(effect, [] if self.view or self._helps else self._options["to"])
        return [effect]

    def _to_some(self, effect: Broadcast | Send, replicas: list[ReplicaId]) -> list[Effect]:
        return self._to_each(effect, lambda _, r: effect.message if r in replicas else None)

    def besides(self, event: Event) -> list[Effect]:  # noqa: ARG002
        early = self._replica.active and self.view >= self._shown
        if self._helps or not self._certificates or not early or self.me is None:
            return []
        self._shown = View(self.view + 1)
        members = self.state.membership
        vote = ViewChange(
            network=self._configuration.network,
            epoch=members.epoch,
            view=self._shown,
            stable=members.start,
            proof=(),
            prepared=self._certificates,
            chains=(),
            replica=self.me,
        )
        return [Broadcast(self._resigned(vote))]
