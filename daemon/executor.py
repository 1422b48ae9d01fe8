"""Performs the replica's effects: the disk, the network, timers and models.

All effects of one turn come together. Records are written first, with one flush for all of them
before anything is said;
then the rest happens in order. That keeps every `Persist` before the messages that depend on it,
and lets many decisions share a flush (group commit).

The ledger follows: what was applied is written with the next turn's records, or when there is
nothing else to do. No message depends on it, and after a crash the log brings back what it lacks.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import trio

from daemon.ledger import Ledger
from daemon.modelwork import ModelWork
from daemon.recordlog import RecordLog
from daemon.requests import RequestBook
from daemon.roster import Roster
from daemon.timers import Timers
from p2p.network import PeerNetwork
from pbft import effects
from pbft.codec import encode
from pbft.events import AnswerDeadline, Timer
from pbft.evidence import accused, kind_of
from pbft.messages import EpochCertificate, Evidence, Signed, WireMessage
from pbft.records import Record
from pbft.types import MESSAGE_BYTES_MAX, ReplicaId, RequestId, SequenceNumber

log = logging.getLogger("qnode.consensus")

EVIDENCE_MAX = 1_024

SPOKEN = (effects.Broadcast, effects.Send, effects.Reply)
"""What others hear or users see. Whatever a node has heard and not spoken of since may be lost in a
crash: it is written, and waits for the flush of a later turn."""

QUICK_WRITE_S = 0.01
"""A write that usually takes less is done at once: to hand it to a thread would cost as much. A
slower disk must not hold up everything else, and gets a thread."""
_WRITES_REMEMBERED = 8


@dataclass(slots=True)
class Observations:
    """Counters and findings that people may look at."""

    refused: Counter[tuple[ReplicaId, str]]
    evidence: list[Evidence]


class Executor:
    """Everything that a replica may ask for."""

    def __init__(
        self,
        roster: Roster,
        network: PeerNetwork,
        record_log: RecordLog,
        ledger: Ledger,
        timers: Timers,
        models: ModelWork,
        requests: RequestBook,
    ) -> None:
        self._roster = roster
        self._network = network
        self._record_log = record_log
        self._ledger = ledger
        self._timers = timers
        self._models = models
        self._requests = requests
        self._applied: list[effects.Apply] = []
        self._timelines: list[tuple[RequestId, str]] = []
        self._unflushed = False
        """Records were written that no flush has followed."""
        self._write_s = 0.0
        """What a write takes, averaged over the last few."""
        self.seen = Observations(Counter(), [])
        self.retired = trio.Event()
        """This node has left the network, and the others need it no more."""
        self.on_change_noted: Callable[[effects.ChangeNoted], None] = lambda _: None

    async def perform(self, turn: Sequence[effects.Effect]) -> None:
        """Performs the effects of one turn; raises `StorageFailed` before anything is sent."""
        compacted: tuple[Record, ...] | None = None
        records: list[Record] = []
        epochs: list[EpochCertificate] = []
        for effect in turn:
            match effect:
                case effects.Persist(record):
                    records.append(record)
                case effects.Compact(live):
                    compacted = live  # holds all that matters of the records before it
                    records.clear()
                case effects.RecordEpoch(certificate):
                    epochs.append(certificate)
        speaks = any(isinstance(effect, SPOKEN) for effect in turn)
        if compacted is not None:
            await trio.to_thread.run_sync(self._compact_now, turn, compacted, records, epochs)
        elif records or epochs or (speaks and self._unflushed):
            await self._write(self._write_now, records, epochs, speaks)
        for effect in turn:
            self._perform(effect)

    async def write_ledger(self) -> None:
        """Writes what was applied and not written yet; raises `StorageFailed`."""
        if self._applied or self._timelines:
            await self._write(self._write_ledger_now)

    async def _write(self, write: Callable[..., None], *args: Any) -> None:
        began = time.monotonic()
        if self._write_s < QUICK_WRITE_S:
            write(*args)
        else:
            await trio.to_thread.run_sync(write, *args)
        self._write_s += (time.monotonic() - began - self._write_s) / _WRITES_REMEMBERED

    def _write_now(
        self, records: list[Record], epochs: list[EpochCertificate], speaks: bool
    ) -> None:
        if records or (speaks and self._unflushed):
            self._record_log.append(records, flush=speaks)
            self._unflushed = not speaks
        self._write_ledger_now(epochs)

    def _compact_now(
        self,
        turn: Sequence[effects.Effect],
        compacted: tuple[Record, ...],
        records: list[Record],
        epochs: list[EpochCertificate],
    ) -> None:
        """The ledger goes first: the log is about to forget what the ledger must hold."""
        self._applied += [effect for effect in turn if isinstance(effect, effects.Apply)]
        self._write_ledger_now(epochs)
        self._ledger.flush()
        self._record_log.replace([*compacted, *records])
        self._unflushed = False

    def _write_ledger_now(self, epochs: Sequence[EpochCertificate] = ()) -> None:
        applied, self._applied = self._applied, []
        timelines, self._timelines = self._timelines, []
        if applied or timelines or epochs:
            self._ledger.append(applied, timelines, epochs)

    def close(self) -> None:
        """At the end, when nothing is performed any more: nothing waits in memory."""
        self._write_ledger_now()

    def _perform(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Broadcast(message):
                if frame := _frame(message):
                    self._network.broadcast(frame)
            case effects.Send(replica, message):
                self._send(replica, message)
            case effects.ArmTimer(timer, delay_ms):
                self._timers.arm(timer, delay_ms)
            case effects.CancelTimer(timer):
                self._cancel(timer)
            case effects.RunInference():
                self._models.infer(effect)
            case effects.CompareAnswers():
                self._models.compare(effect)
            case effects.Reply():
                timeline = self._requests.on_reply(effect)
                self._timelines.append((effect.request_id, timeline))
            case effects.Apply():
                self._applied.append(effect)
            case effects.SendLedger():
                self._send_ledger(effect)
            case effects.MembersChanged(members):
                self._roster.update(members)
                self._network.set_members(self._roster.peers())
            case _:
                self._tell(effect)

    def _tell(self, effect: effects.Effect) -> None:
        """What only people want to know."""
        match effect:
            case effects.Progress():
                self._requests.on_progress(effect)
            case effects.Rejected(request_id, reason):
                self._requests.on_rejected(request_id, reason)
            case effects.Refused(source, reason):
                self.seen.refused[source, reason] += 1
                log.debug("refused a message of replica %d: %s", source, reason)
            case effects.Report(evidence):
                self._report(evidence)
            case effects.ChangeNoted():
                self.on_change_noted(effect)
            case effects.Retired():
                self.retired.set()

    def _send(self, replica: ReplicaId, message: WireMessage) -> None:
        public_key = self._roster.public_key(replica)
        if public_key is not None and (frame := _frame(message)):
            self._network.send(public_key, frame)

    def _cancel(self, timer: Timer) -> None:
        self._timers.cancel(timer)
        if isinstance(timer, AnswerDeadline):
            self._models.stop_inference(timer.request_id, timer.attempt)

    def _send_ledger(self, wanted: effects.SendLedger) -> None:
        for certificate in self._ledger.epochs(after=wanted.proven)[: effects.EPOCHS_AT_ONCE_MAX]:
            self._send(wanted.replica, certificate)
        waiting = {apply.sequence_number: apply.slot for apply in self._applied}
        for number in range(wanted.first, wanted.last + 1):
            slot = waiting.get(SequenceNumber(number)) or self._ledger.slot(number)
            if slot is not None:
                self._send(wanted.replica, slot)

    def _report(self, evidence: Evidence) -> None:
        log.warning(
            "%s is proven faulty: %s", self._roster.name(accused(evidence)), kind_of(evidence)
        )
        if len(self.seen.evidence) < EVIDENCE_MAX and evidence not in self.seen.evidence:
            self.seen.evidence.append(evidence)


def _frame(message: WireMessage) -> bytes | None:
    """None if nobody would read it: a lost message is made good, a dead node is not."""
    frame = encode(message)
    if len(frame) <= MESSAGE_BYTES_MAX:
        return frame
    log.error(
        "a message of %d bytes (%s) was not sent: at most %d are read",
        len(frame),
        type(message.message if isinstance(message, Signed) else message).__name__,
        MESSAGE_BYTES_MAX,
    )
    return None
