"""What all sections of the protocol share: the configuration, the replicated state, where this
replica stands, the keys and the list of effects."""

from dataclasses import dataclass
from typing import Final, TypeVar

from pbft.effects import Broadcast, Effect, Refused, Report
from pbft.errors import InvariantViolation
from pbft.evidence import evidence_fault
from pbft.item import Rules
from pbft.keyring import Keyring
from pbft.membership import Membership
from pbft.messages import Evidence, Signed, SignedMessage, WireMessage
from pbft.policy import Policy
from pbft.state import State, first_state
from pbft.types import U64_MAX, ReplicaId, SequenceNumber, View

M = TypeVar("M", bound=SignedMessage)

NOBODY: Final = ReplicaId(U64_MAX)
"""The number of a replica that is no member: not yet, or not any more."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a replica is told before it starts."""

    network: bytes
    """Digest of the genesis file, 32 bytes: the same on all members."""

    public_key: bytes
    """Its own, by which it finds itself among the members."""
    membership: Membership
    """Of epoch 0."""
    policy: Policy
    """Of epoch 0."""


class Context:
    """Signs for this replica, checks the others, and gathers the effects of the current step."""

    def __init__(
        self, configuration: Configuration, keyring: Keyring, state: State | None = None
    ) -> None:
        self.configuration = configuration
        self.network = configuration.network
        self._keyring = keyring
        self._effects: list[Effect] = []
        self._found: list[Evidence] = []

        # Where this replica stands; `view_change`, `epochs` and `replica` alone move it.
        self.view = View(0)
        self.active = True
        """Whether the view was entered; between two views nobody leads or votes."""
        self.recovering = True
        """The log is read back: nothing may be decided anew yet."""
        self.forgotten: bytes | None = None
        """The salt of `records.Forgot`, if this replica does not know what it signed."""
        self.away: set[ReplicaId] = set()
        """Members to whom there is no connection."""
        self.taken_over = SequenceNumber(0)
        """The last slot that the current view took over from earlier ones."""
        self.take_state(state or first_state(configuration.membership, configuration.policy))
        self.view_timeout_ms = int(self.policy.view_timeout_ms)
        """Patience with the primary, in this view."""

    # What every message asks for is computed when the state or the view changes, not when asked.

    def take_state(self, state: State) -> None:
        """A slot was applied."""
        self.state = state
        self.applied = state.applied
        self.policy = state.policy
        self.members = state.membership
        self.epoch = state.membership.epoch
        self.quorum = state.membership.quorum
        self.interval_end = state.interval_end
        self._weights = {standing.replica: standing.weight for standing in state.standings}
        own = state.membership.replica_of(self.configuration.public_key)
        self.me = NOBODY if own is None else own
        self.rules = state.rules(self.network, self._keyring)
        self._place()

    def enter(self, view: View) -> None:
        """Votes count in this view from now on."""
        self.view, self.active = view, True
        self._place()

    def is_over(self, view: View) -> bool:
        """Whether a view was entered, or given up for a later one."""
        return view < self.view or (view == self.view and self.active)

    def leave_for(self, view: View) -> None:
        """Nobody leads until the view is entered."""
        self.view, self.active = view, False
        self._place()

    def forget(self, salt: bytes) -> None:
        """This replica does not know what it signed in this epoch, and signs nothing more in it but
        the wish for another."""
        self.forgotten = salt
        self._place()

    def remember(self) -> None:
        """An epoch that began through our own renewal ends what we forgot before."""
        standing = self.state.standing(self.me)
        if standing is not None and standing.renewal == self.forgotten:
            self.forgotten = None
            self._place()

    def _place(self) -> None:
        self.primary = self.members.primary(self.view)
        self.takes_part = self.me != NOBODY and self.forgotten is None
        """Whether this replica may sign anything about answers and slots."""
        self.leads = self.active and self.primary == self.me and self.takes_part
        """Whether this replica is the primary of a view that was entered."""

    def rules_for(self, membership: Membership, policy: Policy) -> Rules:
        """Of another epoch."""
        return Rules(self.network, membership, policy, self._keyring)

    def weight(self, replica: ReplicaId) -> int:
        """Of its vote in the outcome, never in the quorum."""
        return self._weights.get(replica, 0)

    def sign(self, message: M) -> Signed[M]:
        if message.replica != self.me:
            raise InvariantViolation("a replica that is no member signs nothing")
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

    def report(self, evidence: Evidence) -> bool:
        """Another replica is proven faulty; False if this would convince nobody, as when two
        messages differ because two replicas signed them."""
        if evidence_fault(evidence, self.rules) is not None:
            return False
        self._effects.append(Report(evidence))
        self._found.append(evidence)
        return True

    def take_found(self) -> list[Evidence]:
        """Evidence since the last call, to be put before the ledger."""
        found, self._found = self._found, []
        return found

    def take_effects(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects
