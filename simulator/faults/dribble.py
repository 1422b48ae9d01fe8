"""A node that is of as little help to who is behind as it can be."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pbft.effects import Effect, Send, SendLedger
from pbft.events import Event, Received
from pbft.messages import Height
from pbft.types import SequenceNumber
from simulator.faults.base import Fault, inner_of

_BOAST = 1_000_000


class Dribble(Fault):
    """Says that it is far ahead as soon as somebody is behind, before others can, and when it is
    asked sends `portion` slots of the ledger where 32 were wanted."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"portion": 1}

    def step(self, event: Event) -> list[Effect]:
        return [
            self._less(effect) if isinstance(effect, SendLedger) else effect
            for effect in super().step(event)
        ]

    def _less(self, effect: SendLedger) -> Effect:
        last = min(effect.last, effect.first + self._options["portion"] - 1)
        return SendLedger(effect.replica, effect.first, SequenceNumber(last), effect.proven)

    def besides(self, event: Event) -> list[Effect]:
        if not isinstance(event, Received) or self.me is None:
            return []
        said = inner_of(event.message)
        if not isinstance(said, Height) or said.applied >= self.applied:
            return []
        boast = Height(
            network=self._configuration.network,
            epoch=self.state.membership.epoch,
            applied=SequenceNumber(self.applied + _BOAST),
            view=self.view,
            replica=self.me,
        )
        return [Send(event.source, self._resigned(boast))]
