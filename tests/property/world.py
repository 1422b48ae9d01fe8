"""Four replicas and one more, a pool of messages, and everything that may go wrong with them.

The machine in `test_agreement` decides what happens; this module lets it happen and checks, after
every effect, what must hold whatever happens.
"""

from collections import Counter
from dataclasses import dataclass, field

from pbft import digest, effects, events
from pbft.certificate import certify, verify
from pbft.codec import decode, encode
from pbft.context import Configuration
from pbft.evidence import accused
from pbft.execution import Tip
from pbft.item import Rules, check_item
from pbft.log import WINDOW
from pbft.membership import Change
from pbft.messages import (
    Accusation,
    Answer,
    DecidedSlot,
    EpochCertificate,
    Item,
    Kind,
    Request,
    WireMessage,
    items,
)
from pbft.policy import Policy
from pbft.records import AnswerDrawn, Decided, Forgot, Record, RequestAccepted
from pbft.replica import Replica
from pbft.state import State
from pbft.types import Digest, ReplicaId, RequestId
from simulator.statements import topic_of
from tests.support.cluster import NETWORK, answer, same_first_word
from tests.support.keyring import QuickKeyring, quick_membership
from tests.support.statements import statements

N = 4
JOINER = 4
MEMBERS = quick_membership(N)
HEALED_MS = 900_000
"""So long the world is watched after the last fault."""

Event = events.Event


@dataclass
class Process:
    """One running replica. A Byzantine replica may run as several, with one key (twins)."""

    me: ReplicaId
    voice: str
    """The first word of its model's answers."""
    honest: bool = True
    replica: Replica | None = None
    policy: Policy = field(default_factory=Policy)
    memories: int = 1
    """How often it began to remember what it signed."""
    log: list[Record] = field(default_factory=list)
    ledger: dict[int, DecidedSlot] = field(default_factory=dict)
    state: State | None = None
    epochs: list[EpochCertificate] = field(default_factory=list)
    final: dict[RequestId, Request] = field(default_factory=dict)
    """Requests whose last attempt is decided."""
    timers: dict[events.Timer, int] = field(default_factory=dict)
    """Armed timers, and when they are due."""
    asked: list[RequestId] = field(default_factory=list)
    """Questions of its users that it logged."""
    applied: Counter[RequestId] = field(default_factory=Counter)
    """Last attempts at requests."""
    work: list[Event] = field(default_factory=list)
    """Finished jobs of model and embedder, and user's questions, yet to be delivered."""

    @property
    def tip(self) -> Tip:
        requests = tuple(self.final.values())
        return Tip(self.state, requests, self.epochs[-1] if self.epochs else None)


@dataclass(frozen=True)
class Letter:
    """A message on its way to one process."""

    source: ReplicaId
    target: int
    frame: bytes


