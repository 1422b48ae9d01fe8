"""A primary that claims similarities which nobody measures."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pbft import digest
from pbft.effects import Broadcast, Effect, Send
from pbft.item import with_outcome
from pbft.messages import Item, Proposal
from simulator.faults.base import Fault


class Matrix(Fault):
    """Its proposals claim similarities that are `by_bp` off, with the outcome that follows; or
    leave out the contradictions, if `contradictions` is 0."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"by_bp": 5_000, "contradictions": 1}

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        message = effect.message
        if not isinstance(message, Proposal) or message.pre_prepare.message.replica != self.me:
            return [effect]
        batch = tuple(self._false(e) if isinstance(e, Item) else e for e in message.batch)
        said = replace(message.pre_prepare.message, digest=digest.digest_of(batch))
        return [replace(effect, message=Proposal(self._resigned(said), batch))]

    def _false(self, item: Item) -> Item:
        by_bp = self._options["by_bp"]
        claimed = tuple(v + by_bp if v < 5_000 else v - by_bp for v in item.similarities_bp)
        kept = item.contradictions if self._options["contradictions"] else ()
        lie = replace(
            item,
            similarities_bp=tuple(min(10_000, max(0, v)) for v in claimed),
            contradictions=kept,
        )
        return with_outcome(lie, self.state.membership.n, self.state.policy)
