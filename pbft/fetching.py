"""Fetching batches of which only the digest is known: a new view names what it takes over by it,
and not every replica has seen every proposal of the views before.

Upon being asked for a batch that it has, a replica sends it; to each peer once until its next look
at the ledger (`execution`), the peer's next connection or the next view, because the question is
small and the answer may be a whole frame. An answer that is lost is asked for again until then.
"""

from collections.abc import Callable

from pbft import digest
from pbft.context import Context
from pbft.effects import ArmTimer, CancelTimer, Send
from pbft.events import BatchesDue
from pbft.log import MessageLog, Slot
from pbft.messages import BatchContent, BatchWanted
from pbft.types import Digest, ReplicaId

RETRY_MS = 500


class Fetching:
    """`on_content(slot)` is called when the batch of a slot has come."""

    def __init__(
        self, context: Context, log: MessageLog, on_content: Callable[[Slot], None]
    ) -> None:
        self._context = context
        self._log = log
        self._on_content = on_content
        self._fetching = False
        self._sent: set[tuple[ReplicaId, Digest]] = set()
        """Who was sent which batch lately."""

    def fetch(self) -> None:
        """Asks everybody for what is missing, and again until it is here."""
        missing = [slot for slot in self._log if slot.lacks_batch]
        for slot in missing:
            if slot.digest is not None:
                self._context.broadcast(BatchWanted(slot.digest))
        self._fetching = bool(missing)
        if missing:
            self._context.emit(ArmTimer(BatchesDue(), RETRY_MS))

    def on_due(self) -> None:
        if self._fetching:
            self.fetch()

    def on_wanted(self, source: ReplicaId, wanted: BatchWanted) -> None:
        batch = self._log.content(wanted.digest)
        if batch is not None and (source, wanted.digest) not in self._sent:
            self._sent.add((source, wanted.digest))
            self._context.emit(Send(source, BatchContent(batch)))

    def send_again(self, replica: ReplicaId | None = None) -> None:
        """What was sent to this replica, or to all, may be lost by now."""
        self._sent = {sent for sent in self._sent if replica not in (None, sent[0])}

    def on_content(self, source: ReplicaId, content: BatchContent) -> None:
        """Upon receiving a batch that some slot lacks; the digest proves it, whoever sends it."""
        known = digest.digest_of(content.batch)
        wanted = [slot for slot in self._log if slot.lacks_batch and slot.digest == known]
        if not wanted:
            self._context.refuse(source, "batch-unwanted")
        for slot in wanted:
            slot.contents[known] = content.batch
            self._on_content(slot)

    def stop(self) -> None:
        """The slots are gone."""
        self._fetching = False
        self._sent.clear()
        self._context.emit(CancelTimer(BatchesDue()))
