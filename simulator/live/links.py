"""Faults of links between real daemons, where messages come in.

The connections stay as they are; each node loses or holds back what would not have arrived, by the
same rules as in virtual time (`simulator.network.Weather`). When a partition ends the replica is
told that the connection was away, as the daemon would.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pbft.effects import ArmTimer, Effect
from pbft.events import Event, PeerDown, PeerUp, Received, Started, TimerFired
from pbft.types import FULL_BP, ReplicaId
from simulator.faults.base import Fault
from simulator.network import Weather
from simulator.plan import Incident, incident_from_json, incident_to_json
from simulator.weather import weather_of
from simulator.world import NOTICE_MS

TICK_MS = 50


@dataclass(frozen=True, slots=True)
class Tick:
    """A timer of the links' own: faults begin and end also when nothing arrives."""


@dataclass(frozen=True, slots=True)
class Held:
    """A timer of the links' own: a message that takes longer."""

    number: int


@dataclass(slots=True)
class Link:
    """What a fault does to this node: `weather` to what comes in; whose connections it `breaks`."""

    incident: Incident
    weather: Weather | None
    breaks: frozenset[int]
    begun: bool = False
    noticed: bool = False
    ended: bool = False
    restored: bool = False


def write(path: Path, faults: list[Incident]) -> None:
    """The faults of the links, with the moment from which their times count: now."""
    body = {"began_s": time.monotonic(), "faults": [incident_to_json(fault) for fault in faults]}
    partial = path.with_suffix(".new")
    partial.write_text(json.dumps(body), encoding="utf-8")
    partial.replace(path)


@dataclass(slots=True)
class _Plan:
    began_s: float
    links: list[Link] = field(default_factory=list)

    @property
    def now_ms(self) -> int:
        return int(1_000 * (time.monotonic() - self.began_s))


class Links(Fault):
    """Reads `file` as soon as it is there. All processes of a machine share the clock."""

    BYZANTINE: ClassVar[bool] = False
    OPTIONS: ClassVar[Mapping[str, Any]] = {"file": ""}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._plan: _Plan | None = None
        self._held: dict[object, Event] = {}
        self._count = 0

    def step(self, event: Event) -> list[Effect]:
        if isinstance(event, TimerFired):
            if isinstance(event.timer, Tick):
                return [*self._tick(), ArmTimer(event.timer, TICK_MS)]
            event = self._held.pop(event.timer, event)
        elif isinstance(event, Started):
            # Drivers give any timer back as they got it.
            return [*self._replica.step(event), ArmTimer(Tick(), TICK_MS)]  # type: ignore[arg-type]
        elif isinstance(event, Received) and self._plan is not None:
            for link in self._plan.links:
                if link.begun and not link.ended and self._meets(link, event):
                    return self._weather(link, event)
        return self._replica.step(event)

    def _meets(self, link: Link, event: Received) -> bool:
        me = self.me
        weather = link.weather
        return (
            weather is not None
            and me is not None
            and weather.meets(event.source, me, event.message)
        )

    def _weather(self, link: Link, event: Received) -> list[Effect]:
        weather = link.weather
        if weather is None or self._draw.randrange(FULL_BP) < weather.lose_bp:
            return []
        if not weather.extra_ms[1]:
            return self._replica.step(event)
        self._count += 1
        timer = Held(self._count)
        self._held[timer] = event
        return [ArmTimer(timer, self._draw.randint(*weather.extra_ms))]  # type: ignore[arg-type]

    # --- time ----------------------------------------------------------------------------------

    def _tick(self) -> list[Effect]:
        if self._plan is None:
            self._plan = self._read()
            return []
        effects: list[Effect] = []
        now_ms = self._plan.now_ms
        for link in self._plan.links:
            incident = link.incident
            link.begun = link.begun or now_ms >= incident.at_ms
            loud = incident.kind == "part" and not incident.get("quiet", False)
            if loud and not link.noticed and now_ms >= incident.at_ms + NOTICE_MS:
                link.noticed = True
                effects += self._tell(link, PeerDown)
            if incident.until_ms is None:
                continue
            link.ended = link.ended or now_ms >= incident.until_ms
            # Later, when all others hear again: what is said at once upon a new connection, by the
            # first whose fault has ended, would be lost to the last.
            if not link.restored and now_ms >= incident.until_ms + NOTICE_MS:
                link.restored = True
                effects += self._tell(link, PeerDown) + self._tell(link, PeerUp)
        return effects

    def _tell(self, link: Link, kind: type[PeerDown] | type[PeerUp]) -> list[Effect]:
        return [
            effect
            for other in sorted(link.breaks)
            for effect in self._replica.step(kind(ReplicaId(other)))
        ]

    def _read(self) -> _Plan | None:
        try:
            body = json.loads(Path(self._options["file"]).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        members = self.state.membership.replicas
        me = self.me
        if me is None:
            return None
        plan = _Plan(body["began_s"])
        faults = [incident_from_json(entry) for entry in body["faults"]]
        # What was over before this process began is nothing to it.
        plan.links = [_link(f, me, members) for f in faults if (f.until_ms or 0) > plan.now_ms]
        return plan


def _link(incident: Incident, me: int, members: tuple[ReplicaId, ...]) -> Link:
    """What the fault means to the node `me`."""
    others = frozenset(int(replica) for replica in members) - {me}
    match incident.kind:
        case "part":
            side_of = {n: s for s, side in enumerate(incident.settings["sides"]) for n in side}
            apart = frozenset(n for n in others if side_of.get(n, -1) != side_of.get(me, -1))
            return Link(incident, Weather(sources=apart, lose_bp=FULL_BP), apart)
        case "cut":
            sources, targets = (frozenset(incident.settings[e]) for e in ("sources", "targets"))
            deaf = (sources & others) if me in targets else frozenset()
            met = deaf | ((targets & others) if me in sources else frozenset())
            return Link(incident, Weather(sources=deaf, lose_bp=FULL_BP), met)
        case "reconnect":
            return Link(incident, None, others)
    loses = incident.kind == "lose"
    return Link(incident, weather_of(incident, 0), others if loses else frozenset())
