"""Messages that come too early: of a view or an epoch not entered yet, or of a slot beyond a
checkpoint that is not reached yet. They wait, within a bound for each peer, until they can be read.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from pbft.codec import encode
from pbft.context import Context
from pbft.log import MessageLog
from pbft.messages import (
    AnswerCommitment,
    AnswerReveal,
    Commit,
    Endorsement,
    Prepare,
    PrePrepare,
    Proposal,
    Request,
    Seal,
    Signed,
    SlotVote,
    WireMessage,
)
from pbft.types import ReplicaId

BYTES_MAX: Final = 16 * 1024 * 1024
"""For each peer. Four proposals of the greatest size; of the usual ones, more than a primary keeps
open."""

MESSAGES_MAX: Final = 2_048
"""For each peer. A window of slots has 256 proposals and 512 votes; the rest is for seals and for
what a new epoch brings. All of them are read in one step, which must not take seconds."""


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
        self._tests: dict[type, Callable[[Any], bool]] = {
            Request: lambda _: self._is_request_early(),
            AnswerCommitment: lambda inner: inner.epoch > context.epoch,
            AnswerReveal: lambda inner: inner.epoch > context.epoch,
            Endorsement: lambda inner: inner.epoch > context.epoch,
            Seal: self._is_seal_early,
            PrePrepare: self._is_vote_early,
            Prepare: self._is_vote_early,
            Commit: self._is_vote_early,
        }

    def keep(self, source: ReplicaId, message: WireMessage) -> bool:
        """Whether the message is too early, and now waits."""
        if isinstance(message, Proposal):
            inner: object = message.pre_prepare.message
        else:
            inner = message.message if isinstance(message, Signed) else message
        is_early = self._tests.get(type(inner))
        if is_early is None or not is_early(inner):
            return False
        waiting = self._waiting.setdefault(source, deque())
        size = len(encode(message))
        while waiting and (len(waiting) >= MESSAGES_MAX or self._sizes[source] + size > BYTES_MAX):
            self._sizes[source] -= waiting.popleft()[0]
            self._context.refuse(source, "too-early")
        waiting.append((size, message))
        self._sizes[source] = self._sizes.get(source, 0) + size
        return True

    def _is_request_early(self) -> bool:
        """Not yet a member, or its ledger was lost: it may have been answered long ago."""
        return not self._context.takes_part or self._context.applied < self._log.low_watermark

    def _is_seal_early(self, seal: Seal) -> bool:
        context = self._context
        if seal.epoch != context.epoch:
            return seal.epoch > context.epoch
        if not context.takes_part:
            return False  # nothing of this epoch is for us
        return seal.view > context.view or (seal.view == context.view and not context.active)

    def _is_vote_early(self, vote: SlotVote) -> bool:
        """Also for a slot of the next interval, whose members are not known yet, unless it was
        taken over with the view: then a quorum has known them."""
        context = self._context
        if vote.epoch != context.epoch:
            return vote.epoch > context.epoch
        if not context.takes_part:
            return False
        if vote.view != context.view:
            return vote.view > context.view
        return not context.active or (
            vote.sequence_number > max(context.interval_end, context.taken_over)
            and self._log.in_window(vote.sequence_number)
        )

    def release(self) -> None:
        """A view or an epoch was entered, or a checkpoint was reached."""
        waiting, self._waiting, self._sizes = self._waiting, {}, {}
        for source in sorted(waiting):
            for _, message in waiting[source]:
                self._read(source, message)
