"""What all faults share: the wrapped replica."""

from pbft.context import Configuration
from pbft.effects import Effect
from pbft.events import Event
from pbft.keyring import Keyring
from pbft.replica import Replica
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

    def step(self, event: Event) -> list[Effect]:
        return self._replica.step(event)

    def _others(self) -> list[ReplicaId]:
        me = self._configuration.replica
        return [ReplicaId(r) for r in self._configuration.membership.replicas if r != me]
