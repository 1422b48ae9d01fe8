"""A network of replicas in virtual time: one clock, one heap of events, one plan.

The replicas are the production core (`pbft.replica`). The world does for them what the daemon does:
it performs their effects one after the other, and what it performs comes back as events. Nothing
here reads a clock or draws a number that the plan's seed does not determine.
"""

import heapq
from collections.abc import Callable
from random import Random
from typing import Any

from pbft import digest, events
from pbft.codec import decode, encode
from pbft.context import Configuration
from pbft.keyring import Keyring
from pbft.membership import Membership
from pbft.messages import Kind, Request, WireMessage
from pbft.replica import Replica
from pbft.types import ReplicaId, RequestId
from simulator.checkers import Checkers
from simulator.disk import Disk
from simulator.driver import Driver
from simulator.errors import Finding, Violation
from simulator.meaning import Meaning, fields_for
from simulator.network import Network
from simulator.plan import Plan, Question
from simulator.process import Process
from simulator.signer import Signatures, SimulatedKeyring, secret_of, simulated_membership
from simulator.trace import Trace

NETWORK = bytes(range(32))
"""The network's id."""

NOTICE_MS = 1_000
"""So long a driver takes to notice a connection on which nothing passes."""

STEPS_MAX = 3_000_000
"""A hundred times what a swarm seed takes: a run with more is a storm that feeds itself."""

WAITING_MAX = 2_000_000
"""Messages on their way at once and timers: so many fill a gigabyte of memory."""


