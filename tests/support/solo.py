"""One replica by itself, started: a test puts in events and reads the effects of each."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from pbft import effects
from pbft.context import Configuration
from pbft.events import Event, Received, Started
from pbft.execution import Tip
from pbft.messages import Signed, ViewChange, ViewChangesWanted
from pbft.opening import name
from pbft.policy import Policy
from pbft.records import Record
from pbft.replica import GENESIS, Replica
from pbft.types import ReplicaId
from tests.support import forge
from tests.support.cluster import NETWORK
from tests.support.keyring import keyring, membership, public_key

E = TypeVar("E")


class Solo:
    """Replica `me` of n. `log` gathers what it persists."""

    def __init__(
        self,
        me: int,
        n: int = 4,
        records: Iterable[Record] = (),
        policy: Policy | None = None,
        tip: Tip = GENESIS,
    ) -> None:
        self.log: list[Record] = list(records)
        self.replica = Replica(
            Configuration(NETWORK, public_key(me), membership(n), policy or Policy()),
            keyring(me),
            tuple(self.log),
            tip,
        )
        self.last: list[effects.Effect] = []
        """Effects of the last step."""
        self.all: list[effects.Effect] = []
        self.step(Started())

    def step(self, event: Event) -> list[effects.Effect]:
        self.last = self.replica.step(event)
        self.all += self.last
        for effect in self.last:
            if isinstance(effect, effects.Persist):
                self.log.append(effect.record)
            elif isinstance(effect, effects.Compact):
                self.log[:] = effect.records
        return self.last

    def hear(self, message: Any, source: int | None = None) -> list[effects.Effect]:
        """Receive a message from its signer, or from `source`."""
        if source is None:
            source = (
                message if isinstance(message, Signed) else message.pre_prepare
            ).message.replica
        return self.step(Received(ReplicaId(source), message))

    def enter(self, votes: Sequence[Signed[ViewChange]]) -> None:
        """Hear the new-view that follows from these view-changes, and those that it then wants."""
        shown = forge.new_view(votes)
        self.hear(shown)
        wanted = [
            effect.message.digests
            for effect in self.got(effects.Send)
            if isinstance(effect.message, ViewChangesWanted)
        ]
        for vote in votes:
            if any(name(vote).digest in digests for digests in wanted):
                self.hear(vote, shown.message.replica)

    def got(self, kind: type[E]) -> list[E]:
        """Effects of one kind in the last step."""
        return [effect for effect in self.last if isinstance(effect, kind)]

    def said(self, kind: type[E]) -> list[E]:
        """Bodies of the messages of one kind that it broadcast so far."""
        return [
            effect.message.message
            for effect in self.all
            if isinstance(effect, effects.Broadcast)
            and isinstance(effect.message, Signed)
            and isinstance(effect.message.message, kind)
        ]

    def refusals(self) -> list[str]:
        """Reasons in the last step."""
        return [effect.reason for effect in self.got(effects.Refused)]
