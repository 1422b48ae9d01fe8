"""What all faults share: the wrapped replica, and ways to change what it sends."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, ClassVar, Protocol

from pbft.context import Configuration
from pbft.effects import Broadcast, Effect, Send
from pbft.events import Event
from pbft.keyring import Keyring
from pbft.messages import (
    EndorsedChange,
    Proposal,
    Signed,
    SignedMessage,
    WireMessage,
)
from pbft.replica import Replica
from pbft.state import State
from pbft.types import ReplicaId, SequenceNumber, View


class Machine(Protocol):
    """What is stepped: the replica, or the outermost fault around it."""

    def step(self, event: Event) -> list[Effect]: ...


class Fault:
    """Behaves correctly; subclasses override `step`, or `sent` and `heard`.

    It stands around `inner`: the replica, or another fault around that.

    `draw` is the fault's own generator: what it does follows from a seed. Options are whole
    numbers, strings and lists, so that a plan can hold them.
    """

    BYZANTINE: ClassVar[bool] = True
    """Whether a node that does this is beyond the protocol's promises; else it is only unwell."""
    OPTIONS: ClassVar[Mapping[str, Any]] = {}
    """Names and defaults."""
    WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """What a setting can say, where that is one of few words, or a list of them."""

    def __init__(
        self,
        replica: Replica,
        configuration: Configuration,
        keyring: Keyring,
        *,
        inner: Machine | None = None,
        draw: Random | None = None,
        **options: Any,
    ) -> None:
        self._replica = replica
        self._inner = inner or replica
        self._configuration = configuration
        self._keyring = keyring
        self._draw = draw or Random(0)  # noqa: S311  # a fault must replay
        self._options = {**self.OPTIONS, **options}

    @property
    def view(self) -> View:
        return self._replica.view

    @property
    def applied(self) -> SequenceNumber:
        return self._replica.applied

    @property
    def primary(self) -> ReplicaId:
        return self._replica.primary

    @property
    def me(self) -> ReplicaId | None:
        return self._replica.me

    @property
    def takes_part(self) -> bool:
        return self._replica.takes_part

    @property
    def state(self) -> State:
        return self._replica.state

    @property
    def changes(self) -> tuple[EndorsedChange, ...]:
        return self._replica.changes

    def step(self, event: Event) -> list[Effect]:
        heard = self.heard(event)
        if heard is None:
            return []
        effects: list[Effect] = []
        for effect in self._inner.step(heard):
            effects += self.sent(effect) if isinstance(effect, Broadcast | Send) else [effect]
        return effects + self.besides(heard)

    def heard(self, event: Event) -> Event | None:
        """What the replica is told instead of an event; None for nothing."""
        return event

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        """What happens instead of sending."""
        return [effect]

    def besides(self, event: Event) -> list[Effect]:  # noqa: ARG002  # for subclasses
        """What happens in addition, after an event."""
        return []

    def _others(self) -> list[ReplicaId]:
        members = self._replica.state.membership
        return [replica for replica in members.replicas if replica != self._replica.me]

    def _resigned(self, message: SignedMessage) -> Signed[Any]:
        return Signed(message, self._keyring.sign(message))

    def _to_each(
        self, effect: Broadcast | Send, choose: Callable[[int, ReplicaId], WireMessage | None]
    ) -> list[Effect]:
        """Sends every recipient what `choose(place, replica)` says; None for nothing."""
        targets = self._others() if isinstance(effect, Broadcast) else [effect.replica]
        chosen = [(replica, choose(place, replica)) for place, replica in enumerate(targets)]
        return [Send(replica, message) for replica, message in chosen if message is not None]


def inner_of(message: WireMessage) -> Any:
    """What is said in a message: a proposal says its pre-prepare."""
    if isinstance(message, Signed):
        return message.message
    return message.pre_prepare.message if isinstance(message, Proposal) else message


def other_bytes(value: bytes) -> bytes:
    """Different bytes of the same length."""
    return bytes(byte ^ 0xFF for byte in value)
