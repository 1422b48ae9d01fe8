"""Replicas in one process with a network that a test controls.

Messages between any two replicas stay in order, as on a connection, and take no time; nothing is
lost unless a test says so. Nodes may join, leave and come back with another key; node i is always
the one that is, or will be, replica i. The clock moves only in `settle`, from one timer to the
next, and a test may fire timers early. Answers and similarities are given by the test.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import combinations, permutations
from typing import Any

from pbft import digest, effects, events
from pbft.codec import decode, encode
from pbft.context import Configuration
from pbft.execution import Tip
from pbft.membership import Change
from pbft.messages import (
    Answer,
    DecidedSlot,
    EpochCertificate,
    Finish,
    Height,
    Kind,
    LedgerWanted,
    Request,
    Signed,
    WireMessage,
    items,
)
from pbft.outcome import Contradiction
from pbft.policy import Policy
from pbft.records import Record
from pbft.replica import GENESIS, Replica
from pbft.state import State
from pbft.types import ReplicaId, RequestId
from tests.support.keyring import keyring, membership, public_key

NETWORK = bytes(range(32))
STEPS_MAX = 100_000
QUIET_MS = 6_000
"""Longer than between two heights: if nothing else was sent for so long, nothing will be."""

Compare = Callable[[tuple[str, ...]], tuple[tuple[int, ...], tuple[Contradiction, ...]]]
Drop = Callable[[ReplicaId, ReplicaId, object], bool]
Draw = Callable[[str], Answer]
Watch = Callable[[ReplicaId, effects.Effect], None]


def answer(text: str, finish: Finish = Finish.STOP, model: str = "model") -> Answer:
    return Answer(text=text, finish=finish, model=model, output_tokens=1, elapsed_ms=10)


def same_first_word(
    answers: tuple[str, ...],
) -> tuple[tuple[int, ...], tuple[Contradiction, ...]]:
    """Answers that begin alike mean the same: 9600, else 3000."""
    return tuple(
        9_600 if a.split()[0] == b.split()[0] else 3_000 for a, b in combinations(answers, 2)
    ), ()


@dataclass
class Node:
    replica: Replica
    key: int
    """Number of its key (`tests.support.keyring`)."""
    wanted: frozenset[bytes]
    """Keys of those with whom its driver is connected, besides whoever calls."""
    log: list[Record] = field(default_factory=list)
    ledger: dict[int, DecidedSlot] = field(default_factory=dict)
    state: State | None = None
    epochs: list[EpochCertificate] = field(default_factory=list)
    """What the driver keeps of `RecordEpoch`."""
    noted: list[effects.ChangeNoted] = field(default_factory=list)
    retired: bool = False
    timers: dict[events.Timer, int] = field(default_factory=dict)
    """Armed timers, and when they are due."""
    replies: dict[RequestId, effects.Reply] = field(default_factory=dict)
    final: set[RequestId] = field(default_factory=set)
    """Requests whose last attempt is decided, as the ledger keeps it."""
    attempts: dict[RequestId, list[effects.Reply]] = field(default_factory=dict)
    evidence: list[object] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    stages: list[tuple[effects.Stage, int]] = field(default_factory=list)
    sent: list[WireMessage] = field(default_factory=list)
    """Everything ever broadcast or sent, in all lives."""
    inferences: int = 0
    up: bool = True

    @property
    def tip(self) -> Tip:
        """What a driver tells a replica of its ledger."""
        slots = [self.ledger[number] for number in sorted(self.ledger)]
        requests = [
            item.request.message
            for slot in slots
            for _, item in items(slot.batch)
            if digest.request_id(item.request.message) in self.final
        ]
        return Tip(self.state, tuple(requests), self.epochs[-1] if self.epochs else None)


class Cluster:
    """n replicas; `answers[i]` is what replica i says, None if its model never answers."""

    def __init__(
        self,
        n: int,
        answers: list[str | None] | None = None,
        policy: Policy | None = None,
        compare: Compare = same_first_word,
    ) -> None:
        self.n = n
        self.answers = answers if answers is not None else ["Paris"] * n
        self.policy = policy or Policy()
        self.compare = compare
        self.drop: Drop = lambda _source, _target, _message: False
        self.draw: Draw = answer
        """What a replica makes of the text that its model says."""
        self.watch: Watch = lambda _replica, _effect: None
        """Called after every effect; may crash the replica before the next one."""
        self.queue: deque[tuple[ReplicaId, events.Event]] = deque()
        self.members = membership(n)
        self.now_ms = 0
        self._busy_ms = 0
        """When something other than heights was last sent."""
        self._requests = 0
        self.nodes = [self._new_node(key=i) for i in range(n)]
        for i in range(n):
            self.put(i, events.Started())

    def _new_node(self, key: int) -> Node:
        """With an empty disk, and the genesis file."""
        wanted = frozenset(member.public_key for member in self.members.members)
        return Node(self._replica(key), key, wanted)

    def _replica(self, key: int, records: tuple[Record, ...] = (), tip: Tip = GENESIS) -> Replica:
        configuration = Configuration(NETWORK, public_key(key), self.members, self.policy)
        return Replica(configuration, keyring(key), records, tip)

    # --- membership ----------------------------------------------------------------------------

    def join(self, key: int | None = None) -> int:
        """Starts a further node, which is no member yet; its number."""
        i = len(self.nodes)
        self.nodes.append(self._new_node(i if key is None else key))
        self.put(i, events.Started())
        self.connect(i)
        return i

    def replace(self, i: int, key: int) -> None:
        """Node i goes on, on another machine with another key."""
        self.crash(i)
        self.nodes[i] = self._new_node(key)
        self.put(i, events.Started())
        self.connect(i)

    def peers(self, i: int) -> list[int]:
        """With whom the driver of node i wants to be connected."""
        return [
            other
            for other, node in enumerate(self.nodes)
            if other != i and public_key(node.key) in self.nodes[i].wanted
        ]

    def connect(self, i: int) -> None:
        """Connections between node i and its peers come up."""
        for other in self.peers(i):
            if self.nodes[other].up:
                self.put(other, events.PeerUp(ReplicaId(i)))
                self.put(i, events.PeerUp(ReplicaId(other)))

    def endorse(self, change: Change, *nodes: int) -> None:
        """The operators of these nodes want it."""
        for i in nodes:
            self.put(i, events.ChangeEndorsed(change))

    def put(self, target: int, event: events.Event) -> None:
        self.queue.append((ReplicaId(target), event))

    def ask(self, node: int = 0, prompt: str = "Capital of France?", **changes: Any) -> RequestId:
        self._requests += 1
        request = Request(
            network=NETWORK,
            replica=ReplicaId(node),
            number=self._requests,
            kind=Kind.TEXT,
            prompt=prompt,
            language="",
            max_tokens=64,
            timeout_ms=10_000,
        )
        request = replace(request, **changes)
        self.put(node, events.Submitted(request))
        return digest.request_id(request)

    def run(self) -> None:
        """Deliver until nothing is under way; timers stay armed."""
        for _ in range(STEPS_MAX):
            if not self.queue:
                return
            target, event = self.queue.popleft()
            node = self.nodes[target]
            if node.up:
                for effect in node.replica.step(event):
                    self.perform(target, node, effect)
                    self.watch(target, effect)
                    if not node.up:
                        break
        raise AssertionError("the cluster does not come to rest")

    def settle(self, seconds: float = 120) -> None:
        """Deliver everything and let time pass, until nothing happens any more but heights."""
        self.run()
        end_ms = self._busy_ms = self.now_ms
        end_ms += int(seconds * 1_000)
        while (due := self._next_timer()) is not None:
            due_ms, i, timer = due
            if due_ms > end_ms or (due_ms > self._busy_ms + QUIET_MS and self._only_heights()):
                break
            self.now_ms = max(self.now_ms, due_ms)
            del self.nodes[i].timers[timer]
            self.put(i, events.TimerFired(timer))
            self.run()

    def _next_timer(self) -> tuple[int, int, events.Timer] | None:
        armed = [
            (due_ms, i, timer)
            for i, node in enumerate(self.nodes)
            if node.up
            for timer, due_ms in node.timers.items()
        ]
        return min(armed, key=lambda entry: entry[:2], default=None)

    def _only_heights(self) -> bool:
        return all(
            isinstance(timer, events.CatchUp)
            for node in self.nodes
            if node.up
            for timer in node.timers
        )

    def fire_all(self, kind: type | None = None) -> None:
        for i, node in enumerate(self.nodes):
            for timer in list(node.timers):
                if kind is None or isinstance(timer, kind):
                    del node.timers[timer]
                    self.put(i, events.TimerFired(timer))

    def perform(  # noqa: C901  # one case for each effect
        self, me: ReplicaId, node: Node, effect: effects.Effect
    ) -> None:
        match effect:
            case effects.Persist(record):
                node.log.append(record)
            case effects.Broadcast(message):
                node.sent.append(message)
                for other in self.peers(me):
                    self.deliver(me, ReplicaId(other), message)
            case effects.Send(replica, message):
                node.sent.append(message)
                self.deliver(me, replica, message)
            case effects.ArmTimer(timer, delay_ms):
                node.timers[timer] = self.now_ms + delay_ms
            case effects.CancelTimer(timer):
                node.timers.pop(timer, None)
            case effects.RunInference(request_id, attempt):
                node.inferences += 1
                if (text := self.answers[me]) is not None:
                    salt = bytes([me]) * 32
                    ready = events.AnswerReady(request_id, attempt, self.draw(text), salt)
                    self.put(me, ready)
            case effects.CompareAnswers(request_id, attempt, answers, _, texts):
                result = self.compare(texts)
                self.put(me, events.AnswersCompared(request_id, attempt, answers, *result))
            case effects.Reply(request_id, final=final):
                node.attempts.setdefault(request_id, []).append(effect)
                if final:
                    node.replies[request_id] = effect
                    node.final.add(request_id)
            case effects.Apply(sequence_number, slot, state):
                node.ledger[sequence_number] = slot
                node.state = state
            case effects.Compact(records):
                node.log[:] = records
            case effects.SendLedger(replica, first, last, proven):
                for certificate in node.epochs[proven:]:
                    self.deliver(me, replica, certificate)
                for sequence_number in range(first, last + 1):
                    self.deliver(me, replica, node.ledger[sequence_number])
            case effects.RecordEpoch(certificate):
                if certificate.membership.epoch > len(node.epochs):
                    node.epochs.append(certificate)
            case effects.ChangeNoted():
                node.noted.append(effect)
            case effects.MembersChanged(members):
                node.wanted = frozenset(member.public_key for member in members)
            case effects.Retired():
                node.retired = True
            case effects.Report(evidence):
                node.evidence.append(evidence)
            case effects.Refused(_, reason):
                node.refused.append(reason)
            case effects.Rejected(_, reason):
                node.rejected.append(reason)
            case effects.Progress(_, stage, replica):
                node.stages.append((stage, replica))

    def deliver(self, source: ReplicaId, target: ReplicaId, message: object) -> None:
        if not self.drop(source, target, message):
            if not _is_height(message):
                self._busy_ms = self.now_ms
            received = decode(encode(message))  # type: ignore[arg-type]  # effects carry wire types
            self.put(target, events.Received(source, received))

    def hear(self, target: int, source: int, message: object) -> None:
        """`target` receives over its connection to `source` what a test made up."""
        self.deliver(ReplicaId(source), ReplicaId(target), message)
        self.run()

    def crash(self, i: int) -> None:
        """The process ends: what was on its way to it is lost, its timers and its work too."""
        self.nodes[i].up = False
        self.queue = deque((target, event) for target, event in self.queue if target != i)

    def restart(self, i: int) -> None:
        """A new process with the old log and ledger; every connection comes up anew."""
        old = self.nodes[i]
        replica = self._replica(old.key, tuple(old.log), old.tip)
        new = Node(replica, old.key, old.wanted, old.log, old.ledger, old.state)
        new.epochs = old.epochs
        new.attempts = old.attempts
        new.final = old.final
        new.evidence = old.evidence
        new.sent = old.sent
        new.inferences = old.inferences
        self.nodes[i] = new
        self.put(i, events.Started())
        self.connect(i)

    def reconnect(self) -> None:
        """Every connection between running replicas breaks and comes up again."""
        for i, j in permutations(range(len(self.nodes)), 2):
            if j in self.peers(i) and self.nodes[i].up and self.nodes[j].up:
                self.put(i, events.PeerUp(ReplicaId(j)))


def _is_height(message: object) -> bool:
    """What is sent from time to time although nothing happens."""
    inner = message.message if isinstance(message, Signed) else message
    return isinstance(inner, Height | LedgerWanted)
