"""Messages that come too early: of a view or an epoch not entered yet, or of a slot beyond a
checkpoint that is not reached yet. They wait, within a bound for each peer, until they can be read.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from pbft.codec import encode
from pbft.context import Context
from pbft.log import MessageLog
from pbft.messages import (
    AnswerCommitment,
    AnswerReveal,
    Commit,
    Endorsement,
    Prepare,
    Proposal,
    Request,
    Seal,
    Signed,
    SlotVote,
    WireMessage,
)
from pbft.types import Epoch, ReplicaId, View

BYTES_MAX: Final = 16 * 1024 * 1024
"""For each peer. Four proposals of the greatest size; of the usual ones, more than a primary keeps
open."""


class Early:
    """`read(source, message)` reads a message again, which may keep it again."""

    def __init__(
        self, context: Context, log: MessageLog, read: Callable[[ReplicaId, WireMessage], None]
    ) -> None:
        self._context = context
        self._log = log
        self._read = read
        self._waiting: dict[ReplicaId, deque[tuple[int, WireMessage]]] = {}
        self._sizes: dict[ReplicaId, int] = {}

    def keep(self, source: ReplicaId, message: WireMessage) -> bool:
        """Whether the message is too early, and now waits."""
        if not self._is_early(message):
            return False
        waiting = self._waiting.setdefault(source, deque())
        size = len(encode(message))
        while waiting and self._sizes[source] + size > BYTES_MAX:
            self._sizes[source] -= waiting.popleft()[0]
            self._context.refuse(source, "too-early")
        waiting.append((size, message))
        self._sizes[source] = self._sizes.get(source, 0) + size
        return True

    def _is_early(self, message: WireMessage) -> bool:
        context = self._context
        match message:
            case Signed(message=Request()):
                # Not yet a member, or its ledger was lost: it may have been answered long ago.
                return not context.takes_part or context.applied < self._log.low_watermark
            case Signed(message=AnswerCommitment() | AnswerReveal() | Endorsement() as inner):
                return inner.epoch > context.epoch
            case Signed(message=Seal() as inner):
                return self._is_ahead(inner.epoch, inner.view)
            case Signed(message=Prepare() | Commit() as inner):
                return self._is_vote_ahead(inner)
            case Proposal(pre_prepare=Signed(message=inner)):
                return self._is_vote_ahead(inner)
            case _:
                return False

    def _is_ahead(self, epoch: Epoch, view: View) -> bool:
        context = self._context
        if epoch != context.epoch:
            return epoch > context.epoch
        return view > context.view or (view == context.view and not context.active)

    def _is_vote_ahead(self, vote: SlotVote) -> bool:
        """Also for a slot of the next interval, whose members are not known yet, unless it was
        taken over with the view: then a quorum has known them."""
        context = self._context
        return self._is_ahead(vote.epoch, vote.view) or (
            vote.epoch == context.epoch
            and vote.view == context.view
            and vote.sequence_number > max(context.state.interval_end, context.taken_over)
            and self._log.in_window(vote.sequence_number)
        )

    def release(self) -> None:
        """A view or an epoch was entered, or a checkpoint was reached."""
        waiting, self._waiting, self._sizes = self._waiting, {}, {}
        for source in sorted(waiting):
            for _, message in waiting[source]:
                self._read(source, message)
