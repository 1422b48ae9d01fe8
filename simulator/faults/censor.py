"""A primary that keeps changes and evidence out of the ledger."""

from typing import Any

from pbft.effects import Broadcast, Effect, Send
from pbft.messages import Item, Proposal
from simulator.faults.base import Fault


class Censor(Fault):
    """Proposes answers only, and everything else as it should."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._replica._motions.ready = list  # type: ignore[method-assign]  # noqa: SLF001

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        message = effect.message
        motions = isinstance(message, Proposal) and any(
            not isinstance(entry, Item) for entry in message.batch
        )
        return [] if motions and self.me == self.primary else [effect]
