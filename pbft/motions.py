"""Motions: what members put before the ledger beside answers: changes of the epoch, and evidence.

Upon its operator's wish, a replica signs an endorsement of a change, logs and broadcasts it. Upon
holding enough endorsements for one change, the primary proposes it. Evidence that a replica comes
upon is broadcast too; whoever receives it checks it, and the primary proposes it once for each
accused. When the primary could propose something and does not, or has proposed it and it comes to
no decision, it is first sent what it may lack, then suspected.

Endorsements are of one epoch. When that ends, whoever still wants a change endorses it anew.
"""

from collections import deque
from collections.abc import Callable

from pbft import digest
from pbft.codec import encode_value
from pbft.context import NOBODY, Context
from pbft.effects import ArmTimer, CancelTimer, ChangeNoted, Persist, Send
from pbft.events import MotionsDue
from pbft.evidence import accused, evidence_fault, needs_measuring
from pbft.judging import ACCUSE_TOLERANCES, Judging, subject_of
from pbft.membership import (
    Change,
    Renew,
    change_fault,
    changed,
    endorsements_needed,
)
from pbft.messages import (
    Accusation,
    EndorsedChange,
    Endorsement,
    Entry,
    Evidence,
    FalseItem,
    Signatory,
    Signed,
)
from pbft.records import Endorsed
from pbft.state import is_possible
from pbft.types import MESSAGE_BYTES_MAX, Digest, ReplicaId, quorum_size

CHANGES_MAX = 8
"""Changes that one member may endorse in an epoch; a further one displaces its oldest."""

EVIDENCE_BYTES_MAX = MESSAGE_BYTES_MAX // 2

REFUTED_MAX = 256
"""Refuted evidence that is remembered."""


