"""What stands between real nodes, and how its faults are made: two means, of which a run has one.

`namespaces`: a network stack for each process, and a switch that loses, delays and repeats IP
packets (`simulator.live.switch`). `messages`: loopback, where each node loses or holds back what
comes in (`simulator.live.links`); connections stay as they are. Which fault can be made by which
stands in `why_not`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from simulator.errors import BadScenario
from simulator.faults import BEHAVIOURS
from simulator.live import links
from simulator.live.namespaces import Stack
from simulator.live.switch import Switch
from simulator.network import Network
from simulator.plan import Incident, Plan
from simulator.weather import dead_links, weather_of

NODES_MAX = 10
LINK_KINDS = ("part", "cut", "lose", "repeat", "reorder", "delay", "reconnect")
NODE_KINDS = ("crash", "pause", "twin", "disk_full")
_FIRST_ADDRESS = 1
_PORT = 4001


class Means(Protocol):
    """Processes are numbered as in virtual time: the nodes, then the second ones of twins."""

    name: str

    def listen(self, number: int) -> str:
        """The multiaddr on which the process listens."""

    def inside(self, number: int) -> AbstractContextManager[None]:
        """In the block this thread makes sockets and processes where the process is."""

    def arguments(self, folder: Path) -> list[str]:
        """What a node's program is started with."""

    def start_clock(self, folders: list[Path], faults: list[Incident]) -> None:
        """From now on the times of the faults of links count."""

    def begin(self, place: int, fault: Incident) -> None:
        """The `place`-th fault of the plan begins."""

    def end(self, place: int, fault: Incident) -> None:
        """It is over."""

    def figures(self) -> dict[str, int]:
        """What passed, for who wants to know."""

    def close(self) -> None:
        """After the last process has ended."""


class Messages:
    """Loopback. The nodes know the faults from a file, and make them themselves."""

    name = "messages"

    def listen(self, number: int) -> str:
        del number
        return "/ip4/127.0.0.1/tcp/0"

    def inside(self, number: int) -> AbstractContextManager[None]:
        del number
        return nullcontext()

    def arguments(self, folder: Path) -> list[str]:
        return ["--links", str(folder / "links.json")]

    def start_clock(self, folders: list[Path], faults: list[Incident]) -> None:
        for folder in folders:
            links.write(folder / "links.json", faults)

    def begin(self, place: int, fault: Incident) -> None:
        pass

    def end(self, place: int, fault: Incident) -> None:
        pass

    def figures(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        pass


class Namespaces:
    """A stack for each process, and the switch between them. The run has entered its own."""

    name = "namespaces"

    def __init__(self, plan: Plan, processes: int) -> None:
        self._switch = Switch(Network(plan.seed, plan.delay_ms, plan.exponential))
        self._numbers = range(processes)
        self._stacks: list[Stack] = []
        for number in self._numbers:
            stack = Stack(f"10.0.0.{_FIRST_ADDRESS + number}")
            self._stacks.append(stack)
            self._switch.attach(stack.address, stack.device)
        self._switch.start()

    def listen(self, number: int) -> str:
        return f"/ip4/{self._stacks[number].address}/tcp/{_PORT}"

    def inside(self, number: int) -> AbstractContextManager[None]:
        return self._stacks[number].inside()

    def arguments(self, folder: Path) -> list[str]:
        del folder
        return []

    def start_clock(self, folders: list[Path], faults: list[Incident]) -> None:
        pass

    def begin(self, place: int, fault: Incident) -> None:
        if fault.kind == "reconnect":
            self._switch.break_connections()
            return
        with self._switch.network() as network:
            if fault.kind in ("part", "cut"):
                for source, target in dead_links(fault, self._numbers):
                    network.cut(source, target)
            else:
                network.weather.append(weather_of(fault, place))

    def end(self, place: int, fault: Incident) -> None:
        with self._switch.network() as network:
            if fault.kind in ("part", "cut"):
                for source, target in dead_links(fault, self._numbers):
                    network.mend(source, target)
            else:
                network.weather = [w for w in network.weather if w.place != place]

    def figures(self) -> dict[str, int]:
        return {f"packets_{name}": count for name, count in sorted(self._switch.packets.items())}

    def close(self) -> None:
        self._switch.close()
        for stack in self._stacks:
            stack.close()


# --- what is possible --------------------------------------------------------------------------


def check_live(plan: Plan) -> None:
    """Raises `BadScenario` for what cannot be done to real nodes by any means."""
    behaving: set[int] = set()
    for fault in plan.faults:
        if fault.kind in BEHAVIOURS:
            node = fault.settings["node"]
            if node in behaving:
                raise BadScenario(f"Live, node {node} can have one behaviour, from start to end.")
            behaving.add(node)
        elif fault.kind not in (*NODE_KINDS, *LINK_KINDS):
            known = ", ".join((*NODE_KINDS, *LINK_KINDS))
            raise BadScenario(f"Live runs know {known} and behaviours; not {fault.kind}.")
        elif fault.get("effects") is not None:
            raise BadScenario("Live, a crash is a SIGKILL: leave out `effects`.")
        elif fault.get("lose") == "unsynced":
            raise BadScenario(
                "Live, a crash is a SIGKILL, and what a killed process wrote stays in the "
                "system's memory: `lose` can be nothing, log, disk or all."
            )
    if processes_of(plan) > NODES_MAX:
        raise BadScenario(f"Live runs have at most {NODES_MAX} processes on one machine.")


def processes_of(plan: Plan) -> int:
    return plan.nodes + sum(fault.kind == "twin" for fault in plan.faults)


def why_not(plan: Plan, means: str) -> str:
    """Which fault of the plan that means cannot make, as a sentence; empty if it can make all."""
    reasons = _NOT_BY[means]
    for fault in plan.faults:
        if fault.kind in (*LINK_KINDS, *NODE_KINDS) and (reason := reasons(fault, plan)):
            return reason
    return ""


def _not_by_namespaces(fault: Incident, _: Plan) -> str:
    narrowed = [name for name in ("messages", "slots", "views") if fault.get(name) is not None]
    if narrowed:
        return (
            f"In network namespaces, {fault.kind} cannot be narrowed by {narrowed[0]}: "
            "what passes is encrypted packets."
        )
    return ""


def _not_by_messages(fault: Incident, plan: Plan) -> str:
    if fault.kind in ("repeat", "reorder", "disk_full"):
        return f"{fault.kind} needs namespaces: nodes on loopback cannot have it."
    named = [
        number
        for name in ("sources", "targets")
        for number in fault.get(name) or ()
    ] + [number for side in fault.get("sides") or () for number in side]  # fmt: skip
    if any(number >= plan.nodes for number in named):
        return f"{fault.kind} between a node and its twin needs namespaces: on loopback both hear."
    return ""


_NOT_BY: dict[str, Callable[[Incident, Plan], str]] = {
    "namespaces": _not_by_namespaces,
    "messages": _not_by_messages,
}
MEANS = tuple(_NOT_BY)


def choose(plan: Plan, wanted: str, unavailable: str) -> str:
    """The means for a plan. `wanted` may be `auto`; `unavailable` says why this machine has no
    namespaces. Raises `BadScenario`."""
    lacking = {"namespaces": unavailable, "messages": ""}
    if wanted != "auto":
        reason = lacking[wanted] or why_not(plan, wanted)
        if reason:
            raise BadScenario(f"{plan.name}: {reason} Try --links auto.")
        return wanted
    for means in MEANS:
        if not lacking[means] and not why_not(plan, means):
            return means
    raise BadScenario(f"{plan.name}: {why_not(plan, 'messages')} {unavailable}".rstrip())
