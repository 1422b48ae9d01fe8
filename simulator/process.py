"""One running daemon in the simulation: a replica with its disk, its timers and its faults."""

from dataclasses import dataclass, field
from random import Random

from pbft import events
from pbft.effects import Effect
from pbft.replica import Replica
from pbft.types import ReplicaId
from simulator.disk import Disk
from simulator.faults.base import Fault, Machine


@dataclass(slots=True)
class Layer:
    """A behaviour around a replica, for a time."""

    fault: Fault
    inner: Machine
    active: bool = False

    def step(self, event: events.Event) -> list[Effect]:
        return self.fault.step(event) if self.active else self.inner.step(event)


@dataclass(slots=True)
class Process:
    """Of a replica; a replica whose key runs twice has two."""

    number: int
    replica_id: ReplicaId
    disk: Disk
    draw: Random
    """For its models."""
    honest: bool = True
    """No behaviour of the plan makes it Byzantine, and it never loses its memory unnoticed."""
    replica: Replica | None = None
    machine: Machine | None = None
    layers: dict[int, Layer] = field(default_factory=dict)
    """By the number of the fault in the plan."""
    life: int = 0
    timers: dict[events.Timer, int] = field(default_factory=dict)
    """Armed timers, by the number of the event that fires them."""
    peers: tuple[ReplicaId, ...] = ()
    paused: bool = False
    backlog: list[events.Event] = field(default_factory=list)
    dies_after: int | None = None
    """It crashes in its next step, after so many effects."""
    gone: bool = False
    """It never comes back."""
    key: int = -1
    """The number of its key: its replica's, unless it was replaced."""
    outside: bool = False
    """No member knows its key yet, so nobody is connected with it."""

    @property
    def up(self) -> bool:
        return self.replica is not None
