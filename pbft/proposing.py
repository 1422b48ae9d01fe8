"""The primary's side of §4.2: what is proposed, in which batch, under which number.

The primary gives the next sequence number to a batch of what is ready: finished items, changes that
enough members endorse, evidence. No slot is proposed beyond the next checkpoint before everything
up to it is applied, because members, policy and weights may be others there. If a change is on its
way, the slots up to that checkpoint are filled with empty batches, so that it takes effect at once.

Deviation from the paper: sequence numbers are given when answers are ready, not when requests
arrive, so that a slow answer never blocks a fast one.
"""

from collections.abc import Callable
from dataclasses import replace

from pbft import digest
from pbft.codec import encode_value
from pbft.context import Context
from pbft.effects import Persist
from pbft.history import History
from pbft.item import with_outcome
from pbft.judging import Judging, number_of
from pbft.log import MessageLog
from pbft.messages import Batch, EndorsedChange, Entry, Item, PrePrepare, Proposal
from pbft.motions import Motions
from pbft.observation import Observation
from pbft.records import ProposalAccepted
from pbft.types import BATCH_BYTES_MAX, BATCH_ITEMS_MAX, SequenceNumber

PROPOSALS_OPEN_MAX = 2
"""Undecided slots that a primary keeps open. Beyond it items wait and share the next batch, so
that batches grow with the load and a lone item never waits. Votes are half of all messages if every
item has a slot of its own; a few slots are enough to use the time that votes are on their way."""


class Proposing:
    """`on_proposed` takes our own proposals."""

    def __init__(
        self,
        context: Context,
        log: MessageLog,
        observation: Observation,
        judging: Judging,
        motions: Motions,
        history: History,
        on_proposed: Callable[[Proposal], None],
    ) -> None:
        self._context = context
        self._log = log
        self._observation = observation
        self._judging = judging
        self._motions = motions
        self._history = history
        self._on_proposed = on_proposed
        self._waiting: list[Item] = []
        self.last = SequenceNumber(0)
        """The last number that was given in this view."""

    def propose_ready(self) -> None:
        """The primary proposes all that is ready and fits between the watermarks."""
        self._waiting += self._observation.take_ready()
        if not self._context.leads or self._context.recovering:
            return
        while self._has_any() and self._may_propose():
            self._drop_unwanted()
            batch = self._next_batch()
            if not batch and not self._closes():
                return
            self._propose(batch)

    def _has_any(self) -> bool:
        """Whether there may be something to propose. Asked after every step."""
        return bool(self._waiting) or self._motions.any or self._closes()

    def _closes(self) -> bool:
        """Whether slots up to the checkpoint are wanted even if they are empty."""
        return self._judging.ends_epoch(self._next_number())

    def _drop_unwanted(self) -> None:
        """Items that honest backups would refuse: an asker gets one decision per number."""
        taken = self._judging.numbers_in_slots() if self._waiting else set()
        kept = []
        for item in self._waiting:
            request = item.request.message
            attempts = self._history.attempts(digest.request_id(request))
            if self._history.is_past(request):
                self._observation.close(request)
            elif number_of(request) not in taken and item.attempt == attempts:
                # A round that is not decided is never closed: the request may come again, and
                # the answer that was committed to must still be known then.
                taken.add(number_of(request))
                kept.append(item)
        self._waiting = kept

    def _next_batch(self) -> Batch:
        """As much as fits into one frame, at least one entry if there is any."""
        size = 0
        batch: list[Entry] = []
        for candidate in self._candidates():
            entry = self._weighed(candidate) if isinstance(candidate, Item) else candidate
            size += len(encode_value(entry))
            if batch and size > BATCH_BYTES_MAX:
                break
            batch.append(entry)
        # The waiting items come last among the candidates, in their order.
        taken = sum(1 for entry in batch if isinstance(entry, Item))
        self._waiting = self._waiting[taken:]
        return tuple(batch)

    def _candidates(self) -> list[Entry]:
        closing = self._closes()
        motions = [
            entry
            for entry in self._motions.ready()
            if not (closing and isinstance(entry, EndorsedChange))
        ]
        return [*motions, *self._waiting][:BATCH_ITEMS_MAX]

    def _weighed(self, item: Item) -> Item:
        """With the weights that are in force, and the outcome that follows."""
        weights = tuple(self._context.weight(r.message.replica) for r in item.reveals)
        return with_outcome(
            replace(item, weights=weights), self._context.members.n, self._context.policy
        )

    def _may_propose(self) -> bool:
        unapplied = self._log.above(self._context.applied)
        open_slots = [slot for slot in unapplied if slot.pre_prepare and not slot.decided]
        number = self._next_number()
        return (
            # What was taken over from earlier views may hold the same requests.
            all(slot.batch is not None for slot in open_slots)
            and len(open_slots) < PROPOSALS_OPEN_MAX
            and self._log.in_window(number)
            and number <= self._context.interval_end
        )

    def _next_number(self) -> SequenceNumber:
        last = max(self.last, self._log.low_watermark, self._context.applied)
        return SequenceNumber(last + 1)

    def _propose(self, batch: Batch) -> None:
        context = self._context
        self.last = self._next_number()
        pre_prepare = context.sign(
            PrePrepare(
                network=context.network,
                epoch=context.epoch,
                view=context.view,
                sequence_number=self.last,
                digest=digest.digest_of(batch),
                replica=context.me,
            )
        )
        proposal = Proposal(pre_prepare, batch)
        context.emit(Persist(ProposalAccepted(proposal)))
        context.broadcast(proposal)
        self._on_proposed(proposal)

    def leave_view(self) -> None:
        self._waiting.clear()

    def enter_view(self, last: SequenceNumber) -> None:
        """`last` is the last number taken over; new proposals come after it."""
        self._waiting.clear()
        self.last = last