class World:
    """`processes[i]` is replica i for i < 4; a twin of the Byzantine replica comes fifth."""

    def __init__(self, byzantine: int | None = None, policy: Policy | None = None) -> None:
        self.byzantine = byzantine
        self.policy = policy or Policy()
        self.rules = {0: Rules(NETWORK, MEMBERS, self.policy, QuickKeyring(0))}
        """By epoch."""
        self.now_ms = 0
        """Stands still while anything may happen at any time; moves in `heal`."""
        self.processes = [
            Process(ReplicaId(i), "Paris", i != byzantine, policy=self.policy) for i in range(N)
        ]
        if byzantine is not None:
            twin = Process(ReplicaId(byzantine), "Lyon", honest=False, policy=self.policy)
            self.processes.append(twin)
        self.pool: list[Letter] = []
        self.questions = 0
        self.decided: dict[int, Digest] = {}
        self.states: dict[int, State] = {}
        self.slot_of: dict[tuple[RequestId, int], int] = {}
        self.drawn: dict[tuple[ReplicaId, RequestId, int], dict[int, Answer]] = {}
        """One answer to each attempt, for each memory."""
        self.said: dict[tuple[object, ...], object] = {}
        for number in range(len(self.processes)):
            self.start(number)

    # --- what may happen -----------------------------------------------------------------------

    def start(self, number: int) -> None:
        process = self.processes[number]
        process.replica = Replica(
            Configuration(NETWORK, QuickKeyring.public_key(process.me), MEMBERS, self.policy),
            QuickKeyring(process.me),
            tuple(process.log),
            process.tip,
        )
        self.step(number, events.Started())

    def join(self) -> None:
        """A further node, which is no member yet."""
        self.processes.append(Process(ReplicaId(JOINER), "Paris", policy=self.policy))
        self.start(len(self.processes) - 1)

    def endorse(self, change: Change) -> None:
        """All operators want it."""
        for number, process in enumerate(self.processes):
            if process.honest:
                self.step(number, events.ChangeEndorsed(change))

    def forget(self, number: int, salt: bytes, *, disk: bool) -> None:
        """Its log is damaged, or its whole disk lost."""
        process = self.processes[number]
        self.crash(number)
        process.log[:] = [Forgot(salt)]
        process.asked.clear()
        if disk:
            process.ledger.clear()
            process.epochs.clear()
            process.final.clear()
            process.applied.clear()
            process.state = None
        process.memories += 1
        self.start(number)

    def crash(self, number: int) -> None:
        process = self.processes[number]
        process.replica = None
        process.timers.clear()
        process.work.clear()
        self.pool = [letter for letter in self.pool if letter.target != number]

    def ask(self, number: int) -> None:
        self.questions += 1
        request = Request(
            network=NETWORK,
            replica=self.processes[number].me,
            number=self.questions,
            kind=Kind.TEXT,
            prompt=f"Question {self.questions}?",
            language="",
            max_tokens=8,
            timeout_ms=10_000,
        )
        self.step(number, events.Submitted(request))

    def deliver(self, letter: Letter) -> None:
        message = decode(letter.frame)
        self.step(letter.target, events.Received(letter.source, message))

    def busy(self) -> list[int]:
        """Processes whose model or embedder has a result."""
        return [number for number, process in enumerate(self.processes) if process.work]

    def down(self) -> list[int]:
        return [number for number, process in enumerate(self.processes) if not process.replica]

    def finish_work(self, pick: int, effects_max: int | None = None) -> None:
        if busy := self.busy():
            number = busy[pick % len(busy)]
            work = self.processes[number].work
            self.step(number, work.pop(pick % len(work)), effects_max)

    def connect(self, one: int, other: int) -> None:
        """A connection comes up; either side may be any process of its replica."""
        for here, there in ((one, other), (other, one)):
            self.step(here, events.PeerUp(self.processes[there].me))

    def step(self, number: int, event: Event, effects_max: int | None = None) -> None:
        """`effects_max`: the process crashes after that many effects."""
        process = self.processes[number]
        if process.replica is None:
            return
        found = process.replica.step(event)
        for effect in found[:effects_max]:
            self._perform(process, number, effect)
        if effects_max is not None:
            self.crash(number)
        elif process.honest:
            self._check_bounds(process.replica)

    def send(self, source: ReplicaId, target: ReplicaId, message: WireMessage) -> None:
        """To every process of `target`."""
        frame = encode(message)
        self.pool += [
            Letter(source, number, frame)
            for number, process in enumerate(self.processes)
            if process.me == target and process.replica is not None
        ]

    def _perform(  # noqa: C901  # one case for each effect
        self, process: Process, number: int, effect: effects.Effect
    ) -> None:
        match effect:
            case effects.Persist(record):
                self._note_record(process, record)
            case effects.Broadcast() | effects.Send():
                self._post(process, effect)
            case effects.Compact(records):
                process.log[:] = records
            case effects.ArmTimer(timer, delay_ms):
                process.timers[timer] = self.now_ms + delay_ms
            case effects.CancelTimer(timer):
                process.timers.pop(timer, None)
            case effects.RunInference() | effects.CompareAnswers():
                process.work.append(self._do_work(process, effect))
            case effects.Reply(request_id, slot, index, final):
                if final:
                    entry = slot.batch[index]
                    assert isinstance(entry, Item)
                    process.final[request_id] = entry.request.message
                if process.honest:
                    self._check_decided(slot)
            case effects.Apply(sequence_number, slot, state):
                self._note_slot(process, sequence_number, slot, state)
            case effects.RecordEpoch(certificate):
                if certificate.membership.epoch > len(process.epochs):
                    process.epochs.append(certificate)
            case effects.SendLedger(replica, first, last, proven):
                for certificate in process.epochs[proven:]:
                    self.send(process.me, replica, certificate)
                for i in range(first, last + 1):
                    self.send(process.me, replica, process.ledger[i])
            case effects.Report(evidence) if process.honest:
                assert accused(evidence) == self.byzantine, "an honest replica is accused"
            case _:
                pass

    def _note_slot(
        self, process: Process, sequence_number: int, slot: DecidedSlot, state: State
    ) -> None:
        assert sequence_number == len(process.ledger) + 1, "a gap in the ledger"
        process.ledger[sequence_number] = slot
        process.state = state
        epoch = state.membership.epoch
        rules = state.rules(NETWORK, QuickKeyring(0))
        known = self.rules.setdefault(epoch, rules)
        assert (known.membership, known.policy) == (rules.membership, rules.policy)
        assert self.states.setdefault(sequence_number, state) == state, "two states"
        process.applied.update(
            request_id
            for _, item in items(slot.batch)
            if (request_id := digest.request_id(item.request.message)) in process.final
            and state.attempts(request_id) == 0
        )

    def _post(self, process: Process, effect: effects.Broadcast | effects.Send) -> None:
        if process.honest:
            self._check_said(process.me, effect.message)
        if isinstance(effect, effects.Send):
            self.send(process.me, effect.replica, effect.message)
            return
        for other in sorted({p.me for p in self.processes} - {process.me}):
            self.send(process.me, other, effect.message)

    def _do_work(
        self, process: Process, effect: effects.RunInference | effects.CompareAnswers
    ) -> Event:
        if isinstance(effect, effects.CompareAnswers):
            measured = same_first_word(effect.texts)
            return events.AnswersCompared(
                effect.request_id, effect.attempt, effect.answers, *measured
            )
        # Each call to a model gives other words.
        process.voice += "!"
        words = f"{process.voice.rstrip('!')} {len(process.voice)}"
        salt = bytes([process.me, len(process.voice) % 256]) * 16
        return events.AnswerReady(effect.request_id, effect.attempt, answer(words), salt)

    def _note_record(self, process: Process, record: Record) -> None:
        process.log.append(record)
        if not process.honest:
            return
        if isinstance(record, RequestAccepted):
            if record.request.message.replica == process.me:
                process.asked.append(digest.request_id(record.request.message))
        elif isinstance(record, AnswerDrawn):
            key = process.me, record.request_id, record.attempt
            answers = self.drawn.setdefault(key, {})
            said = answers.setdefault(process.memories, record.answer)
            assert said == record.answer, "asked twice"
        elif isinstance(record, Decided):
            self._check_decided(record.slot)

    # --- what must hold ------------------------------------------------------------------------

    def _check_said(self, me: ReplicaId, message: WireMessage) -> None:
        """What others said may be passed on; what it says itself, it says once."""
        for said in statements([message]):
            question = topic_of(said)
            if question is not None and said.replica == me:
                first = self.said.setdefault(question, said)
                assert first == said, f"an honest equivocation: {first} and {said}"

    def _check_decided(self, slot: DecidedSlot) -> None:
        """Agreement, integrity and validity of one decision, by what anyone can check."""
        number = slot.sequence_number
        of = digest.digest_of(slot.batch)
        if self.decided.setdefault(number, of) != of:
            raise AssertionError(f"two decisions for slot {number}")
        for entry in slot.batch:
            if isinstance(entry, Accusation):
                assert accused(entry.evidence) == self.byzantine, "an honest replica is accused"
        for index, item in items(slot.batch):
            rules = self.rules[slot.commits[0].message.epoch]
            request_id = check_item(item, rules)
            key = (request_id, item.attempt)
            assert self.slot_of.setdefault(key, number) == number, "decided twice"
            verify(certify(slot, index), rules)
            for reveal in item.reveals:
                replica, said = reveal.message.replica, reveal.message.answer
                if replica != self.byzantine:
                    answers = self.drawn[replica, *key].values()
                    assert said in answers, "words put into a mouth"
            said_by = [reveal.message.replica for reveal in item.reveals]
            assert len(set(said_by) - {self.byzantine}) >= 2
            if item.outcome.representative is not None:
                assert item.outcome.representative in said_by
                winners = item.outcome.clusters[0]
                assert set(winners) - {self.byzantine}, "nobody honest stands behind it"

    def _check_bounds(self, replica: Replica) -> None:
        attempts = self.questions * self.policy.attempts_max
        assert len(list(replica._observation._rounds)) <= attempts
        assert len(list(replica._normal_case._log)) <= WINDOW

    def check_ledgers(self) -> None:
        """Ledgers have no gaps and are prefixes of each other."""
        honest = [process for process in self.processes if process.honest]
        longest = max((process.ledger for process in honest), key=len)
        for process in honest:
            assert list(process.ledger) == list(range(1, len(process.ledger) + 1))
            for number, slot in process.ledger.items():
                assert slot.batch == longest[number].batch

    # --- and in the end ------------------------------------------------------------------------

    def heal(self, gone: int | None = None) -> None:
        """All faults stop, and time passes; Byzantine replicas and `gone` fall silent for good."""
        live = [i for i, p in enumerate(self.processes) if p.honest and i != gone]
        silent = [i for i in range(len(self.processes)) if i not in live]
        for number in silent:
            self.crash(number)
        for number in live:
            if self.processes[number].replica is None:
                self.start(number)
        self._drain()
        for one in live:
            for number in silent:
                self.step(one, events.PeerDown(self.processes[number].me))
            for other in live:
                if one < other:
                    self.connect(one, other)
        self._drain()
        end_ms = self.now_ms + HEALED_MS
        while self.now_ms < end_ms and self.undecided():
            due_ms, number, timer = min(
                (
                    (due_ms, number, timer)
                    for number in live
                    for timer, due_ms in self.processes[number].timers.items()
                ),
                key=lambda entry: entry[:2],
            )
            self.now_ms = max(self.now_ms, due_ms)
            del self.processes[number].timers[timer]
            self.step(number, events.TimerFired(timer))
            self._drain()

    def _drain(self) -> None:
        for _ in range(20_000):
            if self.pool:
                self.deliver(self.pool.pop(0))
            elif self.busy():
                self.finish_work(0)
            else:
                return
        raise AssertionError("no end of messages")

    def undecided(self) -> list[str]:
        """Live honest replicas that have not applied every question, asked and logged by one of
        them, exactly once, or have not as many slots as the others."""
        live = [process for process in self.processes if process.honest and process.replica]
        asked = {request_id for process in live for request_id in process.asked}
        found = []
        for process in live:
            missing = [request_id for request_id in asked if process.applied[request_id] != 1]
            if missing:
                found.append(f"R{process.me} did not apply {len(missing)} questions")
            if len(process.ledger) != len(live[0].ledger):
                found.append(f"R{process.me} has applied {len(process.ledger)} slots")
            if process.state and len(process.epochs) != process.state.membership.epoch:
                found.append(f"R{process.me} has {len(process.epochs)} proofs")
        return found
