"""A primary that proposes what it must not."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pbft import digest
from pbft.effects import ArmTimer, Broadcast, Effect, Send
from pbft.events import Event, Received, TimerFired
from pbft.item import with_outcome
from pbft.messages import Batch, Item, Proposal
from pbft.types import U64_MAX, Digest, ReplicaId, SequenceNumber
from simulator.faults.base import Fault, other_bytes

NEAR_BP = 5


@dataclass(frozen=True, slots=True)
class Held:
    """A timer of the fault's own, beside the replica's."""

    view: int
    sequence_number: int


class SplitProposals(Fault):
    """Different batches under one number: the batch to the first peers, and to the `last` ones
    nothing (`other` = "empty"), the batch before ("other"), or the same with similarities that are
    a little different and just as good ("near"); if `both` is 1, after the batch itself, and
    `later_ms` after it."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"last": 1, "other": "empty", "both": 0, "later_ms": 0}
    WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {"other": ("empty", "other", "near")}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._before: Proposal | None = None
        self._held: dict[object, list[Effect]] = {}

    def step(self, event: Event) -> list[Effect]:
        if isinstance(event, TimerFired) and event.timer in self._held:
            return self._held.pop(event.timer)
        return super().step(event)

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        message = effect.message
        if not isinstance(message, Proposal) or message.pre_prepare.message.replica != self.me:
            return [effect]
        before, self._before = self._before, message
        batch: Batch = ()
        if self._options["other"] == "near":
            batch = tuple(self._near(e) if isinstance(e, Item) else e for e in message.batch)
        elif self._options["other"] == "other" and before is not None:
            batch = before.batch
        said = replace(message.pre_prepare.message, digest=digest.digest_of(batch))
        other = Proposal(self._resigned(said), batch)
        peers = self._others()
        last = set(peers[len(peers) - self._options["last"] :])
        if self._options["both"]:
            later = self._to_each(effect, lambda _, r: other if r in last else None)
            if not self._options["later_ms"]:
                return [effect, *later]
            timer = Held(said.view, said.sequence_number)
            self._held[timer] = later
            # Drivers give any timer back as they got it, so that faults may have their own.
            return [effect, ArmTimer(timer, self._options["later_ms"])]  # type: ignore[arg-type]
        return self._to_each(effect, lambda _, r: other if r in last else message)

    def _near(self, item: Item) -> Item:
        close_bp = tuple(v - NEAR_BP if v > NEAR_BP else v + NEAR_BP for v in item.similarities_bp)
        near = replace(item, similarities_bp=close_bp)
        return with_outcome(near, self.state.membership.n, self.state.policy)


class WrongNumber(Fault):
    """Proposes under a number that is `by` too high, or too low, to the last peer."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"by": 1, "down": 0, "all": 0}

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        message = effect.message
        if not isinstance(message, Proposal) or message.pre_prepare.message.replica != self.me:
            return [effect]
        said = message.pre_prepare.message
        by = -self._options["by"] if self._options["down"] else self._options["by"]
        moved = SequenceNumber(max(0, said.sequence_number + by))
        other = Proposal(self._resigned(replace(said, sequence_number=moved)), message.batch)
        last = self._others()[-1]
        everyone = bool(self._options["all"])
        return self._to_each(effect, lambda _, r: other if everyone or r == last else message)


class WrongDigest(Fault):
    """Its pre-prepares name another batch than the one that comes with them."""

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        message = effect.message
        if not isinstance(message, Proposal) or message.pre_prepare.message.replica != self.me:
            return [effect]
        said = message.pre_prepare.message
        other = replace(said, digest=Digest(other_bytes(said.digest)))
        return [replace(effect, message=Proposal(self._resigned(other), message.batch))]


class FalsePrimary(Fault):
    """Proposes although it does not lead: what the primary proposed, again under the next number,
    and nothing at all under the same one."""

    def besides(self, event: Event) -> list[Effect]:
        heard = event.message if isinstance(event, Received) else None
        if not isinstance(heard, Proposal) or self.me is None or self.me == self.primary:
            return []
        said = heard.pre_prepare.message
        after = SequenceNumber(min(U64_MAX, said.sequence_number + 1))
        nothing = digest.digest_of(())
        return [
            Broadcast(Proposal(self._resigned(replace(said, replica=self.me, **other)), batch))
            for other, batch in (
                ({"sequence_number": after}, heard.batch),
                ({"digest": nothing}, ()),
            )
        ]


class HideProposals(Fault):
    """Shows its proposals to everybody but `hidden`."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"hidden": ()}

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        if not isinstance(effect.message, Proposal):
            return [effect]
        hidden: set[ReplicaId] = set(self._options["hidden"])
        return self._to_each(effect, lambda _, r: None if r in hidden else effect.message)
