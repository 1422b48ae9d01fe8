"""A model that takes much longer than everybody else's."""

from dataclasses import dataclass

from pbft.context import Configuration
from pbft.effects import ArmTimer, Effect
from pbft.events import AnswerReady, Event, TimerFired
from pbft.keyring import Keyring
from pbft.replica import Replica
from pbft.types import RequestId
from simulator.faults.base import Fault

DELAY_MS = 8_000


@dataclass(frozen=True, slots=True)
class HeldAnswer:
    """A timer of the fault's own, beside the replica's."""

    request_id: RequestId
    attempt: int


class Slow(Fault):
    """Holds every answer back for `delay_ms`."""

    def __init__(
        self,
        replica: Replica,
        configuration: Configuration,
        keyring: Keyring,
        delay_ms: int = DELAY_MS,
    ) -> None:
        super().__init__(replica, configuration, keyring)
        self._delay_ms = delay_ms
        self._held: dict[object, AnswerReady] = {}

    def step(self, event: Event) -> list[Effect]:
        if isinstance(event, AnswerReady):
            timer = HeldAnswer(event.request_id, event.attempt)
            self._held[timer] = event
            # Drivers give any timer back as they got it, so that faults may have their own.
            return [ArmTimer(timer, self._delay_ms)]  # type: ignore[arg-type]
        if isinstance(event, TimerFired) and event.timer in self._held:
            event = self._held.pop(event.timer)
        return self._replica.step(event)
