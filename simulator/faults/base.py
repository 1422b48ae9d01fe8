"""What all faults share: the wrapped replica."""

from pbft.context import Configuration
from pbft.effects import Effect
from pbft.events import Event
from pbft.keyring import Keyring
from pbft.messages import EndorsedChange
from pbft.replica import Replica
from pbft.state import State
from pbft.types import ReplicaId, SequenceNumber, View


class Fault:
    """Behaves correctly; subclasses override `step`."""

    def __init__(self, replica: Replica, configuration: Configuration, keyring: Keyring) -> None:
        self._replica = replica
        self._configuration = configuration
        self._keyring = keyring

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
        return self._replica.step(event)

    def _others(self) -> list[ReplicaId]:
        members = self._replica.state.membership
        return [replica for replica in members.replicas if replica != self._replica.me]
