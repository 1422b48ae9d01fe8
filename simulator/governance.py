"""Operators change the network: members come and go, get other keys, and other rules.

Who is to come, or has another key by now, is outside until the others know its key: nobody connects
with strangers. Its operators want it in for as long as it is not; what else is wanted, they want
once.
"""

from dataclasses import replace
from functools import partial

from pbft import events
from pbft.membership import Change, Join, Leave, Membership, ReplaceKey, SetPolicy
from pbft.types import ReplicaId
from simulator.plan import Incident
from simulator.process import Process
from simulator.signer import secret_of
from simulator.world import World

URGED_MS = 5_000
"""After the calm, operators say again what they want this often."""
FIRST_NEW_KEY = 1_000


class Governance:
    """What the operators of one world want."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._new_keys = 0

    def add_joiner(self) -> Process:
        """Of a node that is to come: it gets the number after the last member's."""
        number = self._world.members.next_replica
        process = self._world.add_process(number, key=int(number))
        process.outside = True
        return process

    def join(self, process: Process) -> None:
        """Its folder has the genesis file and nothing else; it has been started."""
        self._endorse(Join(f"node{process.replica_id}", secret_of(process.key), ()))

    def replace_key(self, process: Process) -> None:
        """The member is on another machine from now on, with another key; it is to be started."""
        self._new_keys += 1
        process.key = FIRST_NEW_KEY + self._new_keys
        process.outside = True
        self._endorse(ReplaceKey(process.replica_id, secret_of(process.key)))

    def set_policy(self, incident: Incident) -> None:
        known = {name: value for name, value in incident.settings.items() if value is not None}
        self._endorse(SetPolicy(replace(self._world.checkers.newest.policy, **known)))

    def leave(self, nodes: list[int], replica: int) -> None:
        self._endorse(Leave(ReplicaId(replica)), nodes)

    def insist(self) -> None:
        """From now on, until everybody who wants in is in."""
        wanting = [process for process in self._world.processes if process.outside]
        if not wanting:
            return
        membership = self._world.checkers.newest.membership
        for process in wanting:
            self._endorse(_admission(process, membership))
        now_ms = self._world.now_us // 1_000
        self._world.schedule(now_ms + URGED_MS, partial(self.insist))

    def _endorse(self, change: Change, nodes: list[int] | None = None) -> None:
        processes = self._world.processes
        chosen = processes if nodes is None else [processes[number] for number in nodes]
        for process in chosen:
            # A liar's operator may want it too; that alone is no harm.
            if process.up and not process.outside:
                self._world.put(0, process, events.ChangeEndorsed(change))


def _admission(process: Process, membership: Membership) -> Change:
    key = secret_of(process.key)
    if membership.member(process.replica_id) is None:
        return Join(f"node{process.replica_id}", key, ())
    return ReplaceKey(process.replica_id, key)
