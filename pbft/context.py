"""What all sections of the protocol share: the configuration, the keys and the list of effects."""

from dataclasses import dataclass
from typing import TypeVar

from pbft.effects import Broadcast, Effect, Refused
from pbft.item import Rules
from pbft.keyring import Keyring
from pbft.membership import Membership
from pbft.messages import Signed, SignedMessage, WireMessage
from pbft.policy import Policy
from pbft.types import WEIGHT_INITIAL, ReplicaId, View

M = TypeVar("M", bound=SignedMessage)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a replica is told before it starts."""

    network: bytes
    """Digest of the genesis file, 32 bytes: the same on all members."""

    replica: ReplicaId
    membership: Membership
    policy: Policy


class Context:
    """Signs for this replica, checks the others, and gathers the effects of the current step."""

    def __init__(self, configuration: Configuration, keyring: Keyring) -> None:
        self.configuration = configuration
        self.rules = Rules(
            configuration.network, configuration.membership, configuration.policy, keyring
        )
        self._keyring = keyring
        self._effects: list[Effect] = []
        self.weights = (WEIGHT_INITIAL,) * configuration.membership.n
        """Vote weight of each member in the outcome, never in the quorum."""

        # Where this replica stands; written by `view_change` and `replica` alone.
        self.view = View(0)
        self.active = True
        """Whether the view was entered; between two views nobody leads or votes."""
        self.recovering = True
        """The log is read back: nothing may be decided anew yet."""
        self.away: set[ReplicaId] = set()
        """Members to whom there is no connection."""
        self.view_timeout_ms = int(configuration.policy.view_timeout_ms)
        """Patience with the primary, in this view."""

    @property
    def me(self) -> ReplicaId:
        return self.configuration.replica

    @property
    def network(self) -> bytes:
        return self.configuration.network

    @property
    def members(self) -> Membership:
        return self.configuration.membership

    @property
    def policy(self) -> Policy:
        return self.configuration.policy

    @property
    def primary(self) -> ReplicaId:
        return self.members.primary(self.view)

    @property
    def leads(self) -> bool:
        """Whether this replica is the primary of a view that was entered."""
        return self.active and self.primary == self.me

    def sign(self, message: M) -> Signed[M]:
        return Signed(message, self._keyring.sign(message))

    def is_genuine(self, signed: Signed[SignedMessage]) -> bool:
        """Whether the message names this network and a member who signed it."""
        return self.rules.is_genuine(signed)

    def emit(self, *effects: Effect) -> None:
        self._effects.extend(effects)

    def broadcast(self, message: WireMessage) -> None:
        self._effects.append(Broadcast(message))

    def refuse(self, source: ReplicaId, reason: str) -> None:
        self._effects.append(Refused(source, reason))

    def take_effects(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects
