"""Effects become deeds: the disk before the network, each deed in its place."""

from dataclasses import dataclass, field
from threading import get_ident
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from daemon.errors import StorageFailed
from daemon.executor import EVIDENCE_MAX, QUICK_WRITE_S, Executor
from daemon.requests import RequestBook
from daemon.roster import Roster
from pbft import digest, effects
from pbft.codec import decode, encode
from pbft.effects import Stage
from pbft.events import AnswerDeadline, CatchUp, SealGrace
from pbft.messages import DecidedSlot, EpochCertificate, Equivocation
from pbft.policy import Policy
from pbft.records import Decided, Record, RequestAccepted
from pbft.state import first_state
from pbft.types import Epoch, ReplicaId, RequestId, SequenceNumber
from tests.support.forge import D1, D2, commit, request, sign
from tests.support.founding import decide, founded
from tests.support.keyring import membership, public_key
from tests.support.stubs import StubNetwork

ID = RequestId(bytes(32))
STATE = first_state(membership(4), Policy())


@dataclass
class StubDisk:
    """A log and a ledger that note when they were written."""

    events: list[str]
    fails: bool = False
    records: list[Any] = field(default_factory=list)
    slots: dict[int, DecidedSlot] = field(default_factory=dict)
    timelines: dict[RequestId, str] = field(default_factory=dict)
    proven: list[EpochCertificate] = field(default_factory=list)

    def epochs(self, after: int = 0) -> list[EpochCertificate]:
        return self.proven[after:]

    def append(
        self, what: list[Any], timelines: Any = None, epochs: Any = (), flush: bool = True
    ) -> None:
        if self.fails:
            raise StorageFailed("The disk is full.")
        if timelines is not None:
            self.events.append("ledger")
            self.slots.update({apply.sequence_number: apply.slot for apply in what})
            self.timelines.update(timelines)
            self.proven += epochs
        else:
            self.events.append("log" if flush else "log unflushed")
            self.records += what

    def flush(self) -> None:
        self.events.append("flush")

    def replace(self, records: list[Record]) -> None:
        self.events.append("replace")
        self.records = list(records)

    def slot(self, number: int) -> DecidedSlot | None:
        return self.slots.get(number)


@dataclass
class StubWork:
    """Timers and models in one."""

    events: list[str]

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.events.append(f"{name} {type(args[0]).__name__}")


class Bench:
    """An executor with nothing real around it; `events` is everything in order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.disk = StubDisk(self.events)
        self.network = StubNetwork(self.events)
        self.work = StubWork(self.events)
        self.requests = RequestBook()
        parts: list[Any] = [self.network, self.disk, self.disk, self.work, self.work]
        self.executor = Executor(Roster(membership(4).members), *parts, self.requests)

    def perform(self, *turn: effects.Effect) -> None:
        trio.run(self.executor.perform, turn)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture(scope="module")
def slot() -> DecidedSlot:
    return decide(founded(4))


VOTE = commit(0, D1)
RECORD = RequestAccepted(sign(request()), 0)


def test_what_is_persisted_is_flushed_before_anything_is_sent(
    bench: Bench, slot: DecidedSlot
) -> None:
    """Also where the turn's later effects hold the record, and in one flush for all."""
    bench.perform(
        effects.Persist(RECORD),
        effects.Broadcast(VOTE),
        effects.Send(ReplicaId(2), VOTE),
        effects.Persist(RECORD),
        effects.Apply(SequenceNumber(1), slot, STATE),
        effects.Broadcast(VOTE),
    )
    assert bench.events == ["log", "broadcast", "send", "broadcast"]
    assert bench.disk.records == [RECORD, RECORD]


def test_what_nobody_hears_of_waits_for_the_next_flush(bench: Bench) -> None:
    """A turn in which the node says nothing is written and not flushed; whatever it says next,
    with records of its own or without, is said after a flush, and one flush is enough."""
    bench.perform(effects.Persist(RECORD))
    bench.perform(effects.Persist(RECORD))
    assert bench.events == ["log unflushed", "log unflushed"]
    bench.perform(effects.Broadcast(VOTE))
    assert bench.events[2:] == ["log", "broadcast"]
    bench.perform(effects.Broadcast(VOTE))
    assert bench.events[4:] == ["broadcast"]
    bench.perform(effects.Persist(RECORD))
    bench.perform(effects.Persist(RECORD), effects.Send(ReplicaId(2), VOTE))
    assert bench.events[5:] == ["log unflushed", "log", "send"]


def test_the_ledger_follows_with_the_next_flush_or_in_an_idle_moment(
    bench: Bench, slot: DecidedSlot
) -> None:
    """No message waits for it; the next turn's records, a pause and the end each write it, once."""
    apply = effects.Apply(SequenceNumber(1), slot, STATE)
    bench.perform(effects.Persist(RECORD), apply, effects.Broadcast(VOTE))
    bench.perform(effects.Broadcast(VOTE))
    assert bench.events == ["log", "broadcast", "broadcast"]
    bench.perform(effects.Persist(RECORD), effects.Broadcast(VOTE))
    assert bench.events[3:] == ["log", "ledger", "broadcast"]
    assert bench.disk.slots == {1: slot}
    for write_now in (lambda: trio.run(bench.executor.write_ledger), bench.executor.close):
        bench.disk.slots.clear()
        bench.perform(apply)
        assert not bench.disk.slots
        write_now()
        assert bench.disk.slots == {1: slot}
        before = list(bench.events)
        write_now()
        assert bench.events == before


def test_a_slot_that_waits_for_the_ledger_is_sent_all_the_same(
    bench: Bench, slot: DecidedSlot
) -> None:
    """A peer that is behind gets what was applied, whether it is on disk yet or not."""
    bench.perform(effects.Apply(SequenceNumber(1), slot, STATE))
    bench.perform(effects.SendLedger(ReplicaId(2), SequenceNumber(1), SequenceNumber(1), Epoch(0)))
    assert bench.disk.slots == {}
    assert bench.network.sent == [(public_key(2), encode(slot))]


def test_what_is_too_large_to_be_read_is_not_sent_and_stops_nobody(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("daemon.executor.MESSAGE_BYTES_MAX", len(encode(VOTE)) - 1)
    bench.perform(effects.Broadcast(VOTE), effects.Send(ReplicaId(2), VOTE))
    assert bench.events == []
    assert "(Commit) was not sent" in caplog.text
    monkeypatch.setattr("daemon.executor.MESSAGE_BYTES_MAX", len(encode(VOTE)))
    bench.perform(effects.Broadcast(VOTE))
    assert bench.events == ["broadcast"]


def test_a_slow_disk_gets_a_thread_and_a_quick_one_does_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the last writes took decides; a disk that recovers is trusted again."""
    clock, write_s = 0.0, QUICK_WRITE_S / 2
    threads: list[int] = []

    def append(_records: list[Any], **_: bool) -> None:
        nonlocal clock
        clock += write_s
        threads.append(get_ident())

    monkeypatch.setattr("daemon.executor.time", SimpleNamespace(monotonic=lambda: clock))
    monkeypatch.setattr(bench.disk, "append", append)
    bench.perform(effects.Persist(RECORD))
    bench.perform(effects.Persist(RECORD))
    assert threads == [get_ident()] * 2
    write_s = 100 * QUICK_WRITE_S
    bench.perform(effects.Persist(RECORD))  # nobody could know
    threads.clear()
    bench.perform(effects.Persist(RECORD))
    assert get_ident() not in threads
    write_s = QUICK_WRITE_S / 2
    for _ in range(100):
        bench.perform(effects.Persist(RECORD))
    assert threads[-1] == get_ident()


def test_a_disk_that_fails_silences_the_node(bench: Bench, slot: DecidedSlot) -> None:
    """Nothing is sent, nobody is told an answer, no timer starts."""
    bench.disk.fails = True
    with pytest.raises(StorageFailed):
        bench.perform(
            effects.ArmTimer(CatchUp(), 1),
            effects.Broadcast(VOTE),
            effects.Persist(RECORD),
            effects.Send(ReplicaId(1), VOTE),
            effects.Reply(ID, slot, 0, final=True),
            effects.Progress(ID, Stage.ACCEPTED, ReplicaId(0)),
        )
    assert bench.events == []
    assert bench.requests.get(ID) is None


def test_a_turn_without_records_does_not_touch_the_disk(bench: Bench) -> None:
    """A vote that repeats what is on disk costs no flush."""
    bench.perform(effects.Broadcast(VOTE))
    assert bench.events == ["broadcast"]


def test_messages_leave_as_the_bytes_that_peers_decode(bench: Bench) -> None:
    """To all, or to the one member whose key stands in the member list."""
    bench.perform(effects.Broadcast(VOTE), effects.Send(ReplicaId(3), VOTE))
    assert [decode(frame) for frame in bench.network.broadcasts] == [VOTE]
    assert bench.network.sent == [(public_key(3), encode(VOTE))]


def test_a_message_to_nobody_is_dropped(bench: Bench) -> None:
    """A replica number that is nobody's comes from a peer's message and must not raise."""
    bench.perform(effects.Send(ReplicaId(77), VOTE))
    assert bench.events == []


def test_timers_and_models_get_their_effects(bench: Bench) -> None:
    """Cancelling an answer's deadline also stops the model, since nobody needs the answer."""
    asked = request()
    bench.perform(
        effects.ArmTimer(SealGrace(ID, 0), 5),
        effects.RunInference(ID, 0, asked, 300),
        effects.CompareAnswers(ID, 0, D1, "q", ()),
        effects.CancelTimer(SealGrace(ID, 0)),
        effects.CancelTimer(AnswerDeadline(ID, 0)),
    )
    assert bench.events == [
        "arm SealGrace",
        "infer RunInference",
        "compare CompareAnswers",
        "cancel SealGrace",
        "cancel AnswerDeadline",
        "stop_inference bytes",
    ]


def test_a_reply_finishes_the_request_and_keeps_its_timeline(
    bench: Bench, slot: DecidedSlot
) -> None:
    """Whoever waits is woken after the flush; the time line goes where the slot goes."""
    request_id = digest.request_id(slot.batch[0].request.message)
    bench.perform(
        effects.Progress(request_id, Stage.ACCEPTED, ReplicaId(0)),
        effects.Progress(request_id, Stage.DECIDED, ReplicaId(0)),
        effects.Reply(request_id, slot, 0, final=True),
        effects.Apply(SequenceNumber(1), slot, STATE),
        effects.Persist(Decided(slot)),
    )
    trio.run(bench.executor.write_ledger)
    assert bench.events == ["log", "ledger"]
    assert bench.disk.slots == {1: slot}
    state = bench.requests.get(request_id)
    assert state is not None
    assert state.attempts == [(slot, 0)]
    assert state.finished.is_set()
    assert '"decided"' in bench.disk.timelines[request_id]


def test_the_ledger_is_sent_slot_by_slot(bench: Bench, slot: DecidedSlot) -> None:
    """What the ledger does not have is left out."""
    bench.disk.slots[1] = slot
    bench.perform(effects.SendLedger(ReplicaId(2), SequenceNumber(1), SequenceNumber(3), Epoch(0)))
    assert bench.network.sent == [(public_key(2), encode(slot))]


def test_refusals_are_counted_and_rejections_told(bench: Bench) -> None:
    """By peer and reason, for the status."""
    bench.perform(
        effects.Refused(ReplicaId(1), "signature"),
        effects.Refused(ReplicaId(1), "signature"),
        effects.Rejected(ID, "too many"),
    )
    assert dict(bench.executor.seen.refused) == {(1, "signature"): 2}
    state = bench.requests.get(ID)
    assert state is not None
    assert state.rejected == "too many"


def test_evidence_is_kept_once_and_bounded(bench: Bench) -> None:
    """A liar that lies in every slot does not fill the memory."""
    for number in range(1, EVIDENCE_MAX + 10):
        lie = Equivocation(
            sign_vote(number, D1),
            sign_vote(number, D2),
        )
        bench.perform(effects.Report(lie), effects.Report(lie))
        if number == 5:
            assert len(bench.executor.seen.evidence) == 5
    assert len(bench.executor.seen.evidence) == EVIDENCE_MAX


def sign_vote(number: int, of: Any) -> Any:
    vote = commit(1, of, 1)
    return type(vote)(
        type(vote.message)(
            vote.message.network,
            vote.message.epoch,
            vote.message.view,
            SequenceNumber(number),
            vote.message.digest,
            vote.message.replica,
        ),
        vote.signature,
    )


def test_a_compacted_log_holds_what_came_with_it_and_after(bench: Bench, slot: DecidedSlot) -> None:
    """The ledger is on disk for good before the log forgets, and records of later steps of the same
    turn are not lost."""
    live = RequestAccepted(sign(request(number=7)), 0)
    later = RequestAccepted(sign(request(number=8)), 0)
    bench.perform(
        effects.Persist(RECORD),
        effects.Apply(SequenceNumber(1), slot, STATE),
        effects.Compact((live,)),
        effects.Persist(later),
        effects.Broadcast(VOTE),
    )
    assert bench.events == ["ledger", "flush", "replace", "broadcast"]
    assert bench.disk.records == [live, later]
