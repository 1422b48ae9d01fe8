"""Things that no honest member in its place would say: about others, and about the members."""

from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar

from pbft.effects import Broadcast, Effect, RecordEpoch, Send
from pbft.events import Event, Received
from pbft.membership import Change, Join, Leave, Renew, ReplaceKey, SetPolicy
from pbft.messages import (
    Accusation,
    Endorsement,
    EpochCertificate,
    Equivocation,
    LedgerWanted,
    Signed,
    WireMessage,
)
from pbft.policy import Policy
from pbft.types import Epoch, ReplicaId, SequenceNumber
from simulator.faults.mutate import Mutate

_HEARD_MAX = 64
_FAR = (0, 1, 2**64 - 1)


class Fabricate(Mutate):
    """Accuses members and itself of pairs of statements of which one is changed, endorses changes
    that nobody wants, changes proofs of epochs, and asks for parts of the ledger that cannot be."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"share_bp": 1_000}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._heard: deque[Signed[Any]] = deque(maxlen=_HEARD_MAX)
        self._epochs: list[EpochCertificate] = []

    def step(self, event: Event) -> list[Effect]:
        found = super().step(event)
        for effect in found:
            if isinstance(effect, RecordEpoch):
                self._epochs.append(effect.certificate)
        return found

    def heard(self, event: Event) -> Event | None:
        if isinstance(event, Received) and isinstance(event.message, Signed):
            self._heard.append(event.message)
        return event

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        if isinstance(effect.message, Signed):
            self._heard.append(effect.message)
        if self.me is None or self._draw.randrange(10_000) >= self._options["share_bp"]:
            return [effect]
        target = self._draw.choice([None, *self._others()])
        made = self._made_up(self.me)
        if made is None:
            return [effect]
        return [effect, Broadcast(made) if target is None else Send(target, made)]

    def _made_up(self, me: ReplicaId) -> WireMessage | None:
        draw = self._draw
        kind = draw.randrange(4)
        if kind == 0 and self._heard:
            one = draw.choice(self._heard)
            other = draw.choice([one, draw.choice(self._heard)])
            # Its own statements changed and signed again prove its guilt; others' prove nothing.
            return self._readable(lambda: Accusation(Equivocation(one, self._mutant(other))))
        if kind == 1 and self._epochs:
            epoch = draw.choice(self._epochs)
            return self._readable(lambda: self._mutant(epoch))
        if kind == 2:
            wish = Endorsement(
                self._configuration.network, self.state.membership.epoch, self._change(me), me
            )
            return self._resigned(wish)
        return LedgerWanted(SequenceNumber(draw.choice(_FAR)), Epoch(draw.choice(_FAR)))

    def _change(self, me: ReplicaId) -> Change:
        draw = self._draw
        whom = draw.choice(self.state.membership.replicas)
        changes: list[Change] = [
            Leave(whom),
            Renew(draw.choice([me, whom]), draw.randbytes(32)),
            ReplaceKey(whom, draw.randbytes(32)),
            Join("sybil", draw.randbytes(32), ()),
            SetPolicy(Policy(attempts_max=1)),
        ]
        return draw.choice(changes)
