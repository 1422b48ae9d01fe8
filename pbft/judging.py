"""What a backup thinks of a proposal: everything in it must be right, and its matrix true.

First come the checks that need no measurement: signatures, commitments, seals, the outcome. Then
this replica's own embedder measures the answers. Only similarities are subject to tolerance;
contradictions are found by rules that give the same result everywhere, and must match exactly.
"""

from pbft import digest
from pbft.context import Context
from pbft.history import History
from pbft.item import WrongItem, check_item
from pbft.log import MessageLog, Slot
from pbft.messages import Item, Request
from pbft.observation import Observation
from pbft.round import Comparison
from pbft.types import ReplicaId, RequestId
from pbft.watch import Watch


class Judging:
    """Judges the proposals in slots. A reason is one of few constant words."""

    def __init__(
        self,
        context: Context,
        log: MessageLog,
        observation: Observation,
        watch: Watch,
        history: History,
    ) -> None:
        self._context = context
        self._log = log
        self._observation = observation
        self._watch = watch
        self._history = history

    def check(self, source: ReplicaId, slot: Slot) -> str | None:
        """Why the proposal is wrong, whatever its answers mean; None if it may be right."""
        taken = self.numbers_in_slots(but=slot)
        if not slot.batch:
            return "batch-empty"  # null requests come with new views only
        for item in slot.batch:
            try:
                request_id = check_item(item, self._context.rules)
            except WrongItem as wrong:
                return wrong.reason
            number = number_of(item.request.message)
            if number in taken or self._history.is_past(item.request.message):
                return "request-twice"
            taken.add(number)
            if fault := self._check_against_own(source, item, request_id):
                return fault
        return None

    def _check_against_own(
        self, source: ReplicaId, item: Item, request_id: RequestId
    ) -> str | None:
        if item.attempt != 0:
            return "attempt"
        if item.weights != tuple(self._context.weights[r.message.replica] for r in item.reveals):
            return "weights"
        if not self._observation.adopt(source, item, request_id):
            return "seal-conflict"
        if self._watch.leaves_out(request_id, item):
            return "left-out"
        return None

    def numbers_in_slots(self, but: Slot | None = None) -> set[tuple[ReplicaId, int]]:
        """Askers and numbers of all requests in undecided slots."""
        return {
            number_of(item.request.message)
            for slot in self._log
            if slot is not but and slot.decided is None and not slot.refused
            for item in slot.batch or ()
        }

    def is_measured(self, slot: Slot) -> bool:
        """Whether this replica has measured all answers; asks for what is missing."""
        return None not in [self._own(item) for item in slot.batch or ()]

    def verdict(self, slot: Slot) -> str | None:
        """Why a measured proposal is not true; None if it is close enough."""
        for item in slot.batch or ():
            own = self._own(item)
            if own is not None and (fault := self._difference(item, own)):
                return fault
        return None

    def _own(self, item: Item) -> Comparison | None:
        return self._observation.comparison_for(digest.request_id(item.request.message), item)

    def _difference(self, item: Item, own: Comparison) -> str | None:
        if item.contradictions != own.contradictions:
            return "contradictions"
        tolerance_bp = self._context.policy.similarity_tolerance_bp
        pairs = zip(item.similarities_bp, own.similarities_bp, strict=True)
        if any(abs(claimed - measured) > tolerance_bp for claimed, measured in pairs):
            return "similarity"
        return None


def number_of(request: Request) -> tuple[ReplicaId, int]:
    """An asker gets one decision for each of its numbers."""
    return request.replica, request.number
