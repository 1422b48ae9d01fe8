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
from simulator.wording import MESSAGES

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
WITHOUT_END = ("endorse", "join", "replace_key", "set_policy")
"""What is done once, and done then."""

TIMES_MAX = 100
"""Of one message: with more copies a network is only busy, and this machine's memory full."""
GREATEST = 10_000_000

_MESSAGES = {"messages": MESSAGES}
_WORDS: dict[str, Mapping[str, tuple[str, ...]]] = {
    "crash": {"lose": LOSSES},
    **dict.fromkeys(("lose", "repeat", "reorder", "delay"), _MESSAGES),
}
_LISTED = ("messages", "slots", "views", "sources", "targets", "sides", "nodes")
"""Lists in which nothing would mean that nothing happens."""
_SWITCHES = ("both", "down", "all", "contradictions", "commitments", "helps")
_RANGES = {
    "share_bp": (1, FULL_BP),
    "by_bp": (0, FULL_BP),
    "off_bp": (0, FULL_BP),
    "times": (1, TIMES_MAX),
    "every": (1, GREATEST),
    "by": (1, GREATEST),
    "delay_ms": (1, GREATEST),
    **dict.fromkeys(_SWITCHES, (0, 1)),
}
"""Of whole numbers; others are from 0 to `GREATEST`."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """How many there are that a fault can name; each is numbered from 0."""

    nodes: int
    members: int
    """And who joins."""
    processes: int
    """And the second ones of twins, before who joins."""


def numbers_of(nodes: int, faults: tuple[Incident, ...]) -> Numbers:
    kinds = [incident.kind for incident in faults]
    members = nodes + kinds.count("join")
    return Numbers(nodes, members, members + kinds.count("twin"))


def settings_of(kind: str) -> Mapping[str, Any] | None:
    """None for an unknown kind."""
    if kind in SURROUNDINGS:
        return SURROUNDINGS[kind].settings
    return {"node": REQUIRED, **BEHAVIOURS[kind].OPTIONS} if kind in BEHAVIOURS else None


def check_incident(incident: Incident, numbers: Numbers) -> None:
    """Raises `BadScenario` unless it can happen, and does something, among so many nodes."""
    kind = incident.kind
    known = settings_of(kind)
    if known is None:
        names = ", ".join(sorted([*SURROUNDINGS, *BEHAVIOURS]))
        raise BadScenario(f"There is no fault {shown(kind)}; there are: {names}.")
    for name in incident.settings:
        if name not in known:
            raise BadScenario(
                f"{kind} has no setting {shown(name)}; it has: {', '.join(known) or 'none'}."
            )
    for name, default in known.items():
        if default is REQUIRED and name not in incident.settings:
            raise BadScenario(f"{kind} needs the setting {name!r}.")
    for name, value in incident.settings.items():
        if value is None and known[name] is None:
            continue
        if wanted := _unfit(kind, name, value, known[name], numbers):
            raise BadScenario(f"{kind}: {name} cannot be {shown(value)}; it must be {wanted}.")

    if kind == "set_policy":
        _check_policy({k: v for k, v in incident.settings.items() if v is not None})


def _check_policy(rules: Mapping[str, Any]) -> None:
    if not rules:
        names = ", ".join(SURROUNDINGS["set_policy"].settings)
        raise BadScenario(f"set_policy needs at least one rule: {names}.")
    try:
        Policy(**rules)
    except ValueError as error:
        raise BadScenario(f"set_policy: {error}") from None


def _unfit(kind: str, name: str, value: Any, default: Any, numbers: Numbers) -> str | None:
    """What it must be, if it is something else."""
    if name in _LISTED and value in ([], ()):
        return "a list of at least one"
    of_kind = BEHAVIOURS[kind].WORDS if kind in BEHAVIOURS else _WORDS.get(kind, {})
    if name in of_kind:
        return _not_among(of_kind[name], value, several=name == "messages")
    match name:
        case "node" | "leaves" | "leader":
            fits = type(value) is int and 0 <= value < numbers.nodes
            return None if fits else f"a node; there are {numbers.nodes}, from 0"
        case "to" | "against" | "hidden":
            return _not_nodes(value, numbers.members)
        case "sources" | "targets" | "nodes":
            return _not_nodes(value, numbers.processes)
        case "sides":
            return _not_sides(value, numbers.processes)
        case "slots" | "views":
            return None if _whole_numbers(value, 2**64) else "a list of whole numbers from 0"
        case "extra_ms":
            fits = _whole_numbers(value, GREATEST + 1) and len(value) == 2
            fits = fits and value[0] <= value[1] and value[1] > 0
            return None if fits else f"two whole numbers up to {GREATEST}, the lower first"
        case "quiet":
            return None if type(value) is bool else "true or false"
        case "last":
            return _not_within(value, 1, max(1, numbers.members - 1))
    if isinstance(default, str):
        return None if _is_text(value) else "text"
    return _not_within(value, *_RANGES.get(name, (0, GREATEST)))


def _not_among(words: tuple[str, ...], value: Any, *, several: bool) -> str | None:
    if several:
        fits = isinstance(value, list | tuple) and all(v in words for v in value)
        return None if fits else f"a list of some of {', '.join(words)}"
    return None if type(value) is str and value in words else f"one of {', '.join(words)}"


def _not_nodes(value: Any, top: int) -> str | None:
    return None if _whole_numbers(value, top) else f"a list of nodes; there are {top}, from 0"


def _not_sides(value: Any, top: int) -> str | None:
    if not isinstance(value, list | tuple):
        return "a list of lists of nodes, such as [[0, 1], [2, 3]]"
    for side in value:
        if wanted := _not_nodes(side, top):
            return f"a list of sides, each {wanted}"
    everybody = [node for side in value for node in side]
    return None if len(everybody) == len(set(everybody)) else "sides with each node in one only"


def _not_within(value: Any, least: int, greatest: int) -> str | None:
    fits = type(value) is int and least <= value <= greatest
    return None if fits else f"a whole number from {least} to {greatest}"


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
