"""Agreement, validity and, once the faults stop, liveness under any schedule of faults.

The machine delivers any message that is under way, in any order, drops and duplicates them, fires
any timer early, crashes replicas between any two effects and restarts them from their logs. A
Byzantine replica runs as twins: two processes with one key and different answers, and the machine
decides who hears which of them; it may sign arbitrary votes as well.
"""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pbft import events
from pbft.codec import decode
from pbft.membership import Join, Renew, SetPolicy
from pbft.messages import Commit, Prepare, Signed
from pbft.policy import Policy
from pbft.types import Digest, ReplicaId, View
from tests.property.world import JOINER, N, World
from tests.support import forge
from tests.support.intervals import checkpoint_every
from tests.support.keyring import QuickKeyring

QUESTIONS_MAX = 4
CHANGES_MAX = 2
REPLICAS = st.integers(0, N - 1)
INTERVAL = 2
"""Slots between checkpoints."""
ANY = st.integers(0, 10_000)
"""An index, taken modulo the number of things there are."""


class Faults(RuleBasedStateMachine):
    """Crashes, loss, duplication, reordering; everybody follows the protocol. Checkpoints and
    rotation come after few slots, so that views and compacted logs are many."""

    byzantine: int | None = None
    gone: int | None = None
    """Who is down when all other faults stop, and stays down."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        checkpoint_every(INTERVAL, self.patch)
        self.changes = 0
        self.world = World(self.byzantine, Policy(rotation_slots=2 * INTERVAL))

    # --- progress ------------------------------------------------------------------------------

    @initialize(asker=REPLICAS)
    def begin(self, asker: int) -> None:
        self.ask(asker)

    @precondition(lambda self: self.world.questions < QUESTIONS_MAX)
    @rule(replica=REPLICAS)
    def ask(self, replica: int) -> None:
        if self.world.processes[replica].honest:
            self.world.ask(replica)

    @precondition(lambda self: self.changes < CHANGES_MAX)
    @rule(attempts=st.integers(1, 3))
    def endorse(self, attempts: int) -> None:
        """The operators want another policy, and with it a new epoch."""
        self.changes += 1
        policy = replace(self.world.policy, attempts_max=attempts)
        self.world.endorse(SetPolicy(policy))

    @rule(count=st.integers(20, 300))
    def go_on(self, count: int) -> None:
        """Much happens, and every message arrives in its turn."""
        self.run(count, stride=0)

    @rule(count=st.integers(1, 200), stride=st.sampled_from([1, 7, 101, 9_973]))
    def shuffle(self, count: int, stride: int) -> None:
        """Much happens, out of order."""
        self.run(count, stride)

    def run(self, count: int, stride: int) -> None:
        for number in range(count):
            if self.world.pool:
                pick = number * stride % len(self.world.pool)
                self.world.deliver(self.world.pool.pop(pick))
            if number % 4 == 0:
                self.world.finish_work(number * stride)

    @precondition(lambda self: self.world.pool)
    @rule(pick=ANY)
    def deliver(self, pick: int) -> None:
        """Any one message."""
        self.world.deliver(self.world.pool.pop(pick % len(self.world.pool)))

    @precondition(lambda self: self.world.busy())
    @rule(pick=ANY)
    def finish_work(self, pick: int) -> None:
        """A model or an embedder delivers its result."""
        self.world.finish_work(pick)

    @rule(replica=REPLICAS, pick=ANY)
    def fire(self, replica: int, pick: int) -> None:
        """Any armed timer, however early."""
        for number, process in enumerate(self.world.processes):
            if process.me == replica and process.timers:
                timer = list(process.timers)[pick % len(process.timers)]
                del process.timers[timer]
                self.world.step(number, events.TimerFired(timer))

    # --- faults --------------------------------------------------------------------------------

    @precondition(lambda self: self.world.pool)
    @rule(pick=ANY, count=st.integers(1, 4))
    def drop(self, pick: int, count: int) -> None:
        start = pick % len(self.world.pool)
        del self.world.pool[start : start + count]

    @precondition(lambda self: self.world.pool)
    @rule(pick=ANY)
    def duplicate(self, pick: int) -> None:
        self.world.pool.append(self.world.pool[pick % len(self.world.pool)])

    @precondition(lambda self: self.world.pool and not self.world.down())
    @rule(pick=ANY, effects_max=st.integers(0, 12))
    def crash_between_effects(self, pick: int, effects_max: int) -> None:
        """A replica receives a message, performs the first few effects, and is gone."""
        letter = self.world.pool.pop(pick % len(self.world.pool))
        event = events.Received(letter.source, decode(letter.frame))
        self.world.step(letter.target, event, effects_max)

    @precondition(lambda self: self.world.busy() and not self.world.down())
    @rule(pick=ANY, effects_max=st.integers(0, 6))
    def crash_at_work(self, pick: int, effects_max: int) -> None:
        """A replica gets its model's or embedder's result, performs a few effects, and is gone."""
        self.world.finish_work(pick, effects_max)

    @precondition(lambda self: self.world.down())
    @rule()
    def restart(self) -> None:
        """The crashed replica starts from its log, and its connections come up."""
        (number,) = self.world.down()
        self.world.start(number)
        for other, process in enumerate(self.world.processes):
            if process.me != self.world.processes[number].me:
                self.world.connect(number, other)

    @rule(one=REPLICAS, other=REPLICAS)
    def reconnect(self, one: int, other: int) -> None:
        if one != other:
            self.world.connect(one, other)

    @rule(replica=REPLICAS, away=REPLICAS)
    def lose_sight(self, replica: int, away: int) -> None:
        """A driver reports a connection as down, rightly or not."""
        if replica != away:
            self.world.step(replica, events.PeerDown(ReplicaId(away)))

    # --- what must hold ------------------------------------------------------------------------

    @invariant()
    def ledgers_agree(self) -> None:
        self.world.check_ledgers()

    def teardown(self) -> None:
        try:
            self.world.heal(self.gone)
            self.world.check_ledgers()
            assert self.world.undecided() == []
        finally:
            self.patch.undo()


class Members(Faults):
    """A fifth node joins, one leaves, one forgets what it signed."""

    def __init__(self) -> None:
        super().__init__()
        self.patch.setattr("pbft.state.RENEWAL_SLOTS_MIN", 2 * INTERVAL)
        self.forgot = False

    @precondition(lambda self: self.changes < CHANGES_MAX)
    @rule()
    def join(self) -> None:
        """Its node may be there before it is wanted, and is started once."""
        self.changes += 1
        if len(self.world.processes) == N:
            self.world.join()
        key = QuickKeyring.public_key(JOINER)
        self.world.endorse(Join("joiner", key, ()))

    @precondition(lambda self: self.changes < CHANGES_MAX)
    @rule(replica=REPLICAS)
    def endorse_renewal_of_another(self, replica: int) -> None:
        """Which is nobody's to want but its own, and refused."""
        self.changes += 1
        self.world.endorse(Renew(ReplicaId(replica), bytes(32)))

    @precondition(lambda self: not self.forgot and not self.world.down())
    @rule(replica=REPLICAS, disk=st.booleans())
    def forget(self, replica: int, disk: bool) -> None:
        """At most one: two silent replicas of four are more than the network survives."""
        self.forgot = True
        self.world.forget(replica, bytes(31) + b"\x01", disk=disk)
        for other in range(len(self.world.processes)):
            if other != replica:
                self.world.connect(replica, other)