class World:
    """Runs a plan. `simulator.incidents` lets its faults happen, `simulator.run` decides when to
    stop, `simulator.checkers` watch every effect.

    Args:
        plan: checked.
        trace: takes down what happens.
        keyrings: by key number; simulated signatures unless given.
        members: who belongs to these keys.
        wire: encode and decode every message, as between machines.
        meaning: what models say; the small model of `simulator.meaning` unless given.
    """

    def __init__(
        self,
        plan: Plan,
        trace: Trace | None = None,
        keyrings: Callable[[int], Keyring] | None = None,
        members: Membership | None = None,
        *,
        wire: bool = False,
        meaning: Meaning | None = None,
    ) -> None:
        self.plan = plan
        self.policy = plan.the_policy()
        self.trace = trace or Trace()
        signatures = Signatures()
        self.keyrings = keyrings or (lambda number: SimulatedKeyring(signatures, number))
        self.members = members or simulated_membership(plan.nodes)
        self.network = Network(plan.seed, plan.delay_ms, plan.exponential)
        self.meaning = meaning or Meaning(plan.models)
        self.wire = wire
        self.now_us = 0
        self.steps = 0
        self.messages = 0
        self.topics: dict[RequestId, int] = {}
        self.asked = 0
        """Questions put so far; the number of the last request."""
        self.decided: set[RequestId] = set()
        """Requests whose last attempt somebody applied."""
        self._count = 0
        self._heap: list[tuple[int, int, int, int, Any]] = []
        self.checkers = Checkers(self.members, self.policy, NETWORK)
        self.checkers.alike = self.meaning.alike
        self.checkers.accountability.genuine = self.keyrings(0).verify
        self.processes: list[Process] = []
        self.routes: dict[ReplicaId, list[Process]] = {}
        for number in range(plan.nodes):
            self.add_process(ReplicaId(number))
        self._performers = Driver(self).performers

    # --- processes -----------------------------------------------------------------------------

    def add_process(self, replica: ReplicaId, key: int | None = None) -> Process:
        """A process of the replica; a second one is its twin. One with a `key` of its own is
        outside until a member knows it."""
        number = len(self.processes)
        draw = Random(f"{self.plan.seed} models {number}")  # noqa: S311  # a seed must replay
        process = Process(number, replica, Disk(self.policy), draw)
        process.peers = tuple(r for r in self.members.replicas if r != replica)
        process.key = int(replica) if key is None else key
        self.processes.append(process)
        route = self.routes.setdefault(replica, [])
        if key is None:
            route.append(process)
        return process

    def configuration(self, process: Process) -> Configuration:
        key = self.members.public_key(process.replica_id)
        if key is None or process.key != process.replica_id:
            key = secret_of(process.key)
        return Configuration(NETWORK, key, self.members, self.policy)

    def boot(self, process: Process, wrap: Callable[[Process], None]) -> None:
        """A new life with what the disk holds. `wrap` puts the faults around the replica."""
        process.life += 1
        process.timers.clear()
        process.backlog.clear()
        process.dies_after = None
        tip = process.disk.tip
        process.replica = self._guarded(
            process,
            lambda: Replica(
                self.configuration(process),
                self.keyrings(process.key),
                tuple(process.disk.log),
                tip,
            ),
        )
        process.machine = process.replica
        wrap(process)
        self.checkers.on_start(process)
        self.put(0, process, events.Started())

    def connect_all(self, process: Process) -> None:
        """After a start: its connections to running peers come up, the others are down."""
        for other in self.processes:
            if other is process or other.replica_id == process.replica_id:
                continue
            if process.outside or other.outside:
                self.put(0, process, events.PeerDown(other.replica_id))
            elif other.up and (process.number, other.number) not in self.network.cuts:
                self.put(3_000, other, events.PeerUp(process.replica_id))
                self.put(3_000, process, events.PeerUp(other.replica_id))
            elif not any(twin.up for twin in self.routes[other.replica_id]):
                self.put(0, process, events.PeerDown(other.replica_id))

    def expel(self, process: Process) -> None:
        """Its key is another from now on: nobody is connected with it any more."""
        self.routes[process.replica_id].remove(process)

    def crash(self, process: Process, why: str = "") -> None:
        """The process ends: what was on its way to it is lost, its timers and its work too."""
        if not process.up:
            return
        self.trace.note(self.now_us, process.number, "crashes", why)
        process.replica = process.machine = None
        process.layers.clear()
        process.timers.clear()
        process.backlog.clear()
        process.life += 1
        process.dies_after = None
        if any(twin.up for twin in self.routes[process.replica_id]):
            return
        for other in self.processes:
            if other.up and other is not process:
                self.put(5_000, other, events.PeerDown(process.replica_id))

    def reconnect(self, one: Process, other: Process) -> None:
        """The connection breaks and comes up again: what was lost on it is said again."""
        if not (one.up and other.up) or one.replica_id == other.replica_id:
            return
        if one.outside or other.outside:
            return
        for here, there in ((one, other), (other, one)):
            self.put(5_000, here, events.PeerDown(there.replica_id))
            self.put(6_000, here, events.PeerUp(there.replica_id))

    # --- time ----------------------------------------------------------------------------------

    def put(self, after_us: int, process: Process, event: events.Event) -> int:
        """Lets the process take the event later, unless it has ended by then."""
        self._count += 1
        heapq.heappush(
            self._heap,
            (self.now_us + after_us, self._count, process.number, process.life, event),
        )
        return self._count

    def schedule(self, at_ms: int, action: Callable[[], None]) -> None:
        """Something that is no event of a process."""
        self._count += 1
        heapq.heappush(self._heap, (max(1_000 * at_ms, self.now_us), self._count, -1, 0, action))

    def run_until(self, end_us: int, done: Callable[[], bool] | None = None) -> bool:
        """Lets time pass; True if `done` became true before the end."""
        heap = self._heap
        while heap and heap[0][0] <= end_us:
            self.now_us, count, number, life, event = heapq.heappop(heap)
            if number < 0:
                event()
            else:
                process = self.processes[number]
                if process.life != life or process.replica is None:
                    continue
                if process.paused:
                    process.backlog.append(event)
                    continue
                if type(event) is events.TimerFired:
                    if process.timers.get(event.timer) != count:
                        continue  # cancelled, or armed again
                    del process.timers[event.timer]
                self.step(process, event)
            if done is not None and done():
                return True
        self.now_us = max(self.now_us, end_us)
        return False

    def resume(self, process: Process) -> None:
        """A paused process goes on: all that came meanwhile comes at once."""
        process.paused = False
        backlog, process.backlog = process.backlog, []
        for event in backlog:
            if isinstance(event, events.TimerFired):
                process.timers[event.timer] = self.put(0, process, event)
            else:
                self.put(0, process, event)

    # --- steps ---------------------------------------------------------------------------------

    def step(self, process: Process, event: events.Event) -> None:
        """One step of a process, and its effects."""
        machine = process.machine
        if machine is None:
            return
        self.steps += 1
        if self.steps > STEPS_MAX:
            raise Violation(
                Finding.LIVENESS, "storm", f"after {STEPS_MAX} steps there is no end of messages"
            )
        if len(self._heap) > WAITING_MAX:
            raise Violation(
                Finding.LIVENESS, "storm", f"more than {WAITING_MAX} messages are on their way"
            )
        self.trace.event(self.now_us, process.number, event)
        heard = self.checkers.hears(process, event)
        try:
            found = machine.step(event)
        except Exception as error:  # noqa: BLE001  # whatever the core raises is a finding
            self._crashed(process, error)
            return
        life = process.life
        limit = process.dies_after
        performers = self._performers
        for effect in found if limit is None else found[:limit]:
            performers[type(effect)](process, effect)
            if process.life != life:
                return  # it ended in the middle
        if limit is not None:
            self.crash(process, f"after {limit} of {len(found)} effects")
        elif process.honest and process.replica is not None:
            if heard is not None:
                self.checkers.on_heard(process, heard, found)
            if self.checkers.on_step(process, process.replica):
                view = process.replica.view
                self.trace.tell(self.now_us, process.number, "enters", f"view {view}")

    def _crashed(self, process: Process, error: Exception) -> None:
        """The core raised. Of a Byzantine replica it is its own affair: its fault feeds it things
        that no driver would."""
        if not process.honest:
            self.crash(process, f"{type(error).__name__}: {error}")
            return
        raise Violation(
            Finding.CRASH,
            "crash",
            f"R{process.number} raised {type(error).__name__}: {error}",
        ) from error

    def _guarded(self, process: Process, make: Callable[[], Replica]) -> Replica:
        try:
            return make()
        except Exception as error:
            raise Violation(
                Finding.CRASH,
                "crash",
                f"R{process.number} cannot start again: {type(error).__name__}: {error}",
            ) from error

    # --- messages -----------------------------------------------------------------------------

    def post(self, source: Process, replica: ReplicaId, message: WireMessage) -> None:
        """To every process of the replica."""
        now_us = self.now_us
        for target in self.routes.get(replica, ()):
            if target.replica is None or target is source:
                continue
            times = self.network.arrivals(now_us, source.number, target.number, message)
            if self.trace.keep:
                for at_us in times or [None]:  # type: ignore[list-item]
                    self.trace.letter(now_us, at_us, source.number, target.number, message)
            if not times:
                continue
            arrived = decode(encode(message)) if self.wire else message
            received = events.Received(source.replica_id, arrived)
            for at_us in times:
                self.messages += 1
                self._count += 1
                heapq.heappush(
                    self._heap, (at_us, self._count, target.number, target.life, received)
                )

    def let_in(self, process: Process) -> None:
        """Its key is known: all that are connected with members are connected with it."""
        process.outside = False
        self.routes[process.replica_id].append(process)
        if process.up:
            self.connect_all(process)

    # --- users ---------------------------------------------------------------------------------

    def ask(self, question: Question) -> RequestId | None:
        """A user asks a node; None if the node is down."""
        process = self.processes[question.node]
        if not process.up or process.paused:
            return None
        self.asked += 1
        kind = Kind(question.kind)
        request = Request(
            network=NETWORK,
            replica=process.replica_id,
            number=self.asked,
            kind=kind,
            prompt=self.meaning.prompt(self.asked, question.topic),
            language="",
            max_tokens=64,
            timeout_ms=question.timeout_ms,
            fields=fields_for(kind),
        )
        request_id = digest.request_id(request)
        self.topics[request_id] = question.topic
        self.checkers.on_asked(process, request)
        self.put(0, process, events.Submitted(request))
        return request_id
