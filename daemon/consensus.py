"""The one task that owns the replica: events in, effects out.

Events of this node itself (timers, answers, users) always get in. Those of peers wait until there
is room, so that a flood stays in the peers' own queues (`p2p.inbox`).
"""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import trio

from daemon.executor import Executor
from daemon.roster import Roster
from p2p.network import Event as NetworkEvent
from p2p.network import PeerDown, PeerNetwork, PeerUp, Received
from pbft import effects, events
from pbft.codec import decode
from pbft.errors import Malformed
from pbft.messages import EndorsedChange
from pbft.state import State
from pbft.types import ReplicaId, SequenceNumber, View

EVENTS_PER_TURN_MAX = 128
PEER_EVENTS_WAITING_MAX = 512
DECODED_AT_ONCE_MAX = 32
"""Messages of peers decoded before other tasks get a turn."""


@dataclass(frozen=True, slots=True)
class _FromPeers:
    """An event that takes up room until it is stepped."""

    event: events.Event


class StateMachine(Protocol):
    """What is driven: `pbft.replica.Replica`, or a faulty wrapper of it in an experiment."""

    @property
    def view(self) -> View: ...

    @property
    def applied(self) -> SequenceNumber: ...

    @property
    def primary(self) -> ReplicaId: ...

    @property
    def me(self) -> ReplicaId | None: ...

    @property
    def takes_part(self) -> bool: ...

    @property
    def state(self) -> State: ...

    @property
    def changes(self) -> tuple[EndorsedChange, ...]: ...

    def step(self, event: events.Event) -> list[effects.Effect]: ...


class Consensus:
    """Drives a replica over the network, the disk and the models."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._events: deque[events.Event | _FromPeers] = deque()
        self._arrived = trio.Event()
        self._peer_events_waiting = 0
        self._room = trio.Event()

    def put(self, event: events.Event) -> None:
        """An event of this node itself; never waits."""
        self._events.append(event)
        self._arrived.set()

    async def run(self, replica: StateMachine, executor: Executor) -> None:
        """Steps the replica until cancelled; each turn takes all that has arrived."""
        for member in self._roster.members:
            if member.replica != replica.me:
                self.put(events.PeerDown(member.replica))
        self.put(events.Started())
        while True:
            await self._arrived.wait()
            turn: list[effects.Effect] = []
            for _ in range(min(len(self._events), EVENTS_PER_TURN_MAX)):
                event = self._events.popleft()
                if isinstance(event, _FromPeers):
                    event = event.event
                    self._peer_events_waiting -= 1
                turn += replica.step(event)
            self._room.set()
            if not self._events:
                self._arrived = trio.Event()
            await executor.perform(turn)
            if not self._events:
                await executor.write_ledger()

    async def listen(self, network: PeerNetwork, executor: Executor) -> None:
        """Brings in what peers send, until cancelled; raises `p2p.errors.DuplicateKey`."""
        while True:
            room = PEER_EVENTS_WAITING_MAX - self._peer_events_waiting
            if room <= 0:
                self._room = trio.Event()
                await self._room.wait()
                continue
            for happened in await network.receive_some(min(room, DECODED_AT_ONCE_MAX)):
                event = self._event(happened, executor)
                if event is not None:
                    self._events.append(_FromPeers(event))
                    self._peer_events_waiting += 1
                    self._arrived.set()

    def _event(self, happened: NetworkEvent, executor: Executor) -> events.Event | None:
        """What the replica is told of it; None for what is no message or comes from no member."""
        source = self._roster.replica(happened.public_key)
        if source is None:
            return None
        match happened:
            case PeerDown():
                return events.PeerDown(source)
            case PeerUp():
                return events.PeerUp(source)
            case Received(frame=frame):
                try:
                    return events.Received(source, decode(frame))
                except Malformed:
                    executor.seen.refused[source, "malformed"] += 1
                    return None
