"""A node that hears everything and says nothing."""

from typing import ClassVar

from pbft.effects import Broadcast, Effect, Send, SendLedger
from pbft.events import Event
from simulator.faults.base import Fault


class Mute(Fault):
    """Nothing that it sends leaves."""

    BYZANTINE: ClassVar[bool] = False

    def step(self, event: Event) -> list[Effect]:
        silenced = Broadcast | Send | SendLedger
        return [e for e in self._inner.step(event) if not isinstance(e, silenced)]