class Motions:
    """Changes and evidence that are not in the ledger yet."""

    def __init__(self, context: Context, judging: Judging, on_suspect: Callable[[], None]) -> None:
        self._context = context
        self._judging = judging
        self._on_suspect = on_suspect
        self._endorsements: dict[ReplicaId, dict[Digest, Signed[Endorsement]]] = {}
        self._evidence: dict[ReplicaId, Evidence] = {}
        """Proven, by who is accused."""
        self._unmeasured: dict[ReplicaId, FalseItem] = {}
        """Waits for our own measurement; one for each peer who sent it."""
        self._refuted: deque[Digest] = deque(maxlen=REFUTED_MAX)
        """Evidence that our own measurement did not bear out."""
        self._armed = False
        self._waited_for: frozenset[object] = frozenset()
        """What the ledger lacked when the clock was set."""
        self._helped = False

    # --- changes -------------------------------------------------------------------------------

    @property
    def changes(self) -> tuple[EndorsedChange, ...]:
        """All changes that somebody wants in this epoch, by digest."""
        wanted: dict[Digest, list[Signed[Endorsement]]] = {}
        for replica in sorted(self._endorsements):
            for key, signed in self._endorsements[replica].items():
                wanted.setdefault(key, []).append(signed)
        return tuple(
            EndorsedChange(
                self._context.epoch,
                wanted[key][0].message.change,
                tuple(Signatory(s.message.replica, s.signature) for s in wanted[key]),
            )
            for key in sorted(wanted)
        )

    def endorse(self, change: Change) -> None:
        """This node's operator wants it."""
        refused = self._refusal(change)
        if refused is None:
            self._sign(change)
        self._context.emit(ChangeNoted(change, refused))

    def _refusal(self, change: Change) -> str | None:
        context = self._context
        if not context.takes_part or isinstance(change, Renew):
            return "Only a member that takes part in the network endorses changes."
        if context.state.pending is not None:
            return "Another change is about to take effect; try again in a moment."
        if fault := change_fault(change, context.members, context.policy):
            return fault
        return self._presence_fault(change)

    def _presence_fault(self, change: Change) -> str | None:
        """Why the members there would be could not go on, as far as this replica sees."""
        context = self._context
        old = {(member.replica, member.public_key) for member in context.members.members}
        new = changed(change, context.members, context.applied).members
        present = sum(
            1
            for member in new
            if (member.replica, member.public_key) in old and member.replica not in context.away
        )
        needed = quorum_size(len(new))
        if present >= needed:
            return None
        return (
            f"Of the {len(new)} members there would be, {present} are connected here and {needed} "
            "are needed to go on; wait until the others are back, or let an absent one leave first."
        )

    def _sign(self, change: Change) -> None:
        context = self._context
        signed = context.sign(Endorsement(context.network, context.epoch, change, context.me))
        context.emit(Persist(Endorsed(signed)))
        context.broadcast(signed)
        self._keep(signed)

    def ask_for_renewal(self) -> None:
        """We forgot what we signed in this epoch: only a new one lets us in again."""
        context = self._context
        if context.forgotten is not None and context.me != NOBODY:
            self._sign(Renew(context.me, context.forgotten))

    def _keep(self, signed: Signed[Endorsement]) -> None:
        message = signed.message
        key = digest.plain_digest(b"change", encode_value(message.change, Change))
        own = self._endorsements.setdefault(message.replica, {})
        if key not in own and len(own) >= CHANGES_MAX:
            del own[next(iter(own))]
        own[key] = signed

    def on_endorsement(self, source: ReplicaId, signed: Signed[Endorsement]) -> None:
        message = signed.message
        if message.epoch != self._context.epoch:
            self._context.refuse(source, "epoch")
        elif signed in self._endorsements.get(message.replica, {}).values():
            return
        elif not self._context.is_genuine(signed):
            self._context.refuse(source, "signature")
        elif self._is_senseless(message):
            self._context.refuse(source, "change")
        else:
            self._keep(signed)

    def _is_senseless(self, message: Endorsement) -> bool:
        change = message.change
        if isinstance(change, Renew) and change.replica != message.replica:
            return True
        return change_fault(change, self._context.members, self._context.policy) is not None

    # --- evidence ------------------------------------------------------------------------------

    def found(self, evidence: Evidence) -> None:
        """This replica came upon evidence."""
        if self._wants(evidence):
            self._evidence[accused(evidence)] = evidence
            self._context.broadcast(Accusation(evidence))

    def _wants(self, evidence: Evidence) -> bool:
        replica = accused(evidence)
        return (
            replica not in self._evidence
            and self._context.state.may_be_accused(replica)
            and len(encode_value(evidence, Evidence)) <= EVIDENCE_BYTES_MAX
        )

    def on_accusation(self, source: ReplicaId, accusation: Accusation) -> None:
        evidence = accusation.evidence
        if not self._wants(evidence):
            return
        if fault := evidence_fault(evidence, self._context.rules):
            self._context.refuse(source, fault)
        elif isinstance(evidence, FalseItem) and needs_measuring(evidence, self._context.rules):
            self._measure(source, evidence)
        else:
            self._evidence[accused(evidence)] = evidence

    def _measure(self, source: ReplicaId, evidence: FalseItem) -> None:
        """One at a time for each peer, and none that was refuted: to accuse costs little, but to
        compare answers costs much."""
        waiting = self._unmeasured.get(source)
        if waiting == evidence:
            return
        if waiting is not None or _digest_of(evidence) in self._refuted:
            self._context.refuse(source, "evidence-again")
            return
        self._unmeasured[source] = evidence
        self.on_compared()

    def on_compared(self) -> None:
        """New measurements came in."""
        for source in sorted(self._unmeasured):
            evidence = self._unmeasured[source]
            if not self._judging.is_measured_item(evidence.item):
                continue
            del self._unmeasured[source]
            if self._judging.is_false(evidence, ACCUSE_TOLERANCES):
                self._evidence[accused(evidence)] = evidence
            else:
                self._context.refuse(source, "evidence")
                self._refuted.append(_digest_of(evidence))
            self._judging.forget(evidence.item)

    # --- for the primary -----------------------------------------------------------------------

    @property
    def any(self) -> bool:
        """Whether anything is known that could ever be proposed."""
        return bool(self._endorsements or self._evidence)

    def ready(self) -> list[Entry]:
        """What could be proposed now, and is in no slot yet."""
        if not self.any:
            return []
        in_slots = self._judging.subjects_in_slots()
        return [entry for entry in self._wanted() if subject_of(entry) not in in_slots]

    def _wanted(self) -> list[Entry]:
        """What the ledger lacks and could have now."""
        return [*self._ripe_changes(), *self._accusations()]

    def _ripe_changes(self) -> list[EndorsedChange]:
        """At most one: the next epoch follows from one change."""
        context = self._context
        if context.state.pending is not None:
            return []
        ripe = [
            entry
            for entry in self.changes
            if len(entry.endorsements) >= endorsements_needed(entry.change, context.members)
            and is_possible(context.state, entry)
        ]
        return ripe[:1]

    def _accusations(self) -> list[Accusation]:
        state = self._context.state
        for replica in [r for r in self._evidence if not state.may_be_accused(r)]:
            del self._evidence[replica]
        return [Accusation(self._evidence[replica]) for replica in sorted(self._evidence)]

    def watch(self) -> None:
        """After every step: a clock runs while the ledger lacks something, proposed or not: no
        question may be open whose clock would run."""
        context = self._context
        if not (self._armed or self.any or context.state.pending):
            return
        due = (
            context.active
            and context.takes_part
            and not context.recovering
            and (context.state.pending is not None or any(map(self._is_owed, self._wanted())))
        )
        if due and not self._armed:
            self._helped = False
            self._waited_for = self._owed()
            context.emit(ArmTimer(MotionsDue(), 2 * context.view_timeout_ms))
        elif self._armed and not due:
            context.emit(CancelTimer(MotionsDue()))
        self._armed = due

    def _is_owed(self, entry: Entry) -> bool:
        """Whether every honest primary must see it as we do: others may measure less."""
        return not (
            isinstance(entry, Accusation) and needs_measuring(entry.evidence, self._context.rules)
        )

    def on_due(self) -> None:
        if not self._armed or self._context.leads:
            self._armed = False
            return
        if self._helped:
            self._armed = False
            self._on_suspect()
            return
        self._helped = True
        self.resend(self._context.primary)
        self._context.emit(ArmTimer(MotionsDue(), self._context.view_timeout_ms))

    def on_applied(self) -> None:
        """Progress: the clock starts anew, unless what it runs for is still left out. A primary
        that proposes answers only must not win time with each of them."""
        if self._context.state.pending is not None or not self._waited_for & self._owed():
            self._armed = False

    def _owed(self) -> frozenset[object]:
        """The subjects of all that every honest primary would propose."""
        return frozenset(subject_of(entry) for entry in self._wanted() if self._is_owed(entry))

    # --- reconnection, epochs, recovery --------------------------------------------------------

    def resend(self, replica: ReplicaId) -> None:
        """To the primary all that it may lack; it has the endorsers' signatures."""
        for own in self._endorsements.values():
            for signed in own.values():
                self._context.emit(Send(replica, signed))
        for accusation in self._accusations():
            self._context.emit(Send(replica, accusation))

    def begin_epoch(self) -> None:
        self._endorsements.clear()
        self._unmeasured.clear()
        self._evidence = {
            replica: evidence
            for replica, evidence in self._evidence.items()
            if self._context.state.may_be_accused(replica)
            and evidence_fault(evidence, self._context.rules) is None
        }

    def restore(self, signed: Signed[Endorsement]) -> None:
        self._keep(signed)

    def live_records(self) -> list[Endorsed]:
        own = self._endorsements.get(self._context.me, {})
        return [Endorsed(signed) for signed in own.values()]


def _digest_of(evidence: FalseItem) -> Digest:
    return digest.plain_digest(b"evidence", encode_value(evidence, Evidence))
