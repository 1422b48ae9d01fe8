"""A primary that seals for a view to come."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pbft import digest
from pbft.effects import Broadcast, Effect, Send
from pbft.item import with_outcome
from pbft.messages import Entry, Item, Proposal, Seal, Signed
from pbft.types import View
from simulator.faults.base import Fault, inner_of


class FutureSeal(Fault):
    """Leaves its own commitment out of its seal and seals it afterwards, for the next view that it
    will lead. It proposes items with both seals, and similarities `off_bp` below its own, so that
    nobody prepares what everybody has read."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"off_bp": 350}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._seals: dict[tuple[bytes, int], tuple[Signed[Seal], Signed[Seal]]] = {}

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        said = inner_of(effect.message)
        if isinstance(said, Seal) and said.replica == self.me and said.number == 0:
            key = (said.request_id, said.attempt)
            if key not in self._seals and not self._split(said):
                return [effect]
            return [replace(effect, message=self._seals[key][0])]
        if isinstance(effect.message, Proposal) and said.replica == self.me:
            batch = tuple(map(self._changed, effect.message.batch))
            pre_prepare = self._resigned(replace(said, digest=digest.digest_of(batch)))
            return [replace(effect, message=Proposal(pre_prepare, batch))]
        return [effect]

    def _split(self, seal: Seal) -> bool:
        """Makes two seals of one; False if the first would be too small."""
        own = tuple(c for c in seal.commitments if c.message.replica == self.me)
        rest = tuple(c for c in seal.commitments if c.message.replica != self.me)
        members = self.state.membership
        if not own or len(rest) < members.quorum:
            return False
        first = self._resigned(replace(seal, commitments=rest))
        second = replace(
            seal,
            view=View(seal.view + members.n),
            number=1,
            previous=digest.seal_digest(first.message),
            commitments=own,
        )
        self._seals[seal.request_id, seal.attempt] = (first, self._resigned(second))
        return True

    def _changed(self, entry: Entry) -> Entry:
        if not isinstance(entry, Item):
            return entry
        seals = self._seals.get((digest.request_id(entry.request.message), entry.attempt))
        if seals is None:
            return entry
        lower = tuple(max(0, bp - self._options["off_bp"]) for bp in entry.similarities_bp)
        item = replace(entry, seals=seals, similarities_bp=lower)
        return with_outcome(item, self.state.membership.n, self.state.policy)
