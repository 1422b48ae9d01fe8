"""The one task that owns the replica: events in, effects out.

Events of this node itself (timers, answers, users) come first. Those of peers are taken as they are
needed, so that a flood stays in the peers' own queues (`p2p.inbox`).
"""

from collections import deque
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

OWN_EVENTS_PER_TURN_MAX = 128
PEER_EVENTS_PER_TURN_MAX = 64
"""Other tasks get a turn, and effects are performed, after at most so many."""


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

    def __init__(self, roster: Roster, network: PeerNetwork) -> None:
        self._roster = roster
        self._network = network
        self._events: deque[events.Event] = deque()
        self._arrived = trio.Event()

    def put(self, event: events.Event) -> None:
        """An event of this node itself; never waits."""
        self._events.append(event)
        self._arrived.set()

    async def run(self, replica: StateMachine, executor: Executor) -> None:
        """Steps the replica until cancelled; each turn takes all that has arrived. Raises
        `p2p.errors.DuplicateKey`."""
        for member in self._roster.members:
            if member.replica != replica.me:
                self.put(events.PeerDown(member.replica))
        self.put(events.Started())
        self._network.on_arrival(lambda: self._arrived.set())
        while True:
            await self._arrived.wait()
            turn: list[effects.Effect] = []
            for _ in range(min(len(self._events), OWN_EVENTS_PER_TURN_MAX)):
                turn += replica.step(self._events.popleft())
            for happened in self._network.receive_now(PEER_EVENTS_PER_TURN_MAX):
                if event := self._event(happened, executor):
                    turn += replica.step(event)
            if idle := not self._events and not self._network.has_received:
                self._arrived = trio.Event()
            await executor.perform(turn)
            if idle and not self._arrived.is_set():
                await executor.write_ledger()

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
