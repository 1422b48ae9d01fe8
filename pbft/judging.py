"""What a backup thinks of a proposal: everything in it must be right, and its matrix true.

First come the checks that need no measurement: signatures, commitments, seals, the outcome; that a
change is endorsed and nothing else is about to end the epoch; that evidence proves something. Then
this replica's own embedder measures the answers. Only similarities are subject to tolerance;
contradictions are found by rules that give the same result everywhere, and must match exactly.

A primary whose item is wrong in itself, or whose similarities are further off than any honest
machine could be, has signed the evidence against itself.
"""

from pbft import digest
from pbft.codec import encode_value
from pbft.context import Context
from pbft.evidence import accused, evidence_fault, needs_measuring
from pbft.history import History
from pbft.item import WrongItem, check_item
from pbft.log import MessageLog, Slot
from pbft.measuring import Comparison, Measurements
from pbft.membership import Renew, endorsements_needed
from pbft.messages import (
    Accusation,
    Batch,
    EndorsedChange,
    Endorsement,
    Entry,
    FalseItem,
    Item,
    Request,
    Signed,
    items,
)
from pbft.observation import Observation
from pbft.state import is_possible
from pbft.types import BATCH_BYTES_MAX, ReplicaId, SequenceNumber
from pbft.watch import Watch

FALSE_TOLERANCES = 2
"""A similarity further off than so many tolerances is false."""

ACCUSE_TOLERANCES = 3
"""A replica accuses only where all others, who measure a little differently, will agree."""


