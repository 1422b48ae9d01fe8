"""How the faults of a plan happen in a world: crashes, disks, links, operators, behaviours."""

from functools import partial
from random import Random

from pbft import events
from pbft.types import ReplicaId
from simulator.faults import BEHAVIOURS
from simulator.faults.base import Machine
from simulator.governance import Governance
from simulator.kinds import byzantine_nodes
from simulator.plan import Incident
from simulator.process import Layer, Process
from simulator.weather import dead_links, weather_of
from simulator.world import NOTICE_MS, World


class Incidents:
    """All faults of a plan, in one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._faults = world.plan.faults
        self._behaviours: dict[int, list[tuple[int, Incident]]] = {}
        self._begun: set[int] = set()
        self._down: dict[int, int] = {}
        """By process: how many faults keep it down."""
        byzantine = byzantine_nodes(self._faults)
        self._twins = {
            place: world.add_process(ReplicaId(incident.settings["node"]))
            for place, incident in enumerate(self._faults)
            if incident.kind == "twin"
        }
        for place, incident in enumerate(self._faults):
            if incident.kind in BEHAVIOURS:
                self._behaviours.setdefault(incident.settings["node"], []).append((place, incident))
        self._governance = Governance(world)
        self._joiners = {
            place: self._governance.add_joiner()
            for place, incident in enumerate(self._faults)
            if incident.kind == "join"
        }
        for process in world.processes:
            process.honest = process.replica_id not in byzantine
        world.checkers.byzantine = byzantine

    def start(self) -> None:
        """Boots the network and plans what is to happen."""
        world = self._world
        later = {p.number for place, p in self._twins.items() if self._faults[place].at_ms > 0}
        present = [p for p in world.processes if not p.outside and p.number not in later]
        for process in present:
            world.boot(process, self.wrap)
        for process in present:
            world.connect_all(process)
        for place, incident in enumerate(self._faults):
            if incident.kind == "twin" and incident.at_ms == 0:
                self._begun.add(place)  # it has started with the others
            else:
                world.schedule(incident.at_ms, partial(self._begin, place, incident))
            if incident.until_ms is not None:
                world.schedule(incident.until_ms, partial(self._end, place, incident))

    def wrap(self, process: Process) -> None:
        """Puts the node's behaviours around a new replica."""
        if process.replica is None:
            return
        configuration = self._world.configuration(process)
        keyring = self._world.keyrings(process.key)
        outer: Machine = process.replica
        for place, incident in self._behaviours.get(process.replica_id, ()):
            options = {k: v for k, v in incident.settings.items() if k != "node"}
            seed = f"{self._world.plan.seed} fault {place} {process.number} {process.life}"
            fault = BEHAVIOURS[incident.kind](
                process.replica,
                configuration,
                keyring,
                inner=outer,
                draw=Random(seed),  # noqa: S311  # a seed must replay
                **options,
            )
            layer = Layer(fault, outer, place in self._begun)
            process.layers[place] = layer
            outer = layer
        process.machine = outer

    def _begin(self, place: int, incident: Incident) -> None:
        self._begun.add(place)
        node = incident.get("node")
        about = "" if node is None else f"R{node} "
        rest = {k: v for k, v in incident.settings.items() if k != "node" and v is not None}
        self._world.trace.note(
            self._world.now_us, -1, "fault begins:", f"{about}{incident.kind} {rest or ''}".strip()
        )
        if incident.kind in BEHAVIOURS:
            self._switch(place, incident, active=True)
        else:
            getattr(self, f"_begin_{incident.kind}")(place, incident)

    def _end(self, place: int, incident: Incident) -> None:
        if place not in self._begun:
            return
        self._begun.discard(place)
        self._world.trace.note(self._world.now_us, -1, "fault ends:", incident.kind)
        if incident.kind in BEHAVIOURS:
            self._switch(place, incident, active=False)
        elif end := getattr(self, f"_end_{incident.kind}", None):
            end(place, incident)

    def calm(self) -> None:
        """The network heals, the disks are well, and who is to come back does; what is over now
        does not end a second time. Twins and behaviours without end go on."""
        world = self._world
        for place, incident in enumerate(self._faults):
            lasting = incident.kind in BEHAVIOURS or incident.kind in ("crash", "twin")
            if place in self._begun and not (lasting and incident.until_ms is None):
                self._end(place, incident)
        world.network.cuts.clear()
        world.network.weather.clear()
        for process in world.processes:
            process.disk.full = False
            if process.paused:
                world.resume(process)
            if not process.up and not process.gone:
                self._down.pop(process.number, None)
                self._boot(process)
        self._reconnect_all()
        self._governance.insist()

    # --- nodes ---------------------------------------------------------------------------------

    def _switch(self, place: int, incident: Incident, *, active: bool) -> None:
        for process in self._world.routes[ReplicaId(incident.settings["node"])]:
            if place in process.layers:
                process.layers[place].active = active

    def _process(self, incident: Incident) -> Process:
        return self._world.processes[incident.settings["node"]]

    def _begin_crash(self, _: int, incident: Incident) -> None:
        process = self._process(incident)
        effects = incident.get("effects")
        self._down[process.number] = self._down.get(process.number, 0) + 1
        if incident.until_ms is None:
            process.gone = True
        if effects is None or not process.up:
            self._world.crash(process)
        else:
            process.dies_after = effects

    def _end_crash(self, _: int, incident: Incident) -> None:
        process = self._process(incident)
        self._world.crash(process)  # it may have had no step to die in
        match incident.get("lose", "nothing"):
            case "unsynced":
                process.disk.lose_unsynced()
            case "log":
                if process.disk.flip_bit(process.draw):
                    self._world.checkers.forget_log(process)
            case "disk":
                process.disk.lose(process.draw)
                self._world.checkers.forget_log(process)
            case "all":
                process.disk.forget()
        self._rise(process)

    def _rise(self, process: Process) -> None:
        left = self._down.get(process.number, 1) - 1
        self._down[process.number] = left
        if left <= 0 and not process.up and not process.gone:
            self._boot(process)

    def _boot(self, process: Process) -> None:
        self._world.trace.note(self._world.now_us, process.number, "starts")
        self._world.boot(process, self.wrap)
        self._world.connect_all(process)

    def _begin_twin(self, place: int, _: Incident) -> None:
        self._boot(self._twins[place])

    def _end_twin(self, place: int, _: Incident) -> None:
        process = self._twins[place]
        process.gone = True
        self._world.crash(process, "for good")

    def _begin_pause(self, _: int, incident: Incident) -> None:
        self._process(incident).paused = True

    def _end_pause(self, _: int, incident: Incident) -> None:
        self._world.resume(self._process(incident))

    def _begin_disk_full(self, _: int, incident: Incident) -> None:
        process = self._process(incident)
        process.disk.full = True
        self._down[process.number] = self._down.get(process.number, 0) + 1

    def _end_disk_full(self, _: int, incident: Incident) -> None:
        process = self._process(incident)
        process.disk.full = False
        self._rise(process)

    def _begin_endorse(self, _: int, incident: Incident) -> None:
        self._governance.leave(incident.settings["nodes"], incident.settings["leaves"])

    def _begin_set_policy(self, _: int, incident: Incident) -> None:
        self._governance.set_policy(incident)

    def _begin_join(self, place: int, _: Incident) -> None:
        process = self._joiners[place]
        self._boot(process)
        self._governance.join(process)

    def _begin_replace_key(self, _: int, incident: Incident) -> None:
        process = self._process(incident)
        self._world.crash(process)
        if not process.outside:
            self._world.expel(process)
        process.disk.forget()
        self._world.checkers.forget_log(process)
        self._governance.replace_key(process)
        if not self._down.get(process.number):
            self._boot(process)

    # --- links ---------------------------------------------------------------------------------

    def _pairs(self, incident: Incident) -> list[tuple[Process, Process]]:
        processes = self._world.processes
        return [
            (processes[source], processes[target])
            for source, target in dead_links(incident, range(len(processes)))
        ]

    def _begin_part(self, _: int, incident: Incident) -> None:
        for one, other in self._pairs(incident):
            self._world.network.cut(one.number, other.number)
            if not incident.get("quiet", False) and one.replica_id != other.replica_id:
                self._world.schedule(
                    self._world.now_us // 1_000 + NOTICE_MS, partial(self._notice, one, other)
                )

    def _notice(self, one: Process, other: Process) -> None:
        """`one` has not heard of `other` for a while."""
        reachable = any(
            twin.up and (twin.number, one.number) not in self._world.network.cuts
            for twin in self._world.routes[other.replica_id]
        )
        if one.up and not reachable:
            self._world.put(0, one, events.PeerDown(other.replica_id))

    def _end_part(self, _: int, incident: Incident) -> None:
        pairs = self._pairs(incident)
        for one, other in pairs:
            self._world.network.mend(one.number, other.number)
        for one, other in pairs:
            if one.number < other.number:
                self._world.reconnect(one, other)

    def _begin_cut(self, _: int, incident: Incident) -> None:
        for source, target in self._pairs(incident):
            self._world.network.cut(source.number, target.number)

    def _end_cut(self, _: int, incident: Incident) -> None:
        for source, target in self._pairs(incident):
            self._world.network.mend(source.number, target.number)
            self._world.reconnect(source, target)

    def _begin_weather(self, place: int, incident: Incident) -> None:
        self._world.network.weather.append(weather_of(incident, place))

    _begin_lose = _begin_repeat = _begin_reorder = _begin_delay = _begin_weather

    def _end_weather(self, place: int, _: Incident) -> None:
        network = self._world.network
        network.weather = [weather for weather in network.weather if weather.place != place]

    _end_repeat = _end_reorder = _end_delay = _end_weather

    def _end_lose(self, place: int, incident: Incident) -> None:
        """Real connections lose nothing while they last: what was lost comes again."""
        self._end_weather(place, incident)
        self._reconnect_all()

    def _begin_reconnect(self, _: int, __: Incident) -> None:
        self._reconnect_all()

    def _reconnect_all(self) -> None:
        processes = self._world.processes
        for one in processes:
            for other in processes[one.number + 1 :]:
                if (one.number, other.number) not in self._world.network.cuts:
                    self._world.reconnect(one, other)
