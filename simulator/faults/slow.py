"""A model that takes much longer than everybody else's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pbft.effects import ArmTimer, Effect
from pbft.events import AnswerReady, Event, TimerFired
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

    BYZANTINE: ClassVar[bool] = False
    OPTIONS: ClassVar[Mapping[str, Any]] = {"delay_ms": DELAY_MS}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._held: dict[object, AnswerReady] = {}

    def step(self, event: Event) -> list[Effect]:
        if isinstance(event, AnswerReady):
            timer = HeldAnswer(event.request_id, event.attempt)
            self._held[timer] = event
            # Drivers give any timer back as they got it, so that faults may have their own.
            return [ArmTimer(timer, self._options["delay_ms"])]  # type: ignore[arg-type]
        if isinstance(event, TimerFired) and event.timer in self._held:
            event = self._held.pop(event.timer)
        return self._inner.step(event)
