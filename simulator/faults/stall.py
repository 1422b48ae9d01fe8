"""A primary that does everything as late as it may."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pbft.effects import ArmTimer, Broadcast, Compact, Effect, Send
from pbft.events import Event, TimerFired
from pbft.messages import Proposal, Seal
from simulator.faults.base import Fault, inner_of


@dataclass(frozen=True, slots=True)
class Held:
    """A timer of the fault's own, beside the replica's."""

    number: int


class Stall(Fault):
    """Holds its seals and proposals for `delay_ms`, just under what backups put up with."""

    BYZANTINE: ClassVar[bool] = False
    OPTIONS: ClassVar[Mapping[str, Any]] = {"delay_ms": 1_900}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._held: dict[object, Effect] = {}
        self._count = 0

    def step(self, event: Event) -> list[Effect]:
        if isinstance(event, TimerFired) and event.timer in self._held:
            return [self._held.pop(event.timer)]
        effects = super().step(event)
        if any(isinstance(effect, Compact) for effect in effects):
            # Its log is about to forget what they follow from.
            effects = [*self._held.values(), *effects]
            self._held.clear()
        return effects

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        leads = isinstance(effect.message, Proposal) or isinstance(inner_of(effect.message), Seal)
        if not leads:
            return [effect]
        self._count += 1
        timer = Held(self._count)
        self._held[timer] = effect
        # Drivers give any timer back as they got it, so that faults may have their own.
        return [ArmTimer(timer, self._options["delay_ms"])]  # type: ignore[arg-type]
