"""A network in virtual time, in which everything that happens follows from one seed.

Messages take 0.5 to 8 ms and stay in order on each connection, models 0.1 to 2 s, embedders 10 to
60 ms. Replicas crash and restart, links break and heal, members come, go, lose their disks and get
other keys. One Byzantine replica runs the protocol and mutates, signs again, withholds and replays
what it sends, and makes up accusations, endorsements and proofs.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import Enum
from itertools import permutations
from typing import Any

from pbft import digest, effects, events
from pbft.certificate import certify, verify
from pbft.codec import decode, encode
from pbft.context import Configuration
from pbft.errors import Malformed
from pbft.evidence import accused
from pbft.execution import Tip
from pbft.history import REMEMBERED_MAX
from pbft.item import Rules
from pbft.membership import Change, Join, Leave, Renew, ReplaceKey, SetPolicy
from pbft.messages import (
    Accusation,
    DecidedSlot,
    Endorsement,
    EpochCertificate,
    Equivocation,
    Item,
    Kind,
    LedgerWanted,
    Request,
    Signed,
    WireMessage,
    items,
)
from pbft.policy import Policy
from pbft.records import Forgot, Record, RequestAccepted
from pbft.replica import Replica
from pbft.state import State, first_state
from pbft.types import Digest, Epoch, ReplicaId, RequestId, SequenceNumber
from tests.support.cluster import NETWORK, answer, same_first_word
from tests.support.keyring import QuickKeyring, quick_membership

REPLAYED_MAX = 200
"""Own messages that the Byzantine replica remembers."""


@dataclass
class Node:
    """One replica through all its lives; `log`, `ledger` and `state` are its disk."""

    key: int
    wanted: frozenset[bytes]
    """Keys of those to whom it broadcasts."""
    replica: Replica | None = None
    gone: bool = False
    """It left the network, and was stopped for good."""
    life: int = 0
    log: list[Record] = field(default_factory=list)
    ledger: dict[int, DecidedSlot] = field(default_factory=dict)
    state: State | None = None
    epochs: list[EpochCertificate] = field(default_factory=list)
    final: dict[RequestId, Request] = field(default_factory=dict)
    """Decided requests, oldest first."""
    timers: dict[events.Timer, float] = field(default_factory=dict)
    asked: set[RequestId] = field(default_factory=set)
    """Questions of its users that it logged."""
    replied: set[RequestId] = field(default_factory=set)
    evidence: list[effects.Report] = field(default_factory=list)

    def wipe(self) -> None:
        """Its disk is lost."""
        self.log.clear()
        self.ledger.clear()
        self.epochs.clear()
        self.final.clear()
        self.state = None
        self.forget_users()

    def forget_users(self) -> None:
        self.asked.clear()


@dataclass(frozen=True)
class Byzantine:
    """How one replica misbehaves: shares of its messages."""

    replica: int
    dropped: float
    mutated: float
    replayed: float
    made_up: float = 0


class Network:
    """n replicas under one seed."""

    def __init__(
        self, n: int, seed: str, policy: Policy | None = None, byzantine: Byzantine | None = None
    ) -> None:
        self.n = n
        self.byzantine = byzantine
        self.random = random.Random(seed)  # noqa: S311  # a seed must replay
        self.policy = policy or Policy()
        self.members = quick_membership(n)
        self.now_ms = 0.0
        self.lost = 0.0
        """Share of all messages that is lost; a connection that comes up repairs it."""
        self.cut: set[tuple[int, int]] = set()
        self.decided: dict[int, Digest] = {}
        self.states: dict[int, State] = {}
        """After each slot: weights and all that follows from the ledger."""
        self._count = 0
        self._asked = 0
        self._queue: list[tuple[float, int, int, int, events.Event]] = []
        self._last_arrival: dict[tuple[int, int], float] = {}
        self._sent_before: list[WireMessage] = []
        self.genesis_keys = frozenset(member.public_key for member in self.members.members)
        self.nodes = [Node(i, self.genesis_keys) for i in range(n)]
        for i in range(n):
            self._boot(i)

    @property
    def honest(self) -> list[int]:
        liar = None if self.byzantine is None else self.byzantine.replica
        return [i for i in range(len(self.nodes)) if i != liar]

    def up(self) -> list[int]:
        return [i for i, node in enumerate(self.nodes) if node.replica is not None]

    # --- what a test may do --------------------------------------------------------------------

    def ask(self, i: int) -> None:
        self._asked += 1
        prompt = f"Question {self._asked}?"
        request = Request(
            NETWORK, ReplicaId(i), self._asked, Kind.TEXT, prompt, "", 64, timeout_ms=10_000
        )
        self._put(0, i, events.Submitted(request))

    def crash(self, i: int) -> None:
        self.nodes[i].replica = None
        self.nodes[i].timers.clear()
        for j in self.up():
            self._put(5, j, events.PeerDown(ReplicaId(i)))

    def restart(self, i: int) -> None:
        self._boot(i)
        for j in range(len(self.nodes)):
            if j != i and j in self.up() and (i, j) not in self.cut:
                self._put(3, j, events.PeerUp(ReplicaId(i)))
                self._put(3, i, events.PeerUp(ReplicaId(j)))
            elif j != i:
                self._put(0, i, events.PeerDown(ReplicaId(j)))

    # --- membership ----------------------------------------------------------------------------

    @property
    def newest(self) -> State:
        """The state that is furthest ahead."""
        states = [node.state for i in self.honest if (node := self.nodes[i]).state is not None]
        return max(states, key=lambda s: s.applied, default=first_state(self.members, self.policy))

    def join(self) -> int:
        """A further node starts with the genesis file and an empty disk; its number."""
        i = len(self.nodes)
        self.nodes.append(Node(i, self.genesis_keys))
        self.restart(i)
        return i

    def replace(self, i: int, key: int) -> None:
        """Node i goes on, on another machine with another key."""
        if self.nodes[i].replica is not None:
            self.crash(i)
        self.nodes[i].wipe()
        self.nodes[i].key = key
        self.nodes[i].wanted = self.genesis_keys
        self.restart(i)

    def forget(self, i: int, *, disk: bool) -> None:
        """Its log is damaged, or its whole disk lost."""
        if self.nodes[i].replica is not None:
            self.crash(i)
        node = self.nodes[i]
        if disk:
            node.wipe()
        node.forget_users()
        node.log[:] = [Forgot(self.random.randbytes(32))]
        self.restart(i)

    def endorse(self, change: Change) -> None:
        """Every operator of a running honest member wants it, some sooner than others."""
        for i in self.honest:
            if self.nodes[i].replica is not None:
                self._put(self.random.uniform(0, 2_000), i, events.ChangeEndorsed(change))

    def part(self, side: set[int]) -> None:
        """Nothing passes between `side` and the rest; drivers notice soon."""
        for i, j in permutations(range(len(self.nodes)), 2):
            if (i in side) != (j in side) and (i, j) not in self.cut:
                self.cut.add((i, j))
                self._put(1_000, i, events.PeerDown(ReplicaId(j)))

    def heal(self) -> None:
        """All links that should be up break and come up again."""
        self.cut.clear()
        for i, j in permutations(self.up(), 2):
            self._put(5, i, events.PeerDown(ReplicaId(j)))
            self._put(6, i, events.PeerUp(ReplicaId(j)))

    def run(self, for_ms: float) -> None:
        end_ms = self.now_ms + for_ms
        while self._queue and self._queue[0][0] <= end_ms:
            self._next()
        self.now_ms = end_ms

    def open_questions(self) -> list[str]:
        """Questions that an honest live replica logged for its users and has not answered."""
        return [
            f"R{i} lacks {len(missing)} answers"
            for i in self.honest
            if (replica := self.nodes[i].replica) is not None
            and replica.me is not None
            and (missing := self.nodes[i].asked - self.nodes[i].replied)
        ]

    def takes_part(self, i: int) -> bool:
        replica = self.nodes[i].replica
        return i in self.honest and replica is not None and replica.takes_part

    def broken(self) -> list[int]:
        """Honest members that forgot what they signed, or have another key by now."""
        membership = self.newest.membership
        return [
            i
            for i in self.honest
            if (member := membership.member(ReplicaId(i))) is not None
            and (
                member.public_key != QuickKeyring.public_key(self.nodes[i].key)
                or any(isinstance(record, Forgot) for record in self.nodes[i].log)
            )
        ]

    def laggards(self) -> list[str]:
        """Honest members that do not take part, are behind, or lack the proof of an epoch."""
        newest = self.newest
        found = []
        for i in self.honest:
            node = self.nodes[i]
            if newest.membership.public_key(ReplicaId(i)) != QuickKeyring.public_key(node.key):
                continue
            if node.replica is None or not node.replica.takes_part:
                found.append(f"R{i} does not take part")
            elif node.state != newest:
                found.append(f"R{i} is behind")
            elif len(node.epochs) != newest.membership.epoch:
                found.append(f"R{i} lacks proofs of epochs")
        return found

    # --- what must hold ------------------------------------------------------------------------

    def check(self, limit_ms: float = 300_000) -> None:
        """Every accepted question is answered in time; nobody honest was accused; ledgers agree,
        and their certificates convince anyone. (Gaps and disagreement fail as they happen.)"""
        end_ms = self.now_ms + limit_ms
        while self.open_questions() and self.now_ms < end_ms:
            self.run(500)
        assert self.open_questions() == []
        rules = Rules(NETWORK, self.members, self.policy, QuickKeyring(0))
        for i in self.honest:
            node = self.nodes[i]
            convicted = {accused(report.evidence) for report in node.evidence}
            convicted |= {
                accused(entry.evidence)
                for slot in node.ledger.values()
                for entry in slot.batch
                if isinstance(entry, Accusation)
            }
            assert not convicted & set(self.honest), f"R{i} accuses an honest replica"
            times = Counter(
                (digest.request_id(item.request.message), item.attempt)
                for slot in node.ledger.values()
                for _, item in items(slot.batch)
            )
            assert set(times.values()) <= {1}, "a request was applied twice"
        longest = max((self.nodes[i].ledger for i in self.honest), key=len)
        proofs = max((self.nodes[i].epochs for i in self.honest), key=len)
        for slot in longest.values():
            for index, _ in items(slot.batch):
                verify(certify(slot, index, proofs), rules)

    # --- the machinery -------------------------------------------------------------------------

    def _boot(self, i: int) -> None:
        node = self.nodes[i]
        node.life += 1
        requests = list(node.final.values())
        key = QuickKeyring.public_key(node.key)
        node.replica = Replica(
            Configuration(NETWORK, key, self.members, self.policy),
            QuickKeyring(node.key),
            tuple(node.log),
            Tip(
                node.state,
                tuple(requests[-REMEMBERED_MAX:]),
                node.epochs[-1] if node.epochs else None,
            ),
        )
        self._put(0, i, events.Started())

    def _put(self, after_ms: float, i: int, event: events.Event) -> None:
        self._count += 1
        at_ms = self.now_ms + after_ms
        heapq.heappush(self._queue, (at_ms, self._count, i, self.nodes[i].life, event))

    def _next(self) -> None:
        self.now_ms, _, i, life, event = heapq.heappop(self._queue)
        node = self.nodes[i]
        if node.replica is None or life != node.life:
            return
        if isinstance(event, events.TimerFired):
            if node.timers.get(event.timer) != self.now_ms:
                return  # cancelled, or armed again
            del node.timers[event.timer]
        for effect in node.replica.step(event):
            self._perform(i, node, effect)

    def _perform(self, i: int, node: Node, effect: effects.Effect) -> None:  # noqa: C901  # cases
        match effect:
            case effects.Persist(record):
                node.log.append(record)
                if isinstance(record, RequestAccepted) and record.request.message.replica == i:
                    node.asked.add(digest.request_id(record.request.message))
            case effects.Compact(records):
                node.log[:] = records
            case effects.Broadcast(message):
                for j, other in enumerate(self.nodes):
                    if j != i and QuickKeyring.public_key(other.key) in node.wanted:
                        self._send(i, j, message)
            case effects.Send(j, message):
                self._send(i, j, message)
            case effects.SendLedger(j, first, last, proven):
                for certificate in node.epochs[proven:]:
                    self._send(i, j, certificate)
                for number in range(first, last + 1):
                    self._send(i, j, node.ledger[number])
            case effects.ArmTimer(timer, delay_ms):
                node.timers[timer] = self.now_ms + delay_ms
                self._put(delay_ms, i, events.TimerFired(timer))
            case effects.CancelTimer(timer):
                node.timers.pop(timer, None)
            case effects.RunInference(request_id, attempt):
                said = answer("Paris" if self.random.random() < 0.95 else "Lyon")
                ready = events.AnswerReady(request_id, attempt, said, self.random.randbytes(32))
                self._put(self.random.uniform(100, 2_000), i, ready)
            case effects.CompareAnswers(request_id, attempt, answers, _, texts):
                result = same_first_word(texts)
                compared = events.AnswersCompared(request_id, attempt, answers, *result)
                self._put(self.random.uniform(10, 60), i, compared)
            case effects.Reply(request_id, slot, index, final):
                if final:
                    node.replied.add(request_id)
                    entry = slot.batch[index]
                    assert isinstance(entry, Item)
                    node.final[request_id] = entry.request.message
            case effects.Rejected(request_id):
                node.asked.discard(request_id)
            case effects.RecordEpoch(certificate):
                if certificate.membership.epoch > len(node.epochs):
                    node.epochs.append(certificate)
            case effects.MembersChanged(members):
                node.wanted = frozenset(member.public_key for member in members)
            case effects.Retired():
                node.gone = True
                self.crash(i)
            case effects.Apply(number, slot, state):
                assert number == len(node.ledger) + 1, f"R{i} has a gap before slot {number}"
                node.ledger[number] = slot
                node.state = state
                assert self.states.setdefault(number, state) == state, "two states"
                if i in self.honest:
                    of = slot.commits[0].message.digest
                    assert self.decided.setdefault(number, of) == of, f"two decisions for {number}"
            case effects.Report():
                node.evidence.append(effect)

    def _send(self, i: int, j: int, message: WireMessage) -> None:
        if self.byzantine is None or i != self.byzantine.replica:
            self._deliver(i, j, message)
            return
        self._sent_before = [*self._sent_before[1 - REPLAYED_MAX :], message]
        if self.random.random() < self.byzantine.made_up:
            self._deliver(i, j, self._made_up(i))
        draw = self.random.random() - self.byzantine.dropped
        if draw < 0:
            return
        if draw < self.byzantine.mutated:
            self._deliver(i, j, self._mutated(message))
            if self.random.random() < 0.5:
                return
        if self.random.random() < self.byzantine.replayed:
            self._deliver(i, j, self.random.choice(self._sent_before))
        self._deliver(i, j, message)

    def _deliver(self, i: int, j: int, message: WireMessage) -> None:
        lost = self.random.random() < self.lost
        if self.nodes[j].replica is None or (i, j) in self.cut or lost:
            return
        at_ms = max(
            self.now_ms + self.random.uniform(0.5, 8), self._last_arrival.get((i, j), 0) + 0.001
        )
        self._last_arrival[i, j] = at_ms
        self._put(at_ms - self.now_ms, j, events.Received(ReplicaId(i), message))

    def _made_up(self, i: int) -> WireMessage:
        """What no honest replica in its place would send now."""
        draw = self.random
        node = self.nodes[i]
        me = ReplicaId(i)
        membership = self.newest.membership
        signed = [m for m in self._sent_before if isinstance(m, Signed)]
        heard = [
            signed
            for slot in list(node.ledger.values())[-4:]
            for _, item in items(slot.batch)
            for signed in (*item.reveals, *item.seals)
        ]
        match draw.randrange(4):
            case 0 if signed:
                one = draw.choice([*signed, *heard])
                other = draw.choice([one, *signed])
                return self._readable(lambda: Accusation(Equivocation(one, self._mutant(other))))
            case 1 if node.epochs:
                return self._mutated(draw.choice(node.epochs))
            case 2:
                whom = draw.choice(membership.replicas)
                changes: list[Change] = [
                    Leave(whom),
                    Renew(draw.choice([me, whom]), draw.randbytes(32)),
                    ReplaceKey(whom, draw.randbytes(32)),
                    Join("sybil", draw.randbytes(32), ()),
                    SetPolicy(Policy(attempts_max=1)),
                ]
                endorsement = Endorsement(NETWORK, membership.epoch, draw.choice(changes), me)
                return Signed(endorsement, QuickKeyring(node.key).sign(endorsement))
            case _:
                first, proven = draw.choice([0, 1, 2**64 - 1]), draw.choice([0, 1, 2**64 - 1])
                return LedgerWanted(SequenceNumber(first), Epoch(proven))

    @staticmethod
    def _readable(make: Callable[[], Any]) -> WireMessage:
        """As it would arrive; something harmless if nobody could read it."""
        try:
            return decode(encode(make()))
        except (Malformed, ValueError, TypeError, AttributeError, OverflowError, KeyError):
            return LedgerWanted(SequenceNumber(1), Epoch(0))

    def _mutated(self, message: WireMessage) -> WireMessage:
        return self._readable(lambda: self._mutant(message))

    def _mutant(self, value: Any) -> Any:
        """One part of the value is another, and own signatures around it are made again."""
        draw = self.random
        if isinstance(value, Signed):
            inner = self._mutant(value.message)
            signs = self.byzantine is not None and inner.replica == self.byzantine.replica
            if signs and draw.random() < 0.9:
                return Signed(inner, QuickKeyring(inner.replica).sign(inner))
            return Signed(inner, value.signature)
        if is_dataclass(value):
            name = draw.choice([f.name for f in fields(value)])
            return replace(value, **{name: self._mutant(getattr(value, name))})  # type: ignore[type-var]
        if isinstance(value, Enum):
            return draw.choice(list(type(value)))
        if isinstance(value, int):
            near = max(0, value + draw.choice([-1, 1, 2, 64]))
            return near if draw.random() < 0.8 else draw.choice([0, 2**63, 2**64 - 1])
        if isinstance(value, bytes):
            place = draw.randrange(len(value))
            return value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
        if isinstance(value, str):
            return value + "x"
        if isinstance(value, tuple) and value:
            place = draw.randrange(len(value))
            changed = (*value[:place], self._mutant(value[place]), *value[place + 1 :])
            without = value[:place] + value[place + 1 :]
            return draw.choice([without, (*value, value[place]), value[::-1], changed, changed])
        return value
