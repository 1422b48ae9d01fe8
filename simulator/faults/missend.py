"""Wrong history for those who ask for it."""

from dataclasses import replace
from typing import Any

from pbft.effects import Apply, Effect, Send, SendLedger
from pbft.events import Event
from pbft.messages import DecidedSlot
from simulator.faults.base import Fault, other_bytes


class Missend(Fault):
    """Sends slots of the ledger with a batch that nobody decided, with too few signatures, or with
    a signature that is wrong."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._ledger: dict[int, DecidedSlot] = {}

    def step(self, event: Event) -> list[Effect]:
        effects: list[Effect] = []
        for effect in super().step(event):
            if isinstance(effect, Apply):
                self._ledger[effect.sequence_number] = effect.slot
            if isinstance(effect, SendLedger):
                effects += self._false(effect)
            else:
                effects.append(effect)
        return effects

    def _false(self, wanted: SendLedger) -> list[Effect]:
        return [
            Send(wanted.replica, self._changed(self._ledger[number]))
            for number in range(wanted.first, wanted.last + 1)
            if number in self._ledger
        ]

    def _changed(self, slot: DecidedSlot) -> DecidedSlot:
        first = slot.commits[0]
        return self._draw.choice(
            [
                replace(slot, batch=()),
                replace(slot, commits=slot.commits[:-1]),
                replace(slot, commits=(slot.commits[0],) * len(slot.commits)),
                replace(
                    slot,
                    commits=(
                        replace(first, signature=other_bytes(first.signature)),
                        *slot.commits[1:],
                    ),
                ),
            ]
        )