class Judging:
    """Judges the proposals in slots. A reason is one of few constant words."""

    def __init__(
        self,
        context: Context,
        log: MessageLog,
        observation: Observation,
        measurements: Measurements,
        watch: Watch,
        history: History,
    ) -> None:
        self._context = context
        self._log = log
        self._observation = observation
        self._measurements = measurements
        self._watch = watch
        self._history = history

    # --- without measuring -----------------------------------------------------------------------

    def check(self, source: ReplicaId, slot: Slot) -> str | None:
        """Why the proposal is wrong, whatever its answers mean; None if it may be right."""
        if not slot.batch and not self.ends_epoch(slot.sequence_number):
            return "batch-empty"
        if sum(len(encode_value(entry)) for entry in slot.batch or ()) > BATCH_BYTES_MAX:
            return "batch-large"
        taken = self.numbers_in_slots(but=slot)
        for index, entry in enumerate(slot.batch or ()):
            if fault := self._check_entry(source, slot, index, entry, taken):
                return fault
        return None

    def _check_entry(
        self,
        source: ReplicaId,
        slot: Slot,
        index: int,
        entry: Entry,
        taken: set[tuple[ReplicaId, int]],
    ) -> str | None:
        match entry:
            case Item():
                return self._check_item(source, slot, index, entry, taken)
            case EndorsedChange():
                others = [e for e in slot.batch or () if isinstance(e, EndorsedChange)]
                if len(others) > 1 or self.ends_epoch(slot.sequence_number):
                    return "change-twice"
                return self.change_fault(entry)
            case Accusation(evidence):
                if not self._context.state.may_be_accused(accused(evidence)):
                    return "accusation-twice"
                return evidence_fault(evidence, self._context.rules)

    def _check_item(
        self,
        source: ReplicaId,
        slot: Slot,
        index: int,
        item: Item,
        taken: set[tuple[ReplicaId, int]],
    ) -> str | None:
        try:
            request_id = check_item(item, self._context.rules)
        except WrongItem as wrong:
            self._accuse(slot, index, item)
            return wrong.reason
        number = number_of(item.request.message)
        if number in taken or self._history.is_past(item.request.message):
            return "request-twice"
        taken.add(number)
        if item.attempt != self._history.attempts(request_id):
            return "attempt"
        if item.weights != tuple(self._context.weight(r.message.replica) for r in item.reveals):
            return "weights"
        if not self._observation.adopt(source, item, request_id):
            return "seal-conflict"
        if self._watch.leaves_out(request_id, item):
            return "left-out"
        return None

    def _accuse(self, slot: Slot, index: int, item: Item) -> None:
        if slot.pre_prepare is not None and slot.batch is not None:
            digests = tuple(digest.entry_digest(entry) for entry in slot.batch)
            self._context.report(FalseItem(slot.pre_prepare, digests, index, item))

    def change_fault(self, entry: EndorsedChange) -> str | None:
        """Why a change may not end the epoch, in one constant word."""
        context = self._context
        if context.state.pending is not None or not is_possible(context.state, entry):
            return "change"
        replicas = [endorsement.replica for endorsement in entry.endorsements]
        if replicas != sorted(set(replicas)):
            return "endorsements"
        if len(replicas) < endorsements_needed(entry.change, context.members):
            return "endorsements"
        if isinstance(entry.change, Renew) and replicas != [entry.change.replica]:
            return "endorsements"  # nobody else can tell what it remembers
        if any(not context.is_genuine(signed) for signed in endorsements(context, entry)):
            return "signature"
        return None

    def ends_epoch(self, number: SequenceNumber) -> bool:
        """Whether a change in an earlier slot ends the epoch at the next checkpoint, so that the
        slots up to there may be empty."""
        if self._context.state.pending is not None:
            return True
        return any(
            isinstance(entry, EndorsedChange)
            for slot in self._unapplied()
            if slot.sequence_number < number
            for entry in _contents(slot)
        )

    def subjects_in_slots(self) -> set[object]:
        """See `subject_of`; of the entries in slots that are not applied."""
        return {
            subject_of(entry)
            for slot in self._unapplied()
            for entry in _contents(slot)
            if not isinstance(entry, Item)
        }

    def _unapplied(self) -> list[Slot]:
        return [
            slot
            for slot in self._log.above(self._context.applied)
            if slot.decided is not None or not slot.refused
        ]

    def numbers_in_slots(self, but: Slot | None = None) -> set[tuple[ReplicaId, int]]:
        """Askers and numbers of all requests in slots that are not applied."""
        return {
            number_of(item.request.message)
            for slot in self._unapplied()
            if slot is not but
            for _, item in items(_contents(slot))
        }

    # --- measuring -------------------------------------------------------------------------------

    def is_measured(self, slot: Slot) -> bool:
        """Whether this replica has measured all answers; asks for what is missing."""
        measured = [self._measurements.of_item(item) for item in self._to_measure(slot)]
        return None not in measured

    def _to_measure(self, slot: Slot) -> list[Item]:
        found = []
        for entry in slot.batch or ():
            match entry:
                case Item():
                    found.append(entry)
                case Accusation(FalseItem(item=item) as evidence):
                    if needs_measuring(evidence, self._context.rules):
                        found.append(item)
        return found

    def verdict(self, slot: Slot) -> str | None:
        """Why a measured proposal is not true; None if it is close enough."""
        for index, entry in enumerate(slot.batch or ()):
            match entry:
                case Item():
                    if fault := self._item_verdict(slot, index, entry):
                        return fault
                case Accusation(FalseItem() as evidence):
                    if not self.is_false(evidence, FALSE_TOLERANCES):
                        return "evidence"
        return None

    def _item_verdict(self, slot: Slot, index: int, item: Item) -> str | None:
        own = self._measurements.of_item(item)
        if own is None:
            return None
        if item.contradictions != own.contradictions:
            return "contradictions"
        tolerance_bp = self._context.policy.similarity_tolerance_bp
        error_bp = _error_bp(item, own)
        if error_bp > ACCUSE_TOLERANCES * tolerance_bp:
            self._accuse(slot, index, item)
        return "similarity" if error_bp > tolerance_bp else None

    def is_measured_item(self, item: Item) -> bool:
        return self._measurements.of_item(item) is not None

    def forget(self, item: Item) -> None:
        """The measurement of an item that was only evidence."""
        self._measurements.forget(digest.request_id(item.request.message))

    def is_false(self, evidence: FalseItem, tolerances: int) -> bool:
        """Whether the item is wrong in itself, or its similarities are so many tolerances off.
        What is not measured yet is not false."""
        try:
            check_item(evidence.item, self._context.rules)
        except WrongItem:
            return True
        own = self._measurements.of_item(evidence.item)
        tolerance_bp = self._context.policy.similarity_tolerance_bp
        return own is not None and _error_bp(evidence.item, own) > tolerances * tolerance_bp


def number_of(request: Request) -> tuple[ReplicaId, int]:
    """An asker gets one decision for each of its numbers."""
    return request.replica, request.number


def _contents(slot: Slot) -> Batch:
    """What was decided, or else what is proposed."""
    return slot.decided.batch if slot.decided is not None else slot.batch or ()


def subject_of(entry: Entry) -> object:
    """Entries about the same subject are not proposed twice: changes, and accusations of one
    replica."""
    return accused(entry.evidence) if isinstance(entry, Accusation) else type(entry)


def endorsements(context: Context, entry: EndorsedChange) -> list[Signed[Endorsement]]:
    """The signed messages that the entry abbreviates."""
    return [
        Signed(
            Endorsement(context.network, entry.epoch, entry.change, endorsement.replica),
            endorsement.signature,
        )
        for endorsement in entry.endorsements
    ]


def _error_bp(item: Item, own: Comparison) -> int:
    """By how much the worst claimed similarity is off."""
    pairs = zip(item.similarities_bp, own.similarities_bp, strict=True)
    return max((abs(claimed - measured) for claimed, measured in pairs), default=0)
