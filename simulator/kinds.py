"""The faults that a plan can hold: what each is told, what makes sense, and who is honest.

Faults of the surroundings happen in `simulator.incidents`; behaviours of a node are the classes of
`simulator.faults`. Each kind has a sentence for people and its settings with defaults.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pbft.policy import Policy
from pbft.types import FULL_BP
from simulator.errors import BadScenario, shown
from simulator.faults import BEHAVIOURS
from simulator.plan import Incident
from simulator.weather import WHERE

REQUIRED = object()


@dataclass(frozen=True, slots=True)
class Kind:
    """What one kind of fault is told. `settings`: name to default; `REQUIRED` for none."""

    sentence: str
    settings: Mapping[str, Any]


SURROUNDINGS: dict[str, Kind] = {
    "crash": Kind(
        "A node stops, after so many effects of its next step if `effects` says so, and starts "
        "again at the end. It loses nothing, what was not flushed (unsynced), its log (log) or all "
        "it wrote (disk), which it notices, or its whole memory, which it does not (all).",
        {"node": REQUIRED, "lose": "nothing", "effects": None},
    ),
    "pause": Kind("A node's process is stopped and goes on later.", {"node": REQUIRED}),
    "disk_full": Kind("Nothing can be written to a node's disk.", {"node": REQUIRED}),
    "part": Kind(
        "Nothing passes between the sides. Drivers notice after a second unless `quiet`.",
        {"sides": REQUIRED, "quiet": False},
    ),
    "cut": Kind(
        "Nothing passes from sources to targets; the other direction works.",
        {"sources": REQUIRED, "targets": REQUIRED},
    ),
    "lose": Kind("A share of the messages is lost.", {"share_bp": FULL_BP, **WHERE}),
    "repeat": Kind(
        "A share of the messages arrives several times.",
        {"share_bp": FULL_BP, "times": 1, **WHERE},
    ),
    "reorder": Kind("A share of the messages overtakes others.", {"share_bp": FULL_BP, **WHERE}),
    "delay": Kind("Messages take longer.", {"extra_ms": REQUIRED, **WHERE}),
    "reconnect": Kind("All connections break and come up again.", {}),
    "twin": Kind(
        "The key of a node runs a second time: two processes that do not know of each other.",
        {"node": REQUIRED},
    ),
    "endorse": Kind(
        "The operators of `nodes` want the member `leaves` to leave.",
        {"nodes": REQUIRED, "leaves": REQUIRED},
    ),
    "join": Kind("A further node starts, and all operators want it as a member.", {}),
    "replace_key": Kind(
        "A member goes on on another machine, with another key and an empty disk; all operators "
        "want that.",
        {"node": REQUIRED},
    ),
    "set_policy": Kind(
        "All operators want other rules.",
        {"attempts_max": None, "similarity_threshold_bp": None, "rotation_slots": None},
    ),
}
LOSSES = ("nothing", "unsynced", "log", "disk", "all")


def settings_of(kind: str) -> Mapping[str, Any] | None:
    """None for an unknown kind."""
    if kind in SURROUNDINGS:
        return SURROUNDINGS[kind].settings
    return {"node": REQUIRED, **BEHAVIOURS[kind].OPTIONS} if kind in BEHAVIOURS else None


def check_incident(incident: Incident, nodes: int) -> None:
    """Raises `BadScenario` unless it can happen in a network of so many nodes."""
    known = settings_of(incident.kind)
    if known is None:
        names = ", ".join(sorted([*SURROUNDINGS, *BEHAVIOURS]))
        raise BadScenario(f"There is no fault {shown(incident.kind)}; there are: {names}.")
    for name in incident.settings:
        if name not in known:
            raise BadScenario(
                f"{incident.kind} has no setting {shown(name)}; "
                f"it has: {', '.join(known) or 'none'}."
            )
    for name, default in known.items():
        if default is REQUIRED and name not in incident.settings:
            raise BadScenario(f"{incident.kind} needs the setting {name!r}.")
        value = incident.get(name, default)
        absent = value is None and default is None
        if not absent and not _fits(name, value, default, nodes):
            raise BadScenario(f"{incident.kind}: {name} cannot be {shown(value)}.")

    if incident.kind == "set_policy":
        try:
            Policy(**{k: v for k, v in incident.settings.items() if v is not None})
        except ValueError as error:
            raise BadScenario(f"set_policy: {error}") from None


def _fits(name: str, value: Any, default: Any, nodes: int) -> bool:
    processes = 2 * nodes
    match name:
        case "node" | "leaves" | "of" | "leader":
            return type(value) is int and 0 <= value < nodes
        case "sources" | "targets" | "nodes" | "slots" | "views" | "to" | "against" | "hidden":
            top = 2**64 if name in ("slots", "views") else processes
            return _whole_numbers(value, top)
        case "sides":
            return isinstance(value, list | tuple) and all(
                _whole_numbers(side, processes) for side in value
            )
        case "messages":
            return isinstance(value, list | tuple) and all(_is_text(v) for v in value)
        case "extra_ms":
            return _whole_numbers(value, 10_000_000) and len(value) == 2 and value[0] <= value[1]
        case "lose":
            return value in LOSSES
        case "quiet":
            return type(value) is bool
    if isinstance(default, str):
        return _is_text(value)
    return type(value) is int and 0 <= value <= 10_000_000


def _is_text(value: Any) -> bool:
    """JSON can spell halves of characters, which no message can carry."""
    return type(value) is str and not any("\ud800" <= character <= "\udfff" for character in value)


def _whole_numbers(value: Any, top: int) -> bool:
    return isinstance(value, list | tuple) and all(type(v) is int and 0 <= v < top for v in value)


# --- who is honest -----------------------------------------------------------------------------


def is_byzantine(incident: Incident) -> bool:
    """Whether the node may do anything from now on: then nothing is demanded of it."""
    if incident.kind in BEHAVIOURS:
        return BEHAVIOURS[incident.kind].BYZANTINE
    return incident.kind == "twin" or (incident.kind == "crash" and incident.get("lose") == "all")


def byzantine_nodes(faults: tuple[Incident, ...]) -> set[int]:
    return {incident.settings["node"] for incident in faults if is_byzantine(incident)}