class CrashedPrimary(Faults):
    """R0, the first primary, is gone for good in the end, whatever it has begun."""

    gone = 0


class ByzantineBackup(Faults):
    """R3 is Byzantine: twins with one key, and votes for whatever the machine likes."""

    byzantine = 3

    def sign(self, message: Any) -> Signed[Any]:
        return Signed(message, QuickKeyring(message.replica).sign(message))

    @rule(
        kind=st.sampled_from([Prepare, Commit]),
        slot=st.integers(1, QUESTIONS_MAX + 1),
        view=st.integers(0, 2),
        pick=ANY,
        hearers=st.sets(REPLICAS, min_size=1),
    )
    def vote(self, kind: Any, slot: int, view: int, pick: int, hearers: set[int]) -> None:
        """A vote for a proposal that exists, or for nothing at all."""
        known = [*self._digests(), forge.D1]
        made = forge.vote(kind, self.byzantine or 0, known[pick % len(known)], slot)
        message = self.sign(replace(made, view=View(view)))
        for target in sorted(hearers):
            self.world.send(ReplicaId(self.byzantine or 0), ReplicaId(target), message)

    def _digests(self) -> list[Digest]:
        found = {
            slot.digest
            for process in self.world.processes
            if process.replica is not None
            for slot in process.replica._normal_case._log
            if slot.digest is not None
        }
        return sorted(found)


class ByzantinePrimary(ByzantineBackup):
    """R0, the first primary, is Byzantine."""

    byzantine = 0


RUNS = settings(max_examples=60, stateful_step_count=50)

TestMembers = Members.TestCase
TestMembers.settings = RUNS
TestFaults = Faults.TestCase
TestFaults.settings = RUNS
TestCrashedPrimary = CrashedPrimary.TestCase
TestCrashedPrimary.settings = RUNS
TestByzantineBackup = ByzantineBackup.TestCase
TestByzantineBackup.settings = RUNS
TestByzantinePrimary = ByzantinePrimary.TestCase
TestByzantinePrimary.settings = RUNS
